//! What an operator sees of what real clients do: `/metrics`, `/livez`, `/readyz`. Apache Kafka has none of it, so these
//! tests run against Thalweg only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::{Offset, TopicPartitionList};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use thalweg_tests::clients::librdkafka::{
    Member, Producer, Record, admin, admin_options, create_topic, serve_until,
};
use thalweg_tests::exposition::Scrape;
use thalweg_tests::http::{self, Answer};
use thalweg_tests::wait::answer;
use thalweg_tests::{Broker, BrokerConfig, Product, places, wait};

const HOUR_MS: i64 = 3_600_000;

fn config() -> BrokerConfig {
    BrokerConfig::new(Product::Thalweg)
}

fn get(broker: &Broker, path: &str) -> Answer {
    let address = broker.http().expect("Thalweg has HTTP");
    http::get(address, path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Scrapes, and checks every line.
fn scrape(broker: &Broker) -> Scrape {
    let answer = get(broker, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.body);
    Scrape::parse(&answer.body).unwrap_or_else(|why| panic!("/metrics: {why}"))
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the year 292 million")
}

/// Records of one partition with one timestamp.
fn records(count: usize, partition: i32, timestamp: i64) -> Vec<Record> {
    let record = Record {
        timestamp: Some(timestamp),
        ..Record::new("k", "value")
    };
    vec![record.to_partition(partition); count]
}

/// Name, labels, value.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn assert_values(scrape: &Scrape, expected: &[Expected<'_>]) {
    for (name, labels, value) in expected {
        assert_eq!(scrape.value(name, labels), Some(*value), "{name}{labels:?}");
    }
}

/// Moves the first offset of a partition.
fn delete_records(broker: &Broker, topic: &str, partition: i32, before: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, partition, Offset::Offset(before))
        .expect("a valid offset");
    let deleted = answer(admin(broker).delete_records(&offsets, &admin_options()));
    deleted.expect("delete records");
}

/// Partition 0 has 4 records that the group has read and 6 that it has not, the oldest of them of `unread_since`;
/// partition 1 has 3 records that it has read, of which two are deleted.
fn group_that_is_behind(broker: &Broker, unread_since: i64) -> Member {
    create_topic(broker, "orders", 2, &[]);
    let producer = Producer::new(broker, &[]);
    let before = unread_since - HOUR_MS;
    producer.send_all("orders", &records(4, 0, before));
    producer.send_all("orders", &records(3, 1, before));
    let member = Member::join(broker, "billing", "orders", &[]);
    serve_until(&[&member], "the group has read all", |read| read.len() == 7);
    member.commit().expect("commit");
    // Two batches: the older one counts.
    producer.send_all("orders", &records(1, 0, unread_since));
    producer.send_all("orders", &records(5, 0, unread_since + HOUR_MS));
    delete_records(broker, "orders", 1, 2);
    member
}

#[test]
fn kafka_exporters_names_tell_offsets_and_lag() {
    let broker = config().start();
    let _member = group_that_is_behind(&broker, now_ms() - 2 * HOUR_MS);
    let scrape = scrape(&broker);
    let (first, second) = (
        [("topic", "orders"), ("partition", "0")],
        [("topic", "orders"), ("partition", "1")],
    );
    let committed = |partition| {
        [
            ("consumergroup", "billing"),
            ("topic", "orders"),
            ("partition", partition),
        ]
    };
    let in_topic = [("consumergroup", "billing"), ("topic", "orders")];
    assert_values(
        &scrape,
        &[
            ("kafka_brokers", &[], 1.0),
            (
                "kafka_broker_info",
                &[("id", "0"), ("address", broker.bootstrap())],
                1.0,
            ),
            ("kafka_topic_partitions", &[("topic", "orders")], 2.0),
            ("kafka_topic_partition_current_offset", &first, 10.0),
            ("kafka_topic_partition_current_offset", &second, 3.0),
            ("kafka_topic_partition_oldest_offset", &first, 0.0),
            ("kafka_topic_partition_oldest_offset", &second, 2.0),
            ("kafka_topic_partition_leader", &first, 0.0),
            ("kafka_topic_partition_replicas", &first, 1.0),
            ("kafka_topic_partition_in_sync_replica", &first, 1.0),
            ("kafka_topic_partition_leader_is_preferred", &first, 1.0),
            ("kafka_topic_partition_under_replicated_partition", &first, 0.0),
            (
                "kafka_consumergroup_members",
                &[("consumergroup", "billing")],
                1.0,
            ),
            ("kafka_consumergroup_current_offset", &committed("0"), 4.0),
            ("kafka_consumergroup_current_offset", &committed("1"), 3.0),
            ("kafka_consumergroup_current_offset_sum", &in_topic, 7.0),
            ("kafka_consumergroup_lag", &committed("0"), 6.0),
            ("kafka_consumergroup_lag", &committed("1"), 0.0),
            ("kafka_consumergroup_lag_sum", &in_topic, 6.0),
        ],
    );
}

