//! TxnOffsetCommit (key 28), versions 0–5 (KIP-98): offsets that count once the transaction commits.
//!
//! v2 leader epoch, v3 flexible, generation and member (KIP-447), v4 TRANSACTION_ABORTABLE, v5 adds the group's partition
//! to the transaction by itself (KIP-890); before that the coordinator is asked whether it was added. Partitions that do
//! not exist or may not be read are answered one by one; the others are committed.

use std::sync::Arc;

use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use thalweg_coordinator::group::{
    GenerationId, GroupId, MemberId, OffsetCommit, OffsetCommitPartition, OffsetCommitReply,
    OffsetCommitTopic, TopicName, TxnOffsetCommit,
};
use thalweg_coordinator::transaction::{
    AddPartitions, TransactionError, TransactionVersion, TransactionalId, VerifyPartitions,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::transactional::{producer, protocol_of};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::groups::{Asked, OFFSETS_TOPIC, OffsetsVerification};
use crate::transactions::storage_version;

/// First version whose clients survive COORDINATOR_LOAD_IN_PROGRESS.
const LOADING_SINCE: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_SINCE: i16 = 4;
/// First version that adds the partition by itself.
const IMPLICIT_SINCE: i16 = 5;
/// The version of OffsetCommit whose rules hold where it matters.
const COMMIT_VERSION: i16 = 7;

/// What the client asked for, in its order: partitions with an error are not put to the group.
type AskedTopic = (TopicName, Vec<(i32, Option<ErrorCode>)>);

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: TxnOffsetCommitRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let mut asked_topics = Vec::with_capacity(body.topics.len());
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in &body.topics {
        let (asked, commit) = check(&exchange, topic);
        asked_topics.push(asked);
        topics.extend(commit);
    }
    let refused = if !exchange.may(
        Operation::Write,
        Resource::transactional_id(&body.transactional_id),
    ) {
        Some(ErrorCode::TransactionalIdAuthorizationFailed)
    } else if !exchange.may(Operation::Read, Resource::group(&body.group_id)) {
        Some(ErrorCode::GroupAuthorizationFailed)
    } else {
        None
    };
    if let Some(code) = refused {
        return Ok(answer(exchange.charged(), asked_topics, Err(code))?.into());
    }
    if topics.is_empty() {
        return Ok(answer(exchange.charged(), asked_topics, Ok(Vec::new()))?.into());
    }
    let commit = commit(&body, topics);
    let transactional_id = TransactionalId::from(body.transactional_id.as_str());
    drop(body);
    let asked = ask(&exchange, transactional_id, commit).await;
    let version = exchange.version();
    let charged = exchange.charged();
    match asked {
        Err(code) => Ok(answer(charged, asked_topics, Err(in_version(code, version)))?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            let reply = asked.wait().await.map_err(|error| error.error_code());
            let outcomes = reply.map(|reply| outcomes(&reply, version));
            answer(
                charged,
                asked_topics,
                outcomes.map_err(|code| in_version(code, version)),
            )
        })),
    }
}

fn commit(body: &TxnOffsetCommitRequest, topics: Vec<OffsetCommitTopic>) -> TxnOffsetCommit {
    TxnOffsetCommit {
        producer: producer(body.producer_id, body.producer_epoch),
        commit: OffsetCommit {
            api_version: COMMIT_VERSION,
            group_id: GroupId::from(body.group_id.as_str()),
            generation: GenerationId(body.generation_id),
            member_id: MemberId::from(body.member_id.as_str()),
            instance_id: body.group_instance_id.as_deref().map(Into::into),
            retention_time_ms: None,
            topics,
        },
    }
}

/// Asks the transaction coordinator about the group's partition, then puts the commit to the group.
async fn ask(
    exchange: &Exchange,
    transactional_id: TransactionalId,
    commit: TxnOffsetCommit,
) -> Result<Asked<TxnOffsetCommit>, ErrorCode> {
    let version = protocol_of(exchange.version(), IMPLICIT_SINCE);
    let groups = &exchange.context.groups;
    let verification = groups
        .begin_verification(&commit, storage_version(version))
        .await
        .map_err(|error| error.error_code())?;
    if verification.is_needed() {
        admit(exchange, transactional_id, (&commit, version), &verification)
            .await
            .map_err(|error| error.error_code())?;
    }
    groups
        .ask_transactional(commit, &verification)
        .map_err(|error| error.error_code())
}

