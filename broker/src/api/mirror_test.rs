//! Mirror topics through the APIs: what a link may do, and nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    CreatePartitionsRequest, DeleteRecordsRequest, IncrementalAlterConfigsRequest, ProduceRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use thalweg_storage::disk::SimulatedDisk;
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::mirror::{Command, Fence, LinkId, Operation, Ownership, Report, TAG};
use thalweg_wire::records::{BatchBuilder, BatchOptions};

use super::testing::TestBroker;
use crate::topics::{NewTopic, ReplicationFactor, TopicError, TopicView};

const LINK: LinkId = LinkId([0xab; 16]);
const OTHER: LinkId = LinkId([0xcd; 16]);

fn new_mirror(name: &str, pairs: &[(&str, &str)]) -> NewTopic {
    let link = "ab".repeat(16);
    let own = [("mirror.link", link.as_str()), ("mirror.source.topic", "orders")];
    let configs = own.iter().chain(pairs);
    NewTopic {
        name: name.to_owned(),
        partitions: Some(1),
        replication_factor: ReplicationFactor::Default,
        configs: configs
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect(),
    }
}

async fn mirror_topic(broker: &TestBroker) -> Arc<TopicView> {
    broker
        .context
        .topics
        .create(&new_mirror("orders", &[]))
        .await
        .unwrap()
}

fn name(text: &str) -> TopicName {
    TopicName(StrBytes::from_string(text.to_owned()))
}

fn tag(bytes: &[u8]) -> BTreeMap<i32, Bytes> {
    BTreeMap::from([(TAG, Bytes::copy_from_slice(bytes))])
}

/// A batch of one record as a source's log has it.
fn source_batch(base: i64, epoch: i32) -> BytesMut {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(TimestampMs(1), None, Some(b"value"), &[]).unwrap();
    let mut bytes = builder.build().unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base), LeaderEpoch(epoch)).unwrap();
    bytes
}

fn produce(tags: BTreeMap<i32, Bytes>, records: Option<Bytes>) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(records)
        .with_unknown_tagged_fields(tags);
    let topic = TopicProduceData::default()
        .with_name(name("orders"))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic])
}

struct Answer {
    code: ErrorCode,
    message: String,
    report: Option<Report>,
}

async fn ask(broker: &TestBroker, request: &ProduceRequest) -> Answer {
    let reply = broker.call(12, request).await;
    let partition = &reply.responses[0].partition_responses[0];
    let report = partition.unknown_tagged_fields.get(&TAG);
    Answer {
        code: ErrorCode::from_code(partition.error_code).expect("a known code"),
        message: partition
            .error_message
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        report: report.map(|bytes| Report::decode(bytes).unwrap()),
    }
}

async fn operate(
    broker: &TestBroker,
    (link, session, expected_end): (LinkId, i64, i64),
    operation: Operation,
    batches: &[BytesMut],
) -> (ErrorCode, Report) {
    let fence = Fence {
        link,
        session,
        expected_end: Offset(expected_end),
    };
    let command = Command { fence, operation };
    let records = Bytes::from(batches.concat());
    let request = produce(tag(&command.encode()), (!records.is_empty()).then_some(records));
    let answer = ask(broker, &request).await;
    (
        answer.code,
        answer.report.expect("a report, whatever the outcome"),
    )
}

const CLAIM: Operation = Operation::Claim { lease_ms: 60_000 };
const APPEND: Operation = Operation::Append {
    source_end: Offset(100),
};

