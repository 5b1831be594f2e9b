//! The topic `__consumer_offsets`: found, or made with Kafka's settings at the first need.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_coordinator::group::GroupError;

use crate::live_settings::LiveSettings;
use crate::topics::{NewTopic, ReplicationFactor, TopicError, TopicView, Topics};

/// Where groups and their offsets are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Least `segment.bytes` of a topic; the broker's own setting may be lower.
const SEGMENT_BYTES_MIN: u32 = 1 << 20;

pub(super) async fn find_or_create(
    topics: &Arc<Topics>,
    settings: &LiveSettings,
) -> Result<Arc<TopicView>, GroupError> {
    if let Some(topic) = topics.by_name(OFFSETS_TOPIC) {
        return Ok(topic);
    }
    let settings = settings.current();
    let segment_bytes = settings.offsets_topic_segment_bytes().max(SEGMENT_BYTES_MIN);
    let new = NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: Some(i32::try_from(settings.offsets_topic_num_partitions()).unwrap_or(i32::MAX)),
        replication_factor: ReplicationFactor::Default,
        configs: BTreeMap::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), "producer".to_owned()),
            ("segment.bytes".to_owned(), segment_bytes.to_string()),
        ]),
    };
    match topics.create(&new).await {
        Ok(topic) => {
            tracing::info!(partitions = topic.partitions, "created {OFFSETS_TOPIC}");
            Ok(topic)
        }
        // A client made it a moment ago.
        Err(TopicError::Exists { .. }) => topics
            .by_name(OFFSETS_TOPIC)
            .ok_or(GroupError::CoordinatorNotAvailable),
        Err(error) => {
            tracing::error!(%error, "{OFFSETS_TOPIC} cannot be created; consumer groups wait for it");
            Err(GroupError::CoordinatorNotAvailable)
        }
    }
}
