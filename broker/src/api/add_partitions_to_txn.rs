//! AddPartitionsToTxn (key 24), versions 0–5 (KIP-98): a producer is about to write to partitions.
//!
//! v2 PRODUCER_FENCED, v3 flexible, v4 for brokers: many transactions, each of which may only ask (KIP-890), v5
//! TRANSACTION_ABORTABLE. Versions 0–3 come from clients: either every partition is added or none, and one that may not
//! be or does not exist leaves the others OPERATION_NOT_ATTEMPTED.

use std::sync::Arc;

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use thalweg_coordinator::group::TopicName;
use thalweg_coordinator::transaction::{
    AddPartitions, TransactionError, TransactionVersion, TransactionalId, VerifyPartitions,
};
use thalweg_storage::log::rows::WriteState;
use thalweg_types::{ErrorCode, PartitionIndex};

use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::transactional::{code_in_version, producer};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};
use crate::transactions::Asked;

/// First version with many transactions, for brokers.
const BATCHED_SINCE: i16 = 4;
/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 5;

/// A partition and, if it is refused by itself, why.
type AskedPartition = (TopicName, PartitionIndex, Option<ErrorCode>);

/// What was asked of the coordinator.
enum Progress {
    Added(Asked<AddPartitions>),
    Verified(Asked<VerifyPartitions>),
    Refused(ErrorCode),
}

/// One transaction of the request on its way.
struct AskedTransaction {
    transactional_id: TransactionalId,
    partitions: Vec<AskedPartition>,
    progress: Progress,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: AddPartitionsToTxnRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let version = exchange.version();
    let is_batched = version >= BATCHED_SINCE;
    if is_batched && !exchange.may(Operation::ClusterAction, Resource::CLUSTER) {
        let charged = exchange.charged();
        let error = ErrorCode::ClusterAuthorizationFailed;
        let response = AddPartitionsToTxnResponse::default()
            .with_throttle_time_ms(charged.throttle_ms())
            .with_error_code(error.code());
        return Ok(charged.answer(&response, error)?.into());
    }
    let transactions = if is_batched {
        body.transactions
    } else {
        vec![
            AddPartitionsToTxnTransaction::default()
                .with_transactional_id(body.v3_and_below_transactional_id)
                .with_producer_id(body.v3_and_below_producer_id)
                .with_producer_epoch(body.v3_and_below_producer_epoch)
                .with_topics(body.v3_and_below_topics),
        ]
    };
    let mut asked = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        asked.push(ask(&exchange, transaction).await);
    }
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let mut first_error = ErrorCode::None;
        let mut results = Vec::with_capacity(asked.len());
        for transaction in asked {
            let codes = codes(transaction.progress, &transaction.partitions, version).await;
            if first_error.is_none() {
                first_error = codes
                    .iter()
                    .copied()
                    .find(|code| !code.is_none())
                    .unwrap_or(ErrorCode::None);
            }
            let topics = topic_results(&transaction.partitions, &codes);
            results.push((transaction.transactional_id, topics));
        }
        let mut response = AddPartitionsToTxnResponse::default().with_throttle_time_ms(charged.throttle_ms());
        if is_batched {
            let results = results.into_iter().map(|(id, topics)| {
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(text(id.as_str()).into())
                    .with_topic_results(topics)
            });
            response.results_by_transaction = results.collect();
        } else if let Some((_, topics)) = results.pop() {
            response.results_by_topic_v3_and_below = topics;
        }
        charged.answer(&response, first_error)
    }))
}

async fn ask(exchange: &Exchange, transaction: AddPartitionsToTxnTransaction) -> AskedTransaction {
    let transactional_id = TransactionalId::from(transaction.transactional_id.as_str());
    let partitions = check(exchange, &transaction.topics);
    let progress = progress(exchange, &transactional_id, (&transaction, &partitions)).await;
    AskedTransaction {
        transactional_id,
        partitions,
        progress,
    }
}

