//! A transaction through its APIs, as clients of both protocols use them.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    EndTxnResponse, InitProducerIdRequest, ListTransactionsRequest, OffsetFetchRequest, ProduceRequest,
    ProducerId, TopicName, TransactionalId, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use thalweg_types::{ErrorCode, PartitionIndex, ProducerEpoch};
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp, Transactionality};

use super::Reply;
use super::testing::TestBroker;
use crate::clock::Clock;

fn name(text: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(text))
}

fn id(text: &'static str) -> TransactionalId {
    TransactionalId(StrBytes::from_static_str(text))
}

async fn init(broker: &TestBroker, version: i16) -> (i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id("tx")))
        .with_transaction_timeout_ms(60_000);
    let reply = broker.call(version, &request).await;
    assert_eq!(reply.error_code, 0);
    (reply.producer_id.0, reply.producer_epoch)
}

fn add(producer: (i64, i16), topics: &[(&'static str, i32)]) -> AddPartitionsToTxnRequest {
    let topics = topics
        .iter()
        .map(|(topic, partition)| {
            AddPartitionsToTxnTopic::default()
                .with_name(name(topic))
                .with_partitions(vec![*partition])
        })
        .collect();
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id("tx"))
        .with_v3_and_below_producer_id(ProducerId(producer.0))
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(topics)
}

async fn added(broker: &TestBroker, version: i16, request: &AddPartitionsToTxnRequest) -> Vec<i16> {
    let reply = broker.call(version, request).await;
    let topics = reply.results_by_topic_v3_and_below.iter();
    topics
        .flat_map(|topic| &topic.results_by_partition)
        .map(|partition| partition.partition_error_code)
        .collect()
}

async fn end(broker: &TestBroker, version: i16, producer: (i64, i16), committed: bool) -> EndTxnResponse {
    let request = EndTxnRequest::default()
        .with_transactional_id(id("tx"))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_committed(committed);
    broker.call(version, &request).await
}

async fn state(broker: &TestBroker) -> String {
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id("tx")]);
    let reply = broker.call(0, &request).await;
    reply.transaction_states[0].transaction_state.to_string()
}

