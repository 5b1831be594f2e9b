use super::*;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let setting = |(name, value): &(&str, &str)| {
        let (name, is_own) = match name.strip_prefix("default ") {
            Some(name) => (name, false),
            None => (*name, true),
        };
        let value = (*value).to_owned();
        (name.to_owned(), Setting { value, is_own })
    };
    pairs.iter().map(setting).collect()
}

fn copied() -> Vec<String> {
    ["cleanup.policy", "retention.ms", "segment.ms"]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn what_was_set_is_set_and_what_was_taken_back_is_taken_back() {
    let source = settings(&[
        ("retention.ms", "5"),
        ("default segment.ms", "7"),
        ("max.message.bytes", "1"),
    ]);
    let mirror = settings(&[
        ("retention.ms", "6"),
        ("segment.ms", "9"),
        ("default cleanup.policy", "delete"),
    ]);
    let change = |name: &str, operation| ConfigAlteration {
        name: name.to_owned(),
        operation,
    };
    assert_eq!(
        changes(&copied(), &source, &mirror),
        [
            change("retention.ms", AlterOperation::Set("5".to_owned())),
            change("segment.ms", AlterOperation::Delete),
        ]
    );
    assert_eq!(
        initial(&copied(), &source),
        [("retention.ms".to_owned(), "5".to_owned())]
    );
}

#[test]
fn equal_settings_need_nothing() {
    let both = settings(&[("retention.ms", "5"), ("default segment.ms", "7")]);
    assert!(changes(&copied(), &both, &both).is_empty());
    let defaults = settings(&[("default retention.ms", "5")]);
    assert!(
        changes(&copied(), &defaults, &settings(&[])).is_empty(),
        "a default is nobody's wish"
    );
}

#[test]
fn another_cleanup_policy_that_is_not_copied_is_told() {
    let (source, mirror) = (
        settings(&[("cleanup.policy", "compact")]),
        settings(&[("default cleanup.policy", "delete")]),
    );
    assert_eq!(mismatch(&copied(), &source, &mirror), None);
    let said = mismatch(&[], &source, &mirror).unwrap();
    assert!(
        said.contains("'compact' at the source and 'delete' at the mirror"),
        "{said}"
    );
    assert_eq!(wanted(&[]), ["cleanup.policy"]);
}
