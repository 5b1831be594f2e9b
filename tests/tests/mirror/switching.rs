//! Mirror topics that are given to clients.

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{
    CALL, Consumed, Producer, Record, config, create_topic, read_topic,
};
use thalweg_tests::mirror::Mirror;

use crate::{thalweg, write_transactions, write_with_every_codec};

const COMMITTED: [(&str, &str); 1] = [("isolation.level", "read_committed")];

/// Writes with a fresh idempotent producer: none of its records may be taken for one that the mirror brought.
fn write_afresh(target: &Broker, partitions: i32) {
    let producer = Producer::new(target, &[("enable.idempotence", "true")]);
    let records: Vec<Record> = (0..partitions)
        .flat_map(|partition| {
            (0..20).map(move |number| Record::new("", format!("fresh {number}")).to_partition(partition))
        })
        .collect();
    producer.send_all("orders", &records);
}

/// What was read without what was written afresh, of which there are so many records.
fn without_fresh(read: Vec<Consumed>, count: usize) -> Vec<Consumed> {
    let all = read.len();
    let others: Vec<Consumed> = read
        .into_iter()
        .filter(|record| !record.text().starts_with("fresh"))
        .collect();
    assert_eq!(all - others.len(), count);
    others
}

#[test]
fn a_promoted_topic_has_everything_and_takes_fresh_producers() {
    let (source, mut target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 2, &[]);
    write_with_every_codec(&source, "orders", 2, 40);
    write_transactions(&source, "orders", 2);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    mirror
        .command("promote", &["west", "orders", "--still-ms", "200"])
        .ok();
    mirror.wait_for_state("orders", "stopped");
    let mirrored = read_topic(&source, "orders", &COMMITTED);
    assert_eq!(read_topic(&target, "orders", &COMMITTED), mirrored);
    write_afresh(&target, 2);
    // What came later to the source would not be the target's.
    assert_eq!(
        crate::failback::refusal(&source),
        Some(RDKafkaErrorCode::PolicyViolation)
    );
    for _ in 0..2 {
        let read = read_topic(&target, "orders", &COMMITTED);
        assert_eq!(without_fresh(read, 40), mirrored);
        target.kill_nine();
        target.start_again();
    }
    write_afresh(&target, 2);
    assert_eq!(
        read_topic(&target, "orders", &COMMITTED).len(),
        mirrored.len() + 80
    );
}

#[test]
fn a_failover_ends_the_transactions_that_it_cuts() {
    let (mut source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write_with_every_codec(&source, "orders", 1, 10);
    let settings = [("transactional.id", "open"), ("transaction.timeout.ms", "300000")];
    let open: ThreadedProducer<DefaultProducerContext> =
        config(&source, &settings).create().expect("a producer");
    open.init_transactions(CALL).expect("an identity");
    open.begin_transaction().expect("begin");
    open.send(BaseRecord::<(), str>::to("orders").payload("in doubt"))
        .map_err(|(error, _)| error)
        .expect("a place in the queue");
    open.flush(CALL).expect("delivered");
    let mirrored = read_topic(&source, "orders", &COMMITTED);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]\nread = \"all\"");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    source.kill_nine();
    mirror.command("failover", &["west"]).ok();
    write_afresh(&target, 1);
    let read = read_topic(&target, "orders", &COMMITTED);
    assert_eq!(without_fresh(read, 20), mirrored);
    let everything = read_topic(&target, "orders", &[("isolation.level", "read_uncommitted")]);
    assert_eq!(
        everything.len(),
        mirrored.len() + 21,
        "the record in doubt is there, aborted"
    );
}
