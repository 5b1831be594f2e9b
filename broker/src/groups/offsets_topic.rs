//! The topic `__consumer_offsets`.

use std::sync::Arc;

use thalweg_coordinator::group::GroupError;
use thalweg_settings::Settings;

use crate::coordinator_log::{CoordinatorTopic, find_or_create as find_or_create_topic};
use crate::topics::{TopicView, Topics};

/// Where groups and their offsets are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

pub(super) async fn find_or_create(
    topics: &Arc<Topics>,
    settings: &Settings,
) -> Result<Arc<TopicView>, GroupError> {
    let what = CoordinatorTopic {
        name: OFFSETS_TOPIC,
        partitions: settings.offsets_topic_num_partitions(),
        segment_bytes: settings.offsets_topic_segment_bytes(),
        compression: "producer",
    };
    find_or_create_topic(topics, what)
        .await
        .map_err(|_| GroupError::CoordinatorNotAvailable)
}
