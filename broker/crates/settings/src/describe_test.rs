use super::*;
use crate::dynamic::DynamicScope;
use crate::settings::Profile;

/// Topic keys of Kafka 4.3: name, type, default, bounds, synonyms.
const TOPIC_GOLDEN: &str = include_str!("../tests/golden/topic_configs.tsv");

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries
        .iter()
        .find(|entry| entry.name == name)
        .expect("described")
}

fn synonyms(entry: &ConfigEntry) -> Vec<(&'static str, &str, i8)> {
    let shown = |synonym: &ConfigSynonym| synonym.value.clone().unwrap_or_else(|| "null".to_owned());
    entry
        .synonyms
        .iter()
        .map(|synonym| (synonym.name, &*shown(synonym).leak(), synonym.source.id()))
        .collect()
}

#[test]
fn a_topic_without_own_keys_is_described_with_kafkas_defaults() {
    let entries = describe_topic(&BTreeMap::new(), &Settings::defaults(Profile::Serve));
    let (ours, entries): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.name.starts_with(MIRROR_PREFIX) || entry.name == "record.validation.strict");
    assert_eq!(ours.len(), 6);
    for entry in ours {
        assert!(entry.is_default(), "{}", entry.name);
        assert_eq!(
            entry.read_only,
            entry.name.starts_with(MIRROR_PREFIX),
            "{}",
            entry.name
        );
    }
    let rows: Vec<Vec<&str>> = TOPIC_GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(entries.len(), rows.len());
    for (entry, row) in entries.iter().zip(rows) {
        assert_eq!(entry.name, row[0]);
        assert_eq!(entry.value.as_deref(), Some(row[2]), "{}", row[0]);
        assert!(
            entry.is_default() && !entry.read_only && !entry.sensitive,
            "{}",
            row[0]
        );
        assert!(!entry.doc.is_empty());
        let setting = crate::lookup_topic(row[0]).expect("a key");
        assert!(setting.kind.name().eq_ignore_ascii_case(row[1]), "{}", row[0]);
        assert_eq!(setting.synonyms.join(","), row[4], "{}", row[0]);
        let rule = match setting.rule.describe() {
            text if text.is_empty() => "null".to_owned(),
            text => text,
        };
        assert_eq!(
            rule == "null",
            row[3] == "null",
            "{}: {rule} but {}",
            row[0],
            row[3]
        );
    }
}

#[test]
fn a_topics_value_names_every_source_strongest_first() {
    let settings = Settings::builder(Profile::Serve)
        .file_bytes("f", b"log.retention.hours=24\nlog.retention.minutes=90\n")
        .set("log.retention.minutes", "30")
        .build()
        .expect("valid")
        .with_dynamic(
            DynamicScope::ClusterDefault,
            &map(&[("log.retention.ms", "600000")]),
        )
        .expect("valid");
    let entries = describe_topic(&map(&[("retention.ms", " 5000 ")]), &settings);
    let retention = find(&entries, "retention.ms");
    assert_eq!(retention.value.as_deref(), Some("5000"));
    assert_eq!(retention.source, ConfigSource::DynamicTopic);
    assert_eq!(
        synonyms(retention),
        [
            ("retention.ms", "5000", 1),
            ("log.retention.ms", "600000", 3),
            ("log.retention.minutes", "30", 4),
            ("log.retention.hours", "24", 4),
            ("log.retention.hours", "168", 5),
        ]
    );
    let entries = describe_topic(&BTreeMap::new(), &settings);
    let retention = find(&entries, "retention.ms");
    assert_eq!(retention.value.as_deref(), Some("600000"));
    assert_eq!(retention.source, ConfigSource::DynamicDefaultBroker);
}

