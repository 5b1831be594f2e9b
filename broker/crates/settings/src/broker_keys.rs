//! The broker keys that something reads: one row each, and one accessor each.
//!
//! A row whose standing is `Kafka` or `Ours` must be obeyed by the code it names; `Stored` says openly that it is
//! not. Kafka's remaining keys are in `kafka_keys`.

use crate::kafka_keys::KAFKA_ONLY;
use crate::setting::{Rule, Setting, min, range};
use crate::settings::Settings;
use crate::value::{CompressionType, TimestampType, Value};

/// Largest `int`.
const INT_MAX: i64 = i32::MAX as i64;

macro_rules! broker_settings {
    ($($field:ident: $kind:ident $unit:ident $name:literal = $default:tt $(dev $dev:literal)?, $rule:expr, $update:ident, $standing:ident, $doc:literal;)*) => {
        /// The keys with an accessor, in the order of their rows.
        pub(crate) const READ: &[Setting] = &[
            $(setting_of!($kind $unit $name = $default, maybe!($($dev)?), $rule, $update, $standing, &[], $doc),)*
        ];

        /// Row numbers of [`READ`].
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Row { $($field,)* }

        /// One accessor per key: the value in force.
        impl Settings {
            $(
                #[doc = concat!("`", $name, "`: ", $doc)]
                #[must_use]
                pub fn $field(&self) -> type_of!(borrowed $kind) {
                    read_as!(self.value_at(Row::$field as usize), $kind)
                }
            )*
        }

        /// Calls every accessor once.
        #[cfg(test)]
        pub(crate) fn read_all(settings: &Settings) -> usize {
            [$({ let _ = settings.$field(); 1 },)*].into_iter().sum()
        }
    };
}

