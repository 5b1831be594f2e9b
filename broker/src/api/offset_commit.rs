//! OffsetCommit (key 8), versions 2–10: a consumer notes how far it has read.
//!
//! v2–4 retention time, v6 leader epoch (KIP-320), v7 static members, v8 flexible, v9 member epochs and
//! GROUP_ID_NOT_FOUND, v10 topic ids (KIP-848). Partitions that do not exist or may not be read are answered one by one;
//! the others are committed.

use std::sync::Arc;

use kafka_protocol::messages::OffsetCommitResponse;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use thalweg_coordinator::group::{
    GenerationId, GroupError, GroupId, MemberId, OffsetCommit, OffsetCommitPartition, OffsetCommitReply,
    OffsetCommitTopic,
};
use thalweg_types::ErrorCode;
use thalweg_wire::offsets::{CommitTopic, TopicKey, parse_offset_commit_request};
use uuid::Uuid;

use super::codec::parse;
use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response};
use crate::topics::TopicView;

/// What the client asked for, in its order: partitions with an error are not put to the group.
struct AskedTopic {
    topic: TopicKey,
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body = parse(&request, parse_offset_commit_request)?;
    let exchange = Exchange::new(context, request);
    if !exchange.may(Operation::Read, Resource::group(&body.group_id)) {
        let topics = body
            .topics
            .into_iter()
            .map(|topic| refuse(topic, ErrorCode::GroupAuthorizationFailed));
        let topics = topics.collect();
        return Ok(answer(exchange.charged(), topics, Ok(Vec::new()))?.into());
    }
    let mut asked_topics = Vec::with_capacity(body.topics.len());
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let (asked, commit) = check(&exchange, topic);
        asked_topics.push(asked);
        topics.extend(commit);
    }
    let commit = OffsetCommit {
        api_version: exchange.version(),
        group_id: GroupId::from(body.group_id.as_str()),
        generation: GenerationId(body.generation_or_epoch),
        member_id: MemberId::from(body.member_id.as_str()),
        instance_id: body.instance_id.as_deref().map(Into::into),
        retention_time_ms: (body.retention_time_ms >= 0).then_some(body.retention_time_ms),
        topics,
    };
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
fn check(exchange: &Exchange, topic: CommitTopic) -> (AskedTopic, Option<OffsetCommitTopic>) {
    let view = match resolve(exchange, &topic.topic) {
        Ok(view) => view,
        Err(code) => return (refuse(topic, code), None),
    };
    let exists = |index: i32| (0..view.partitions).contains(&index);
    let mut asked = Vec::with_capacity(topic.partitions.len());
    let mut commits = Vec::with_capacity(topic.partitions.len());
    for partition in topic.partitions {
        let index = partition.index;
        if exists(index.0) {
            asked.push((index.0, None));
            commits.push(OffsetCommitPartition {
                partition: index,
                offset: partition.offset,
                leader_epoch: partition.leader_epoch,
                metadata: partition.metadata,
            });
        } else {
            asked.push((index.0, Some(ErrorCode::UnknownTopicOrPartition)));
        }
    }
    let asked = AskedTopic {
        topic: topic.topic,
        partitions: asked,
    };
    let commit = (!commits.is_empty()).then(|| OffsetCommitTopic {
        topic: (&*view.name).into(),
        partitions: commits,
    });
    (asked, commit)
}

/// Finds the topic, if the client may read it. A name is checked before its topic is looked up, an id can only be
/// checked afterwards.
fn resolve(exchange: &Exchange, topic: &TopicKey) -> Result<Arc<TopicView>, ErrorCode> {
    let may_read = |name: &str| {
        let allowed = exchange.may(Operation::Read, Resource::topic(name));
        allowed.then_some(()).ok_or(ErrorCode::TopicAuthorizationFailed)
    };
    let topics = &exchange.context.topics;
    match topic {
        TopicKey::Name(name) => {
            may_read(name)?;
            topics.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
        }
        TopicKey::Id(id) => {
            let view = topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId)?;
            may_read(&view.name)?;
            Ok(view)
        }
    }
}

fn refuse(topic: CommitTopic, error: ErrorCode) -> AskedTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|partition| (partition.index.0, Some(error)));
    AskedTopic {
        partitions: partitions.collect(),
        topic: topic.topic,
    }
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
        let response = OffsetCommitResponseTopic::default().with_partitions(partitions);
        match topic.topic {
            TopicKey::Name(name) => response.with_name(text(name).into()),
            TopicKey::Id(id) => response.with_topic_id(Uuid::from_bytes(id.0)),
        }
    });
    let topics = topics.collect();
    let response = OffsetCommitResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_topics(topics);
    charged.answer(&response, first_error)
}
