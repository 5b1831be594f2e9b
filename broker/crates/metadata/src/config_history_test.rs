use super::*;
use proptest::prelude::*;

fn change() -> impl Strategy<Value = ConfigChange> {
    (
        any::<i64>(),
        any::<Option<String>>(),
        any::<String>(),
        any::<Option<String>>(),
        any::<Option<String>>(),
    )
        .prop_map(|(at, principal, key, before, after)| ConfigChange {
            at: TimestampMs(at),
            principal,
            key,
            before,
            after,
        })
}

proptest! {
    #[test]
    fn a_history_round_trips(changes in prop::collection::vec(change(), 0..20)) {
        prop_assert_eq!(decode_history(&encode_history(&changes)), Ok(changes));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = decode_history(&bytes);
        let _ = decode_history(&[&[1], &bytes[..]].concat());
    }
}

fn edit(key: &str, value: Option<&str>) -> ConfigEdit {
    ConfigEdit {
        changes: BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]),
        at: TimestampMs(5),
        principal: Some("User:alice".to_owned()),
    }
}

#[test]
fn an_edit_tells_what_it_changed_and_nothing_else() {
    let mut configs = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    assert_eq!(apply_edit(&mut configs, &edit("a", Some("1"))), []);
    assert_eq!(apply_edit(&mut configs, &edit("b", None)), []);
    let made = apply_edit(&mut configs, &edit("a", None));
    let expected = ConfigChange {
        at: TimestampMs(5),
        principal: Some("User:alice".to_owned()),
        key: "a".to_owned(),
        before: Some("1".to_owned()),
        after: None,
    };
    assert_eq!((made, configs.is_empty()), (vec![expected], true));
}

#[test]
fn a_history_keeps_the_newest_changes() {
    let mut configs = BTreeMap::new();
    let mut history: Option<Vec<u8>> = None;
    for n in 0..CONFIG_HISTORY_LIMIT + 10 {
        let changes = apply_edit(&mut configs, &edit("a", Some(&n.to_string())));
        history = Some(append_history(history.as_deref(), changes).unwrap());
    }
    let kept = decode_history(&history.unwrap()).unwrap();
    assert_eq!(kept.len(), CONFIG_HISTORY_LIMIT);
    assert_eq!(kept[0].after.as_deref(), Some("10"));
    assert_eq!(
        kept.last().unwrap().after,
        Some((CONFIG_HISTORY_LIMIT + 9).to_string())
    );
}

#[test]
fn a_long_value_is_kept_shortened_and_whole_in_the_configs() {
    let mut configs = BTreeMap::new();
    let long = "é".repeat(TEXT_BYTES_MAX);
    let made = apply_edit(&mut configs, &edit("a", Some(&long)));
    assert_eq!(configs["a"], long);
    let kept = made[0].after.as_ref().unwrap();
    assert!(
        kept.len() <= TEXT_BYTES_MAX + 3 && kept.ends_with("é…"),
        "{} bytes",
        kept.len()
    );
}
