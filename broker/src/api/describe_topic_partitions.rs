//! DescribeTopicPartitions (key 75), version 0 (KIP-966): topics by name, paged by partitions.
//!
//! One machine: every partition's leader, replica and in-sync replica is this broker; there are no other eligible
//! leaders, which is an empty list and never null (Kafka's Java client stops at null).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use thalweg_types::{ErrorCode, PartitionIndex};
use uuid::Uuid;

use super::refusal::{throttle_work, topic_name};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::{TopicView, check_topic_name};

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeTopicPartitionsRequest = decode(&request)?;
    let settings = context.settings.current();
    let start = match &body.cursor {
        None => None,
        // The response has no field for an error of the whole request, so each topic says it.
        Some(cursor) if cursor.partition_index < 0 => {
            let names = body
                .topics
                .iter()
                .map(|topic| refused(&topic.name, ErrorCode::InvalidRequest));
            return answer(
                &context,
                &request,
                DescribeTopicPartitionsResponse::default().with_topics(names.collect()),
            );
        }
        Some(cursor) => Some(Place {
            topic: cursor.topic_name.to_string(),
            partition: cursor.partition_index,
        }),
    };
    let most = i32::try_from(settings.max_request_partition_size_limit()).unwrap_or(i32::MAX);
    let limit = body.response_partition_limit.min(most).max(1);
    let may_describe = |name: &str| {
        let resource = Resource::topic(name);
        context
            .authorizer
            .authorize(&request.connection, Operation::Describe, resource)
            .is_allowed()
    };
    let mut found: Vec<Found> = if body.topics.is_empty() {
        let all = context
            .topics
            .all()
            .into_iter()
            .filter(|view| may_describe(&view.name));
        all.map(Found::Topic).collect()
    } else {
        let names: BTreeSet<&str> = body.topics.iter().map(|topic| topic.name.as_str()).collect();
        let lookup = |name: &str| match context.topics.by_name(name) {
            _ if !may_describe(name) => Found::Refused(name.to_owned(), ErrorCode::TopicAuthorizationFailed),
            _ if check_topic_name(name).is_err() => {
                Found::Refused(name.to_owned(), ErrorCode::InvalidTopicException)
            }
            Some(view) => Found::Topic(view),
            None => Found::Refused(name.to_owned(), ErrorCode::UnknownTopicOrPartition),
        };
        names.into_iter().map(lookup).collect()
    };
    found.sort_by(|one, other| one.name().cmp(other.name()));
    let sizes: Vec<(&str, i32)> = found.iter().map(|one| (one.name(), one.partitions())).collect();
    let page = page(&sizes, start.as_ref(), limit);
    let topics = page
        .parts
        .iter()
        .filter_map(|(index, partitions)| match found.get(*index)? {
            Found::Refused(name, code) => Some(refused(name, *code)),
            Found::Topic(view) => Some(describe(&context, &request, view, partitions.clone())),
        });
    let response = DescribeTopicPartitionsResponse::default()
        .with_topics(topics.collect())
        .with_next_cursor(page.next.map(|next| {
            Cursor::default()
                .with_topic_name(topic_name(&next.topic))
                .with_partition_index(next.partition)
        }));
    answer(&context, &request, response)
}

fn answer(
    context: &Context,
    request: &Request,
    response: DescribeTopicPartitionsResponse,
) -> Result<Reply, ApiError> {
    let (mute, throttle_time_ms) = throttle_work(context, request);
    let response = response.with_throttle_time_ms(throttle_time_ms);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

fn refused(name: &str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_error_code(code.code())
}

/// What is known under a name.
#[derive(Debug)]
enum Found {
    Topic(Arc<TopicView>),
    Refused(String, ErrorCode),
}

impl Found {
    fn name(&self) -> &str {
        match self {
            Self::Topic(view) => &view.name,
            Self::Refused(name, _) => name,
        }
    }

    fn partitions(&self) -> i32 {
        match self {
            Self::Topic(view) => view.partitions,
            Self::Refused(..) => 0,
        }
    }
}

/// A partition in the order of names and indexes; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    topic: String,
    partition: i32,
}

/// One response's part of all partitions.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    /// Index of a topic in the list, and which of its partitions.
    parts: Vec<(usize, Range<i32>)>,
    /// Where the next page starts.
    next: Option<Place>,
}

/// Takes at most `limit` partitions from `start` on, of topics in the order of their names. A topic without
/// partitions (one that is refused) costs nothing, but comes only while there is room.
fn page(topics: &[(&str, i32)], start: Option<&Place>, limit: i32) -> Page {
    let mut left = limit;
    let mut parts = Vec::new();
    for (index, (name, partitions)) in topics.iter().enumerate() {
        let first = match start {
            Some(place) if *name < place.topic.as_str() => continue,
            Some(place) if *name == place.topic => place.partition.min(*partitions),
            _ => 0,
        };
        if left <= 0 {
            let next = Some(Place {
                topic: (*name).to_owned(),
                partition: first,
            });
            return Page { parts, next };
        }
        let end = partitions.saturating_sub(first).min(left).saturating_add(first);
        left = left.saturating_sub(end.saturating_sub(first));
        parts.push((index, first..end));
        if end < *partitions {
            let next = Some(Place {
                topic: (*name).to_owned(),
                partition: end,
            });
            return Page { parts, next };
        }
    }
    Page { parts, next: None }
}

fn describe(
    context: &Context,
    request: &Request,
    view: &TopicView,
    partitions: Range<i32>,
) -> DescribeTopicPartitionsResponseTopic {
    let node_id = BrokerId(context.settings.current().node_id().get());
    let epoch = context.topics.engine().leader_epoch();
    let partitions = partitions.map(|index| {
        // A mirror truncation may have raised this partition's epoch above the broker's.
        let log = context.topics.log(view, PartitionIndex(index));
        let epoch = log.map_or(epoch, |log| log.offsets().leader_epoch);
        partition(index, node_id, epoch.get())
    });
    let resource = Resource::topic(&view.name);
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&view.name)))
        .with_topic_id(Uuid::from_bytes(view.id.0))
        .with_is_internal(view.is_internal())
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(
            context
                .authorizer
                .authorized_operations(&request.connection, resource),
        )
}

fn partition(index: i32, node_id: BrokerId, leader_epoch: i32) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(node_id)
        .with_leader_epoch(leader_epoch)
        .with_replica_nodes(vec![node_id])
        .with_isr_nodes(vec![node_id])
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

#[cfg(test)]
#[path = "describe_topic_partitions_test.rs"]
mod tests;