#[test]
fn lag_in_seconds_is_the_age_of_the_next_record() {
    let broker = config().start();
    let unread_since = now_ms() - 2 * HOUR_MS;
    let member = group_that_is_behind(&broker, unread_since);
    let of = |partition| {
        [
            ("group", "billing"),
            ("topic", "orders"),
            ("partition", partition),
        ]
    };
    let group = [("group", "billing")];
    let partition = [("topic", "orders"), ("partition", "1")];
    let least = now_ms() - unread_since;
    let behind = scrape(&broker);
    let most = now_ms() - unread_since;
    assert_values(
        &behind,
        &[
            ("kafka_consumergroup_group_offset", &of("0"), 4.0),
            ("kafka_consumergroup_group_lag", &of("0"), 6.0),
            ("kafka_consumergroup_group_lag_seconds", &of("1"), 0.0),
            ("thalweg_group_lag_seconds", &of("1"), 0.0),
            ("kafka_consumergroup_group_max_lag", &group, 6.0),
            ("kafka_consumergroup_group_sum_lag", &group, 6.0),
            (
                "kafka_consumergroup_group_topic_sum_lag",
                &[("group", "billing"), ("topic", "orders")],
                6.0,
            ),
            ("kafka_partition_latest_offset", &partition, 3.0),
            ("kafka_partition_earliest_offset", &partition, 2.0),
        ],
    );
    for (name, labels) in [
        ("kafka_consumergroup_group_lag_seconds", &of("0")[..]),
        ("thalweg_group_lag_seconds", &of("0")),
        ("kafka_consumergroup_group_max_lag_seconds", &group),
        ("thalweg_group_lag_seconds_max", &group),
    ] {
        let seconds = behind
            .value(name, labels)
            .unwrap_or_else(|| panic!("{name} is there"));
        let age = least as f64 / 1e3..=most as f64 / 1e3;
        assert!(age.contains(&seconds), "{name}: {seconds} s, not {age:?}");
    }
    // Reading on takes it down, and to 0 at the end.
    serve_until(&[&member], "the group has read the rest", |read| read.len() == 6);
    member.commit().expect("commit");
    let done = scrape(&broker);
    assert_values(
        &done,
        &[
            ("kafka_consumergroup_group_lag", &of("0"), 0.0),
            ("kafka_consumergroup_group_lag_seconds", &of("0"), 0.0),
            ("thalweg_group_lag_seconds_max", &group, 0.0),
        ],
    );
}

