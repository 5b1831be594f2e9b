use super::*;

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

fn keys(changes: Vec<(&str, KeyChange)>) -> Edit {
    Edit::Keys(
        changes
            .into_iter()
            .map(|(key, change)| (key.to_owned(), change))
            .collect(),
    )
}

fn list(change: ListChange, text: &str) -> KeyChange {
    KeyChange::List(change, text.to_owned())
}

#[test]
fn incremental_changes_touch_only_the_keys_they_name() {
    let current = texts(&[("retention.ms", "1"), ("cleanup.policy", "delete")]);
    let edit = keys(vec![
        ("retention.ms", KeyChange::Delete),
        ("segment.bytes", KeyChange::Set("5".into())),
    ]);
    let changes = edit.resolve(&current, lookup_topic).unwrap();
    let expected = [
        ("retention.ms".to_owned(), None),
        ("segment.bytes".to_owned(), Some("5".to_owned())),
    ];
    assert_eq!(changes, BTreeMap::from(expected));
}

#[test]
fn append_and_subtract_start_from_the_own_list_or_else_from_the_default() {
    let append = || keys(vec![("cleanup.policy", list(ListChange::Append, "compact"))]);
    let of = |edit: Edit, current: &[(&str, &str)]| {
        edit.resolve(&texts(current), lookup_topic)
            .unwrap()
            .remove("cleanup.policy")
            .flatten()
    };
    assert_eq!(of(append(), &[]).as_deref(), Some("delete,compact"));
    assert_eq!(
        of(append(), &[("cleanup.policy", "compact")]).as_deref(),
        Some("compact")
    );
    let subtract = keys(vec![("cleanup.policy", list(ListChange::Subtract, "delete"))]);
    assert_eq!(
        of(subtract, &[("cleanup.policy", "delete,compact")]).as_deref(),
        Some("compact")
    );
}

#[test]
fn append_to_a_number_is_refused_and_names_the_key() {
    let edit = keys(vec![("retention.ms", list(ListChange::Append, "1"))]);
    let error = edit.resolve(&BTreeMap::new(), lookup_topic).unwrap_err();
    assert!(error.to_string().contains("retention.ms"), "{error}");
}

#[test]
fn a_whole_set_takes_away_what_it_does_not_name() {
    let current = texts(&[("retention.ms", "1"), ("cleanup.policy", "delete")]);
    let edit = Edit::Whole(texts(&[("retention.ms", "2")]));
    let changes = edit.resolve(&current, lookup_topic).unwrap();
    let expected = [
        ("cleanup.policy".to_owned(), None),
        ("retention.ms".to_owned(), Some("2".to_owned())),
    ];
    assert_eq!(changes, BTreeMap::from(expected));
}

#[test]
fn a_key_named_twice_a_null_value_and_an_unknown_operation_are_invalid_requests() {
    let value = StrBytes::from_static_str("1");
    let code = |result: Result<Edit, Refusal>| result.unwrap_err().code;
    let twice = || {
        [
            ("a".to_owned(), KeyChange::Delete),
            ("a".to_owned(), KeyChange::Delete),
        ]
        .into_iter()
    };
    assert_eq!(code(Edit::keys(twice().map(Ok))), ErrorCode::InvalidRequest);
    let name = StrBytes::from_static_str("a");
    let pair = (&name, Some(&value));
    assert_eq!(
        code(Edit::whole([pair, pair].into_iter())),
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        code(Edit::whole([(&name, None)].into_iter())),
        ErrorCode::InvalidRequest
    );
    for operation in [0, 2, 3] {
        let refusal = KeyChange::read("a", operation, None).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    }
    assert_eq!(KeyChange::read("a", 1, None), Ok(KeyChange::Delete));
    for operation in [-1, 4] {
        let refusal = KeyChange::read("a", operation, Some(&value)).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidRequest);
    }
}

#[test]
fn a_broker_is_named_by_its_id_and_the_defaults_of_all_by_nothing() {
    let node = BrokerId(3);
    assert_eq!(broker_scope("3", node), Ok(DynamicScope::Broker));
    assert_eq!(broker_scope("", node), Ok(DynamicScope::ClusterDefault));
    for name in ["4", "-3", "x", " "] {
        assert_eq!(
            broker_scope(name, node).unwrap_err().code,
            ErrorCode::InvalidRequest,
            "{name}"
        );
    }
}

#[test]
fn resources_named_twice_are_found() {
    let found = repeated(
        [
            (TOPIC, "a"),
            (BROKER, "a"),
            (TOPIC, "b"),
            (TOPIC, "a"),
            (TOPIC, "a"),
        ]
        .into_iter(),
    );
    assert_eq!(found, BTreeSet::from([(TOPIC, "a".to_owned())]));
}