async fn progress(
    exchange: &Exchange,
    transactional_id: &TransactionalId,
    (transaction, partitions): (&AddPartitionsToTxnTransaction, &[AskedPartition]),
) -> Progress {
    let is_client = exchange.version() < BATCHED_SINCE;
    if is_client && !exchange.may(Operation::Write, Resource::transactional_id(transactional_id)) {
        return Progress::Refused(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if partitions.iter().any(|(_, _, refused)| refused.is_some()) {
        return Progress::Refused(ErrorCode::OperationNotAttempted);
    }
    let named = partitions.iter().map(|(topic, index, _)| (topic.clone(), *index));
    let named: Vec<_> = named.collect();
    let producer = producer(transaction.producer_id, transaction.producer_epoch);
    let transactions = &exchange.context.transactions;
    let asked = if transaction.verify_only {
        let request = VerifyPartitions {
            transactional_id: transactional_id.clone(),
            producer,
            partitions: named,
        };
        transactions.ask(request).await.map(Progress::Verified)
    } else {
        let request = AddPartitions {
            transactional_id: transactional_id.clone(),
            producer,
            partitions: named,
            version: if is_client {
                TransactionVersion::V0
            } else {
                TransactionVersion::V2
            },
        };
        transactions.ask(request).await.map(Progress::Added)
    };
    asked.unwrap_or_else(|error| Progress::Refused(error.error_code()))
}

/// Looks at every partition by itself. What brokers ask for was looked at before.
fn check(exchange: &Exchange, topics: &[AddPartitionsToTxnTopic]) -> Vec<AskedPartition> {
    let is_client = exchange.version() < BATCHED_SINCE;
    let mut partitions = Vec::new();
    for topic in topics {
        let name = TopicName::from(topic.name.as_str());
        let view = exchange.context.topics.by_name(&topic.name);
        let is_internal = view.as_ref().is_some_and(|view| view.is_internal());
        let may_write = !is_client
            || (!is_internal && exchange.may(Operation::Write, Resource::topic(topic.name.as_str())));
        let takes_none = |index: i32| {
            let log = view
                .as_ref()
                .and_then(|view| exchange.context.topics.log(view, PartitionIndex(index)));
            log.is_some_and(|log| log.write_state() != WriteState::Open)
        };
        let count = view.as_ref().map_or(0, |view| view.partitions);
        for index in &topic.partitions {
            let refused = if !may_write {
                Some(ErrorCode::TopicAuthorizationFailed)
            } else if !(0..count).contains(index) {
                Some(ErrorCode::UnknownTopicOrPartition)
            } else if takes_none(*index) {
                // Only a mirror's link writes there, markers too; a sealed partition takes no new records.
                Some(ErrorCode::PolicyViolation)
            } else {
                None
            };
            partitions.push((name.clone(), PartitionIndex(*index), refused));
        }
    }
    partitions
}

/// Waits for the coordinator; returns a code for each partition, in their order.
async fn codes(progress: Progress, partitions: &[AskedPartition], version: i16) -> Vec<ErrorCode> {
    let code = |error: TransactionError| match error {
        TransactionError::TransactionAbortable if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        error => code_in_version(error, version, FENCED_SINCE),
    };
    let all = |code: ErrorCode| -> Vec<ErrorCode> {
        partitions
            .iter()
            .map(|(_, _, refused)| refused.unwrap_or(code))
            .collect()
    };
    match progress {
        Progress::Refused(error) => all(error),
        Progress::Added(asked) => match asked.wait().await {
            Ok(()) => all(ErrorCode::None),
            Err(error) => all(code(error)),
        },
        Progress::Verified(asked) => match asked.wait().await {
            Ok(verified) => verified
                .into_iter()
                .map(|partition| partition.outcome.err().map_or(ErrorCode::None, code))
                .collect(),
            Err(error) => all(code(error)),
        },
    }
}

/// Puts partitions back below their topics, in the order of the request.
fn topic_results(partitions: &[AskedPartition], codes: &[ErrorCode]) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut topics: Vec<AddPartitionsToTxnTopicResult> = Vec::new();
    for ((topic, index, _), code) in partitions.iter().zip(codes) {
        let result = AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(index.0)
            .with_partition_error_code(code.code());
        match topics
            .last_mut()
            .filter(|last| last.name.as_str() == topic.as_str())
        {
            Some(last) => last.results_by_partition.push(result),
            None => topics.push(
                AddPartitionsToTxnTopicResult::default()
                    .with_name(text(topic.as_str()).into())
                    .with_results_by_partition(vec![result]),
            ),
        }
    }
    topics
}
