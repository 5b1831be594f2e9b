//! Every family that a scrape computes: name, kind, text. One list, from which the page and the descriptions come.

use thalweg_telemetry::MetricKind::{Counter, Gauge, Histogram};

use crate::admin::page::Declared;

/// All parts.
pub(super) const CATALOGUE: &[&[Declared]] = &[OWN, PARTITIONS, GROUPS, TRANSACTIONS, MIRRORS];

/// Series of one partition.
pub(super) const PARTITION_SERIES: usize = 13;
/// Series of one topic.
pub(super) const TOPIC_SERIES: usize = 2;
/// Series of one committed offset.
pub(super) const COMMITTED_SERIES: usize = 6;
/// Series of one group in one topic.
pub(super) const GROUP_TOPIC_SERIES: usize = 3;
/// Series of one group.
pub(super) const GROUP_SERIES: usize = 5;

const TOPIC: &[&str] = &["topic"];
const PARTITION: &[&str] = &["topic", "partition"];
/// As kafka_exporter has them.
const EXPORTER_TOPIC: &[&str] = &["consumergroup", "topic"];
const EXPORTER_PARTITION: &[&str] = &["consumergroup", "topic", "partition"];
/// As lag-exporter has them, and our own.
const GROUP_PARTITION: &[&str] = &["group", "topic", "partition"];

/// What mirror links do here.
#[rustfmt::skip]
pub(super) const MIRRORS: &[Declared] = &[
    ("thalweg_mirror_partitions", Gauge, &["state"], "Partitions of mirror topics: owned by their link, or promoted."),
    ("thalweg_mirror_claimed_partitions", Gauge, &[], "Partitions of mirror topics whose link holds a lease; fewer than are owned means that nobody mirrors some."),
    ("thalweg_mirror_appended_bytes_total", Counter, &[], "Bytes of record batches that mirror links appended."),
    ("thalweg_mirror_appended_batches_total", Counter, &[], "Record batches that mirror links appended."),
    ("thalweg_mirror_refused_total", Counter, &["reason"], "Operations of mirror links that were refused."),
];

