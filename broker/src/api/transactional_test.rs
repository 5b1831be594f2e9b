//! Transactions through Produce, Fetch, ListOffsets and DescribeProducers, with a coordinator that is a list.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    DescribeProducersRequest, FetchRequest, ListOffsetsRequest, ProduceRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use thalweg_storage::log::{TransactionMarker, TransactionOutcome, TransactionVersion};
use thalweg_types::{ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::records::{
    BatchBuilder, BatchContent, BatchOptions, EndTransactionMarker, ProducerStamp, Transactionality,
};
use uuid::Uuid;

use super::testing::TestBroker;
use crate::clock::Clock;
use crate::partition::{Admission, AdmissionRequest, Admitted, TransactionGate};
use crate::topics::{NewTopic, ReplicationFactor, TopicView};

/// Answers every partition alike and remembers what it was asked.
struct Gate {
    answer: Mutex<Result<(), ErrorCode>>,
    asked: Mutex<Vec<AdmissionRequest>>,
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Ok(())),
            asked: Mutex::default(),
        })
    }
}

impl TransactionGate for Gate {
    fn admit(&self, request: AdmissionRequest) -> Admitted {
        let answers = vec![*self.answer.lock(); request.partitions.len()];
        self.asked.lock().push(request);
        Box::pin(async move { answers })
    }
}

struct Fixture {
    broker: TestBroker,
    gate: Arc<Gate>,
    topic: Arc<TopicView>,
}

impl Fixture {
    async fn start() -> Self {
        let gate = Gate::new();
        let broker = TestBroker::start_with_gate(gate.clone());
        let new = NewTopic {
            name: "orders".to_owned(),
            partitions: Some(1),
            replication_factor: ReplicationFactor::Default,
            configs: [].into(),
        };
        let topic = broker.running.topics.create(&new).await.unwrap();
        Self { broker, gate, topic }
    }

    async fn produce(&self, version: i16, id: Option<&str>, records: Bytes) -> ErrorCode {
        let partition = PartitionProduceData::default().with_records(Some(records));
        let data = TopicProduceData::default().with_partition_data(vec![partition]);
        let data = match version {
            ..=12 => data.with_name(TopicName(text(&self.topic.name))),
            _ => data.with_topic_id(Uuid::from_bytes(self.topic.id.0)),
        };
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(1000)
            .with_transactional_id(id.map(|id| TransactionalId(text(id))))
            .with_topic_data(vec![data]);
        let mut response = self.broker.call(version, &request).await;
        let told = response.responses.remove(0).partition_responses.remove(0);
        ErrorCode::from_code(told.error_code).unwrap()
    }

    async fn end(&self, epoch: i16, outcome: TransactionOutcome) {
        let log = self
            .broker
            .running
            .topics
            .log(&self.topic, PartitionIndex(0))
            .unwrap();
        let marker = TransactionMarker {
            producer_id: PRODUCER,
            producer_epoch: ProducerEpoch(epoch),
            coordinator_epoch: 3,
            outcome,
            version: TransactionVersion::V1,
        };
        let place = log.append_marker(marker, Clock::System.now()).unwrap();
        place.ticket.unwrap().durable().await.unwrap();
    }

    fn fetch_request(&self, version: i16, offset: i64, isolation: i8) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1 << 20);
        let asked = FetchTopic::default().with_partitions(vec![partition]);
        let asked = match version {
            ..=12 => asked.with_topic(TopicName(text(&self.topic.name))),
            _ => asked.with_topic_id(Uuid::from_bytes(self.topic.id.0)),
        };
        FetchRequest::default()
            .with_max_wait_ms(10)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_isolation_level(isolation)
            .with_topics(vec![asked])
    }

    async fn fetch(&self, version: i16, offset: i64, isolation: i8) -> PartitionData {
        let request = self.fetch_request(version, offset, isolation);
        let mut response = self.broker.call(version, &request).await;
        response.responses.remove(0).partitions.remove(0)
    }

    async fn latest(&self, isolation: i8) -> i64 {
        let partition = ListOffsetsPartition::default()
            .with_timestamp(-1)
            .with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(TopicName(text(&self.topic.name)))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation)
            .with_topics(vec![topic]);
        self.broker.call(7, &request).await.topics[0].partitions[0].offset
    }
}