/// Waits until the markers are written.
async fn ended(broker: &TestBroker) -> String {
    for _ in 0..1_000 {
        let state = state(broker).await;
        if !state.starts_with("Prepare") {
            return state;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the markers are not written");
}

async fn commit_offset(broker: &TestBroker, version: i16, producer: (i64, i16), offset: i64) -> i16 {
    let partition = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(0)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(StrBytes::from_static_str("m")));
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(name("orders"))
        .with_partitions(vec![partition]);
    let mut request = TxnOffsetCommitRequest::default()
        .with_transactional_id(id("tx"))
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_topics(vec![topic]);
    request.generation_id = -1;
    broker.call(version, &request).await.topics[0].partitions[0].error_code
}

/// Offset and error.
async fn fetch_offset(broker: &TestBroker, require_stable: bool) -> (i64, i16) {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(name("orders"))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(StrBytes::from_static_str("g").into())
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(require_stable);
    let reply = broker.call(9, &request).await;
    let partition = &reply.groups[0].topics[0].partitions[0];
    (partition.committed_offset, partition.error_code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_transaction_is_committed_and_aborted_in_every_version() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    for (add_version, end_version) in [(0, 0), (1, 1), (2, 2), (3, 3), (3, 4), (3, 5)] {
        let producer = init(&broker, add_version).await;
        assert_eq!(
            added(&broker, add_version, &add(producer, &[("orders", 0)])).await,
            [0]
        );
        assert_eq!(state(&broker).await, "Ongoing");
        let reply = end(&broker, end_version, producer, true).await;
        assert_eq!(reply.error_code, 0, "v{end_version}");
        assert_eq!(ended(&broker).await, "CompleteCommit");
        if end_version >= 5 {
            assert_eq!(
                (reply.producer_id.0, reply.producer_epoch),
                (producer.0, producer.1 + 1)
            );
            assert_eq!(
                end(&broker, 5, producer, true).await.producer_epoch,
                producer.1 + 1
            );
        }
        let producer = init(&broker, add_version).await;
        added(&broker, add_version, &add(producer, &[("orders", 1)])).await;
        assert_eq!(end(&broker, end_version, producer, false).await.error_code, 0);
        assert_eq!(ended(&broker).await, "CompleteAbort");
    }
    // Each end wrote one marker, in one of the two partitions.
    let topic = broker.running.topics.by_name("orders").unwrap();
    for partition in 0..2 {
        let log = broker
            .running
            .topics
            .log(&topic, PartitionIndex(partition))
            .unwrap();
        assert_eq!(log.offsets().log_end_offset.0, 6);
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_a_fenced_producer_is_told_so_in_the_words_of_its_version() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let old = init(&broker, 4).await;
    let new = init(&broker, 4).await;
    assert_eq!(new, (old.0, old.1 + 1));
    let (fenced, epoch) = (
        ErrorCode::ProducerFenced.code(),
        ErrorCode::InvalidProducerEpoch.code(),
    );
    for (version, expected) in [(0, epoch), (1, epoch), (2, fenced), (3, fenced)] {
        assert_eq!(
            added(&broker, version, &add(old, &[("orders", 0)])).await,
            [expected]
        );
        assert_eq!(end(&broker, version, old, true).await.error_code, expected);
    }
    for (version, expected) in [(3, epoch), (4, fenced)] {
        let mut request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("tx")))
            .with_transaction_timeout_ms(60_000);
        request.producer_id = ProducerId(old.0);
        request.producer_epoch = old.1 + 9;
        assert_eq!(broker.call(version, &request).await.error_code, expected);
    }
    // A partition that does not exist keeps the others from being added.
    let both = add(new, &[("orders", 0), ("orders", 7), ("__transaction_state", 0)]);
    let codes = added(&broker, 3, &both).await;
    let expected = [
        ErrorCode::OperationNotAttempted,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::TopicAuthorizationFailed,
    ];
    assert_eq!(codes, expected.map(ErrorCode::code));
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_a_transaction_count_once_it_commits() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let unstable = ErrorCode::UnstableOffsetCommit.code();
    let mut producer = init(&broker, 4).await;
    // Nobody told the coordinator of the group.
    assert_eq!(
        commit_offset(&broker, 3, producer, 5).await,
        ErrorCode::InvalidTxnState.code()
    );
    assert_eq!(
        commit_offset(&broker, 4, producer, 5).await,
        ErrorCode::TransactionAbortable.code()
    );
    let group = AddOffsetsToTxnRequest::default()
        .with_transactional_id(id("tx"))
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_group_id(StrBytes::from_static_str("g").into());
    assert_eq!(broker.call(3, &group).await.error_code, 0);
    assert_eq!(commit_offset(&broker, 3, producer, 5).await, 0);
    assert_eq!(fetch_offset(&broker, false).await, (-1, 0));
    assert_eq!(fetch_offset(&broker, true).await, (-1, unstable));
    assert_eq!(end(&broker, 3, producer, true).await.error_code, 0);
    ended(&broker).await;
    assert_eq!(fetch_offset(&broker, true).await, (5, 0));
    // Version 5 adds the partition by itself, and its end raises the epoch.
    for (offset, committed) in [(6, false), (7, true)] {
        assert_eq!(commit_offset(&broker, 5, producer, offset).await, 0);
        let reply = end(&broker, 5, producer, committed).await;
        assert_eq!(reply.error_code, 0);
        producer = (reply.producer_id.0, reply.producer_epoch);
        ended(&broker).await;
        let expected = if committed { 7 } else { 5 };
        assert_eq!(fetch_offset(&broker, true).await, (expected, 0));
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_ask_for_many_transactions_and_only_verify() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let producer = init(&broker, 4).await;
    added(&broker, 3, &add(producer, &[("orders", 0)])).await;
    let verify = |partitions: Vec<i32>| {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(name("orders"))
            .with_partitions(partitions);
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id("tx"))
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_verify_only(true)
            .with_topics(vec![topic]);
        AddPartitionsToTxnRequest::default().with_transactions(vec![transaction])
    };
    for (version, refused) in [
        (4, ErrorCode::InvalidTxnState),
        (5, ErrorCode::TransactionAbortable),
    ] {
        let reply = broker.call(version, &verify(vec![0, 1])).await;
        let results = &reply.results_by_transaction[0].topic_results[0].results_by_partition;
        let codes: Vec<i16> = results.iter().map(|result| result.partition_error_code).collect();
        assert_eq!(codes, [0, refused.code()]);
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_lists_describes_and_ends_transactions() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let empty = broker.call(2, &ListTransactionsRequest::default()).await;
    assert_eq!((empty.error_code, empty.transaction_states.len()), (0, 0));
    let producer = init(&broker, 4).await;
    added(&broker, 3, &add(producer, &[("orders", 0)])).await;
    for (pattern, count) in [("t.*", 1), ("x|tx", 1), ("t", 0), ("", 1)] {
        let list = ListTransactionsRequest::default()
            .with_state_filters(vec![
                StrBytes::from_static_str("Ongoing"),
                StrBytes::from_static_str("Nonsense"),
            ])
            .with_transactional_id_pattern(Some(StrBytes::from_static_str(pattern)));
        let reply = broker.call(2, &list).await;
        assert_eq!(reply.error_code, 0);
        assert_eq!(reply.transaction_states.len(), count, "{pattern}");
        assert_eq!(reply.unknown_state_filters[0].as_str(), "Nonsense");
    }
    let wrong = ListTransactionsRequest::default()
        .with_transactional_id_pattern(Some(StrBytes::from_static_str("(")));
    assert_eq!(
        broker.call(2, &wrong).await.error_code,
        ErrorCode::InvalidRegularExpression.code()
    );
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id("tx"), id("no")]);
    let reply = broker.call(0, &describe).await;
    let known = &reply.transaction_states[0];
    assert_eq!(known.topics[0].partitions, [0]);
    assert_eq!(
        (known.producer_id.0, known.transaction_timeout_ms),
        (producer.0, 60_000)
    );
    assert_eq!(
        reply.transaction_states[1].error_code,
        ErrorCode::TransactionalIdNotFound.code()
    );
    let topics = [("orders", 0), ("orders", 9), ("nothing", 0)].map(|(topic, partition)| {
        WritableTxnMarkerTopic::default()
            .with_name(name(topic))
            .with_partition_indexes(vec![partition])
    });
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(producer.0))
        .with_producer_epoch(producer.1)
        .with_coordinator_epoch(0)
        .with_topics(topics.to_vec());
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let reply = broker.call(1, &request).await;
    let codes: Vec<i16> = reply.markers[0]
        .topics
        .iter()
        .map(|topic| topic.partitions[0].error_code)
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(codes, [0, unknown, unknown]);
    broker.running.stop().await;
}

