//! The rules of the compatibility list that Produce, Fetch, ListOffsets and Metadata must keep, through the handlers and
//! the wire in every version. A rule's number is in the name of its tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use thalweg_storage::disk::SimulatedDisk;
use thalweg_types::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::BatchHeader;
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp, Transactionality};
use uuid::Uuid;

use super::testing::TestBroker;
use crate::clock::Clock;
use crate::topics::{NewTopic, ReplicationFactor, TopicView};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

async fn topic(broker: &TestBroker, name: &str, configs: &[(&str, &str)]) -> Arc<TopicView> {
    let configs = configs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    let new = NewTopic {
        name: name.to_owned(),
        partitions: Some(2),
        replication_factor: ReplicationFactor::Default,
        configs: configs.collect(),
    };
    broker.running.topics.create(&new).await.unwrap()
}

/// A batch of records with these keys, at distances of 10 ms from now on.
fn batch(options: BatchOptions, keys: &[Option<&str>]) -> BytesMut {
    let now = Clock::System.now().get();
    let mut batch = BatchBuilder::new(options);
    for (index, key) in keys.iter().enumerate() {
        let at = TimestampMs(now + 10 * index as i64);
        batch
            .push(at, key.map(str::as_bytes), Some(b"value"), &[])
            .unwrap();
    }
    batch.build().unwrap()
}

fn three() -> BytesMut {
    batch(BatchOptions::default(), &[Some("a"), Some("b"), Some("c")])
}

fn produce_request(version: i16, topic: &TopicView, records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(records));
    let data = TopicProduceData::default().with_partition_data(vec![partition]);
    let data = match version {
        ..=12 => data.with_name(TopicName(text(&topic.name))),
        _ => data.with_topic_id(Uuid::from_bytes(topic.id.0)),
    };
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![data])
}

async fn produce(
    broker: &TestBroker,
    version: i16,
    topic: &TopicView,
    records: impl Into<Bytes>,
) -> PartitionProduceResponse {
    let request = produce_request(version, topic, records.into());
    let mut response = broker.call(version, &request).await;
    response.responses.remove(0).partition_responses.remove(0)
}

/// What to read: partition and offset.
fn wish(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
}

fn fetch_request(version: i16, topic: &TopicView, partitions: Vec<FetchPartition>) -> FetchRequest {
    let asked = FetchTopic::default().with_partitions(partitions);
    let asked = match version {
        ..=12 => asked.with_topic(TopicName(text(&topic.name))),
        _ => asked.with_topic_id(Uuid::from_bytes(topic.id.0)),
    };
    FetchRequest::default()
        .with_max_wait_ms(10)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![asked])
}

