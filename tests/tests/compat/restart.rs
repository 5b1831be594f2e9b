//! Clients through a clean stop and through kill -9.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use thalweg_tests::broker::STOP;
use thalweg_tests::clients::librdkafka::{
    CALL, Member, Producer, Record, create_topic, is_passing, partitions, read_topic, reader, serve_until,
};
use thalweg_tests::load::{Load, Shape};
use thalweg_tests::wait::PATIENCE;
use thalweg_tests::{Broker, BrokerConfig, Product};

const SHAPE: Shape = Shape {
    topic: "loaded",
    partitions: 3,
    value_bytes: 400,
    pause: Duration::from_micros(500),
};

#[test]
fn clients_go_on_after_a_clean_stop() {
    let mut broker = Broker::start();
    create_topic(&broker, SHAPE.topic, SHAPE.partitions, &[]);
    let load = Load::start(&broker, SHAPE);
    let member = Member::join(&broker, "through", SHAPE.topic, &[]);
    let mut read = serve_until(&[&member], "the member reads", |read| read.len() > 300);
    for _ in 0..2 {
        let begin = Instant::now();
        let status = broker.terminate();
        if broker.product() == Product::Thalweg {
            assert!(status.success(), "a clean stop ends with 0, not {status}");
            assert!(begin.elapsed() < STOP);
        }
        broker.start_again();
        load.wait_for(300);
        read.extend(serve_until(&[&member], "the member reads on", |read| {
            read.len() > 300
        }));
    }
    let sent = load.stop();
    sent.assert_each_once(&read_topic(&broker, SHAPE.topic, &[]));
    let mut missing: BTreeSet<(i32, i64)> = sent.places().collect();
    for record in &read {
        missing.remove(&(record.partition, record.offset));
    }
    read.extend(serve_until(&[&member], "the member has read all", |rest| {
        if let Some(record) = rest.last() {
            missing.remove(&(record.partition, record.offset));
        }
        missing.is_empty()
    }));
    read.sort_by_key(|record| (record.partition, record.offset));
    // A group that did not commit may read again what it has read before its coordinator went away.
    read.dedup_by_key(|record| (record.partition, record.offset));
    sent.assert_each_once(&read);
}

#[test]
fn acknowledged_records_survive_kill_nine() {
    let mut broker = BrokerConfig::default().small_files().start();
    create_topic(&broker, SHAPE.topic, SHAPE.partitions, &[]);
    let load = Load::start(&broker, SHAPE);
    for _ in 0..4 {
        load.wait_for(500);
        broker.kill_nine();
        broker.start_again();
    }
    load.wait_for(500);
    let sent = load.stop();
    sent.assert_each_once(&read_topic(&broker, SHAPE.topic, &[]));
    // And once more from the disk alone.
    broker.kill_nine();
    broker.start_again();
    sent.assert_each_once(&read_topic(&broker, SHAPE.topic, &[]));
}

/// Commits `offset` for partition 0 of the topic and says whether the broker confirmed it.
fn commit(consumer: &impl Consumer, topic: &str, offset: i64) -> bool {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, 0, Offset::Offset(offset))
        .expect("a valid offset");
    match consumer.commit(&offsets, CommitMode::Sync) {
        Ok(()) => true,
        Err(error) if is_passing(&error) => false,
        Err(error) => panic!("commit: {error}"),
    }
}

fn committed(consumer: &impl Consumer, topic: &str) -> i64 {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, 0);
    let found = consumer.committed_offsets(asked, CALL).expect("offset fetch");
    match found.elements()[0].offset() {
        Offset::Offset(offset) => offset,
        other => panic!("no offset is committed: {other:?}"),
    }
}

#[test]
fn committed_offsets_do_not_go_back_over_kill_nine() {
    let mut broker = Broker::start();
    create_topic(&broker, "offsets", 1, &[]);
    let mut confirmed = 0;
    for round in 0..3 {
        // A new client each time: it has no memory of its own.
        let consumer = reader(&broker, &[("group.id", "steady")]);
        for step in 1..=50 {
            let offset = round * 100 + step;
            assert!(commit(&consumer, "offsets", offset), "the broker runs");
            confirmed = offset;
        }
        broker.kill_nine();
        broker.start_again();
        let consumer = reader(&broker, &[("group.id", "steady")]);
        assert_eq!(committed(&consumer, "offsets"), confirmed);
    }
}

#[test]
fn topics_and_settings_survive_kill_nine() {
    let mut broker = Broker::start();
    create_topic(
        &broker,
        "kept",
        4,
        &[("retention.ms", "-1"), ("max.message.bytes", "4000")],
    );
    broker.kill_nine();
    broker.start_again();
    assert_eq!(partitions(&reader(&broker, &[]), "kept").len(), 4);
    let producer = thalweg_tests::clients::librdkafka::Producer::new(&broker, &[]);
    producer.send(
        "kept",
        &thalweg_tests::clients::librdkafka::Record::new("k", vec![0; 8_000]),
    );
    let answer = producer.flush().remove(&0);
    let refused = thalweg_tests::clients::librdkafka::Delivery::Failed(
        rdkafka::error::RDKafkaErrorCode::MessageSizeTooLarge,
    );
    assert_eq!(answer, Some(refused), "max.message.bytes is still 4000");
}

/// Where nothing was written since a start, a position comes with an epoch that has no record.
#[test]
fn a_consumer_at_the_end_of_a_quiet_log_keeps_its_place_over_restarts() {
    let mut broker = Broker::start();
    create_topic(&broker, "quiet", 2, &[]);
    let producer = Producer::new(&broker, &[]);
    producer.send("quiet", &Record::new("", "before").to_partition(1));
    producer.flush_acknowledged();
    // The second start's epoch has no record in either partition.
    broker.kill_nine();
    broker.start_again();
    let consumer = reader(&broker, &[("auto.offset.reset", "error")]);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_range("quiet", 0, 1);
    assignment.set_all_offsets(Offset::End).expect("a valid offset");
    consumer.assign(&assignment).expect("assigning is local");
    let mut ends = BTreeSet::new();
    while ends.len() < 2 {
        match consumer.poll(PATIENCE) {
            Some(Err(KafkaError::PartitionEOF(partition))) => ends.insert(partition),
            other => panic!("an end was to come: {other:?}"),
        };
    }
    for number in 0..2 {
        broker.kill_nine();
        broker.start_again();
        // The client asks where its epoch ended before anything of the new one is written.
        let asked = Instant::now() + Duration::from_secs(3);
        while Instant::now() < asked {
            match consumer.poll(Duration::from_millis(100)) {
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if is_passing(&error) => {}
                other => panic!("nothing was to come: {other:?}"),
            }
        }
        let mut missing = BTreeSet::new();
        for partition in 0..2 {
            let value = format!("{number}-{partition}");
            producer.send("quiet", &Record::new("", value.clone()).to_partition(partition));
            missing.insert(value);
        }
        while !missing.is_empty() {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => {
                    let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                    assert!(missing.remove(&value), "{value} is not among {missing:?}");
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if is_passing(&error) => {}
                other => panic!("records were to come, {missing:?}: {other:?}"),
            }
        }
    }
}
