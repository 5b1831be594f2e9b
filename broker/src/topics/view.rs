//! A topic as handlers see it: its record, and its settings resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_metadata::{Revision, Topic, TopicKind};
use thalweg_settings::{Settings, TopicConfig};
use thalweg_storage::log_config::{CompactionConfig, Deletion, LogConfig};
use thalweg_types::TopicId;

use super::MirrorLink;

/// One topic at one moment.
#[derive(Clone, Debug)]
pub struct TopicView {
    /// Id.
    pub id: TopicId,
    /// Name.
    pub name: Arc<str>,
    /// Number of partitions.
    pub partitions: i32,
    /// Whose it is.
    pub kind: TopicKind,
    /// Settings given to the topic itself.
    pub overrides: BTreeMap<String, String>,
    /// The link that it was created for; its partitions say whether they are still the link's.
    pub mirror: Option<MirrorLink>,
    /// Settings in force.
    pub config: Arc<TopicConfig>,
    /// The part of them that its logs need.
    pub log_config: Arc<LogConfig>,
    /// Version of the record, for compare-and-set.
    pub version: Revision,
}

impl TopicView {
    pub(super) fn new(topic: &Topic, settings: &Settings) -> Self {
        let record = &topic.record;
        // What is no longer valid was reported at the start, or was refused when it was set.
        let (config, _) = TopicConfig::resolve_stored(&record.configs, settings);
        Self {
            id: record.id,
            name: record.name.as_str().into(),
            partitions: record.partitions,
            kind: record.kind,
            overrides: record.configs.clone(),
            mirror: MirrorLink::of(&record.configs),
            log_config: Arc::new(log_config(&config, settings)),
            config: Arc::new(config),
            version: topic.version,
        }
    }

    /// Reports whether records need keys (`cleanup.policy` contains `compact`).
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.config.cleanup_policy.compact
    }

    /// Reports whether the broker made it for itself.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.kind == TopicKind::Internal
    }
}

/// Returns the part of a topic's settings that its logs need.
#[must_use]
pub fn log_config(config: &TopicConfig, settings: &Settings) -> LogConfig {
    let clamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    // A record that must be compacted in time must be in a sealed segment in time (KIP-354).
    let segment_ms = if config.cleanup_policy.compact {
        clamp(config.segment_ms.min(config.max_compaction_lag_ms))
    } else {
        clamp(config.segment_ms)
    };
    LogConfig {
        segment_bytes: config.segment_bytes.into(),
        segment_ms,
        segment_index_bytes: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        file_delete_delay_ms: clamp(config.file_delete_delay_ms),
        deletion: if config.cleanup_policy.delete {
            Deletion::ByRetention
        } else {
            Deletion::Never
        },
        producer_id_expiration_ms: i64::try_from(settings.producer_id_expiration_ms().as_millis())
            .unwrap_or(i64::MAX),
        compaction: config.cleanup_policy.compact.then(|| CompactionConfig {
            dirty_ratio_min: config.min_cleanable_dirty_ratio,
            lag_ms_min: clamp(config.min_compaction_lag_ms),
            lag_ms_max: clamp(config.max_compaction_lag_ms),
            delete_retention_ms: clamp(config.delete_retention_ms),
        }),
        producers_max: usize::try_from(settings.producer_ids_per_partition_max()).unwrap_or(usize::MAX),
    }
}
