use proptest::prelude::*;

use super::*;
use crate::settings::Profile;
use crate::value::{CleanupPolicy, CompressionType, TimestampType};

/// What Kafka 4.3's LogConfig says to one key and one text: key, text, ok or refused, printed value.
const VALUES_GOLDEN: &str = include_str!("../tests/golden/topic_values.tsv");

/// Where we answer otherwise, and why.
const OTHER_ANSWERS: &[(&str, &str, &str)] = &[
    ("min.cleanable.dirty.ratio", "NaN", "not a ratio"),
    ("min.cleanable.dirty.ratio", "0.5d", "a Java suffix"),
    (
        "remote.storage.enable",
        "true",
        "the golden run had no broker to say that it is off",
    ),
    ("internal.segment.bytes", "100", "for Kafka's own tests"),
];

type Pairs = &'static [(&'static str, &'static str)];

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn resolve(pairs: &[(&str, &str)]) -> Result<TopicConfig, SettingError> {
    TopicConfig::resolve(&map(pairs), &Settings::defaults(Profile::Serve))
}

#[test]
fn values_are_taken_refused_and_printed_as_by_apache_kafka() {
    let settings = Settings::defaults(Profile::Serve);
    let mut cases = 0;
    for line in VALUES_GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, text) = (columns[0], columns[1].trim_matches('"'));
        if OTHER_ANSWERS
            .iter()
            .any(|(key, value, _)| *key == name && *value == text)
        {
            continue;
        }
        cases += 1;
        let own = map(&[(name, text)]);
        let checked = validate_topic_overrides(&own, &settings);
        if columns[2] == "refused" {
            assert!(checked.is_err(), "{name}={text} was taken");
            continue;
        }
        assert_eq!(checked, Ok(()), "{name}={text}");
        let entries = crate::describe_topic(&own, &settings);
        let entry = entries
            .iter()
            .find(|entry| entry.name == name)
            .expect("described");
        assert_eq!(
            entry.value.as_deref(),
            Some(columns[3].trim_matches('"')),
            "{name}={text}"
        );
    }
    assert!(cases > 120, "{cases}");
}

#[test]
fn a_topic_without_own_keys_has_the_defaults() {
    let config = resolve(&[]).expect("valid");
    assert_eq!(
        config.cleanup_policy,
        CleanupPolicy {
            delete: true,
            compact: false
        }
    );
    assert_eq!(config.compression_type, CompressionType::Producer);
    assert_eq!(config.message_timestamp_type, TimestampType::CreateTime);
    assert_eq!(config.retention_ms_limit(), Some(604_800_000));
    assert_eq!(config.retention_bytes_limit(), None);
    assert_eq!(config.segment_bytes, 1_073_741_824);
    assert_eq!(config.segment_ms, 604_800_000);
    assert_eq!(config.max_message_bytes, 1_048_588);
    assert_eq!(config.flush_ms, u64::try_from(i64::MAX).expect("positive"));
}