#[test]
fn every_request_and_every_flush_is_in_the_histograms_once() {
    const PRODUCED: usize = 25;
    let broker = config().start();
    create_topic(&broker, "timed", 1, &[]);
    let producer = Producer::new(&broker, &[("linger.ms", "0")]);
    for _ in 0..PRODUCED {
        // Each is acknowledged before the next is sent: one request each.
        producer.send_all("timed", &records(1, 0, now_ms()));
    }
    let api = [("api", "Produce")];
    let expected = PRODUCED as f64;
    // A client may have its answer a moment before it is counted.
    wait::until("all requests are counted", || {
        scrape(&broker).value("thalweg_request_seconds_count", &api) >= Some(expected)
    });
    let seen = scrape(&broker);
    assert_values(
        &seen,
        &[
            (
                "thalweg_requests_total",
                &[("api", "Produce"), ("result", "ok")],
                expected,
            ),
            ("thalweg_request_seconds_count", &api, expected),
            ("thalweg_request_queue_seconds_count", &api, expected),
            ("thalweg_request_handle_seconds_count", &api, expected),
            ("thalweg_request_wait_seconds_count", &api, expected),
            ("thalweg_request_send_seconds_count", &api, expected),
        ],
    );
    let sum = |stage: &str| seen.value(&format!("thalweg_request{stage}_seconds_sum"), &api);
    let sum = |stage| sum(stage).expect("a sum");
    let parts = sum("_handle") + sum("_wait") + sum("_send");
    assert!(
        parts > 0.0 && parts <= sum("") * 1.000_001,
        "the parts of a request, {parts} s, are within the whole, {} s",
        sum("")
    );
    // The flush of a record's group lies within the wait of its request.
    wait::until("no group is between two counters", || {
        let seen = scrape(&broker);
        let value = |name| seen.value(name, &[]).unwrap_or_else(|| panic!("{name} is there"));
        let flushes = value("thalweg_wal_flushes_total");
        flushes >= expected
            && value("thalweg_wal_flush_seconds_count") == flushes
            && value("thalweg_wal_wait_seconds_count") == flushes
            && value("thalweg_wal_group_bytes_count") == flushes
            && value("thalweg_wal_group_bytes_sum") == value("thalweg_wal_written_bytes_total")
            && value("thalweg_wal_flush_seconds_sum") > 0.0
    });
}

/// The tables of `broker/METRICS.md`: type and labels by name.
fn reference() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = places::repository().join("broker/METRICS.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [name, kind, _, labels, ..] = cells[..] else {
            return None;
        };
        let labels = labels.split(", ").map(|label| label.trim_matches([' ', '`']));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        let name = name.trim_end_matches('`').to_owned();
        Some((name, (kind.to_owned(), labels.collect())))
    })
    .collect()
}

/// What this test does not bring about.
const NOT_SEEN: [&str; 1] = ["thalweg_connections_rejected_total"];