#[test]
fn keys_without_synonyms_come_from_the_topic_or_nowhere() {
    let settings = Settings::defaults(Profile::Serve);
    let key = "leader.replication.throttled.replicas";
    let entries = describe_topic(&map(&[(key, "0:1, 1:0")]), &settings);
    let entry = find(&entries, key);
    assert_eq!(entry.value.as_deref(), Some("0:1,1:0"));
    assert_eq!(synonyms(entry), [(key, "0:1,1:0", 1)]);
    let entries = describe_topic(&BTreeMap::new(), &settings);
    assert_eq!(find(&entries, key).source, ConfigSource::Default);
    assert!(find(&entries, key).synonyms.is_empty());
}

#[test]
fn a_broker_is_described_with_source_type_and_secrets_hidden() {
    let settings = Settings::builder(Profile::Serve)
        .file_bytes(
            "f",
            b"num.partitions=3\nssl.key.password=hunter2\nlog.retention.hours=2\n",
        )
        .build()
        .expect("valid")
        .with_dynamic(DynamicScope::Broker, &map(&[("log.retention.ms", "1000")]))
        .expect("valid");
    let entries = describe_broker(&settings);
    assert_eq!(entries.len(), BROKER_SETTINGS.len());
    assert!(entries.iter().map(|entry| entry.name).is_sorted());
    let partitions = find(&entries, "num.partitions");
    assert_eq!(partitions.value.as_deref(), Some("3"));
    assert!(partitions.read_only);
    assert_eq!((partitions.source.id(), partitions.config_type), (4, 3));
    assert_eq!(
        synonyms(partitions),
        [("num.partitions", "3", 4), ("num.partitions", "1", 5)]
    );
    let password = find(&entries, "ssl.key.password");
    assert_eq!((password.value.as_deref(), password.sensitive), (None, true));
    assert_eq!(synonyms(password), [("ssl.key.password", "null", 4)]);
    let segment = find(&entries, "log.segment.bytes");
    assert!(!segment.read_only && segment.is_default());
    // Each key shows itself and what is weaker, as Kafka does.
    let hours = find(&entries, "log.retention.hours");
    assert_eq!(
        (hours.value.as_deref(), hours.source),
        (Some("2"), ConfigSource::StaticBroker)
    );
    let minutes = find(&entries, "log.retention.minutes");
    assert_eq!(
        (minutes.value.as_deref(), minutes.source),
        (None, ConfigSource::StaticBroker)
    );
    assert_eq!(
        synonyms(minutes),
        [("log.retention.hours", "2", 4), ("log.retention.hours", "168", 5)]
    );
    // Null is told from empty.
    assert_eq!(find(&entries, "broker.rack").value, None);
    assert_eq!(find(&entries, "log.retention.ms").value.as_deref(), Some("1000"));
}

#[test]
fn the_cluster_default_shows_only_what_was_set_for_all() {
    let settings = Settings::builder(Profile::Serve)
        .set("max.connections", "5")
        .build()
        .expect("valid");
    assert!(describe_cluster_default(&settings).is_empty());
    let settings = settings
        .with_dynamic(DynamicScope::ClusterDefault, &map(&[("max.connections", "7")]))
        .expect("valid");
    let settings = settings
        .with_dynamic(DynamicScope::Broker, &map(&[("max.connections", "9")]))
        .expect("valid");
    let entries = describe_cluster_default(&settings);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].value.as_deref(), Some("7"));
    assert_eq!(synonyms(&entries[0]), [("max.connections", "7", 3)]);
}

#[test]
fn a_stored_value_that_is_none_is_described_as_not_there() {
    let settings = Settings::defaults(Profile::Serve);
    let entries = describe_topic(&map(&[("retention.ms", "soon"), ("gone.key", "1")]), &settings);
    assert_eq!(entries, describe_topic(&BTreeMap::new(), &settings));
}

#[test]
fn a_family_is_a_key_and_the_weaker_ones() {
    let retention = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    for (at, key) in retention.iter().enumerate() {
        assert_eq!(family(key), &retention[at..]);
    }
    assert_eq!(family("log.roll.hours"), ["log.roll.hours"]);
    assert!(family("num.partitions").is_empty());
}