const PRODUCER: ProducerId = ProducerId(4000);
const UNCOMMITTED: i8 = 0;
const COMMITTED: i8 = 1;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn records(epoch: i16, base_sequence: i32, transactionality: Transactionality) -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions {
        producer: Some(ProducerStamp {
            id: PRODUCER,
            epoch: ProducerEpoch(epoch),
            base_sequence,
        }),
        transactionality,
        ..BatchOptions::default()
    });
    batch
        .push(Clock::System.now(), Some(b"key"), Some(b"value"), &[])
        .unwrap();
    batch.build().unwrap().freeze()
}

fn transactional(epoch: i16, base_sequence: i32) -> Bytes {
    records(epoch, base_sequence, Transactionality::Transactional)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_read_committed_fetch_ends_at_the_last_stable_offset_in_every_version() {
    let fixture = Fixture::start().await;
    assert_eq!(
        fixture.produce(9, Some("id"), transactional(0, 0)).await,
        ErrorCode::None
    );
    assert_eq!(
        (fixture.latest(COMMITTED).await, fixture.latest(UNCOMMITTED).await),
        (0, 1)
    );
    for version in 4..=18 {
        let open = fixture.fetch(version, 0, COMMITTED).await;
        assert_eq!(
            (open.high_watermark, open.last_stable_offset),
            (1, 0),
            "v{version}"
        );
        assert_eq!(open.records.map_or(0, |records| records.len()), 0, "v{version}");
        assert_eq!(
            open.aborted_transactions.map(|all| all.len()),
            Some(0),
            "v{version}"
        );
        let all = fixture.fetch(version, 0, UNCOMMITTED).await;
        assert!(!all.records.unwrap().is_empty(), "v{version}");
        assert_eq!(all.aborted_transactions, None, "v{version}");
    }
    fixture.end(0, TransactionOutcome::Abort).await;
    assert_eq!(fixture.latest(COMMITTED).await, 2);
    for version in 4..=18 {
        let told = fixture.fetch(version, 0, COMMITTED).await;
        assert_eq!(
            (told.high_watermark, told.last_stable_offset),
            (2, 2),
            "v{version}"
        );
        let aborted = told.aborted_transactions.unwrap();
        assert_eq!(aborted.len(), 1, "v{version}");
        assert_eq!(
            (aborted[0].producer_id.0, aborted[0].first_offset),
            (PRODUCER.0, 0),
            "v{version}"
        );
    }
    fixture.broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_read_committed_long_poll_wakes_when_the_transaction_ends() {
    let fixture = Fixture::start().await;
    assert_eq!(
        fixture.produce(9, Some("id"), transactional(0, 0)).await,
        ErrorCode::None
    );
    let request = fixture.fetch_request(12, 0, COMMITTED).with_max_wait_ms(60_000);
    let began = std::time::Instant::now();
    let (response, ()) = tokio::join!(fixture.broker.call(12, &request), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        fixture.end(0, TransactionOutcome::Commit).await;
    });
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let told = &response.responses[0].partitions[0];
    assert!(told.records.as_ref().is_some_and(|records| !records.is_empty()));
    fixture.broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_asked_once_and_only_for_a_batch_that_begins_a_transaction() {
    let fixture = Fixture::start().await;
    for sequence in 0..3 {
        let code = fixture.produce(9, Some("id"), transactional(0, sequence)).await;
        assert_eq!(code, ErrorCode::None);
    }
    // A repeat of a batch whose transaction has ended is a repeat still.
    fixture.end(0, TransactionOutcome::Commit).await;
    assert_eq!(
        fixture.produce(9, Some("id"), transactional(0, 2)).await,
        ErrorCode::None
    );
    assert_eq!(fixture.latest(UNCOMMITTED).await, 4);
    let code = fixture.produce(12, Some("id"), transactional(1, 0)).await;
    assert_eq!(code, ErrorCode::None);
    let asked = std::mem::take(&mut *fixture.gate.asked.lock());
    let admissions: Vec<_> = asked.iter().map(|request| request.admission).collect();
    assert_eq!(admissions, [Admission::Verify, Admission::Verify, Admission::Add]);
    assert_eq!(asked[0].transactional_id, "id");
    assert_eq!(
        (asked[0].producer_id, asked[0].producer_epoch),
        (PRODUCER, ProducerEpoch(0))
    );
    assert_eq!(asked[0].partitions, [(Arc::from("orders"), PartitionIndex(0))]);
    fixture.broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_coordinator_refuses_has_the_code_that_a_client_of_the_version_knows() {
    use ErrorCode as Code;
    let fixture = Fixture::start().await;
    for (answer, version, expected) in [
        (Code::TransactionAbortable, 10, Code::InvalidTxnState),
        (Code::TransactionAbortable, 11, Code::TransactionAbortable),
        (Code::TransactionAbortable, 12, Code::TransactionAbortable),
        (Code::ProducerFenced, 9, Code::InvalidProducerEpoch),
        (Code::InvalidProducerEpoch, 12, Code::InvalidProducerEpoch),
        (Code::CoordinatorLoadInProgress, 9, Code::NotEnoughReplicas),
        (Code::CoordinatorLoadInProgress, 12, Code::NotEnoughReplicas),
        (Code::NotCoordinator, 12, Code::NotEnoughReplicas),
        (Code::ConcurrentTransactions, 11, Code::NotEnoughReplicas),
        (Code::ConcurrentTransactions, 12, Code::ConcurrentTransactions),
    ] {
        *fixture.gate.answer.lock() = Err(answer);
        let code = fixture.produce(version, Some("id"), transactional(0, 0)).await;
        assert_eq!(code, expected, "{answer:?} v{version}");
    }
    assert_eq!(fixture.latest(UNCOMMITTED).await, 0, "nothing was stored");
    fixture.broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transactional_batch_needs_a_transactional_id_and_markers_are_the_brokers_own() {
    let fixture = Fixture::start().await;
    let code = fixture.produce(9, None, transactional(0, 0)).await;
    assert_eq!(code, ErrorCode::TransactionalIdAuthorizationFailed);
    assert!(fixture.gate.asked.lock().is_empty());
    let marker = EndTransactionMarker {
        outcome: TransactionOutcome::Abort,
        coordinator_epoch: 0,
    };
    let control = marker
        .build((PRODUCER, ProducerEpoch(0)), TimestampMs(1))
        .unwrap();
    for version in [9, 13] {
        let code = fixture
            .produce(version, Some("id"), control.clone().freeze())
            .await;
        assert_eq!(code, ErrorCode::InvalidRecord);
    }
    let mut plain_control = BatchBuilder::new(BatchOptions {
        content: BatchContent::Control,
        ..BatchOptions::default()
    });
    plain_control.push(Clock::System.now(), None, None, &[]).unwrap();
    let code = fixture
        .produce(9, None, plain_control.build().unwrap().freeze())
        .await;
    assert_eq!(code, ErrorCode::InvalidRecord);
    // A transactional producer may send records outside of transactions: none of its own open.
    let plain = records(0, 0, Transactionality::NonTransactional);
    assert_eq!(fixture.produce(9, Some("id"), plain).await, ErrorCode::None);
    fixture.broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn describe_producers_tells_of_open_transactions() {
    let fixture = Fixture::start().await;
    assert_eq!(
        fixture.produce(9, Some("id"), transactional(2, 0)).await,
        ErrorCode::None
    );
    assert_eq!(
        fixture.produce(9, Some("id"), transactional(2, 1)).await,
        ErrorCode::None
    );
    let request = DescribeProducersRequest::default().with_topics(vec![
        TopicRequest::default()
            .with_name(TopicName(text("orders")))
            .with_partition_indexes(vec![0, 9]),
    ]);
    let told = fixture.broker.call(0, &request).await;
    let partitions = &told.topics[0].partitions;
    let producer = &partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.producer_epoch), (PRODUCER.0, 2));
    assert_eq!(
        (producer.last_sequence, producer.current_txn_start_offset),
        (1, 0)
    );
    assert_eq!(producer.coordinator_epoch, -1);
    assert!(producer.last_timestamp > 0);
    assert_eq!(
        partitions[1].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    fixture.end(2, TransactionOutcome::Commit).await;
    let told = fixture.broker.call(0, &request).await;
    let producer = &told.topics[0].partitions[0].active_producers[0];
    assert_eq!(
        (producer.coordinator_epoch, producer.current_txn_start_offset),
        (3, -1)
    );
    fixture.broker.running.stop().await;
}
