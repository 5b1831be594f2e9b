//! The internal topic of a coordinator: found, or made with Kafka's settings at the first need.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::topics::{NewTopic, ReplicationFactor, TopicError, TopicView, Topics};

/// Least `segment.bytes` of a topic; the broker's own setting may be lower.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

/// How the topic is made.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorTopic {
    /// Its name.
    pub name: &'static str,
    /// How many partitions it gets.
    pub partitions: u32,
    /// Its `segment.bytes`.
    pub segment_bytes: u32,
    /// Its `compression.type`, as Kafka sets it.
    pub compression: &'static str,
}

/// The topic cannot be made; the reason is in the log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the coordinator's topic cannot be created; see the broker's log")]
pub struct NoTopic;

/// Finds the topic, or makes it.
///
/// # Errors
/// [`NoTopic`].
pub async fn find_or_create(topics: &Arc<Topics>, what: CoordinatorTopic) -> Result<Arc<TopicView>, NoTopic> {
    if let Some(topic) = topics.by_name(what.name) {
        return Ok(topic);
    }
    let new = NewTopic {
        name: what.name.to_owned(),
        partitions: Some(i32::try_from(what.partitions).unwrap_or(i32::MAX)),
        replication_factor: ReplicationFactor::Default,
        configs: BTreeMap::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), what.compression.to_owned()),
            (
                "segment.bytes".to_owned(),
                what.segment_bytes.max(SEGMENT_BYTES_MIN).to_string(),
            ),
        ]),
    };
    match topics.create(&new).await {
        Ok(topic) => {
            tracing::info!(partitions = topic.partitions, "created {}", what.name);
            Ok(topic)
        }
        // A client made it a moment ago.
        Err(TopicError::Exists { .. }) => topics.by_name(what.name).ok_or(NoTopic),
        Err(error) => {
            tracing::error!(%error, "{} cannot be created; its clients wait for it", what.name);
            Err(NoTopic)
        }
    }
}
