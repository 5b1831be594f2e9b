use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::broker_keys::{BROKER_SETTINGS, READ, read_all};
use crate::settings::{Profile, Settings};
use crate::topic_keys::TOPIC_SETTINGS;

/// Kafka's broker keys: name, type, default, bounds, dynamic update mode.
const BROKER_GOLDEN: &str = include_str!("../tests/golden/broker_configs.tsv");

/// Defaults that differ from Kafka's, and why.
const OTHER_DEFAULTS: &[(&str, &str)] = &[
    ("node.id", "Kafka has none; client suites expect 0"),
    ("broker.id", "shows node.id"),
    ("log.dir", "never a temporary directory"),
    ("process.roles", "Kafka has none"),
    (
        "controller.listener.names",
        "Kafka has none; there is no controller quorum",
    ),
    ("offsets.topic.replication.factor", "one machine holds one copy"),
    (
        "transaction.state.log.replication.factor",
        "one machine holds one copy",
    ),
    ("transaction.state.log.min.isr", "one machine holds one copy"),
    (
        "share.coordinator.state.topic.replication.factor",
        "one machine holds one copy",
    ),
    (
        "share.coordinator.state.topic.min.isr",
        "one machine holds one copy",
    ),
    (
        "group.coordinator.rebalance.protocols",
        "the classic protocol only, so far",
    ),
    (
        "socket.send.buffer.bytes",
        "the system's own size follows the line, and a small one costs processor time",
    ),
    (
        "socket.receive.buffer.bytes",
        "the system's own size follows the line, and a small one costs processor time",
    ),
];

/// Keys whose bounds are tighter than Kafka's, and why.
const OTHER_RULES: &[(&str, &str)] = &[
    ("broker.id", "it shows node.id"),
    ("listeners", "the form is checked when the value is set"),
    (
        "advertised.listeners",
        "the form is checked when the value is set",
    ),
    (
        "max.connections.per.ip.overrides",
        "the form is checked when the value is set",
    ),
    ("log.dir", "an empty name is no directory"),
    ("log.dirs", "an empty list is no directory"),
    (
        "default.replication.factor",
        "Kafka does not check it before a topic is created",
    ),
    ("socket.send.buffer.bytes", "-1 or a size"),
    ("socket.receive.buffer.bytes", "-1 or a size"),
    ("offset.metadata.max.bytes", "a size"),
    ("offsets.topic.compression.codec", "the codecs there are"),
    ("group.initial.rebalance.delay.ms", "a time"),
    ("group.min.session.timeout.ms", "a time"),
    ("group.max.session.timeout.ms", "a time"),
    ("log.roll.ms", "Kafka checks it later, with the other roll keys"),
    (
        "log.roll.jitter.ms",
        "Kafka checks it later, with the other roll keys",
    ),
    ("log.flush.interval.ms", "flush.ms allows no less"),
    ("log.flush.scheduler.interval.ms", "flush.ms allows no less"),
    ("log.cleaner.dedupe.buffer.size", "a size"),
    ("request.timeout.ms", "a time"),
    (
        "log.retention.ms",
        "-1 is for ever, a smaller number is a mistake",
    ),
    (
        "log.retention.minutes",
        "-1 is for ever, a smaller number is a mistake",
    ),
    (
        "log.retention.hours",
        "-1 is for ever, a smaller number is a mistake",
    ),
    (
        "log.retention.bytes",
        "-1 is no limit, a smaller number is a mistake",
    ),
];

fn golden() -> Vec<[&'static str; 5]> {
    BROKER_GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            columns.try_into().expect("five columns")
        })
        .collect()
}

/// Bounds in the words of Kafka's validators.
fn in_kafkas_words(setting: &Setting) -> String {
    let most = match setting.kind {
        Kind::Int => i64::from(i32::MAX),
        Kind::Short => i64::from(i16::MAX),
        _ => i64::MAX,
    };
    match setting.rule {
        Rule::Range { min, max } if max == most => format!("[{min},...]"),
        Rule::Range { min, max } => format!("[{min},...,{max}]"),
        Rule::RangeOr { min, max, or } => format!("[{min},...,{max}] or {or}"),
        Rule::Ratio { min, max } => format!("[{min},...,{max}]"),
        Rule::OneOf(words) | Rule::EachOneOf(words) => format!("[{}]", words.join(", ")),
        Rule::OneOfAnyCase(words) => format!("(case insensitive) [{}]", words.join(", ")),
        Rule::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
        Rule::Any
        | Rule::NotEmpty
        | Rule::Listeners
        | Rule::HttpListener
        | Rule::ConnectionLimits
        | Rule::LinkId => String::new(),
    }
}

/// Kafka's word for "no bounds" depends on the type.
fn plain(validator: &str) -> &str {
    match validator {
        "null" | "non-null string" | "non-empty string" | "non-empty list" => "",
        other => other,
    }
}