async fn fetch(broker: &TestBroker, version: i16, request: &FetchRequest) -> Vec<PartitionData> {
    let response = broker.call(version, request).await;
    assert_eq!(response.error_code, 0, "v{version}");
    response
        .responses
        .into_iter()
        .flat_map(|topic| topic.partitions)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_07_a_fetch_at_the_end_is_answered_empty_with_the_high_watermark_in_every_version() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    assert_eq!(produce(&broker, 9, &topic, three()).await.error_code, 0);
    for version in 4..=18 {
        let told = fetch(
            &broker,
            version,
            &fetch_request(version, &topic, vec![wish(0, 3)]),
        )
        .await;
        assert_eq!(told.len(), 1, "v{version}");
        assert_eq!((told[0].error_code, told[0].high_watermark), (0, 3), "v{version}");
        assert!(told[0].records.as_ref().is_none_or(Bytes::is_empty), "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_07_the_batch_that_holds_the_offset_is_returned_whole_above_every_limit() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    let sent = three();
    produce(&broker, 9, &topic, sent.clone()).await;
    for version in 4..=18 {
        let small = wish(0, 1).with_partition_max_bytes(1);
        let request = fetch_request(version, &topic, vec![small]).with_max_bytes(1);
        let told = fetch(&broker, version, &request).await;
        let records = told[0].records.clone().unwrap();
        let header = BatchHeader::parse(&records).unwrap();
        assert_eq!(
            header.base_offset.get(),
            0,
            "v{version}: from the first record on"
        );
        assert_eq!(records.len(), sent.len(), "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_08_the_preferred_replica_is_minus_one_from_version_11_on() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    produce(&broker, 9, &topic, three()).await;
    for version in 11..=18 {
        // With records, at the end, and for a partition that is not there.
        let request = fetch_request(version, &topic, vec![wish(0, 0), wish(1, 0), wish(9, 0)])
            .with_rack_id(text("some-rack"));
        let told = fetch(&broker, version, &request).await;
        assert_eq!(told.len(), 3, "v{version}");
        for partition in &told {
            assert_eq!(partition.preferred_read_replica.0, -1, "v{version}");
        }
    }
    broker.running.stop().await;
}

fn metadata_request(version: i16, name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
    MetadataRequest::default()
        .with_topics(Some(vec![topic]))
        // v4 is the first that can say no.
        .with_allow_auto_topic_creation(version < 4)
}

/// The epoch of the first batch that Fetch returns, and Metadata's epoch of its partition.
async fn epochs(broker: &TestBroker, version: i16, topic: &TopicView) -> (i32, i32) {
    let metadata = broker
        .call(version, &metadata_request(version, &topic.name))
        .await;
    let told = metadata.topics[0].partitions[0].leader_epoch;
    let end = produce(broker, 9, topic, three()).await.base_offset;
    let fetched = fetch(broker, 12, &fetch_request(12, topic, vec![wish(0, end)])).await;
    let batch = BatchHeader::parse(fetched[0].records.as_ref().unwrap()).unwrap();
    (batch.leader_epoch.get(), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_09_metadata_tells_the_epoch_that_new_records_get_also_after_a_restart() {
    let disk = SimulatedDisk::new();
    let mut last = -1;
    for run in 0..2 {
        let broker = TestBroker::start_on(&disk);
        let topic = match broker.running.topics.by_name("orders") {
            Some(topic) => topic,
            None => topic(&broker, "orders", &[]).await,
        };
        let mut current = last;
        for version in 0..=13 {
            let (stored, told) = epochs(&broker, version, &topic).await;
            let expected = if version >= 7 { stored } else { -1 };
            assert_eq!(told, expected, "run {run} v{version}");
            current = stored;
        }
        assert!(
            current > last,
            "a restart begins an epoch: {current} after {last}"
        );
        last = current;
        broker.running.stop().await;
    }
}

async fn offset_at(broker: &TestBroker, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition::default()
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let mut response = broker.call(version, &request).await;
    response.topics.remove(0).partitions.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_10_list_offsets_finds_the_record_inside_its_batch_in_every_version() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    let sent = three();
    let first = BatchHeader::parse(&sent).unwrap().base_timestamp.get();
    produce(&broker, 9, &topic, sent).await;
    let epoch = broker.running.topics.engine().leader_epoch().get();
    for version in 1..=10 {
        let epoch = if version >= 4 { epoch } else { -1 };
        let told = |answer: &ListOffsetsPartitionResponse| {
            let ListOffsetsPartitionResponse {
                error_code,
                offset,
                timestamp,
                leader_epoch,
                ..
            } = answer;
            (*error_code, *offset, *timestamp, *leader_epoch)
        };
        let found = offset_at(&broker, version, first + 1).await;
        assert_eq!(told(&found), (0, 1, first + 10, epoch), "v{version}");
        let none = offset_at(&broker, version, first + 21).await;
        assert_eq!(told(&none), (0, -1, -1, -1), "v{version}");
        let newest = offset_at(&broker, version, -3).await;
        let expected = match version {
            ..=6 => (ErrorCode::UnsupportedVersion.code(), -1, -1, -1),
            _ => (0, 2, first + 20, epoch),
        };
        assert_eq!(told(&newest), expected, "v{version}");
    }
    broker.running.stop().await;
}

fn stamped(base_sequence: i32) -> Bytes {
    let options = BatchOptions {
        producer: Some(ProducerStamp {
            id: ProducerId(4000),
            epoch: ProducerEpoch(0),
            base_sequence,
        }),
        ..BatchOptions::default()
    };
    batch(options, &[Some("a"), Some("b")]).freeze()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_11_a_repeated_batch_is_answered_with_its_first_offset_and_a_gap_is_refused() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    let batches: Vec<Bytes> = (0..5).map(|number| stamped(2 * number)).collect();
    for (number, batch) in (0..).zip(&batches) {
        let told = produce(&broker, 9, &topic, batch.clone()).await;
        assert_eq!((told.error_code, told.base_offset), (0, 2 * number));
    }
    for version in 3..=13 {
        for (number, batch) in (0..).zip(&batches) {
            let told = produce(&broker, version, &topic, batch.clone()).await;
            assert_eq!((told.error_code, told.base_offset), (0, 2 * number), "v{version}");
        }
        let gap = produce(&broker, version, &topic, stamped(12)).await;
        assert_eq!(gap.error_code, ErrorCode::OutOfOrderSequenceNumber.code());
    }
    let told = fetch(&broker, 12, &fetch_request(12, &topic, vec![wish(0, 0)])).await;
    assert_eq!(told[0].high_watermark, 10, "nothing was appended twice");
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_transaction_that_no_coordinator_knows_of_is_refused_and_never_stored() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    let refused = ErrorCode::TransactionalIdAuthorizationFailed.code();
    let options = BatchOptions {
        producer: Some(ProducerStamp {
            id: ProducerId(4000),
            epoch: ProducerEpoch(0),
            base_sequence: 0,
        }),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    };
    let records = batch(options, &[Some("a")]).freeze();
    for version in 3..=13 {
        let request = produce_request(version, &topic, records.clone())
            .with_transactional_id(Some(TransactionalId(text("flink-1"))));
        let response = broker.call(version, &request).await;
        let told = &response.responses[0].partition_responses[0];
        assert_eq!((told.error_code, told.base_offset), (refused, -1), "v{version}");
    }
    let told = fetch(&broker, 12, &fetch_request(12, &topic, vec![wish(0, 0)])).await;
    assert_eq!(told[0].high_watermark, 0);
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_metadata_creates_a_topic_only_if_the_request_says_so() {
    let broker = TestBroker::start();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    for version in 4..=13 {
        let name = format!("asked-in-v{version}");
        let request = metadata_request(version, &name);
        let response = broker.call(version, &request).await;
        assert_eq!(response.topics[0].error_code, unknown, "v{version}");
        assert!(broker.running.topics.by_name(&name).is_none(), "v{version}");
        let request = request.with_allow_auto_topic_creation(true);
        let response = broker.call(version, &request).await;
        assert_eq!(response.topics[0].error_code, 0, "v{version}");
        assert!(broker.running.topics.by_name(&name).is_some(), "v{version}");
    }
    let bad = broker
        .call(
            13,
            &metadata_request(13, "no/such").with_allow_auto_topic_creation(true),
        )
        .await;
    assert_eq!(bad.topics[0].error_code, ErrorCode::InvalidTopicException.code());
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_18_a_batch_above_max_message_bytes_is_too_large_in_every_version() {
    let broker = TestBroker::start();
    let len = three().len();
    let (fits, above) = (len.to_string(), (len - 1).to_string());
    let roomy = topic(&broker, "roomy", &[("max.message.bytes", &fits)]).await;
    let tight = topic(&broker, "tight", &[("max.message.bytes", &above)]).await;
    for version in 3..=13 {
        assert_eq!(produce(&broker, version, &roomy, three()).await.error_code, 0);
        let told = produce(&broker, version, &tight, three()).await;
        assert_eq!(told.error_code, ErrorCode::MessageTooLarge.code(), "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_18_records_without_a_key_are_named_one_by_one_on_a_compacted_topic() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "latest", &[("cleanup.policy", "compact")]).await;
    for version in 3..=13 {
        let keyless = batch(BatchOptions::default(), &[Some("a"), None, Some("c"), None]);
        let told = produce(&broker, version, &topic, keyless).await;
        assert_eq!(told.error_code, ErrorCode::InvalidRecord.code(), "v{version}");
        let named: Vec<i32> = told.record_errors.iter().map(|error| error.batch_index).collect();
        let expected = if version >= 8 { vec![1, 3] } else { vec![] };
        assert_eq!(named, expected, "v{version}");
        assert_eq!(told.error_message.is_some(), version >= 8, "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_20_repeated_headers_and_nulls_come_back_byte_for_byte() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let now = Clock::System.now();
    let headers: [(&[u8], Option<&[u8]>); 4] = [
        (b"h", Some(b"1")),
        (b"h", Some(b"2")),
        (b"h", None),
        (b"\xff", Some(b"")),
    ];
    builder.push(now, None, None, &headers).unwrap();
    builder.push(now, Some(b""), Some(b""), &[]).unwrap();
    let sent = builder.build().unwrap();
    for version in 3..=13 {
        let at = produce(&broker, version, &topic, sent.clone()).await.base_offset;
        let told = fetch(&broker, 12, &fetch_request(12, &topic, vec![wish(0, at)])).await;
        let records = told[0].records.clone().unwrap();
        // Base offset, length, leader epoch and magic stand before the CRC; the broker may change the first three.
        assert_eq!(records[16..sent.len()], sent[16..], "v{version}");
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_22_every_requested_partition_is_in_the_answer_also_empty_and_unknown_ones() {
    let broker = TestBroker::start();
    let topic = topic(&broker, "orders", &[]).await;
    produce(&broker, 9, &topic, three()).await;
    let mut unknown = (*topic).clone();
    unknown.name = "nowhere".into();
    unknown.id.0 = [9; 16];
    for version in 4..=18 {
        let mut request = fetch_request(version, &topic, vec![wish(0, 0), wish(1, 0), wish(7, 0)]);
        let other = fetch_request(version, &unknown, vec![wish(0, 0)]);
        request.topics.extend(other.topics);
        let told: BTreeMap<i32, i16> = fetch(
            &broker,
            version,
            &request.clone().with_topics(vec![request.topics[0].clone()]),
        )
        .await
        .iter()
        .map(|partition| (partition.partition_index, partition.error_code))
        .collect();
        let not_there = ErrorCode::UnknownTopicOrPartition.code();
        assert_eq!(told, [(0, 0), (1, 0), (7, not_there)].into(), "v{version}");
        let response = broker.call(version, &request).await;
        assert_eq!(response.responses.len(), 2, "v{version}");
        let code = if version >= 13 {
            ErrorCode::UnknownTopicId.code()
        } else {
            not_there
        };
        assert_eq!(response.responses[1].partitions[0].error_code, code, "v{version}");
    }
    broker.running.stop().await;
}

/// Reads end at the end of a file: what lies beyond is there already, so waiting for it would be for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_07_a_fetch_does_not_wait_for_records_that_are_behind_the_end_of_a_segment() {
    const BATCH: usize = 900_000;
    let disk = SimulatedDisk::new();
    let broker = TestBroker::start_on(&disk);
    let topic = topic(&broker, "orders", &[("segment.bytes", "1048576")]).await;
    let value = vec![7; BATCH];
    for _ in 0..12 {
        let mut one = BatchBuilder::new(BatchOptions::default());
        one.push(Clock::System.now(), None, Some(&value), &[]).unwrap();
        let told = produce(&broker, 9, &topic, one.build().unwrap()).await;
        assert_eq!(told.error_code, 0);
    }
    // A clean stop leaves all of it in segments, of one batch each.
    broker.running.stop().await;
    let broker = TestBroker::start_on(&disk);
    let large = wish(0, 0).with_partition_max_bytes(50 << 20);
    let request = fetch_request(12, &topic, vec![large])
        .with_max_wait_ms(3_600_000)
        .with_min_bytes(8 << 20)
        .with_max_bytes(50 << 20);
    let told = tokio::time::timeout(std::time::Duration::from_secs(60), fetch(&broker, 12, &request))
        .await
        .expect("it does not wait for an hour");
    assert!(told[0].records.as_ref().unwrap().len() >= BATCH);
    assert_eq!(told[0].high_watermark, 12);
    broker.running.stop().await;
}
