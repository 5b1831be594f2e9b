//! The mirror service between real brokers: what it copies is equal batch by batch, whatever is killed meanwhile, and what
//! cannot be copied is named.
//!
//! The target is always Thalweg; the source is Thalweg or Apache Kafka.

mod anomalies;
mod copy;
mod failback;
mod following;
mod groups;
mod kafka;
mod kills;
mod line;
mod mirror_maker;
mod switching;

use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use thalweg_tests::clients::librdkafka::{CALL, CODECS, Producer, Record, config};
use thalweg_tests::{Broker, BrokerConfig, Product};

/// Thalweg, whatever `THALWEG_TEST_PEER` says: the target of every test.
fn thalweg() -> BrokerConfig {
    BrokerConfig::new(Product::Thalweg)
        .set("transaction.state.log.replication.factor", 1)
        .set("transaction.state.log.min.isr", 1)
}

/// Writes `count` records into each of `partitions` with each codec.
fn write_with_every_codec(source: &Broker, topic: &str, partitions: i32, count: i32) {
    for codec in CODECS {
        let settings = [
            ("compression.type", codec),
            ("linger.ms", "5"),
            ("enable.idempotence", "true"),
        ];
        let producer = Producer::new(source, &settings);
        let records: Vec<Record> = (0..count)
            .flat_map(|number| {
                (0..partitions).map(move |partition| {
                    let value = format!("{codec} {number} {}", "x".repeat(number as usize % 300));
                    Record::new(format!("k{}", number % 7), value).to_partition(partition)
                })
            })
            .collect();
        producer.send_all(topic, &records);
    }
}

/// Writes one transaction that is committed and one that is aborted into each of `partitions`.
fn write_transactions(source: &Broker, topic: &str, partitions: i32) {
    let settings = [("transactional.id", "tx"), ("transaction.timeout.ms", "60000")];
    let producer: ThreadedProducer<DefaultProducerContext> =
        config(source, &settings).create().expect("a producer");
    producer.init_transactions(CALL).expect("an identity");
    for (value, is_committed) in [("kept", true), ("aborted", false), ("kept too", true)] {
        producer.begin_transaction().expect("begin");
        for partition in 0..partitions {
            let record = BaseRecord::<(), str>::to(topic)
                .partition(partition)
                .payload(value);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("a place in the queue");
        }
        producer.flush(CALL).expect("delivered");
        match is_committed {
            true => producer.commit_transaction(CALL).expect("commit"),
            false => producer.abort_transaction(CALL).expect("abort"),
        }
    }
}