#[test]
fn a_scrape_is_valid_and_holds_what_the_reference_names() {
    let broker = config().start();
    let member = group_that_is_behind(&broker, now_ms() - HOUR_MS);
    drop(member);
    wait::until("a closed connection is counted", || {
        let seen = scrape(&broker);
        seen.families.contains_key("thalweg_connections_closed_total")
    });
    let (seen, reference) = (scrape(&broker), reference());
    for (name, family) in &seen.families {
        let (kind, labels) = reference
            .get(name)
            .unwrap_or_else(|| panic!("METRICS.md does not name {name}"));
        assert_eq!(kind, &family.kind, "{name}");
        for (sample, found, _) in &family.samples {
            let found = found.keys().filter(|label| *label != "le").cloned();
            assert_eq!(&found.collect::<BTreeSet<_>>(), labels, "{sample}");
        }
        for unit in ["_ms", "_millis", "_micros", "_nanos", "_kb", "_mb", "_percent"] {
            assert!(!name.contains(unit), "{name} is not in a base unit");
        }
    }
    let missing: Vec<&String> = reference
        .keys()
        .filter(|name| !seen.families.contains_key(*name) && !NOT_SEEN.contains(&name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "METRICS.md names what is not there: {missing:?}"
    );
}

#[test]
fn settings_bound_the_series_and_a_metric_tells_what_is_left_out() {
    let broker = config()
        .set("metrics.partition.series.max", 60)
        .set("metrics.topic.series.max", 10)
        .start();
    for number in 0..8 {
        create_topic(&broker, &format!("topic-{number}"), 5, &[]);
    }
    let seen = scrape(&broker);
    let with = |label: &str| {
        seen.samples()
            .filter(|(_, labels, _)| labels.contains_key(label))
            .count()
    };
    let partitions = with("partition");
    assert!(
        (1..=60).contains(&partitions),
        "{partitions} series of partitions"
    );
    let topics = with("topic") - partitions;
    assert!((1..=10).contains(&topics), "{topics} series of topics");
    for scope in ["partition", "topic_or_group"] {
        let left_out = seen.value("thalweg_metrics_series_left_out", &[("scope", scope)]);
        assert!(left_out > Some(0.0), "{scope}: {left_out:?}");
    }
    assert!(
        seen.value("thalweg_partitions", &[]) >= Some(40.0),
        "totals hold all"
    );
    let generous = config().start();
    create_topic(&generous, "few", 5, &[]);
    for scope in ["partition", "topic_or_group"] {
        let left_out = scrape(&generous).value("thalweg_metrics_series_left_out", &[("scope", scope)]);
        assert_eq!(left_out, Some(0.0), "{scope}");
    }
}

#[test]
fn a_groups_largest_lag_counts_partitions_that_are_not_shown() {
    let broker = config().set("metrics.partition.series.max", 0).start();
    let unread_since = now_ms() - 2 * HOUR_MS;
    let _member = group_that_is_behind(&broker, unread_since);
    let seen = scrape(&broker);
    let hidden = seen
        .samples()
        .all(|(_, labels, _)| !labels.contains_key("partition"));
    assert!(hidden, "no series of a partition");
    let group = [("group", "billing")];
    assert_values(&seen, &[("kafka_consumergroup_group_max_lag", &group, 6.0)]);
    let seconds = seen.value("thalweg_group_lag_seconds_max", &group);
    assert!(
        seconds >= Some(2.0 * 3600.0),
        "the group is two hours behind: {seconds:?}"
    );
}

#[test]
fn http_answers_while_the_data_is_recovered() {
    let mut broker = config().start();
    create_topic(&broker, "kept", 1, &[]);
    Producer::new(&broker, &[]).send_all("kept", &records(50, 0, now_ms()));
    broker.kill_nine();
    // A pipe that nobody writes holds up whoever opens it: the start stops here for as long as the test likes.
    let pipe = broker.log_directory().join("wal").join("held-up.wal");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    broker.launch();
    let answers = wait::poll(wait::PATIENCE, || {
        http::get(broker.http().expect("Thalweg has HTTP"), "/readyz").ok()
    });
    let ready = answers.expect("HTTP answers before the data is there");
    assert_eq!(ready.status, 503, "{}", ready.body);
    assert!(ready.body.contains("\n- recovering: "), "{}", ready.body);
    wait::until("the start has seen the write-ahead log", || {
        get(&broker, "/readyz")
            .body
            .contains("MiB of the write-ahead log are read")
    });
    assert_eq!(get(&broker, "/livez").status, 200, "it must not be killed for it");
    let recovering = scrape(&broker);
    assert_values(
        &recovering,
        &[("thalweg_recovering", &[], 1.0), ("thalweg_ready", &[], 0.0)],
    );
    assert!(recovering.value("thalweg_recovery_wal_bytes", &[]) > Some(0.0));
    assert!(recovering.value("process_resident_memory_bytes", &[]) > Some(0.0));
    assert_eq!(get(&broker, "/v1/topics").status, 503);
    assert!(broker.wait_until_ready(Duration::ZERO).is_err());
    broker.kill_nine();
    std::fs::remove_file(&pipe).expect("the pipe is there");
    broker.start_again();
    let served = scrape(&broker);
    assert_values(
        &served,
        &[
            ("thalweg_recovering", &[], 0.0),
            ("thalweg_ready", &[], 1.0),
            (
                "kafka_topic_partition_current_offset",
                &[("topic", "kept"), ("partition", "0")],
                50.0,
            ),
        ],
    );
    let all = served.value("thalweg_recovery_wal_bytes", &[]);
    let read = served.value("thalweg_recovery_wal_read_bytes", &[]);
    assert!(read > Some(0.0) && read <= all, "{read:?} of {all:?}");
}
