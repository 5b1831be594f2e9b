//! Reading with librdkafka: offsets, timestamps, waiting at the end, limits.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::{Message, Offset, TopicPartitionList};
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{
    CALL, Producer, Record, admin, admin_options, create_topic, read_topic, reader,
};
use thalweg_tests::wait::PATIENCE;
use thalweg_tests::wait::answer;

/// Ten records a second apart, the first at this time.
const BEGIN: i64 = 1_700_000_000_000;

fn ten_seconds(broker: &Broker, topic: &str) {
    create_topic(broker, topic, 1, &[]);
    let records: Vec<Record> = (0..10)
        .map(|n| Record {
            timestamp: Some(BEGIN + n * 1_000),
            ..Record::new("k", n.to_string())
        })
        .collect();
    // One batch: a time in the middle of it must find the record, not the batch.
    Producer::new(broker, &[("linger.ms", "100")]).send_all(topic, &records);
}

#[test]
fn rule_10_a_time_finds_the_first_record_at_or_after_it() {
    let broker = Broker::start();
    ten_seconds(&broker, "times");
    let consumer = reader(&broker, &[]);
    let at = |time: i64| {
        let mut asked = TopicPartitionList::new();
        asked
            .add_partition_offset("times", 0, Offset::Offset(time))
            .expect("a time is a valid offset here");
        let found = consumer.offsets_for_times(asked, CALL).expect("list offsets");
        found.elements()[0].offset()
    };
    assert_eq!(at(BEGIN - 5_000), Offset::Offset(0));
    assert_eq!(at(BEGIN + 4_000), Offset::Offset(4));
    assert_eq!(at(BEGIN + 4_001), Offset::Offset(5));
    assert_eq!(at(BEGIN + 9_000), Offset::Offset(9));
    assert_eq!(at(BEGIN + 9_001), Offset::End);
}

#[test]
fn rule_07_reading_from_the_middle_of_a_batch_starts_at_the_record() {
    let broker = Broker::start();
    ten_seconds(&broker, "middle");
    let consumer = reader(&broker, &[]);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("middle", 0, Offset::Offset(6))
        .expect("a valid offset");
    consumer.assign(&assignment).expect("assigning is local");
    let first = consumer
        .poll(PATIENCE)
        .expect("a record comes")
        .expect("without an error");
    assert_eq!((first.offset(), first.payload()), (6, Some(b"6".as_slice())));
}

#[test]
fn the_ends_of_a_partition_are_reported() {
    let broker = Broker::start();
    ten_seconds(&broker, "ends");
    let consumer = reader(&broker, &[]);
    assert_eq!(
        consumer.fetch_watermarks("ends", 0, CALL).expect("list offsets"),
        (0, 10)
    );
}

#[test]
fn a_consumer_at_the_end_gets_a_new_record_at_once() {
    let broker = Broker::start();
    ten_seconds(&broker, "tail");
    // The broker may hold the answer for 20 s; it may not do so when a record comes.
    let waits = [
        ("fetch.wait.max.ms", "20000"),
        ("fetch.min.bytes", "1"),
        ("socket.timeout.ms", "60000"),
    ];
    let consumer = reader(&broker, &waits);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("tail", 0, Offset::Offset(10))
        .expect("a valid offset");
    consumer.assign(&assignment).expect("assigning is local");
    assert!(
        consumer
            .poll(Duration::from_secs(2))
            .is_none_or(|answer| answer.is_err()),
        "the end is empty"
    );
    let begin = Instant::now();
    Producer::new(&broker, &[]).send_all("tail", &[Record::new("k", "new")]);
    let found = std::iter::repeat_with(|| consumer.poll(PATIENCE))
        .flatten()
        .find_map(Result::ok);
    assert_eq!(found.expect("a record").payload(), Some(b"new".as_slice()));
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        begin.elapsed()
    );
}