#[tokio::test]
async fn a_link_claims_appends_many_batches_and_repeats_what_was_lost() {
    let broker = TestBroker::start();
    mirror_topic(&broker).await;
    let (code, report) = operate(&broker, (LINK, 0, -1), Operation::Inspect, &[]).await;
    assert_eq!((code, report.ownership), (ErrorCode::None, Ownership::Link));
    assert!(report.leader_epoch.0 >= 1_000_000, "{report:?}");
    let (code, report) = operate(&broker, (LINK, 0, -1), CLAIM, &[]).await;
    assert_eq!((code, report.session), (ErrorCode::None, 1));
    assert!(report.lease_left_ms > 50_000);
    let run = [source_batch(7, 3), source_batch(9, 4)];
    let (code, report) = operate(&broker, (LINK, 1, 0), APPEND, &run).await;
    assert_eq!(code, ErrorCode::None);
    assert_eq!((report.log_start, report.log_end), (Offset(7), Offset(10)));
    assert_eq!(report.high_watermark, Offset(10), "answered when it is durable");
    assert_eq!(
        (report.last_epoch, report.source_end),
        (LeaderEpoch(4), Offset(100))
    );
    let (code, report) = operate(&broker, (LINK, 1, 0), APPEND, &run).await;
    assert_eq!((code, report.log_end), (ErrorCode::OffsetOutOfRange, Offset(10)));
    assert_eq!(
        operate(&broker, (LINK, 0, 10), APPEND, &run).await.0,
        ErrorCode::FencedLeaderEpoch
    );
    assert_eq!(
        operate(&broker, (LINK, 0, -1), CLAIM, &[]).await.0,
        ErrorCode::FencedLeaderEpoch
    );
    assert_eq!(
        operate(&broker, (OTHER, 1, 10), APPEND, &run).await.0,
        ErrorCode::PolicyViolation
    );
    let cut = operate(&broker, (LINK, 1, 10), Operation::Truncate { to: Offset(9) }, &[]).await;
    assert_eq!((cut.0, cut.1.log_end), (ErrorCode::None, Offset(9)));
    let to = Operation::AdvanceEnd { to: Offset(50) };
    let (code, report) = operate(&broker, (LINK, 1, 9), to, &[]).await;
    assert_eq!((code, report.log_end), (ErrorCode::None, Offset(50)));
    let to = Operation::SetLogStart { to: Offset(50) };
    let (code, report) = operate(&broker, (LINK, 1, 50), to, &[]).await;
    assert_eq!((code, report.log_start), (ErrorCode::None, Offset(50)));
    assert_eq!(broker.context.mirrors.appended().1, 2);
    let refused: u64 = broker.context.mirrors.refused().map(|(_, count)| count).sum();
    assert_eq!(refused, 4);
}

#[tokio::test]
async fn clients_are_kept_out_by_name_until_the_mirror_is_promoted() {
    let broker = TestBroker::start();
    let topic = mirror_topic(&broker).await;
    let plain = || produce(BTreeMap::new(), Some(source_batch(0, -1).freeze()));
    let refused = ask(&broker, &plain()).await;
    assert_eq!(refused.code, ErrorCode::PolicyViolation);
    let link = "ab".repeat(16);
    assert!(
        refused.message.contains(&format!("owned by link {link}")),
        "{}",
        refused.message
    );
    let delete = DeleteRecordsRequest::default().with_topics(vec![
        DeleteRecordsTopic::default()
            .with_name(name("orders"))
            .with_partitions(vec![DeleteRecordsPartition::default().with_offset(-1)]),
    ]);
    let reply = broker.call(2, &delete).await;
    let code = reply.topics[0].partitions[0].error_code;
    assert_eq!(code, ErrorCode::PolicyViolation.code());
    let claimed = operate(&broker, (LINK, 0, -1), CLAIM, &[]).await;
    assert_eq!(claimed.0, ErrorCode::None);
    let promote = Operation::Promote {
        epoch_above: LeaderEpoch(3_000_000),
    };
    let (code, report) = operate(&broker, (LINK, 1, -1), promote, &[]).await;
    assert_eq!((code, report.ownership), (ErrorCode::None, Ownership::Open));
    assert_eq!(report.leader_epoch, LeaderEpoch(3_000_001));
    assert_eq!(
        operate(&broker, (LINK, 1, -1), promote, &[]).await.0,
        ErrorCode::None
    );
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::None);
    // What is added now is the clients', and stays so.
    let grown = broker.context.topics.add_partitions(topic.id, 2).await.unwrap();
    assert_eq!(broker.context.topics.owner(&grown), None);
    assert_eq!(grown.mirror, None);
}

