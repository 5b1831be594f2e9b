//! Transactions with librdkafka, which speaks the protocol from before KIP-890.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use thalweg_tests::clients::librdkafka::{CALL, Consumed, config, create_topic, read_topic, reader};
use thalweg_tests::{Broker, BrokerConfig, wait};

type Transactional = ThreadedProducer<DefaultProducerContext>;

fn broker() -> Broker {
    let broker = BrokerConfig::default()
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
        .start();
    create_topic(&broker, "orders", 2, &[]);
    broker
}

fn producer(broker: &Broker, id: &str) -> Transactional {
    let settings = [("transactional.id", id), ("transaction.timeout.ms", "60000")];
    let producer: Transactional = config(broker, &settings).create().expect("a producer");
    producer.init_transactions(CALL).expect("an identity");
    producer
}

fn send(producer: &Transactional, partition: i32, value: &str) {
    let record = BaseRecord::<(), str>::to("orders")
        .partition(partition)
        .payload(value);
    producer
        .send(record)
        .map_err(|(error, _)| error)
        .expect("a place in the queue");
}

fn committed(broker: &Broker) -> Vec<String> {
    let read = read_topic(broker, "orders", &[("isolation.level", "read_committed")]);
    let mut values: Vec<String> = read.iter().map(Consumed::text).collect();
    values.sort();
    values
}

#[test]
fn rule_13_librdkafka_commits_aborts_and_is_fenced() {
    let broker = broker();
    let old = producer(&broker, "tx");
    old.begin_transaction().expect("begin");
    send(&old, 0, "a");
    send(&old, 1, "b");
    old.commit_transaction(CALL).expect("commit");
    old.begin_transaction().expect("begin");
    send(&old, 0, "lost");
    old.flush(CALL).expect("delivered");
    old.abort_transaction(CALL).expect("abort");
    wait::until("the committed records are there", || {
        committed(&broker) == ["a", "b"]
    });

    old.begin_transaction().expect("begin");
    send(&old, 0, "lost too");
    old.flush(CALL).expect("delivered");
    let new = producer(&broker, "tx");
    new.begin_transaction().expect("begin");
    send(&new, 1, "c");
    new.commit_transaction(CALL).expect("commit");
    let fenced = old.commit_transaction(CALL);
    assert!(
        matches!(&fenced, Err(KafkaError::Transaction(error)) if error.is_fatal()),
        "{fenced:?}"
    );
    wait::until("only committed records are there", || {
        committed(&broker) == ["a", "b", "c"]
    });
}

#[test]
fn rule_13_librdkafka_commits_offsets_with_a_transaction() {
    let broker = broker();
    let producer = producer(&broker, "tx");
    let consumer = reader(&broker, &[("group.id", "workers")]);
    let metadata = consumer.group_metadata().expect("a group");
    let offset_of = || {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition("orders", 0);
        let found = consumer.committed_offsets(partitions, CALL).expect("offsets");
        found.elements()[0].offset()
    };
    for (offset, commits, expected) in [
        (5, true, Offset::Offset(5)),
        (9, false, Offset::Offset(5)),
        (12, true, Offset::Offset(12)),
    ] {
        producer.begin_transaction().expect("begin");
        send(&producer, 1, "x");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("orders", 0, Offset::Offset(offset))
            .expect("an offset");
        producer
            .send_offsets_to_transaction(&offsets, &metadata, CALL)
            .expect("sent");
        if commits {
            producer.commit_transaction(CALL).expect("commit");
        } else {
            producer.abort_transaction(CALL).expect("abort");
        }
        wait::until("the offset is decided", || {
            std::thread::sleep(Duration::from_millis(10));
            offset_of() == expected
        });
    }
}