#[test]
fn rule_07_an_idle_fetch_is_answered_after_its_wait() {
    let broker = Broker::start();
    create_topic(&broker, "idle", 1, &[]);
    let consumer = reader(&broker, &[("fetch.wait.max.ms", "300")]);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset("idle", 0, Offset::Beginning)
        .expect("a valid offset");
    consumer.assign(&assignment).expect("assigning is local");
    // The client notes the end of the partition from the (empty) answer.
    let answer = consumer.poll(PATIENCE).expect("an answer comes");
    assert!(
        matches!(answer, Err(rdkafka::error::KafkaError::PartitionEOF(0))),
        "{answer:?}"
    );
}

#[test]
fn rule_07_a_batch_larger_than_the_fetch_limit_is_returned_whole() {
    let broker = Broker::start();
    create_topic(&broker, "large", 2, &[]);
    let records: Vec<Record> = (0..8)
        .map(|number: i32| Record::new("k", vec![b'x'; 200_000]).to_partition(number % 2))
        .collect();
    Producer::new(&broker, &[("linger.ms", "50")]).send_all("large", &records);
    let limits = [
        ("fetch.message.max.bytes", "1000"),
        ("fetch.max.bytes", "1000000"),
    ];
    let read = read_topic(&broker, "large", &limits);
    assert_eq!(read.len(), 8);
    assert!(
        read.iter()
            .all(|record| record.value.as_ref().is_some_and(|value| value.len() == 200_000))
    );
}

#[test]
fn deleted_records_are_gone_and_the_beginning_moves() {
    let broker = Broker::start();
    ten_seconds(&broker, "trimmed");
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset("trimmed", 0, Offset::Offset(4))
        .expect("a valid offset");
    let answered = answer(admin(&broker).delete_records(&upto, &admin_options())).expect("delete records");
    answered.elements()[0]
        .error()
        .expect("no error for the partition");
    assert_eq!(
        answered.elements()[0].offset(),
        Offset::Offset(4),
        "the answer is the new beginning"
    );
    let offsets: Vec<i64> = read_topic(&broker, "trimmed", &[])
        .iter()
        .map(|record| record.offset)
        .collect();
    assert_eq!(offsets, [4, 5, 6, 7, 8, 9]);
    let consumer = reader(&broker, &[]);
    assert_eq!(
        consumer
            .fetch_watermarks("trimmed", 0, CALL)
            .expect("list offsets"),
        (4, 10)
    );
}

#[test]
fn an_offset_out_of_range_is_an_error_or_a_reset_as_the_client_asks() {
    let broker = Broker::start();
    ten_seconds(&broker, "range");
    let beyond = |reset: &str| {
        let consumer = reader(&broker, &[("auto.offset.reset", reset)]);
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset("range", 0, Offset::Offset(5_000))
            .expect("a valid offset");
        consumer.assign(&assignment).expect("assigning is local");
        let answer = consumer.poll(PATIENCE).expect("an answer comes");
        answer.map(|message| message.offset())
    };
    assert_eq!(beyond("earliest").expect("the first record"), 0);
    let error = beyond("error").expect_err("no reset");
    let code = error.rdkafka_error_code();
    let reported = [
        Some(rdkafka::error::RDKafkaErrorCode::AutoOffsetReset),
        Some(rdkafka::error::RDKafkaErrorCode::OffsetOutOfRange),
    ];
    assert!(reported.contains(&code), "{error}");
}

#[test]
fn many_partitions_are_read_to_their_ends() {
    let broker = Broker::start();
    create_topic(&broker, "wide", 60, &[]);
    let records: Vec<Record> = (0..600)
        .map(|number: i32| Record::new("k", number.to_string()).to_partition(number % 60))
        .collect();
    Producer::new(&broker, &[]).send_all("wide", &records);
    let mut values: Vec<i32> = read_topic(&broker, "wide", &[])
        .iter()
        .map(|record| record.text().parse().expect("a number"))
        .collect();
    values.sort_unstable();
    assert_eq!(values, (0..600).collect::<Vec<i32>>());
}
