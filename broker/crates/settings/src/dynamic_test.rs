use super::*;
use crate::lookup::{lookup, lookup_topic};
use crate::settings::Profile;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

#[test]
fn this_broker_beats_all_brokers_beats_the_start() {
    let start = Settings::builder(Profile::Serve)
        .set("message.max.bytes", "1000")
        .build()
        .expect("valid");
    let all = start
        .with_dynamic(
            DynamicScope::ClusterDefault,
            &map(&[("message.max.bytes", "2000")]),
        )
        .expect("valid");
    assert_eq!(all.message_max_bytes(), 2000);
    let one = all
        .with_dynamic(DynamicScope::Broker, &map(&[("message.max.bytes", "3000")]))
        .expect("valid");
    assert_eq!(one.message_max_bytes(), 3000);
    let origin = one
        .effective("message.max.bytes")
        .expect("a key")
        .origin
        .to_string();
    assert_eq!(origin, "dynamic, this broker");
    // Taking one away shows the next.
    let without = one.with_dynamic(DynamicScope::Broker, &map(&[])).expect("valid");
    assert_eq!(without.message_max_bytes(), 2000);
    let without = without
        .with_dynamic(DynamicScope::ClusterDefault, &map(&[]))
        .expect("valid");
    assert_eq!(without, start);
}

#[test]
fn a_change_that_may_not_be_made_says_why() {
    let settings = Settings::defaults(Profile::Serve);
    let cases = [
        (
            "num.partitions",
            "2",
            "num.partitions can only be changed by a restart",
        ),
        (
            "no.such.key",
            "2",
            "dynamic, all brokers: unknown key no.such.key",
        ),
        (
            "message.max.bytes",
            "x",
            "dynamic, all brokers: message.max.bytes: the value `x` must be",
        ),
        (
            "message.max.bytes",
            "99999999",
            "must be at most half of wal.file.bytes",
        ),
    ];
    for (name, text, words) in cases {
        let error = settings
            .with_dynamic(DynamicScope::ClusterDefault, &map(&[(name, text)]))
            .expect_err(name);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(Settings::check_dynamic_removal("message.max.bytes").is_ok());
    assert!(Settings::check_dynamic_removal("num.partitions").is_err());
    assert!(Settings::check_dynamic_removal("no.such.key").is_err());
}

#[test]
fn stored_values_that_are_no_longer_valid_do_not_stop_a_start() {
    let settings = Settings::builder(Profile::Serve)
        .set("wal.file.bytes", "8388608")
        .build()
        .expect("valid");
    let cluster = map(&[
        ("gone.key", "1"),
        ("log.segment.bytes", "2097152"),
        ("message.max.bytes", "5000000"),
        ("max.connections", "-3"),
    ]);
    let broker = map(&[("max.connections", "10")]);
    let (applied, left_out) = settings.with_stored_dynamic(&cluster, &broker);
    assert_eq!(applied.log_segment_bytes(), 2_097_152);
    assert_eq!(applied.message_max_bytes(), 1_048_588);
    assert_eq!(applied.max_connections(), 10);
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    // What was applied before does not stay when the store no longer has it.
    let (again, left_out) = applied.with_stored_dynamic(&map(&[]), &map(&[]));
    assert_eq!((again, left_out), (settings, vec![]));
}

#[test]
fn lists_grow_and_shrink_as_in_kafka() {
    let policy = lookup_topic("cleanup.policy").expect("a key");
    let cases = [
        // Without a stored text the default is changed.
        (None, ListChange::Append, "compact", "delete,compact"),
        (None, ListChange::Append, "delete", "delete"),
        (None, ListChange::Subtract, "delete", ""),
        (
            Some("compact"),
            ListChange::Append,
            "delete , compact",
            "compact,delete",
        ),
        (Some("compact,delete"), ListChange::Subtract, "compact", "delete"),
        (Some("compact"), ListChange::Subtract, "delete", "compact"),
        (Some(""), ListChange::Append, "compact", "compact"),
    ];
    for (current, change, text, expected) in cases {
        assert_eq!(
            alter_list(policy, current, change, text).as_deref(),
            Ok(expected),
            "{current:?} {change:?} {text}"
        );
    }
    let error = alter_list(
        lookup("retention.ms").expect("a key"),
        None,
        ListChange::Append,
        "1",
    )
    .expect_err("refused");
    assert_eq!(
        error,
        SettingError::NotAList {
            name: "retention.ms",
            kind: "long"
        }
    );
}