#[test]
fn own_keys_win_and_minus_one_is_for_ever() {
    let config = resolve(&[
        ("retention.ms", "-1"),
        ("retention.bytes", "1000"),
        ("cleanup.policy", "compact,delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("leader.replication.throttled.replicas", "0:1,1:0"),
    ])
    .expect("valid");
    assert_eq!(config.retention_ms_limit(), None);
    assert_eq!(config.retention_bytes_limit(), Some(1000));
    assert_eq!(
        config.cleanup_policy,
        CleanupPolicy {
            delete: true,
            compact: true
        }
    );
    assert_eq!(config.message_timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.leader_replication_throttled_replicas, ["0:1", "1:0"]);
}

#[test]
fn broker_keys_in_other_units_stand_in() {
    let cases: &[(Pairs, Option<u64>)] = &[
        (&[("log.retention.hours", "2")], Some(7_200_000)),
        (
            &[("log.retention.hours", "2"), ("log.retention.minutes", "3")],
            Some(180_000),
        ),
        (
            &[
                ("log.retention.hours", "2"),
                ("log.retention.minutes", "3"),
                ("log.retention.ms", "4"),
            ],
            Some(4),
        ),
        (&[("log.retention.ms", "-1")], None),
        (&[("log.retention.hours", "-1")], None),
        (&[("log.retention.minutes", "-1")], None),
        (
            &[("log.retention.hours", "2147483647")],
            Some(2_147_483_647 * 3_600_000),
        ),
    ];
    for (pairs, expected) in cases {
        let builder = Settings::builder(Profile::Serve);
        let settings = pairs
            .iter()
            .fold(builder, |builder, (key, value)| builder.set(key, value))
            .build()
            .expect("valid");
        let config = TopicConfig::resolve(&BTreeMap::new(), &settings).expect("valid");
        assert_eq!(config.retention_ms_limit(), *expected, "{pairs:?}");
        assert!(config.retention_ms >= -1);
    }
    let settings = Settings::builder(Profile::Serve)
        .set("log.roll.hours", "1")
        .set("log.roll.jitter.hours", "2")
        .set("log.flush.scheduler.interval.ms", "9")
        .build()
        .expect("valid");
    let config = TopicConfig::resolve(&BTreeMap::new(), &settings).expect("valid");
    assert_eq!(
        (config.segment_ms, config.segment_jitter_ms, config.flush_ms),
        (3_600_000, 7_200_000, 9)
    );
}

#[test]
fn a_wrong_key_or_value_is_named() {
    let cases = [
        (
            ("retenton.ms", "1"),
            "topic: unknown key retenton.ms; did you mean retention.ms?",
        ),
        (
            ("log.retention.ms", "1"),
            "topic: unknown key log.retention.ms; did you mean retention.ms?",
        ),
        (
            ("segment.bytes", "1"),
            "topic: segment.bytes: the value `1` must be 1048576 to 2147483647",
        ),
        (
            ("cleanup.policy", "none"),
            "topic: cleanup.policy: the value `none` must be a list of compact, delete",
        ),
    ];
    for (pair, text) in cases {
        assert_eq!(resolve(&[pair]).expect_err("refused").to_string(), text);
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    let cases = [
        (
            &[("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")][..],
            "min.compaction.lag.ms (2)",
        ),
        (&[("max.message.bytes", "33554433")], "half of wal.file.bytes"),
        (
            &[("remote.storage.enable", "true")],
            "remote.log.storage.system.enable=true",
        ),
    ];
    let settings = Settings::defaults(Profile::Serve);
    for (pairs, words) in cases {
        let error = validate_topic_overrides(&map(pairs), &settings).expect_err("refused");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(validate_topic_overrides(&map(&[("max.message.bytes", "33554432")]), &settings).is_ok());
}

#[test]
fn a_stored_topic_opens_whatever_was_stored() {
    let settings = Settings::builder(Profile::Serve)
        .set("wal.file.bytes", "8388608")
        .build()
        .expect("valid");
    let own = map(&[
        ("gone.key", "1"),
        ("retention.ms", "soon"),
        ("segment.bytes", "2097152"),
        ("max.message.bytes", "30000000"),
    ]);
    let (config, left_out) = TopicConfig::resolve_stored(&own, &settings);
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert_eq!(config.segment_bytes, 2_097_152);
    assert_eq!(config.retention_ms, 604_800_000);
    assert_eq!(config.max_message_bytes, 4_194_304);
}

#[test]
fn validate_knows_both_kinds_of_keys() {
    assert_eq!(validate("num.partitions", "3"), Ok(Value::Number(3)));
    assert_eq!(validate("retention.ms", "-1"), Ok(Value::Number(-1)));
    assert!(validate("retention.ms", "-2").is_err());
    assert!(validate("authorizer.class.name", "x").is_err());
    assert!(validate("nope", "x").is_err());
}

proptest! {
    #[test]
    fn any_text_of_any_topic_key_is_taken_or_refused(row in 0..TOPIC_SETTINGS.len(), text in "\\PC{0,40}|[-0-9]{1,25}") {
        let settings = Settings::defaults(Profile::Serve);
        let own = map(&[(TOPIC_SETTINGS[row].name, &text)]);
        let _ = crate::describe_topic(&own, &settings);
        let (stored, left_out) = TopicConfig::resolve_stored(&own, &settings);
        match TopicConfig::resolve(&own, &settings) {
            Ok(config) => prop_assert_eq!((config, 0), (stored, left_out.len())),
            Err(_) => prop_assert_eq!(left_out.len(), 1),
        }
    }
}