#[rustfmt::skip]
broker_settings! {
    // Who and where
    node_id: node None "node.id" = "0", range(0, INT_MAX), ReadOnly, Kafka, "Number of this broker in its cluster.";
    broker_id: node None "broker.id" = "0", range(-1, INT_MAX), ReadOnly, Kafka, "Older name of node.id; when both are set they must agree.";
    broker_rack: opt_string None "broker.rack" = null, Rule::Any, ReadOnly, Kafka, "Rack or zone of this broker, told to clients in Metadata.";
    log_dir: list None "log.dir" = "thalweg-data", Rule::NotEmpty, ReadOnly, Kafka, "Data directory, used when log.dirs is not set.";
    log_dirs: opt_list None "log.dirs" = null, Rule::NotEmpty, ReadOnly, Kafka, "Data directory; exactly one, because one write-ahead log serves all partitions.";

    // Network
    listeners: list None "listeners" = "PLAINTEXT://:9092" dev "PLAINTEXT://127.0.0.1:9092", Rule::Listeners, ReadOnly, Kafka, "Addresses to listen on, as NAME://host:port; an empty host is every address of the machine.";
    advertised_listeners: opt_list None "advertised.listeners" = null, Rule::Listeners, ReadOnly, Kafka, "Addresses clients are told to connect to, per listener name; without it, those of listeners.";
    listener_security_protocol_map: string None "listener.security.protocol.map" = "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", Rule::Any, ReadOnly, Kafka, "Security protocol of each listener name, as NAME:PROTOCOL.";
    controller_listener_names: list None "controller.listener.names" = "", Rule::Any, ReadOnly, Kafka, "Listener names for controllers; they are not opened, since a broker needs no controller quorum here.";
    process_roles: list None "process.roles" = "broker,controller", Rule::EachOneOf(&["broker", "controller"]), ReadOnly, Kafka, "Roles of this process; broker must be among them, and controller means nothing here.";
    http_listener: string None "http.listener" = "127.0.0.1:9644", Rule::HttpListener, ReadOnly, Ours, "Address of /metrics, /livez, /readyz and the JSON API, as host:port; empty switches them off.";
    socket_request_max_bytes: uint Bytes "socket.request.max.bytes" = "104857600", range(1, INT_MAX), ReadOnly, Kafka, "Largest request; a connection that announces a larger one is closed.";
    socket_send_buffer_bytes: int Bytes "socket.send.buffer.bytes" = "-1", range(-1, INT_MAX), ReadOnly, Kafka, "Send buffer of each socket; -1 leaves it to the operating system, which fits it to the line. Kafka's default, 102400, costs about a third more processor time for large requests.";
    socket_receive_buffer_bytes: int Bytes "socket.receive.buffer.bytes" = "-1", range(-1, INT_MAX), ReadOnly, Kafka, "Receive buffer of each socket; -1 leaves it to the operating system, which fits it to the line. Kafka's default, 102400, costs about a third more processor time for large requests.";
    socket_listen_backlog_size: uint None "socket.listen.backlog.size" = "50", range(1, INT_MAX), ReadOnly, Kafka, "Connections that may wait to be accepted.";
    max_connections: uint None "max.connections" = "2147483647", range(0, INT_MAX), ClusterWide, Kafka, "Connections open at a time.";
    max_connections_per_ip: uint None "max.connections.per.ip" = "2147483647", range(0, INT_MAX), ClusterWide, Kafka, "Connections open at a time from one address.";
    max_connections_per_ip_overrides: string None "max.connections.per.ip.overrides" = "", Rule::ConnectionLimits, ClusterWide, Kafka, "Exceptions to max.connections.per.ip, as address:count between commas.";
    connections_max_idle_ms: long Ms "connections.max.idle.ms" = "600000", Rule::Any, ReadOnly, Kafka, "A connection without a request for this long is closed; a negative value never closes one.";
    connection_requests_in_flight_max: uint None "connection.requests.in.flight.max" = "16", range(1, 10_000), ReadOnly, Ours, "Requests of one connection that are read ahead of their answers.";
    memory_budget_bytes: ulong Bytes "memory.budget.bytes" = "1073741824", min(16 * 1024 * 1024), ReadOnly, Ours, "Memory for the requests, commit groups and replies of all connections together; at the limit sockets are not read.";
    fetch_response_total_bytes_max: ulong Bytes "fetch.response.total.bytes.max" = "268435456", min(1024 * 1024), ReadOnly, Ours, "Bytes of fetch replies held at a time for readers that take them slowly.";
    decompression_bytes_max: uint Bytes "decompression.bytes.max" = "67108864", range(1024 * 1024, INT_MAX), ReadOnly, Ours, "Largest size of a compressed batch once decompressed, where the broker has to look inside.";
    decompression_ratio_max: uint None "decompression.ratio.max" = "2048", range(10, INT_MAX), ReadOnly, Ours, "How many times its compressed size a batch may become; the first MiB is always allowed.";

    // Requests
    fetch_max_bytes: uint Bytes "fetch.max.bytes" = "57671680", range(1024, INT_MAX), ReadOnly, Kafka, "Largest fetch reply, whatever the client asks for; one batch larger than that is still sent whole.";
    max_incremental_fetch_session_cache_slots: uint None "max.incremental.fetch.session.cache.slots" = "1000", range(0, INT_MAX), ReadOnly, Kafka, "Fetch sessions kept (KIP-227).";
    max_request_partition_size_limit: uint None "max.request.partition.size.limit" = "2000", range(1, INT_MAX), ReadOnly, Kafka, "Partitions in one DescribeTopicPartitions reply.";
    request_timeout_ms: uint Ms "request.timeout.ms" = "30000", range(1, INT_MAX), ReadOnly, Stored, "How long a broker waits for another broker's answer.";

    // Topics
    num_partitions: uint None "num.partitions" = "1", range(1, INT_MAX), ReadOnly, Kafka, "Partitions of a topic created without a number.";
    default_replication_factor: uint None "default.replication.factor" = "1", range(1, 32_767), ReadOnly, Kafka, "Replication factor of a topic created without one.";
    replication_factor_any: bool None "replication.factor.any" = "false" dev "true", Rule::Any, ReadOnly, Ours, "Takes any requested replication factor and reports 1, the number of copies one machine holds; off, more than 1 is refused.";
    auto_create_topics_enable: bool None "auto.create.topics.enable" = "true", Rule::Any, ReadOnly, Kafka, "Creates a topic when a client that allows it asks for its metadata.";
    delete_topic_enable: bool None "delete.topic.enable" = "true", Rule::Any, ReadOnly, Kafka, "Allows topics to be deleted.";
    message_max_bytes: uint Bytes "message.max.bytes" = "1048588", range(0, INT_MAX), ClusterWide, Kafka, "max.message.bytes of topics that set none.";
    min_insync_replicas: uint None "min.insync.replicas" = "1", range(1, INT_MAX), ClusterWide, Kafka, "min.insync.replicas of topics that set none; never more than a partition has copies.";
    unclean_leader_election_enable: bool None "unclean.leader.election.enable" = "false", Rule::Any, ClusterWide, Stored, "unclean.leader.election.enable of topics that set none.";
    compression_type: compression None "compression.type" = "producer", Rule::OneOf(CompressionType::NAMES), ClusterWide, Kafka, "compression.type of topics that set none.";
    compression_gzip_level: int None "compression.gzip.level" = "-1", Rule::RangeOr { min: 1, max: 9, or: -1 }, ClusterWide, Kafka, "compression.gzip.level of topics that set none.";
    compression_lz4_level: int None "compression.lz4.level" = "9", range(1, 17), ClusterWide, Kafka, "compression.lz4.level of topics that set none.";
    compression_zstd_level: int None "compression.zstd.level" = "3", range(-131_072, 22), ClusterWide, Kafka, "compression.zstd.level of topics that set none.";
    log_cleanup_policy: cleanup None "log.cleanup.policy" = "delete", Rule::EachOneOf(&["compact", "delete"]), ClusterWide, Kafka, "cleanup.policy of topics that set none.";
    log_retention_ms: opt_long Ms "log.retention.ms" = null, min(-1), ClusterWide, Kafka, "retention.ms of topics that set none; -1 is for ever; wins over minutes and hours.";
    log_retention_minutes: opt_int Minutes "log.retention.minutes" = null, min(-1), ReadOnly, Kafka, "retention.ms of topics that set none, in minutes; wins over hours.";
    log_retention_hours: int Hours "log.retention.hours" = "168", min(-1), ReadOnly, Kafka, "retention.ms of topics that set none, in hours.";
    log_retention_bytes: long Bytes "log.retention.bytes" = "-1", min(-1), ClusterWide, Kafka, "retention.bytes of topics that set none.";
    log_retention_check_interval_ms: long_duration Ms "log.retention.check.interval.ms" = "300000", min(1), ReadOnly, Kafka, "Time between two looks for segments past retention.";
    log_segment_bytes: uint Bytes "log.segment.bytes" = "1073741824", range(1_048_576, INT_MAX), ClusterWide, Kafka, "segment.bytes of topics that set none.";
    log_segment_delete_delay_ms: long_duration Ms "log.segment.delete.delay.ms" = "60000", min(0), ClusterWide, Kafka, "file.delete.delay.ms of topics that set none.";
    log_roll_ms: opt_long Ms "log.roll.ms" = null, min(1), ClusterWide, Kafka, "segment.ms of topics that set none; wins over hours.";
    log_roll_hours: int Hours "log.roll.hours" = "168", range(1, INT_MAX), ReadOnly, Kafka, "segment.ms of topics that set none, in hours.";
    log_roll_jitter_ms: opt_long Ms "log.roll.jitter.ms" = null, min(0), ClusterWide, Kafka, "segment.jitter.ms of topics that set none; wins over hours.";
    log_roll_jitter_hours: int Hours "log.roll.jitter.hours" = "0", range(0, INT_MAX), ReadOnly, Kafka, "segment.jitter.ms of topics that set none, in hours.";
    log_index_interval_bytes: uint Bytes "log.index.interval.bytes" = "4096", range(0, INT_MAX), ClusterWide, Kafka, "index.interval.bytes of topics that set none.";
    log_index_size_max_bytes: uint Bytes "log.index.size.max.bytes" = "10485760", range(4, INT_MAX), ClusterWide, Kafka, "segment.index.bytes of topics that set none.";
    log_preallocate: bool None "log.preallocate" = "false", Rule::Any, ClusterWide, Stored, "preallocate of topics that set none.";
    log_flush_interval_messages: ulong None "log.flush.interval.messages" = "9223372036854775807", min(1), ClusterWide, Stored, "flush.messages of topics that set none.";
    log_flush_interval_ms: opt_long Ms "log.flush.interval.ms" = null, min(0), ClusterWide, Stored, "flush.ms of topics that set none.";
    log_flush_scheduler_interval_ms: long Ms "log.flush.scheduler.interval.ms" = "9223372036854775807", min(0), ReadOnly, Stored, "flush.ms of topics that set none, if log.flush.interval.ms is not set.";
    log_message_timestamp_type: timestamp None "log.message.timestamp.type" = "CreateTime", Rule::OneOf(TimestampType::NAMES), ClusterWide, Kafka, "message.timestamp.type of topics that set none.";
    log_message_timestamp_before_max_ms: ulong Ms "log.message.timestamp.before.max.ms" = "9223372036854775807", min(0), ClusterWide, Kafka, "message.timestamp.before.max.ms of topics that set none.";
    log_message_timestamp_after_max_ms: ulong Ms "log.message.timestamp.after.max.ms" = "3600000", min(0), ClusterWide, Kafka, "message.timestamp.after.max.ms of topics that set none.";
    log_local_retention_ms: long Ms "log.local.retention.ms" = "-2", min(-2), ClusterWide, Stored, "local.retention.ms of topics that set none.";
    log_local_retention_bytes: long Bytes "log.local.retention.bytes" = "-2", min(-2), ClusterWide, Stored, "local.retention.bytes of topics that set none.";
    remote_log_storage_system_enable: bool None "remote.log.storage.system.enable" = "false", Rule::Any, ReadOnly, Refused, "Makes tiered storage available to topics.";

    // Compaction
    log_cleaner_enable: bool None "log.cleaner.enable" = "true", Rule::Any, ReadOnly, Kafka, "Compacts topics whose cleanup.policy has compact.";
    log_cleaner_threads: uint None "log.cleaner.threads" = "1", range(0, INT_MAX), ClusterWide, Kafka, "Logs compacted at a time; 0 pauses compaction, more than 64 count as 64.";
    log_cleaner_backoff_ms: long_duration Ms "log.cleaner.backoff.ms" = "15000", min(0), ClusterWide, Kafka, "Wait before the next look when no log needed compaction.";
    log_cleaner_dedupe_buffer_size: ulong Bytes "log.cleaner.dedupe.buffer.size" = "134217728", min(0), ClusterWide, Kafka, "Memory for the map of keys that compaction builds, all threads together.";
    log_cleaner_io_buffer_size: uint Bytes "log.cleaner.io.buffer.size" = "524288", range(0, INT_MAX), ClusterWide, Kafka, "Read and write buffers of compaction, all threads together.";
    log_cleaner_io_buffer_load_factor: double None "log.cleaner.io.buffer.load.factor" = "0.9", Rule::Any, ClusterWide, Kafka, "How full the map of keys may become before a pass ends.";
    log_cleaner_io_max_bytes_per_second: double BytesPerSecond "log.cleaner.io.max.bytes.per.second" = "1.7976931348623157E308", Rule::Any, ClusterWide, Kafka, "Reads and writes of compaction, all threads together.";
    log_cleaner_min_cleanable_ratio: double None "log.cleaner.min.cleanable.ratio" = "0.5", Rule::Ratio { min: 0.0, max: 1.0 }, ClusterWide, Kafka, "min.cleanable.dirty.ratio of topics that set none.";
    log_cleaner_delete_retention_ms: ulong Ms "log.cleaner.delete.retention.ms" = "86400000", min(0), ClusterWide, Kafka, "delete.retention.ms of topics that set none.";
    log_cleaner_min_compaction_lag_ms: ulong Ms "log.cleaner.min.compaction.lag.ms" = "0", min(0), ClusterWide, Kafka, "min.compaction.lag.ms of topics that set none.";
    log_cleaner_max_compaction_lag_ms: ulong Ms "log.cleaner.max.compaction.lag.ms" = "9223372036854775807", min(1), ClusterWide, Kafka, "max.compaction.lag.ms of topics that set none.";

    // Write-ahead log, disk, memory
    wal_max_bytes: ulong Bytes "wal.max.bytes" = "1073741824", min(4 * 1024 * 1024), ReadOnly, Ours, "Size of the write-ahead log; past half of it data moves to segments, at the limit produce is delayed.";
    wal_file_bytes: ulong Bytes "wal.file.bytes" = "67108864", min(1024 * 1024), ReadOnly, Ours, "Size of one file of the write-ahead log; a record batch may be half as large.";
    wal_group_max_bytes: ulong Bytes "wal.group.max.bytes" = "4194304", range(64 * 1024, INT_MAX), ReadOnly, Ours, "Size at which a commit group is closed while another is being flushed.";
    wal_tail_memory_bytes: ulong Bytes "wal.tail.memory.bytes" = "134217728", min(1024 * 1024), ReadOnly, Ours, "Newest groups kept in memory for readers; older ones are read from files.";
    segment_write_bytes: ulong Bytes "segment.write.bytes" = "1048576", range(4096, INT_MAX), ReadOnly, Ours, "Least amount written to a segment at a time, where the traffic allows.";
    segment_write_direct_bytes: ulong Bytes "segment.write.direct.bytes" = "65536", range(0, INT_MAX), ReadOnly, Ours, "Writes to a segment from this size on pass by the page cache; 0: none do.";
    segment_read_direct_bytes: ulong Bytes "segment.read.direct.bytes" = "262144", range(0, INT_MAX), ReadOnly, Ours, "Reads of a segment from this size on pass by the page cache when they are the first of their place; 0: none do.";
    disk_use_high_percent: uint Percent "disk.use.high.percent" = "95", range(1, 100), ReadOnly, Ours, "Disk use above which produce is answered with KAFKA_STORAGE_ERROR.";
    disk_use_low_percent: uint Percent "disk.use.low.percent" = "90", range(1, 100), ReadOnly, Ours, "Disk use below which produce is taken again.";
    disk_reserve_bytes: ulong Bytes "disk.reserve.bytes" = "67108864", min(1024 * 1024), ReadOnly, Ours, "Space set aside so that commits, deletes and configuration changes work on a full disk.";
    metadata_cache_bytes: ulong Bytes "metadata.cache.bytes" = "16777216", min(1024 * 1024), ReadOnly, Ours, "Memory of the embedded metadata store.";
    metrics_partition_series_max: uint None "metrics.partition.series.max" = "20000", range(0, INT_MAX), ReadOnly, Ours, "Metric series with a partition label; what is left out is counted.";
    metrics_topic_series_max: uint None "metrics.topic.series.max" = "20000", range(0, INT_MAX), ReadOnly, Ours, "Metric series with a topic or group label and no partition; what is left out is counted.";

    // Producers
    producer_id_expiration_ms: int_duration Ms "producer.id.expiration.ms" = "86400000", range(1, INT_MAX), ClusterWide, Kafka, "A partition forgets a producer that has not written for this long.";
    producer_ids_per_partition_max: uint None "producer.ids.per.partition.max" = "10000", range(1, INT_MAX), ReadOnly, Ours, "Producers a partition remembers; past it the one idle longest is forgotten.";

    // Groups
    group_initial_rebalance_delay_ms: int_duration Ms "group.initial.rebalance.delay.ms" = "3000" dev "0", range(0, INT_MAX), ReadOnly, Kafka, "How long a new group waits for more members before its first rebalance.";
    group_min_session_timeout_ms: int Ms "group.min.session.timeout.ms" = "6000", range(0, INT_MAX), ReadOnly, Kafka, "Least session timeout a member may ask for.";
    group_max_session_timeout_ms: int Ms "group.max.session.timeout.ms" = "1800000", range(0, INT_MAX), ReadOnly, Kafka, "Largest session timeout a member may ask for.";
    group_max_size: uint None "group.max.size" = "2147483647", range(1, INT_MAX), ReadOnly, Kafka, "Members of one group.";
    offset_metadata_max_bytes: uint Bytes "offset.metadata.max.bytes" = "4096", range(0, INT_MAX), ReadOnly, Kafka, "Longest text a client may store with a committed offset.";
    offsets_topic_num_partitions: uint None "offsets.topic.num.partitions" = "50", range(1, INT_MAX), ReadOnly, Kafka, "Partitions of __consumer_offsets; fixed once the topic exists.";
    offsets_topic_replication_factor: short None "offsets.topic.replication.factor" = "1", range(1, 32_767), ReadOnly, Stored, "Replication factor of __consumer_offsets; one machine holds one copy.";
    offsets_topic_segment_bytes: uint Bytes "offsets.topic.segment.bytes" = "104857600", range(1, INT_MAX), ReadOnly, Kafka, "segment.bytes of __consumer_offsets, at least 1 MiB.";
    offsets_topic_compression_codec: int None "offsets.topic.compression.codec" = "0", range(0, 4), ReadOnly, Stored, "Codec of __consumer_offsets by its number in the batch attributes.";
    offsets_retention_minutes: uint Minutes "offsets.retention.minutes" = "10080", range(1, INT_MAX), ReadOnly, Kafka, "How long the offsets of a group without members are kept.";
    offsets_retention_check_interval_ms: long_duration Ms "offsets.retention.check.interval.ms" = "600000", min(1), ReadOnly, Kafka, "Time between two looks for expired offsets.";
    offsets_load_buffer_size: uint Bytes "offsets.load.buffer.size" = "5242880", range(1, INT_MAX), ReadOnly, Kafka, "Bytes read at a time while a partition of __consumer_offsets is loaded.";
    offsets_commit_timeout_ms: int_duration Ms "offsets.commit.timeout.ms" = "5000", range(1, INT_MAX), ReadOnly, Kafka, "How long an offset commit may wait for the disk.";

    // Transactions
    transaction_max_timeout_ms: uint Ms "transaction.max.timeout.ms" = "900000", range(1, INT_MAX), ReadOnly, Kafka, "Longest transaction timeout a producer may ask for.";
    transactional_id_expiration_ms: uint Ms "transactional.id.expiration.ms" = "604800000", range(1, INT_MAX), ReadOnly, Kafka, "A transactional id not used for this long is forgotten.";
    transaction_state_log_num_partitions: uint None "transaction.state.log.num.partitions" = "50", range(1, INT_MAX), ReadOnly, Kafka, "Partitions of __transaction_state; fixed once the topic exists.";
    transaction_state_log_replication_factor: short None "transaction.state.log.replication.factor" = "1", range(1, 32_767), ReadOnly, Stored, "Replication factor of __transaction_state; one machine holds one copy.";
    transaction_state_log_min_isr: uint None "transaction.state.log.min.isr" = "1", range(1, INT_MAX), ReadOnly, Stored, "min.insync.replicas of __transaction_state.";
    transaction_state_log_segment_bytes: uint Bytes "transaction.state.log.segment.bytes" = "104857600", range(1, INT_MAX), ReadOnly, Kafka, "segment.bytes of __transaction_state, at least 1 MiB.";
    transaction_state_log_load_buffer_size: uint Bytes "transaction.state.log.load.buffer.size" = "5242880", range(1, INT_MAX), ReadOnly, Kafka, "Bytes read at a time while a partition of __transaction_state is loaded.";
    transaction_abort_timed_out_transaction_cleanup_interval_ms: int_duration Ms "transaction.abort.timed.out.transaction.cleanup.interval.ms" = "10000", range(1, INT_MAX), ReadOnly, Stored, "Time between two looks for transactions past their timeout.";
    transaction_remove_expired_transaction_cleanup_interval_ms: int_duration Ms "transaction.remove.expired.transaction.cleanup.interval.ms" = "3600000", range(1, INT_MAX), ReadOnly, Kafka, "Time between two looks for expired transactional ids.";
    transactional_ids_per_partition_max: uint None "transactional.ids.per.partition.max" = "20000", range(1, INT_MAX), ReadOnly, Ours, "Transactional ids that one partition of __transaction_state holds; more are refused.";
    transaction_partition_verification_enable: bool None "transaction.partition.verification.enable" = "true", Rule::Any, ClusterWide, Stored, "Asks the transaction coordinator before the first write of a transaction to a partition (KIP-890).";
}