/// The broker itself.
#[rustfmt::skip]
pub(super) const OWN: &[Declared] = &[
    ("thalweg_disk_total_bytes", Gauge, &[], "Size of the file system of the data directory."),
    ("thalweg_disk_available_bytes", Gauge, &[], "Free space of the file system of the data directory."),
    ("thalweg_disk_takes_records", Gauge, &[], "1 while produce is taken, 0 while the disk is fuller than disk.use.high.percent."),
    ("thalweg_clock_ahead_seconds", Gauge, &[], "How far the wall clock is ahead of the time by which records and producer ids expire; 0 but after a jump of the clock."),
    ("thalweg_clock_jumps_total", Counter, &[], "Jumps of the wall clock ahead that were held back."),
    ("thalweg_disk_full_total", Counter, &[], "Writes of the background work that found the disk full."),
    ("thalweg_damaged_places", Gauge, &[], "Places on disk found damaged since the start; /readyz names them."),
    ("thalweg_fetch_sessions", Gauge, &[], "Open incremental fetch sessions."),
    ("thalweg_fetch_session_partitions", Gauge, &[], "Partitions in all fetch sessions."),
    ("thalweg_fetch_session_evictions_total", Counter, &[], "Fetch sessions that made room for others."),
    ("thalweg_wal_used_bytes", Gauge, &[], "Bytes of the write-ahead log that segments and recovery points do not cover yet."),
    ("thalweg_wal_capacity_bytes", Gauge, &[], "Size of the write-ahead log (wal.max.bytes)."),
    ("thalweg_wal_free_bytes", Gauge, &[], "Bytes the write-ahead log can take before a part of it is freed."),
    ("thalweg_wal_files_begun_total", Counter, &[], "Files of the write-ahead log begun since it was made; past the first few, each is one used again."),
    ("thalweg_wal_queued_bytes", Gauge, &[], "Bytes on their way to the write-ahead log."),
    ("thalweg_wal_flushes_total", Counter, &[], "Commit groups made durable, each with one flush."),
    ("thalweg_wal_written_bytes_total", Counter, &[], "Bytes written to the write-ahead log, padding included."),
    ("thalweg_wal_batches_total", Counter, &[], "Record batches written to the write-ahead log."),
    ("thalweg_wal_wait_seconds", Histogram, &[], "From the first append of a commit group to the start of its write: the flush before it, and the encoding."),
    ("thalweg_wal_flush_seconds", Histogram, &[], "From the start of a commit group's write to its being on stable storage."),
    ("thalweg_wal_group_bytes", Histogram, &[], "Sizes of commit groups as written, padding included."),
    ("thalweg_tail_memory_bytes", Gauge, &[], "Newest records kept in memory for readers."),
    ("thalweg_segment_written_bytes_total", Counter, &[], "Bytes moved from the write-ahead log to segments."),
    ("thalweg_checkpoints_total", Counter, &[], "Recovery points committed."),
    ("thalweg_wal_trims_total", Counter, &[], "Times that files of the write-ahead log were set free."),
    ("thalweg_segment_rolls_total", Counter, &[], "Segments that were full or old and closed."),
    ("thalweg_segments_deleted_total", Counter, &[], "Segments deleted by retention or below the log start."),
    ("thalweg_index_rebuilds_total", Counter, &[], "Segment indexes rebuilt because they did not hold."),
    ("thalweg_cleaner_logs", Gauge, &[], "Partitions of compacted topics."),
    ("thalweg_cleaner_dirty_ratio_max", Gauge, &[], "Largest share of a log's bytes that compaction may touch and has not, 0 to 1."),
    ("thalweg_cleaner_uncleanable_logs", Gauge, &[], "Logs that are not compacted any more before the next start; /readyz says why."),
    ("thalweg_cleaner_uncleanable_bytes", Gauge, &[], "Their bytes that were never compacted."),
    ("thalweg_cleaner_map_utilization", Gauge, &[], "How full the map of keys was in the last compaction, 0 to 1; at 1 a log takes several."),
    ("thalweg_cleaner_idle_seconds", Gauge, &[], "Time since the cleaner looked for a log to compact last: grows while it compacts one."),
    ("thalweg_cleaner_runs_total", Counter, &[], "Compactions of a log that were begun."),
    ("thalweg_cleaner_read_bytes_total", Counter, &[], "Bytes read by compaction."),
    ("thalweg_cleaner_written_bytes_total", Counter, &[], "Bytes of segments that compaction put in the place of others."),
    ("thalweg_cleaner_freed_bytes_total", Counter, &[], "Bytes by which compaction made segments smaller."),
    ("thalweg_cleaner_removed_records_total", Counter, &[], "Records that compaction removed."),
    ("thalweg_topics", Gauge, &[], "Topics, the broker's own included."),
    ("thalweg_partitions", Gauge, &[], "Partitions, the broker's own included."),
    ("thalweg_segments", Gauge, &[], "Segment files of all partitions."),
    ("thalweg_producers", Gauge, &[], "Producers whose sequence numbers are remembered, over all partitions."),
    ("thalweg_log_size_bytes", Gauge, &[], "Bytes of all records."),
    ("thalweg_metrics_series_left_out", Gauge, &["scope"], "Series this scrape left out for lack of room (metrics.partition.series.max, metrics.topic.series.max)."),
    ("kafka_brokers", Gauge, &[], "Number of brokers in the cluster."),
    ("kafka_broker_info", Gauge, &["id", "address"], "Always 1; the labels say which node id clients reach at which address."),
];

/// Topics and partitions.
#[rustfmt::skip]
pub(super) const PARTITIONS: &[Declared] = &[
    ("thalweg_topic_size_bytes", Gauge, TOPIC, "Bytes of a topic's records."),
    ("thalweg_partition_log_start_offset", Gauge, PARTITION, "First offset that can be read."),
    ("thalweg_partition_high_watermark", Gauge, PARTITION, "First offset that is not durable yet."),
    ("thalweg_partition_size_bytes", Gauge, PARTITION, "Bytes of a partition's records."),
    ("thalweg_partition_segments", Gauge, PARTITION, "Segment files of a partition."),
    ("kafka_topic_partitions", Gauge, TOPIC, "Number of partitions of a topic."),
    ("kafka_topic_partition_current_offset", Gauge, PARTITION, "End offset of a partition."),
    ("kafka_topic_partition_oldest_offset", Gauge, PARTITION, "First offset of a partition."),
    ("kafka_topic_partition_leader", Gauge, PARTITION, "Node id of a partition's leader."),
    ("kafka_topic_partition_replicas", Gauge, PARTITION, "Number of copies of a partition."),
    ("kafka_topic_partition_in_sync_replica", Gauge, PARTITION, "Number of copies of a partition that are in sync."),
    ("kafka_topic_partition_leader_is_preferred", Gauge, PARTITION, "1 if the preferred broker leads the partition."),
    ("kafka_topic_partition_under_replicated_partition", Gauge, PARTITION, "1 if a copy of the partition is behind."),
    ("kafka_partition_latest_offset", Gauge, PARTITION, "End offset of a partition."),
    ("kafka_partition_earliest_offset", Gauge, PARTITION, "First offset of a partition."),
];

