//! OffsetFetch (key 9), versions 1–10: how far a group has read.
//!
//! v2 all topics and a top-level error, v5 leader epoch (KIP-320), v6 flexible, v7 `require_stable` (KIP-447), v8 many
//! groups (KIP-709), v9 member epochs, v10 topic ids (KIP-848). An unknown group, and a partition without a committed
//! offset, is offset −1 and no error.
//!
//! Left out: the member epoch of v9 is not looked at, since no group here has one.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::OffsetFetchResponse;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use thalweg_coordinator::group::{
    FetchTopics, FetchedOffset, FetchedTopic, GroupId, OffsetFetch, Stability, TopicName, TopicPartitions,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use thalweg_wire::offsets::{self, TopicKey, parse_offset_fetch_request};
use uuid::Uuid;

use super::codec::parse;
use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response};
use crate::api::ConnectionInfo;
use crate::groups::Asked;

/// First version with an error of the whole response.
const TOP_ERROR_SINCE: i16 = 2;
/// First version with many groups.
const GROUPS_SINCE: i16 = 8;
/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 10;

/// What a client wants to know of one group.
struct Wanted {
    group_id: GroupId,
    /// What it named, in its order; `None` = everything there is.
    topics: Option<Vec<TopicPartitions>>,
    /// Ids in the request that are no topic's (any more).
    unknown: Vec<(TopicId, Vec<PartitionIndex>)>,
    /// The ids by which the client named topics. A topic may be gone, or another one, when the answer leaves.
    ids: HashMap<TopicName, TopicId>,
}

/// One group of the request on its way.
struct AskedGroup {
    wanted: Wanted,
    progress: Result<Asked<OffsetFetch>, ErrorCode>,
}

/// One group's answer.
struct Answered {
    wanted: Wanted,
    outcome: Result<Vec<FetchedTopic>, ErrorCode>,
}

/// A partition, or why it is not told.
type Told = Result<FetchedOffset, (PartitionIndex, ErrorCode)>;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body = parse(&request, parse_offset_fetch_request)?;
    let stability = if body.require_stable {
        Stability::Stable
    } else {
        Stability::Any
    };
    let exchange = Exchange::new(context, request);
    let mut asked = Vec::with_capacity(body.groups.len());
    for group in body.groups {
        let wanted = Wanted::new(&exchange.context, group);
        asked.push(ask(&exchange, wanted, stability).await);
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

impl Wanted {
    /// Resolves the ids of the request.
    fn new(context: &Context, group: offsets::FetchGroup) -> Self {
        let mut wanted = Self {
            group_id: GroupId::from(group.group_id),
            topics: group.topics.as_ref().map(|_| Vec::new()),
            unknown: Vec::new(),
            ids: HashMap::new(),
        };
        for offsets::FetchTopic { topic, partitions } in group.topics.into_iter().flatten() {
            let name = match topic {
                TopicKey::Name(name) => TopicName::from(name),
                TopicKey::Id(id) => {
                    let Some(view) = context.topics.by_id(id) else {
                        wanted.unknown.push((id, partitions));
                        continue;
                    };
                    let name = TopicName::from(&*view.name);
                    wanted.ids.insert(name.clone(), id);
                    name
                }
            };
            let topic = TopicPartitions {
                topic: name,
                partitions,
            };
            wanted.topics.get_or_insert_default().push(topic);
        }
        wanted
    }
}

async fn ask(exchange: &Exchange, wanted: Wanted, stability: Stability) -> AskedGroup {
    if !exchange.may(Operation::Describe, Resource::group(&wanted.group_id)) {
        return AskedGroup {
            wanted,
            progress: Err(ErrorCode::GroupAuthorizationFailed),
        };
    }
    let topics = wanted.topics.clone().map_or(FetchTopics::All, FetchTopics::Some);
    let fetch = OffsetFetch {
        group_id: wanted.group_id.clone(),
        topics,
        stability,
    };
    let progress = exchange
        .context
        .groups
        .ask(fetch)
        .await
        .map_err(|error| error.error_code());
    AskedGroup { wanted, progress }
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

    fn id_of(&self, topic: &str) -> Option<TopicId> {
        self.context.topics.by_name(topic).map(|view| view.id)
    }

    /// What of a group's offsets is told: a topic that was asked for by name is refused, another one left out.
    fn topics(&self, group: Answered) -> Result<Vec<(TopicName, Vec<Told>)>, ErrorCode> {
        let was_named = group.wanted.topics.is_some();
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
    let by_id = charged.version() >= TOPIC_IDS_SINCE;
    let groups = groups.into_iter().map(|mut group| {
        let group_id = text(group.wanted.group_id.as_str());
        let response = OffsetFetchResponseGroup::default().with_group_id(group_id.into());
        let unknown = std::mem::take(&mut group.wanted.unknown);
        let ids = std::mem::take(&mut group.wanted.ids);
        match visible.topics(group) {
            Ok(topics) if by_id => {
                let told = topics.into_iter().filter_map(|(name, partitions)| {
                    // One that no longer has an id cannot be told of by id.
                    let id = ids.get(&name).copied().or_else(|| visible.id_of(&name))?;
                    Some((TopicKey::Id(id), partitions))
                });
                let missing = unknown.into_iter().map(|(id, partitions)| {
                    let refuse = |index| Err((index, ErrorCode::UnknownTopicId));
                    (TopicKey::Id(id), partitions.into_iter().map(refuse).collect())
                });
                response.with_topics(told.chain(missing).map(new_topic).collect())
            }
            Ok(topics) => {
                let told = topics
                    .into_iter()
                    .map(|(name, told)| (TopicKey::Name(name.to_string()), told));
                response.with_topics(told.map(new_topic).collect())
            }
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
        let wanted = group.wanted.topics.clone();
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

fn new_topic((topic, partitions): (TopicKey, Vec<Told>)) -> OffsetFetchResponseTopics {
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
    let response = OffsetFetchResponseTopics::default().with_partitions(partitions.collect());
    match topic {
        TopicKey::Name(name) => response.with_name(text(name).into()),
        TopicKey::Id(id) => response.with_topic_id(Uuid::from_bytes(id.0)),
    }
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
