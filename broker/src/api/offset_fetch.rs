//! OffsetFetch (key 9), versions 1–9: how far a group has read.
//!
//! v2 all topics and a top-level error, v5 leader epoch (KIP-320), v6 flexible, v7 `require_stable` (KIP-447), v8 many
//! groups (KIP-709), v9 member epochs (KIP-848). An unknown group, and a partition without a committed offset, is
//! offset −1 and no error.
//!
//! Left out: the member epoch of v9 is not looked at, since no group here has one; v10 (topic ids), which the schemas
//! cannot decode yet.

use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use thalweg_coordinator::group::{
    FetchTopics, FetchedOffset, FetchedTopic, GroupId, OffsetFetch, Stability, TopicName, TopicPartitions,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::api::ConnectionInfo;
use crate::groups::Asked;

/// First version with an error of the whole response.
const TOP_ERROR_SINCE: i16 = 2;
/// First version with many groups.
const GROUPS_SINCE: i16 = 8;

/// One group of the request on its way.
struct AskedGroup {
    group_id: GroupId,
    /// What the client named, in its order; `None` = everything there is.
    wanted: Option<Vec<TopicPartitions>>,
    progress: Result<Asked<OffsetFetch>, ErrorCode>,
}

/// One group's answer.
struct Answered {
    group_id: GroupId,
    wanted: Option<Vec<TopicPartitions>>,
    outcome: Result<Vec<FetchedTopic>, ErrorCode>,
}

/// A partition, or why it is not told.
type Told = Result<FetchedOffset, (PartitionIndex, ErrorCode)>;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: OffsetFetchRequest = decode(&request)?;
    let wanted = wanted(&body, request.header.api_version);
    let stability = if body.require_stable {
        Stability::Stable
    } else {
        Stability::Any
    };
    drop(body);
    let exchange = Exchange::new(context, request);
    let mut asked = Vec::with_capacity(wanted.len());
    for (group_id, topics) in wanted {
        asked.push(ask(&exchange, group_id, topics, stability).await);
    }
    let visible = Visible {
        context: Arc::clone(&exchange.context),
        connection: Arc::clone(&exchange.connection),
    };
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for group in asked {
            let outcome = match group.progress {
                Err(error) => Err(error),
                Ok(asked) => match asked.wait().await {
                    Ok(reply) => reply.outcome.map_err(|error| error.error_code()),
                    Err(error) => Err(error.error_code()),
                },
            };
            groups.push(Answered {
                group_id: group.group_id,
                wanted: group.wanted,
                outcome,
            });
        }
        if charged.version() >= GROUPS_SINCE {
            answer_groups(charged, &visible, groups)
        } else {
            answer_one(charged, &visible, groups)
        }
    }))
}

fn wanted(body: &OffsetFetchRequest, version: i16) -> Vec<(GroupId, Option<Vec<TopicPartitions>>)> {
    let topic = |name: &str, partitions: &[i32]| TopicPartitions {
        topic: TopicName::from(name),
        partitions: partitions.iter().copied().map(PartitionIndex).collect(),
    };
    if version < GROUPS_SINCE {
        let topics = body.topics.as_ref();
        let topics = topics.map(|all| all.iter().map(|t| topic(&t.name, &t.partition_indexes)).collect());
        return vec![(GroupId::from(body.group_id.as_str()), topics)];
    }
    let groups = body.groups.iter().map(|group| {
        let topics = group.topics.as_ref();
        let topics = topics.map(|all| all.iter().map(|t| topic(&t.name, &t.partition_indexes)).collect());
        (GroupId::from(group.group_id.as_str()), topics)
    });
    groups.collect()
}

async fn ask(
    exchange: &Exchange,
    group_id: GroupId,
    wanted: Option<Vec<TopicPartitions>>,
    stability: Stability,
) -> AskedGroup {
    if !exchange.may(Operation::Describe, Resource::group(&group_id)) {
        return AskedGroup {
            group_id,
            wanted,
            progress: Err(ErrorCode::GroupAuthorizationFailed),
        };
    }
    let topics = wanted.clone().map_or(FetchTopics::All, FetchTopics::Some);
    let fetch = OffsetFetch {
        group_id: group_id.clone(),
        topics,
        stability,
    };
    let progress = exchange
        .context
        .groups
        .ask(fetch)
        .await
        .map_err(|error| error.error_code());
    AskedGroup {
        group_id,
        wanted,
        progress,
    }
}

