//! Data directories that older versions of the program wrote: opened, complete, written on, and opened again.
//!
//! `tests/golden/upgrade/make` made them and says what is in them: `a` is the first version that served clients, `b` the
//! one whose clean stop leaves a marker and whose write-ahead log lists its files; each once after a kill -9, with
//! records that are in the write-ahead log alone, and once after a clean stop.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;
use thalweg_tests::clients::librdkafka::{
    CALL, Consumed, Producer, Record, admin, admin_options, config, partitions, read_topic, reader,
};
use thalweg_tests::{Broker, BrokerConfig, Product, places, process, wait};

/// Values of each partition of `events`.
const EVENTS: usize = 5_000 + 4 * 500 + 50;
const LATEST: usize = 1_000;

#[test]
fn a_directory_of_the_first_version_is_opened_after_a_kill() {
    open("0.1-a-kill");
}

#[test]
fn a_directory_of_the_first_version_is_opened_after_a_clean_stop() {
    open("0.1-a-stop");
}

#[test]
fn a_directory_of_the_version_with_clean_ends_is_opened_after_a_kill() {
    open("0.1-b-kill");
}

#[test]
fn a_directory_of_the_version_with_clean_ends_is_opened_after_a_clean_stop() {
    open("0.1-b-stop");
}

fn open(archive: &str) {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let directory = unpacked(archive);
    let mut broker = BrokerConfig::default()
        .small_files()
        .set("log.dirs", directory.path().join("data").display())
        .set("offsets.topic.num.partitions", 2)
        .set("disk.reserve.bytes", 8 << 20)
        .start();
    check(&broker, 0);
    let producer = Producer::new(&broker, &[("enable.idempotence", "true")]);
    for partition in 0..3 {
        for number in 0..10 {
            let record = Record::new("new", value("events", partition, EVENTS + number));
            producer.send("events", &record.to_partition(partition));
        }
    }
    producer.flush_acknowledged();
    check(&broker, 10);
    broker.kill_nine();
    broker.start_again();
    check(&broker, 10);
}

fn unpacked(archive: &str) -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("upgrade-")
        .tempdir_in(places::runs())
        .unwrap_or_else(|error| panic!("make a directory: {error}"));
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", "--file"])
        .arg(archives().join(format!("{archive}.tar.gz")))
        .arg("--directory")
        .arg(directory.path());
    process::run(tar, b"", Duration::from_secs(60)).ok();
    directory
}

fn archives() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/upgrade")
}

fn value(topic: &str, partition: i32, number: usize) -> String {
    format!("{topic}-{partition}-{number} {}", "x".repeat(200))
}

/// Everything the old program acknowledged is there, and `added` records to each partition of `events`.
#[track_caller]
fn check(broker: &Broker, added: usize) {
    let events = read_topic(broker, "events", &[("check.crcs", "true")]);
    for partition in 0..3 {
        let of_partition: Vec<&Consumed> = events.iter().filter(|one| one.partition == partition).collect();
        assert_eq!(of_partition.len(), EVENTS + added, "events-{partition}");
        for (number, record) in of_partition.iter().enumerate() {
            assert_eq!(record.offset, i64::try_from(number).unwrap_or(-1));
            assert_eq!(record.text(), value("events", partition, number));
        }
    }
    // Compacted meanwhile or not: the newest value of each key is there.
    let latest = read_topic(broker, "latest", &[("check.crcs", "true")]);
    for number in LATEST - 10..LATEST {
        let expected = value("latest", 0, number);
        assert!(
            latest.iter().any(|record| record.text() == expected),
            "{expected}"
        );
    }
    let consumer = reader(broker, &[]);
    let metadata = consumer.fetch_metadata(None, CALL).expect("metadata");
    let names: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    assert!(!names.contains(&"doomed"), "a deleted topic is back: {names:?}");
    assert_eq!(partitions(&consumer, "events").len(), 3);
    assert_eq!(committed(broker), [Some(123), Some(0), Some(9_999)]);
    let resource = rdkafka::admin::ResourceSpecifier::Topic("events");
    let answer = futures::executor::block_on(admin(broker).describe_configs([&resource], &admin_options()));
    let configs = answer
        .expect("an answer")
        .remove(0)
        .expect("settings of the topic");
    let config = |key| configs.get(key).and_then(|entry| entry.value.clone());
    assert_eq!(config("retention.ms").as_deref(), Some("-1"));
    assert_eq!(config("max.message.bytes").as_deref(), Some("400000"));
}

/// What the group `readers` has committed, once its coordinator has loaded it.
#[track_caller]
fn committed(broker: &Broker) -> Vec<Option<i64>> {
    let consumer: BaseConsumer = config(broker, &[("group.id", "readers")])
        .create()
        .expect("the settings are librdkafka's");
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range("events", 0, 2);
    let found = wait::poll(wait::PATIENCE, || {
        consumer.committed_offsets(asked.clone(), CALL).ok()
    });
    let found = found.expect("the coordinator answers");
    let offset = |offset| match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    found
        .elements()
        .iter()
        .map(|element| offset(element.offset()))
        .collect()
}