/// Transactions.
#[rustfmt::skip]
pub(super) const TRANSACTIONS: &[Declared] = &[
    ("thalweg_transactional_ids", Gauge, &["state"], "Transactional ids by state; Ongoing ones have a transaction open."),
    ("thalweg_transactions_started_total", Counter, &[], "Transactions begun since the start."),
    ("thalweg_transactions_committed_total", Counter, &[], "Transactions decided to commit since the start."),
    ("thalweg_transactions_aborted_total", Counter, &[], "Transactions decided to abort since the start, whoever wanted it."),
    ("thalweg_transactions_timed_out_total", Counter, &[], "Transactions aborted because they were open for longer than their timeout."),
    ("thalweg_transactions_taken_over_total", Counter, &[], "Transactions aborted because another producer took their id over."),
    ("thalweg_transactional_ids_expired_total", Counter, &[], "Transactional ids forgotten because nobody used them."),
    ("thalweg_transaction_impossible_moves_total", Counter, &[], "Changes of a transaction's state that must not happen; anything but 0 is a defect."),
    ("thalweg_transaction_markers_pending", Gauge, &[], "Markers of decided transactions that are not durable yet."),
    ("thalweg_transaction_partitions_not_loaded", Gauge, &[], "Partitions of __transaction_state whose transactional ids are not served yet."),
    ("thalweg_transaction_load_seconds_max", Gauge, &[], "Longest load of a partition of __transaction_state since the start."),
];

/// Groups.
#[rustfmt::skip]
pub(super) const GROUPS: &[Declared] = &[
    ("thalweg_groups", Gauge, &["state"], "Groups by state."),
    ("thalweg_group_partitions_not_loaded", Gauge, &[], "Partitions of __consumer_offsets whose groups are not served yet."),
    ("thalweg_group_offsets_committed_total", Counter, &[], "Offsets committed since the start."),
    ("thalweg_group_offsets_expired_total", Counter, &[], "Committed offsets that expired since the start."),
    ("thalweg_group_offsets_deleted_total", Counter, &[], "Committed offsets deleted since the start."),
    ("thalweg_group_rebalances_total", Counter, &[], "Rebalances completed since the start."),
    ("thalweg_group_sessions_expired_total", Counter, &[], "Members removed because they were silent."),
    ("thalweg_group_impossible_moves_total", Counter, &[], "Changes of group state that must not happen; anything but 0 is a defect."),
    ("kafka_consumergroup_members", Gauge, &["consumergroup"], "Members of a group."),
    ("kafka_consumergroup_current_offset", Gauge, EXPORTER_PARTITION, "Committed offset of a group."),
    ("kafka_consumergroup_current_offset_sum", Gauge, EXPORTER_TOPIC, "Sum of a group's committed offsets in a topic."),
    ("kafka_consumergroup_lag", Gauge, EXPORTER_PARTITION, "Offsets from the committed one to the end."),
    ("kafka_consumergroup_lag_sum", Gauge, EXPORTER_TOPIC, "Sum of a group's lag in a topic."),
    ("kafka_consumergroup_group_offset", Gauge, GROUP_PARTITION, "Committed offset of a group."),
    ("kafka_consumergroup_group_lag", Gauge, GROUP_PARTITION, "Offsets from the committed one to the end."),
    ("kafka_consumergroup_group_lag_seconds", Gauge, GROUP_PARTITION, "Age of the next record the group will read, 0 at the end."),
    ("kafka_consumergroup_group_max_lag", Gauge, &["group"], "Largest lag of a group over its partitions."),
    ("kafka_consumergroup_group_max_lag_seconds", Gauge, &["group"], "Largest lag in seconds of a group over its partitions."),
    ("kafka_consumergroup_group_sum_lag", Gauge, &["group"], "Sum of a group's lag over all its partitions."),
    ("kafka_consumergroup_group_topic_sum_lag", Gauge, &["group", "topic"], "Sum of a group's lag in a topic."),
    ("thalweg_group_lag_seconds", Gauge, GROUP_PARTITION, "Age of the next record the group will read, 0 at the end."),
    ("thalweg_group_lag_seconds_max", Gauge, &["group"], "Largest lag in seconds of a group over its partitions."),
];