async fn grow(broker: &TestBroker, count: i32, link: Option<LinkId>) -> i16 {
    let tags = link.map(|link| tag(&link.0)).unwrap_or_default();
    let topic = CreatePartitionsTopic::default()
        .with_name(name("orders"))
        .with_count(count)
        .with_assignments(None)
        .with_unknown_tagged_fields(tags);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
    broker.call(3, &request).await.results[0].error_code
}

async fn set(broker: &TestBroker, (key, text): (&str, &str), link: Option<LinkId>) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_string(key.to_owned()))
        .with_value(Some(StrBytes::from_string(text.to_owned())));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("orders"))
        .with_configs(vec![config])
        .with_unknown_tagged_fields(link.map(|link| tag(&link.0)).unwrap_or_default());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    broker.call(1, &request).await.responses[0].error_code
}

#[tokio::test]
async fn only_the_link_grows_a_mirror_and_changes_what_it_takes_over() {
    let disk = SimulatedDisk::new();
    let broker = TestBroker::start_on(&disk);
    mirror_topic(&broker).await;
    let (ok, violation) = (0, ErrorCode::PolicyViolation.code());
    assert_eq!(grow(&broker, 2, None).await, violation);
    assert_eq!(grow(&broker, 2, Some(OTHER)).await, violation);
    assert_eq!(grow(&broker, 2, Some(LINK)).await, ok);
    let compact = ("cleanup.policy", "compact");
    assert_eq!(set(&broker, compact, None).await, violation);
    assert_eq!(set(&broker, compact, Some(LINK)).await, ok);
    assert_eq!(set(&broker, ("retention.ms", "-1"), None).await, ok, "its own");
    let other = "cd".repeat(16);
    let fixed = set(&broker, ("mirror.link", &other), Some(LINK)).await;
    assert_eq!(fixed, ErrorCode::InvalidConfig.code());
    let view = broker.context.topics.by_name("orders").unwrap();
    assert!(broker.context.topics.owner(&view).is_some());
}

#[tokio::test]
async fn half_a_mirror_and_a_malformed_operation_are_refused() {
    let broker = TestBroker::start();
    let topics = &broker.context.topics;
    let mut half = new_mirror("half", &[]);
    half.configs.remove("mirror.source.topic");
    assert!(matches!(topics.create(&half).await, Err(TopicError::Mirror(_))));
    let wrong = new_mirror("wrong", &[("mirror.link", "12")]);
    assert!(matches!(topics.create(&wrong).await, Err(TopicError::Config(_))));
    mirror_topic(&broker).await;
    let answer = ask(&broker, &produce(tag(b"nonsense"), None)).await;
    assert_eq!(answer.code, ErrorCode::InvalidRequest, "{}", answer.message);
    let claim = operate(&broker, (LINK, 0, -1), Operation::Claim { lease_ms: 0 }, &[]).await;
    assert_eq!(claim.0, ErrorCode::InvalidRequest);
    assert_eq!(
        operate(&broker, (LINK, 0, -1), CLAIM, &[]).await.0,
        ErrorCode::None
    );
    let mut damaged = source_batch(0, 1);
    damaged[65] ^= 1;
    assert_eq!(
        operate(&broker, (LINK, 1, 0), APPEND, &[damaged]).await.0,
        ErrorCode::CorruptMessage
    );
    let release = Operation::Release;
    assert_eq!(
        operate(&broker, (LINK, 1, 0), release, &[source_batch(0, 1)])
            .await
            .0,
        ErrorCode::InvalidRequest
    );
}

