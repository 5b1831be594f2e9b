//! The topic `__transaction_state`.

use std::sync::Arc;

use thalweg_coordinator::transaction::TransactionError;
use thalweg_settings::Settings;

use crate::coordinator_log::{CoordinatorTopic, find_or_create as find_or_create_topic};
use crate::topics::{TopicView, Topics};

/// Where transactional ids are kept.
pub const TRANSACTION_TOPIC: &str = "__transaction_state";

pub(super) async fn find_or_create(
    topics: &Arc<Topics>,
    settings: &Settings,
) -> Result<Arc<TopicView>, TransactionError> {
    let what = CoordinatorTopic {
        name: TRANSACTION_TOPIC,
        partitions: settings.transaction_state_log_num_partitions(),
        segment_bytes: settings.transaction_state_log_segment_bytes(),
        compression: "uncompressed",
    };
    find_or_create_topic(topics, what)
        .await
        .map_err(|_| TransactionError::CoordinatorNotAvailable)
}