/// Appends a record in a transaction of the newer protocol.
async fn write_in_transaction(broker: &TestBroker, producer: (i64, i16)) {
    let mut batch = BatchBuilder::new(BatchOptions {
        producer: Some(ProducerStamp {
            id: thalweg_types::ProducerId(producer.0),
            epoch: ProducerEpoch(producer.1),
            base_sequence: 0,
        }),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    });
    batch
        .push(Clock::System.now(), None, Some(b"value"), &[])
        .unwrap();
    let partition = PartitionProduceData::default().with_records(Some(batch.build().unwrap().freeze()));
    let data = TopicProduceData::default()
        .with_name(name("orders"))
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(Some(id("tx")))
        .with_acks(-1)
        .with_topic_data(vec![data]);
    let reply = broker.call(12, &request).await;
    assert_eq!(reply.responses[0].partition_responses[0].error_code, 0);
}

/// Sends a marker in version 2, which the message crate cannot write or read: the transaction's version is one byte
/// behind the fields of version 1, the answer is that of version 1.
async fn write_marker(broker: &TestBroker, (producer_id, epoch): (i64, i16), transaction_version: u8) -> i16 {
    let topic = WritableTxnMarkerTopic::default()
        .with_name(name("orders"))
        .with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch)
        .with_topics(vec![topic]);
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let mut body = BytesMut::new();
    request.encode(&mut body, 1).unwrap();
    let tagged_fields = body.split_off(body.len() - 2);
    body.put_u8(transaction_version);
    body.unsplit(tagged_fields);
    let Ok(Reply::Later(later)) = broker.reply(27, 2, body.freeze()).await else {
        panic!("no answer");
    };
    let mut frame = later.await.unwrap().frame.to_contiguous();
    // Length, correlation id, no tagged fields.
    frame.advance(9);
    let reply = WriteTxnMarkersResponse::decode(&mut frame, 1).unwrap();
    assert!(frame.is_empty());
    reply.markers[0].topics[0].partitions[0].error_code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_of_the_newer_protocol_has_to_raise_the_epoch() {
    let broker = TestBroker::start();
    broker.running.topic("orders").await;
    let producer = init(&broker, 5).await;
    write_in_transaction(&broker, producer).await;
    let late = write_marker(&broker, producer, 2).await;
    assert_eq!(late, ErrorCode::InvalidProducerEpoch.code());
    assert_eq!(write_marker(&broker, (producer.0, producer.1 + 1), 2).await, 0);
    broker.running.stop().await;
    // The older protocol ends a transaction with its own epoch.
    for transaction_version in [0, 1] {
        let broker = TestBroker::start();
        broker.running.topic("orders").await;
        let producer = init(&broker, 5).await;
        write_in_transaction(&broker, producer).await;
        assert_eq!(write_marker(&broker, producer, transaction_version).await, 0);
        broker.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_a_transaction_that_is_cut_closes_the_connection() {
    let broker = TestBroker::start();
    for key in [24, 25, 26, 27, 28, 65, 66] {
        let version = super::table::row(key).unwrap().version_max;
        let reply = broker.reply(key, version, Bytes::from_static(&[0xff])).await;
        assert!(reply.is_err(), "key {key}");
    }
    broker.running.stop().await;
}
