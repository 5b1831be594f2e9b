//! OffsetCommit (key 8), versions 2–9: a consumer notes how far it has read.
//!
//! v2–4 retention time, v6 leader epoch (KIP-320), v7 static members, v8 flexible, v9 member epochs and
//! GROUP_ID_NOT_FOUND (KIP-848). Partitions that do not exist or may not be read are answered one by one; the others
//! are committed.
//!
//! Left out: v10 (topic ids), which the schemas cannot decode yet.

use std::sync::Arc;

use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestTopic;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use kafka_protocol::protocol::StrBytes;
use thalweg_coordinator::group::{
    GenerationId, GroupError, GroupId, MemberId, OffsetCommit, OffsetCommitPartition, OffsetCommitReply,
    OffsetCommitTopic,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

/// What the client asked for, in its order: partitions with an error are not put to the group.
struct AskedTopic {
    name: StrBytes,
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: OffsetCommitRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    if !exchange.may(Operation::Read, Resource::group(&body.group_id)) {
        let topics = body
            .topics
            .iter()
            .map(|topic| refuse(topic, ErrorCode::GroupAuthorizationFailed));
        let topics = topics.collect();
        return Ok(answer(exchange.charged(), topics, Ok(Vec::new()))?.into());
    }
    let mut asked_topics = Vec::with_capacity(body.topics.len());
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in &body.topics {
        let (asked, commit) = check(&exchange, topic);
        asked_topics.push(asked);
        topics.extend(commit);
    }
    let commit = OffsetCommit {
        api_version: exchange.version(),
        group_id: GroupId::from(body.group_id.as_str()),
        generation: GenerationId(body.generation_id_or_member_epoch),
        member_id: MemberId::from(body.member_id.as_str()),
        instance_id: body.group_instance_id.as_ref().map(|id| id.as_str().into()),
        retention_time_ms: (body.retention_time_ms >= 0).then_some(body.retention_time_ms),
        topics,
    };
    // The names in the answer are copies: from here on nothing holds the frame.
    drop(body);
    if commit.topics.is_empty() {
        return Ok(answer(exchange.charged(), asked_topics, Ok(Vec::new()))?.into());
    }
    let asked = exchange.context.groups.ask(commit).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(answer(charged, asked_topics, Err(error.error_code()))?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            let outcomes = outcomes(asked.wait().await);
            answer(charged, asked_topics, outcomes)
        })),
    }
}

/// Sorts a topic's partitions into those that can be committed and those that cannot.
fn check(exchange: &Exchange, topic: &OffsetCommitRequestTopic) -> (AskedTopic, Option<OffsetCommitTopic>) {
    if !exchange.may(Operation::Read, Resource::topic(&topic.name)) {
        return (refuse(topic, ErrorCode::TopicAuthorizationFailed), None);
    }
    let Some(view) = exchange.context.topics.by_name(&topic.name) else {
        return (refuse(topic, ErrorCode::UnknownTopicOrPartition), None);
    };
    let exists = |index: i32| (0..view.partitions).contains(&index);
    let asked = topic.partitions.iter().map(|partition| {
        let index = partition.partition_index;
        (
            index,
            (!exists(index)).then_some(ErrorCode::UnknownTopicOrPartition),
        )
    });
    let commits = topic
        .partitions
        .iter()
        .filter(|partition| exists(partition.partition_index));
    let commits = commits.map(|partition| OffsetCommitPartition {
        partition: PartitionIndex(partition.partition_index),
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.as_ref().map(ToString::to_string),
    });
    let commits: Vec<_> = commits.collect();
    let asked = AskedTopic {
        name: copied(topic),
        partitions: asked.collect(),
    };
    let commit = (!commits.is_empty()).then(|| OffsetCommitTopic {
        topic: topic.name.as_str().into(),
        partitions: commits,
    });
    (asked, commit)
}

fn refuse(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> AskedTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| (partition.partition_index, Some(error)));
    AskedTopic {
        name: copied(topic),
        partitions: partitions.collect(),
    }
}

fn copied(topic: &OffsetCommitRequestTopic) -> StrBytes {
    text(topic.name.as_str())
}

/// The group's answer: a code for each partition, in the order in which they were put to it, or one for all.
type Outcomes = Result<Vec<ErrorCode>, ErrorCode>;

fn outcomes(reply: Result<OffsetCommitReply, GroupError>) -> Outcomes {
    let reply = reply.map_err(|error| error.error_code())?;
    let partitions = reply.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions
        .map(|partition| {
            partition
                .outcome
                .err()
                .map_or(ErrorCode::None, |error| error.error_code())
        })
        .collect())
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
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|(index, refused)| {
            let error = refused.unwrap_or_else(|| outcomes.next().unwrap_or(otherwise));
            if first_error == ErrorCode::None {
                first_error = error;
            }
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.into())
            .with_partitions(partitions)
    });
    let topics = topics.collect();
    let response = OffsetCommitResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_topics(topics);
    charged.answer(&response, first_error)
}
