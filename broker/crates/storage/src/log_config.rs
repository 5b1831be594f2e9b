//! The topic settings that a log needs, as plain numbers.

/// Topic settings of one log; the names are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogConfig {
    /// A segment is closed before it passes this many bytes.
    pub segment_bytes: u64,
    /// A segment is closed when a batch is this much younger than its first, in ms.
    pub segment_ms: i64,
    /// An `.index` file is closed before it passes this many bytes.
    pub segment_index_bytes: u32,
    /// Bytes of batches between two index entries.
    pub index_interval_bytes: u32,
    /// Records older than this may be deleted, in ms; negative = kept for ever.
    pub retention_ms: i64,
    /// Old segments are deleted while the log is larger, in bytes; negative = unbounded.
    pub retention_bytes: i64,
    /// Files are removed this long after their deletion, in ms.
    pub file_delete_delay_ms: i64,
    /// Whether retention deletes old segments at all (`cleanup.policy` contains `delete`).
    pub deletion: Deletion,
    /// An idle producer's state is forgotten after this time, in ms.
    pub producer_id_expiration_ms: i64,
    /// Most producers whose state a log keeps; beyond, the longest idle one is forgotten.
    pub producers_max: usize,
    /// How the log is compacted; `None` unless `cleanup.policy` contains `compact`.
    pub compaction: Option<CompactionConfig>,
}

/// Topic settings of compaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionConfig {
    /// Share of bytes that must be dirty before the log is worth cleaning (`min.cleanable.dirty.ratio`), 0 to 1.
    pub dirty_ratio_min: f64,
    /// Records younger than this are not touched, in ms (`min.compaction.lag.ms`).
    pub lag_ms_min: i64,
    /// A record older than this is cleaned whatever the ratio is, in ms (`max.compaction.lag.ms`).
    pub lag_ms_max: i64,
    /// A tombstone stays this long after the cleaning that met it first, in ms (`delete.retention.ms`).
    pub delete_retention_ms: i64,
}

/// Whether retention applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// By time and size.
    ByRetention,
    /// Never: the topic is compacted only.
    Never,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            deletion: Deletion::ByRetention,
            producer_id_expiration_ms: 86_400_000,
            producers_max: 100_000,
            compaction: None,
        }
    }
}
