//! Checks that take long: the order of a connection's batches, and the progress of everybody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use thalweg_types::ErrorCode;
use thalweg_wire::batch::patch_max_timestamp;
use thalweg_wire::compression::Compression;
use thalweg_wire::records::{BatchBuilder, BatchOptions};

use super::Reply;
use super::testing::TestBroker;
use crate::clock::Clock;
use crate::topics::{NewTopic, ReplicationFactor};

async fn create(broker: &TestBroker, name: &str, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    let new = NewTopic {
        name: name.to_owned(),
        partitions: Some(1),
        replication_factor: ReplicationFactor::Default,
        configs: configs.collect::<BTreeMap<_, _>>(),
    };
    broker.running.topics.create(&new).await.unwrap();
}

fn batch(compression: Compression, records: usize) -> BytesMut {
    let options = BatchOptions {
        compression,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    for _ in 0..records {
        builder
            .push(Clock::System.now(), None, Some(b"value"), &[])
            .unwrap();
    }
    builder.build().unwrap()
}

fn request(topics: &[(&str, BytesMut)]) -> ProduceRequest {
    let topics = topics.iter().map(|(name, records)| {
        let records: Bytes = records.clone().freeze();
        let partition = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(records));
        TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string((*name).to_owned())))
            .with_partition_data(vec![partition])
    });
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(topics.collect())
}

async fn produce(broker: &TestBroker, topics: &[(&str, BytesMut)]) -> Vec<PartitionProduceResponse> {
    let response = broker.call(9, &request(topics)).await;
    let topics = response.responses.into_iter();
    topics.flat_map(|topic| topic.partition_responses).collect()
}

/// With no core free for long checks, a compressed batch for a strict topic waits, and nobody else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_takes_long_holds_up_no_other_connection() {
    let broker = Arc::new(TestBroker::start());
    create(&broker, "strict", &[("record.validation.strict", "true")]).await;
    create(&broker, "lax", &[]).await;
    let cores = broker.context.record_checks.take_all_cores().await;
    let long = {
        let broker = broker.clone();
        tokio::spawn(async move { produce(&broker, &[("strict", batch(Compression::Zstd, 3))]).await })
    };
    for _ in 0..20 {
        let short = [
            ("lax", batch(Compression::Zstd, 1)),
            ("lax", batch(Compression::None, 1)),
            ("strict", batch(Compression::None, 1)),
        ];
        for told in produce(&broker, &short).await {
            assert_eq!(told.error_code, 0);
        }
    }
    assert!(!long.is_finished(), "it waits for a core");
    drop(cores);
    let told = long.await.unwrap();
    assert_eq!(
        (told[0].error_code, told[0].base_offset),
        (0, 20),
        "behind the others"
    );
    let broker = Arc::into_inner(broker).expect("the only one");
    broker.running.stop().await;
}

/// The network layer reads a connection's next request when stage 1 has ended, so the next batch comes behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stage_1_of_a_request_ends_with_the_append() {
    let broker = TestBroker::start();
    create(&broker, "strict", &[("record.validation.strict", "true")]).await;
    let cores = broker.context.record_checks.take_all_cores().await;
    let mut body = BytesMut::new();
    request(&[("strict", batch(Compression::Lz4, 3))])
        .encode(&mut body, 9)
        .unwrap();
    let mut stage_1 = Box::pin(broker.reply(0, 9, body.freeze()));
    assert!(
        futures::poll!(stage_1.as_mut()).is_pending(),
        "it waits for a core"
    );
    drop(cores);
    assert!(matches!(stage_1.await, Ok(Reply::Later(_))));
    let next = produce(&broker, &[("strict", batch(Compression::None, 1))]).await;
    assert_eq!(next[0].base_offset, 3);
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_batch_leaves_the_others_of_its_request_alone_and_is_counted() {
    let broker = TestBroker::start();
    create(&broker, "strict", &[("record.validation.strict", "true")]).await;
    create(&broker, "lax", &[]).await;
    let mut lying = batch(Compression::Zstd, 3);
    // Four records and a last offset delta of three, over three records.
    lying[23..27].copy_from_slice(&3_i32.to_be_bytes());
    lying[57..61].copy_from_slice(&4_i32.to_be_bytes());
    let claimed = thalweg_wire::batch::BatchHeader::parse(&lying)
        .unwrap()
        .max_timestamp;
    patch_max_timestamp(&mut lying, claimed).unwrap();
    let told = produce(
        &broker,
        &[("strict", lying), ("lax", batch(Compression::Zstd, 1))],
    )
    .await;
    assert_eq!(told[0].error_code, ErrorCode::InvalidRecord.code());
    assert_eq!(told[0].base_offset, -1);
    assert_eq!(told[0].record_errors.len(), 1);
    assert_eq!(told[0].record_errors[0].batch_index, 3);
    assert!(told[0].error_message.as_ref().unwrap().contains("record 3"));
    assert_eq!((told[1].error_code, told[1].base_offset), (0, 0));
    let after = produce(&broker, &[("strict", batch(Compression::Zstd, 2))]).await;
    assert_eq!(after[0].base_offset, 0, "nothing of the refused batch is there");
    let text = broker.context.metrics.encode().unwrap();
    let line = "thalweg_produce_batches_refused_total{reason=\"invalid_record\"} 1";
    assert!(text.contains(line), "{text}");
    broker.running.stop().await;
}
