//! The topic keys: one row each, and the typed view of them that follows.
//!
//! Names, types, defaults, bounds and broker synonyms are Kafka 4.3's; the rows are in the order of its manual, those of
//! our own come last.

use crate::setting::{Rule, Setting, min, range};
use crate::value::{CompressionType, TimestampType, Value};

/// Largest `int`.
const INT_MAX: i64 = i32::MAX as i64;

macro_rules! topic_settings {
    ($($field:ident: $kind:ident $unit:ident $name:literal = $default:tt, $rule:expr, [$($synonym:literal),*], $standing:ident, $doc:literal;)*) => {
        /// Every topic key.
        pub static TOPIC_SETTINGS: &[Setting] = &[
            $(setting_of!($kind $unit $name = $default, None, $rule, Topic, $standing, &[$($synonym),*], $doc),)*
        ];

        /// The settings in force for one topic: its own, else the broker's, else the defaults.
        ///
        /// Build it with [`TopicConfig::resolve`] when a topic is opened, and again when its own keys or the
        /// broker's [`Settings`](crate::Settings) change. Numbers keep Kafka's sentinels; the methods name them.
        #[derive(Clone, Debug, PartialEq)]
        pub struct TopicConfig {
            $(#[doc = concat!("`", $name, "`: ", $doc)] pub $field: type_of!(owned $kind),)*
        }

        impl TopicConfig {
            /// Reads one checked value per key, in the order of [`TOPIC_SETTINGS`].
            pub(crate) fn from_values(mut value_of: impl FnMut(&'static str) -> Value) -> Self {
                Self { $($field: (read_as!(value_of($name), $kind)).to_owned(),)* }
            }
        }
    };
}

#[rustfmt::skip]
topic_settings! {
    cleanup_policy: cleanup None "cleanup.policy" = "delete", Rule::EachOneOf(&["compact", "delete"]), ["log.cleanup.policy"], Kafka, "What happens to old data: delete drops segments past retention, compact keeps the last record of each key, both do both, an empty list keeps everything.";
    compression_gzip_level: int None "compression.gzip.level" = "-1", Rule::RangeOr { min: 1, max: 9, or: -1 }, ["compression.gzip.level"], Kafka, "Effort of gzip when compression.type is gzip; -1 is the codec's own default.";
    compression_lz4_level: int None "compression.lz4.level" = "9", range(1, 17), ["compression.lz4.level"], Kafka, "Effort of LZ4 when compression.type is lz4; encoders with one level treat all alike.";
    compression_type: compression None "compression.type" = "producer", Rule::OneOf(CompressionType::NAMES), ["compression.type"], Kafka, "How batches are stored: producer keeps them as sent, any other value recompresses those that differ.";
    compression_zstd_level: int None "compression.zstd.level" = "3", range(-131_072, 22), ["compression.zstd.level"], Kafka, "Effort of Zstandard when compression.type is zstd.";
    delete_retention_ms: ulong Ms "delete.retention.ms" = "86400000", min(0), ["log.cleaner.delete.retention.ms"], Kafka, "How long compaction keeps a tombstone, so that a slow reader still learns of the deletion.";
    file_delete_delay_ms: ulong Ms "file.delete.delay.ms" = "60000", min(0), ["log.segment.delete.delay.ms"], Kafka, "How long a deleted segment's files stay on disk under another name.";
    flush_messages: ulong None "flush.messages" = "9223372036854775807", min(1), ["log.flush.interval.messages"], Stored, "Kafka flushes after so many records; here every acknowledged record has been flushed.";
    flush_ms: ulong Ms "flush.ms" = "9223372036854775807", min(0), ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"], Stored, "Kafka flushes after so long; here every acknowledged record has been flushed.";
    follower_replication_throttled_replicas: list None "follower.replication.throttled.replicas" = "", Rule::ThrottledReplicas, [], Stored, "Copies whose catching up is throttled on the follower's side, as partition:broker.";
    index_interval_bytes: uint Bytes "index.interval.bytes" = "4096", range(0, INT_MAX), ["log.index.interval.bytes"], Kafka, "How many bytes of batches lie between two entries of the offset index.";
    leader_replication_throttled_replicas: list None "leader.replication.throttled.replicas" = "", Rule::ThrottledReplicas, [], Stored, "Copies whose catching up is throttled on the leader's side, as partition:broker.";
    local_retention_bytes: long Bytes "local.retention.bytes" = "-2", min(-2), ["log.local.retention.bytes"], Stored, "With tiered storage, how many bytes of each partition stay on local disk; -2 follows retention.bytes.";
    local_retention_ms: long Ms "local.retention.ms" = "-2", min(-2), ["log.local.retention.ms"], Stored, "With tiered storage, how long segments stay on local disk; -2 follows retention.ms.";
    max_compaction_lag_ms: ulong Ms "max.compaction.lag.ms" = "9223372036854775807", min(1), ["log.cleaner.max.compaction.lag.ms"], Kafka, "After this long a record is compacted whatever the dirty ratio is.";
    max_message_bytes: uint Bytes "max.message.bytes" = "1048588", range(0, INT_MAX), ["message.max.bytes"], Kafka, "Largest record batch that is taken, as it arrives (after compression).";
    message_timestamp_after_max_ms: ulong Ms "message.timestamp.after.max.ms" = "3600000", min(0), ["log.message.timestamp.after.max.ms"], Kafka, "How far a record's timestamp may lie ahead of the broker's clock; not looked at with LogAppendTime.";
    message_timestamp_before_max_ms: ulong Ms "message.timestamp.before.max.ms" = "9223372036854775807", min(0), ["log.message.timestamp.before.max.ms"], Kafka, "How far a record's timestamp may lie behind the broker's clock; not looked at with LogAppendTime.";
    message_timestamp_type: timestamp None "message.timestamp.type" = "CreateTime", Rule::OneOf(TimestampType::NAMES), ["log.message.timestamp.type"], Kafka, "Whose clock stamps a record: the producer's (CreateTime) or the broker's (LogAppendTime).";
    min_cleanable_dirty_ratio: double None "min.cleanable.dirty.ratio" = "0.5", Rule::Ratio { min: 0.0, max: 1.0 }, ["log.cleaner.min.cleanable.ratio"], Kafka, "Share of a log that must be uncompacted before it is compacted.";
    min_compaction_lag_ms: ulong Ms "min.compaction.lag.ms" = "0", min(0), ["log.cleaner.min.compaction.lag.ms"], Kafka, "How long a record stays uncompacted at least.";
    min_insync_replicas: uint None "min.insync.replicas" = "1", range(1, INT_MAX), ["min.insync.replicas"], Kafka, "Copies that must hold a record before acks=all is answered; never more than the partition has.";
    preallocate: bool None "preallocate" = "false", Rule::Any, ["log.preallocate"], Stored, "Kafka reserves a segment's space when it creates the file.";
    remote_log_copy_disable: bool None "remote.log.copy.disable" = "false", Rule::Any, [], Stored, "With tiered storage, stops copying and leaves what is remote readable.";
    remote_log_delete_on_disable: bool None "remote.log.delete.on.disable" = "false", Rule::Any, [], Stored, "With tiered storage, deletes the remote data when it is switched off.";
    remote_storage_enable: bool None "remote.storage.enable" = "false", Rule::Any, [], Kafka, "Moves sealed segments to the object store; needs remote.log.storage.system.enable on the broker.";
    retention_bytes: long Bytes "retention.bytes" = "-1", Rule::Any, ["log.retention.bytes"], Kafka, "Size per partition past which the oldest segments are deleted; -1 is no limit.";
    retention_ms: long Ms "retention.ms" = "604800000", min(-1), ["log.retention.ms", "log.retention.minutes", "log.retention.hours"], Kafka, "Age past which a segment is deleted, by its newest timestamp; -1 keeps it for ever.";
    segment_bytes: uint Bytes "segment.bytes" = "1073741824", range(1_048_576, INT_MAX), ["log.segment.bytes"], Kafka, "Size at which a segment is sealed and a new one begun.";
    segment_index_bytes: uint Bytes "segment.index.bytes" = "10485760", range(4, INT_MAX), ["log.index.size.max.bytes"], Kafka, "Largest offset index of a segment; a full one seals the segment.";
    segment_jitter_ms: ulong Ms "segment.jitter.ms" = "0", min(0), ["log.roll.jitter.ms", "log.roll.jitter.hours"], Kafka, "Random part taken off segment.ms, so that partitions do not all roll at once.";
    segment_ms: ulong Ms "segment.ms" = "604800000", min(1), ["log.roll.ms", "log.roll.hours"], Kafka, "Age at which a segment is sealed even if it is not full.";
    unclean_leader_election_enable: bool None "unclean.leader.election.enable" = "false", Rule::Any, ["unclean.leader.election.enable"], Stored, "Lets a copy that is behind lead when no other is left, losing records.";
    mirror_link: string None "mirror.link" = "", Rule::LinkId, [], Ours, "Makes the topic a mirror that only this link writes to: the link's id, 32 hexadecimal digits or a UUID. Set when the topic is created; later only a mirror link changes it (`thalweg-mirror failback`).";
    mirror_source_cluster_id: string None "mirror.source.cluster.id" = "", Rule::Any, [], Ours, "The cluster that the topic is a mirror of. Set when the topic is created; later only a mirror link changes it.";
    mirror_source_lineage: string None "mirror.source.lineage" = "", Rule::Any, [], Ours, "The clusters that the records came through before that cluster, the nearest first, with commas: by it a ring of mirrors is seen. Set when the topic is created; later only a mirror link changes it.";
    mirror_source_topic: string None "mirror.source.topic" = "", Rule::Any, [], Ours, "The topic there that this one is a mirror of. Set when the topic is created; later only a mirror link changes it.";
    mirror_source_topic_id: string None "mirror.source.topic.id" = "", Rule::Any, [], Ours, "The id of the topic there, by which a topic that was deleted and created again is told apart. Set when the topic is created; later only a mirror link changes it.";
    record_validation_strict: bool None "record.validation.strict" = "false", Rule::Any, [], Ours, "Checks every record of a compressed batch, as those of an uncompressed one always are; otherwise only batches are decompressed that have to be (compacted topics, another compression.type).";
}

impl TopicConfig {
    /// Returns the age limit, `None` for "for ever" (`retention.ms=-1`).
    #[must_use]
    pub fn retention_ms_limit(&self) -> Option<u64> {
        u64::try_from(self.retention_ms).ok()
    }

    /// Returns the size limit per partition, `None` for no limit (any negative `retention.bytes`, as in Kafka).
    #[must_use]
    pub fn retention_bytes_limit(&self) -> Option<u64> {
        u64::try_from(self.retention_bytes).ok()
    }
}