async fn admit(
    exchange: &Exchange,
    transactional_id: TransactionalId,
    (commit, version): (&TxnOffsetCommit, TransactionVersion),
    verification: &OffsetsVerification,
) -> Result<(), TransactionError> {
    let transactions = &exchange.context.transactions;
    let partitions = vec![(TopicName::from(OFFSETS_TOPIC), verification.partition)];
    // The group's append, which the client's answer waits for, comes after the coordinator's in the write-ahead log.
    if version.bumps_epoch() {
        let request = AddPartitions {
            transactional_id,
            producer: commit.producer,
            partitions,
            version,
        };
        return transactions.ask(request).await?.in_log();
    }
    let request = VerifyPartitions {
        transactional_id,
        producer: commit.producer,
        partitions,
    };
    let verified = transactions.ask(request).await?.in_log()?;
    verified.into_iter().try_for_each(|partition| partition.outcome)
}

/// Sorts a topic's partitions into those that can be committed and those that cannot.
fn check(
    exchange: &Exchange,
    topic: &TxnOffsetCommitRequestTopic,
) -> (AskedTopic, Option<OffsetCommitTopic>) {
    let name = TopicName::from(topic.name.as_str());
    let may_read = exchange.may(Operation::Read, Resource::topic(&topic.name));
    let count = exchange
        .context
        .topics
        .by_name(&topic.name)
        .map_or(0, |view| view.partitions);
    let mut asked = Vec::with_capacity(topic.partitions.len());
    let mut commits = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let index = partition.partition_index;
        let refused = if !may_read {
            Some(ErrorCode::TopicAuthorizationFailed)
        } else if !(0..count).contains(&index) {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        };
        asked.push((index, refused));
        if refused.is_none() {
            commits.push(OffsetCommitPartition {
                partition: PartitionIndex(index),
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                metadata: partition.committed_metadata.as_deref().map(str::to_owned),
            });
        }
    }
    let commit = (!commits.is_empty()).then(|| OffsetCommitTopic {
        topic: name.clone(),
        partitions: commits,
    });
    ((name, asked), commit)
}

/// A code for each partition, in the order in which they were put to the group, or one for all.
type Outcomes = Result<Vec<ErrorCode>, ErrorCode>;

fn outcomes(reply: &OffsetCommitReply, version: i16) -> Vec<ErrorCode> {
    let partitions = reply.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| {
            let refused = partition.outcome.err().map(|error| error.error_code());
            refused.map_or(ErrorCode::None, |code| in_version(code, version))
        })
        .collect()
}

/// Returns the code that a client of this version knows what to do with.
fn in_version(code: ErrorCode, version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        ErrorCode::InvalidTxnState if version >= IMPLICIT_SINCE => ErrorCode::TransactionAbortable,
        // Older clients know it of no answer here; this one makes them ask again.
        ErrorCode::ConcurrentTransactions if version < IMPLICIT_SINCE => {
            in_version(ErrorCode::CoordinatorLoadInProgress, version)
        }
        ErrorCode::CoordinatorLoadInProgress if version < LOADING_SINCE => ErrorCode::CoordinatorNotAvailable,
        code => code,
    }
}

fn answer(charged: Charged, topics: Vec<AskedTopic>, outcomes: Outcomes) -> Result<Response, ApiError> {
    // A group answers every partition; were one missing, it must not read as committed.
    let otherwise = outcomes
        .as_ref()
        .err()
        .copied()
        .unwrap_or(ErrorCode::UnknownServerError);
    let mut outcomes = outcomes.unwrap_or_default().into_iter();
    let mut first_error = ErrorCode::None;
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, refused)| {
            let error = refused.unwrap_or_else(|| outcomes.next().unwrap_or(otherwise));
            if first_error.is_none() {
                first_error = error;
            }
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.code())
        });
        TxnOffsetCommitResponseTopic::default()
            .with_partitions(partitions.collect())
            .with_name(text(topic.as_str()).into())
    });
    let topics = topics.collect();
    let response = TxnOffsetCommitResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_topics(topics);
    charged.answer(&response, first_error)
}