/// Every broker key: those with an accessor first, then the rest of Kafka's.
pub static BROKER_SETTINGS: &[Setting] = &joined::<{ READ.len() + KAFKA_ONLY.len() }>(READ, KAFKA_ONLY);

/// Joins two tables at compile time.
const fn joined<const N: usize>(first: &[Setting], second: &[Setting]) -> [Setting; N] {
    let mut all = [first[0]; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < first.len() {
            first[index]
        } else {
            second[index - first.len()]
        };
        index += 1;
    }
    all
}

impl Settings {
    /// Returns the value of a row of [`READ`].
    fn value_at(&self, row: usize) -> &Value {
        // Every snapshot has one slot per row of BROKER_SETTINGS, which begins with READ.
        &self.slots()[row].value
    }

    /// Returns the data directory: the single entry of `log.dirs`, else of `log.dir`.
    #[must_use]
    pub fn data_directory(&self) -> &std::path::Path {
        let entries = self.log_dirs().unwrap_or_else(|| self.log_dir());
        std::path::Path::new(entries.first().map_or("", String::as_str))
    }

    /// Returns the largest record batch the write-ahead log can hold: half of one of its files.
    #[must_use]
    pub fn batch_bytes_max(&self) -> u64 {
        self.wal_file_bytes() / 2
    }
}