#[test]
fn broker_keys_are_those_of_apache_kafka() {
    let ours: BTreeMap<&str, &Setting> = BROKER_SETTINGS
        .iter()
        .filter(|row| row.owner == Owner::Kafka)
        .map(|row| (row.name, row))
        .collect();
    let theirs: BTreeSet<&str> = golden().iter().map(|row| row[0]).collect();
    assert_eq!(ours.keys().copied().collect::<BTreeSet<_>>(), theirs);
    for [name, kind, default, validator, update] in golden() {
        let setting = ours[name];
        // `broker.id` and its like are listed; a class of Kafka's own is no default of ours.
        let same = setting.kind.name().eq_ignore_ascii_case(kind);
        assert!(same, "{name}: {} but {kind}", setting.kind.name());
        let listed = OTHER_DEFAULTS.iter().any(|(other, _)| *other == name);
        let theirs = default.strip_prefix("class ").unwrap_or(default);
        let class_of_kafka = theirs.starts_with("org.apache.kafka.");
        let ours = setting.default.unwrap_or("null");
        assert_eq!(
            ours == theirs,
            !listed && !class_of_kafka,
            "{name}: {ours} but {theirs}"
        );
        let listed = OTHER_RULES.iter().any(|(other, _)| *other == name);
        let rule = in_kafkas_words(setting);
        if listed {
            assert!(
                rule != plain(validator) || rule.is_empty(),
                "{name} need not be listed"
            );
        } else {
            assert_eq!(rule, plain(validator), "{name}");
        }
        // Not every key that Kafka can change while running can be changed here, but never the other way round.
        let allowed = setting.update == Update::ReadOnly || setting.update.name() == update;
        assert!(allowed, "{name}: {} but {update}", setting.update.name());
    }
}

#[test]
fn names_are_unique_and_spelled_like_kafkas() {
    for rows in [BROKER_SETTINGS, TOPIC_SETTINGS] {
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for name in names {
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.');
            assert!(plain, "{name}");
        }
    }
}

#[test]
fn every_default_is_a_value_of_its_key() {
    for setting in BROKER_SETTINGS.iter().chain(TOPIC_SETTINGS) {
        for default in [setting.default, setting.dev_default].into_iter().flatten() {
            let value = setting
                .parse(default)
                .unwrap_or_else(|reason| panic!("{}: {reason}", setting.name));
            assert_eq!(
                value.to_string(),
                default,
                "{} is not in Kafka's form",
                setting.name
            );
        }
    }
}

#[test]
fn every_rule_fits_its_type() {
    for setting in BROKER_SETTINGS.iter().chain(TOPIC_SETTINGS) {
        let number = matches!(setting.kind, Kind::Int | Kind::Long | Kind::Short);
        let fits = match setting.rule {
            Rule::Any => true,
            Rule::Range { min, max } | Rule::RangeOr { min, max, .. } => number && min <= max,
            Rule::Ratio { min, max } => setting.kind == Kind::Double && min <= max,
            Rule::OneOf(_)
            | Rule::OneOfAnyCase(_)
            | Rule::HttpListener
            | Rule::ConnectionLimits
            | Rule::LinkId => setting.kind == Kind::String,
            Rule::EachOneOf(_) | Rule::NotEmpty | Rule::ThrottledReplicas | Rule::Listeners => {
                setting.kind == Kind::List
            }
        };
        assert!(
            fits,
            "{}: {:?} of a {:?}",
            setting.name, setting.rule, setting.kind
        );
    }
}

#[test]
fn every_text_is_one_sentence_and_secrets_are_passwords() {
    for setting in BROKER_SETTINGS.iter().chain(TOPIC_SETTINGS) {
        assert!(setting.doc.ends_with('.'), "{}", setting.name);
        assert!(
            (10..=200).contains(&setting.doc.len()),
            "{}: {}",
            setting.name,
            setting.doc.len()
        );
        let secret = ["password", "secret", "passphrase", "jaas.config"];
        let sounds_secret = secret.iter().any(|word| setting.name.contains(word));
        assert!(!sounds_secret || setting.is_sensitive(), "{}", setting.name);
    }
}

#[test]
fn unsigned_accessors_stand_on_keys_that_cannot_be_negative() {
    let sources = [include_str!("broker_keys.rs"), include_str!("topic_keys.rs")];
    let mut seen = 0;
    for line in sources.iter().flat_map(|source| source.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [field, kind, _, name, ..] = words.as_slice() else {
            continue;
        };
        let unsigned = ["uint", "ulong", "int_duration", "long_duration"].contains(kind);
        if !field.ends_with(':') || !unsigned {
            continue;
        }
        let name = name.trim_matches('"');
        let setting = crate::lookup_broker(name)
            .or_else(|| crate::lookup_topic(name))
            .expect("a row");
        assert!(matches!(setting.rule, Rule::Range { min: 0.., .. }), "{name}");
        assert!(setting.default.is_some(), "{name}");
        seen += 1;
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn accessors_are_named_like_their_keys() {
    for (source, rows) in [
        (include_str!("broker_keys.rs"), READ),
        (include_str!("topic_keys.rs"), TOPIC_SETTINGS),
    ] {
        for setting in rows {
            let field = setting.name.replace('.', "_");
            let declared = source.lines().any(|line| {
                line.trim_start().starts_with(&format!("{field}: "))
                    && line.contains(&format!("\"{}\"", setting.name))
            });
            assert!(declared, "{}", setting.name);
        }
    }
    assert_eq!(read_all(&Settings::defaults(Profile::Serve)), READ.len());
}

#[test]
fn a_value_that_is_too_long_is_refused_before_it_is_read() {
    let setting = crate::lookup_broker("broker.rack").expect("a row");
    assert!(setting.parse(&"r".repeat(VALUE_BYTES_MAX)).is_ok());
    assert!(setting.parse(&"r".repeat(VALUE_BYTES_MAX + 1)).is_err());
}

#[test]
fn what_does_nothing_says_so() {
    let flush = crate::lookup_topic("flush.ms").expect("a row");
    assert!(
        flush
            .full_doc()
            .ends_with("Stored and reported; changes nothing here.")
    );
    let authorizer = crate::lookup_broker("authorizer.class.name").expect("a row");
    assert!(authorizer.full_doc().contains("only the default is taken"));
}