/// Which topics the client may see.
struct Visible {
    context: Arc<Context>,
    connection: Arc<ConnectionInfo>,
}

impl Visible {
    fn contains(&self, topic: &str) -> bool {
        let authorizer = &self.context.authorizer;
        authorizer
            .authorize(&self.connection, Operation::Describe, Resource::topic(topic))
            .is_allowed()
    }

    /// What of a group's offsets is told: a topic that was asked for by name is refused, another one left out.
    fn topics(&self, group: Answered) -> Result<Vec<(TopicName, Vec<Told>)>, ErrorCode> {
        let was_named = group.wanted.is_some();
        let mut told = Vec::new();
        for topic in group.outcome? {
            let is_visible = self.contains(&topic.topic);
            if !is_visible && !was_named {
                continue;
            }
            let partitions = topic.partitions.into_iter().map(|fetched| {
                if is_visible {
                    Ok(fetched)
                } else {
                    Err((fetched.partition, ErrorCode::TopicAuthorizationFailed))
                }
            });
            told.push((topic.topic, partitions.collect()));
        }
        Ok(told)
    }
}

fn answer_groups(charged: Charged, visible: &Visible, groups: Vec<Answered>) -> Result<Response, ApiError> {
    let mut first_error = ErrorCode::None;
    let groups = groups.into_iter().map(|group| {
        let response =
            OffsetFetchResponseGroup::default().with_group_id(text(group.group_id.as_str()).into());
        match visible.topics(group) {
            Ok(topics) => response.with_topics(topics.into_iter().map(new_topic).collect()),
            Err(error) => {
                if first_error == ErrorCode::None {
                    first_error = error;
                }
                response.with_error_code(error.code())
            }
        }
    });
    let groups = groups.collect();
    let response = OffsetFetchResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_groups(groups);
    charged.answer(&response, first_error)
}

fn answer_one(charged: Charged, visible: &Visible, groups: Vec<Answered>) -> Result<Response, ApiError> {
    let mut response = OffsetFetchResponse::default().with_throttle_time_ms(charged.throttle_ms());
    let mut top_error = ErrorCode::None;
    for group in groups {
        let wanted = group.wanted.clone();
        match visible.topics(group) {
            Ok(topics) => response.topics.extend(topics.into_iter().map(old_topic)),
            Err(error) if charged.version() >= TOP_ERROR_SINCE => top_error = error,
            // Version 1 has no other place for it than every partition.
            Err(error) => {
                top_error = error;
                let topics = wanted.unwrap_or_default().into_iter().map(|topic| {
                    let partitions = topic.partitions.into_iter().map(|index| Err((index, error)));
                    old_topic((topic.topic, partitions.collect()))
                });
                response.topics.extend(topics);
            }
        }
    }
    if charged.version() >= TOP_ERROR_SINCE {
        response.error_code = top_error.code();
    }
    charged.answer(&response, top_error)
}

/// Splits a partition into what the wire says of it: the offset, and the error.
fn flat(told: Told) -> (FetchedOffset, i16) {
    match told {
        Ok(fetched) => {
            let error = fetched.error.map_or(0, |error| error.error_code().code());
            (fetched, error)
        }
        Err((partition, error)) => (FetchedOffset::none(partition), error.code()),
    }
}

fn new_topic((topic, partitions): (TopicName, Vec<Told>)) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|told| {
        let (fetched, error) = flat(told);
        let (PartitionIndex(index), Offset(offset)) = (fetched.partition, fetched.offset);
        let LeaderEpoch(epoch) = fetched.leader_epoch;
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(fetched.metadata)))
            .with_error_code(error)
    });
    OffsetFetchResponseTopics::default()
        .with_name(text(topic.as_str()).into())
        .with_partitions(partitions.collect())
}

fn old_topic((topic, partitions): (TopicName, Vec<Told>)) -> OffsetFetchResponseTopic {
    let partitions = partitions.into_iter().map(|told| {
        let (fetched, error) = flat(told);
        let (PartitionIndex(index), Offset(offset)) = (fetched.partition, fetched.offset);
        let LeaderEpoch(epoch) = fetched.leader_epoch;
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(fetched.metadata)))
            .with_error_code(error)
    });
    OffsetFetchResponseTopic::default()
        .with_name(text(topic.as_str()).into())
        .with_partitions(partitions.collect())
}

#[cfg(test)]
#[path = "offset_fetch_test.rs"]
mod tests;
