//! DescribeLogDirs (key 35), versions 1–4 (KIP-113). v2 flexible, v3 top-level error, v4 size of the volume
//! (KIP-827). Left out: v5, which is not in the schemas at hand.
//!
//! There is one data directory. Partitions that are asked for and do not exist are left out, as in Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use thalweg_storage::disk::DiskSpace;
use thalweg_types::{ErrorCode, PartitionIndex};

use super::refusal::{str_bytes, throttle_work, topic_name};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::TopicView;

/// Kafka's word for a size that cannot be told.
const UNKNOWN_SIZE: i64 = -1;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeLogDirsRequest = decode(&request)?;
    let access = context
        .authorizer
        .authorize(&request.connection, Operation::Describe, Resource::CLUSTER);
    let response = DescribeLogDirsResponse::default();
    let (response, error) = if access.is_allowed() {
        (
            response.with_results(vec![directory(&context, body.topics).await]),
            ErrorCode::None,
        )
    } else {
        let error = ErrorCode::ClusterAuthorizationFailed;
        (response.with_error_code(error.code()), error)
    };
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = response.with_throttle_time_ms(throttle_time_ms);
    Ok(respond(&request.header, &response)?
        .throttled(mute)
        .with_error(error)
        .into())
}

async fn directory(context: &Context, asked: Option<Vec<DescribableLogDirTopic>>) -> DescribeLogDirsResult {
    let path = context.settings.current().data_directory().to_owned();
    let path = std::path::absolute(&path).unwrap_or(path);
    let (disk, place) = (Arc::clone(&context.disk), path.clone());
    // A file system that hangs must hold up this request only.
    let space = tokio::task::spawn_blocking(move || disk.space(&place)).await;
    let space = match space {
        Ok(Ok(space)) => Some(space),
        Ok(Err(error)) => {
            tracing::warn!(path = %path.display(), %error, "the size of the volume cannot be told");
            None
        }
        Err(_) => None,
    };
    let topics = match asked {
        None => context
            .topics
            .all()
            .iter()
            .map(|view| topic(context, view, 0..view.partitions))
            .collect(),
        Some(asked) => each_once(asked)
            .into_iter()
            .filter_map(|(name, partitions)| {
                let view = context.topics.by_name(&name)?;
                let known = partitions
                    .into_iter()
                    .filter(|index| (0..view.partitions).contains(index));
                let described = topic(context, &view, known);
                (!described.partitions.is_empty()).then_some(described)
            })
            .collect(),
    };
    let (total_bytes, usable_bytes) = volume(space);
    DescribeLogDirsResult::default()
        .with_log_dir(str_bytes(path.display().to_string()))
        .with_topics(topics)
        .with_total_bytes(total_bytes)
        .with_usable_bytes(usable_bytes)
}

fn topic(context: &Context, view: &TopicView, partitions: impl Iterator<Item = i32>) -> DescribeLogDirsTopic {
    let partitions = partitions.filter_map(|index| {
        let log = context.topics.log(view, PartitionIndex(index))?;
        Some(
            DescribeLogDirsPartition::default()
                .with_partition_index(index)
                .with_partition_size(i64::try_from(log.size()).unwrap_or(i64::MAX))
                // One copy, which is never behind itself.
                .with_offset_lag(0),
        )
    });
    DescribeLogDirsTopic::default()
        .with_name(topic_name(&view.name))
        .with_partitions(partitions.collect())
}

/// Gathers what is asked for, each partition once, so that the response is bounded by what exists.
fn each_once(asked: Vec<DescribableLogDirTopic>) -> BTreeMap<String, BTreeSet<i32>> {
    let mut topics: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for one in asked {
        topics
            .entry(one.topic.to_string())
            .or_default()
            .extend(one.partitions);
    }
    topics
}

fn volume(space: Option<DiskSpace>) -> (i64, i64) {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    space.map_or((UNKNOWN_SIZE, UNKNOWN_SIZE), |space| {
        (bytes(space.total), bytes(space.available))
    })
}

#[cfg(test)]
#[path = "describe_log_dirs_test.rs"]
mod tests;