async fn change(broker: &TestBroker, pairs: &[(&str, Option<&str>)], link: Option<LinkId>) -> i16 {
    let configs = pairs.iter().map(|(key, text)| {
        AlterableConfig::default()
            .with_name(StrBytes::from_string((*key).to_owned()))
            .with_config_operation(i8::from(text.is_none()))
            .with_value(text.map(|text| StrBytes::from_string(text.to_owned())))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(StrBytes::from_static_str("orders"))
        .with_configs(configs.collect())
        .with_unknown_tagged_fields(link.map(|link| tag(&link.0)).unwrap_or_default());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    broker.call(1, &request).await.responses[0].error_code
}

const SEAL: Operation = Operation::Seal {
    epoch_below: LeaderEpoch(i32::MAX),
};

/// Needs neither link nor claim: it is about a topic of clients.
#[tokio::test]
async fn a_topic_is_sealed_told_and_opened_again() {
    let disk = SimulatedDisk::new();
    let broker = TestBroker::start_on(&disk);
    let mut topic = new_mirror("orders", &[]);
    topic.configs.clear();
    broker.context.topics.create(&topic).await.unwrap();
    let plain = || produce(BTreeMap::new(), Some(source_batch(0, -1).freeze()));
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::None);
    let none = (LinkId::NONE, 0, -1);
    let (code, report) = operate(&broker, none, SEAL, &[]).await;
    assert_eq!((code, report.ownership), (ErrorCode::None, Ownership::Sealed));
    assert_eq!(report.log_end, Offset(1));
    let refused = ask(&broker, &plain()).await;
    assert_eq!(refused.code, ErrorCode::PolicyViolation);
    assert!(
        refused.message.contains("sealed at offset 1"),
        "{}",
        refused.message
    );
    assert_ne!(
        grow(&broker, 2, None).await,
        0,
        "a new partition would take records"
    );
    let (code, report) = operate(&broker, none, Operation::Unseal, &[]).await;
    assert_eq!((code, report.ownership), (ErrorCode::None, Ownership::Open));
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::None);
    let below = Operation::Seal {
        epoch_below: report.leader_epoch,
    };
    assert_eq!(
        operate(&broker, none, below, &[]).await.0,
        ErrorCode::FencedLeaderEpoch
    );
}

#[tokio::test]
async fn a_topic_of_clients_becomes_a_mirror_and_a_promoted_mirror_an_ordinary_topic() {
    let disk = SimulatedDisk::new();
    let broker = TestBroker::start_on(&disk);
    let mut topic = new_mirror("orders", &[]);
    topic.configs.clear();
    broker.context.topics.create(&topic).await.unwrap();
    let plain = || produce(BTreeMap::new(), Some(source_batch(0, -1).freeze()));
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::None);
    let link = "ab".repeat(16);
    let mirror = [
        ("mirror.link", Some(link.as_str())),
        ("mirror.source.topic", Some("orders")),
        ("mirror.source.cluster.id", Some("east")),
    ];
    let (ok, invalid) = (0, ErrorCode::InvalidConfig.code());
    assert_eq!(change(&broker, &mirror, None).await, invalid, "no link asks");
    assert_eq!(change(&broker, &mirror, Some(OTHER)).await, invalid);
    assert_eq!(change(&broker, &mirror, Some(LINK)).await, ok);
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::PolicyViolation);
    let (code, report) = operate(&broker, (LINK, 0, -1), CLAIM, &[]).await;
    assert_eq!((code, report.ownership), (ErrorCode::None, Ownership::Link));
    assert_eq!(report.log_end, Offset(1), "it keeps what it has");
    assert_eq!(
        change(&broker, &[("mirror.link", None)], Some(LINK)).await,
        ErrorCode::PolicyViolation.code(),
        "while the link owns it"
    );
    let promote = Operation::Promote {
        epoch_above: LeaderEpoch(0),
    };
    let session = (LINK, report.session, -1);
    assert_eq!(operate(&broker, session, promote, &[]).await.0, ErrorCode::None);
    assert_eq!(change(&broker, &[("mirror.link", None)], Some(LINK)).await, ok);
    let view = broker.context.topics.by_name("orders").unwrap();
    assert_eq!(view.mirror, None);
    assert_eq!(
        view.overrides.get("mirror.source.topic").map(String::as_str),
        Some("orders"),
        "where it came from is kept"
    );
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::None);
    assert_eq!(
        change(&broker, &mirror, Some(LINK)).await,
        ok,
        "and a mirror again"
    );
    assert_eq!(ask(&broker, &plain()).await.code, ErrorCode::PolicyViolation);
}
