//! One row per API: the versions served and the handler. ApiVersions, dispatch, metrics and the network
//! layer's early check all read this table; there is no second list.
//!
//! A row's range is what the handler serves completely. What is advertised starts lower where older clients
//! need it (`advertised_from`): requests of those lower versions are refused all the same, see the row's
//! reason.

use kafka_protocol::messages::ApiKey;

use super::decoding::with_memory;
use super::{
    Handler, api_versions, describe_producers, fetch, list_offsets, metadata, offset_for_leader_epoch,
    produce,
};
use super::{
    add_offsets_to_txn, add_partitions_to_txn, describe_transactions, end_txn, list_transactions,
    txn_offset_commit, write_txn_markers,
};
use super::{
    alter_configs, create_partitions, create_topics, delete_records, delete_topics, describe_cluster,
    describe_configs, describe_log_dirs, describe_topic_partitions, incremental_alter_configs,
    init_producer_id, list_config_resources,
};
use super::{
    delete_groups, describe_groups, find_coordinator, heartbeat, join_group, leave_group, list_groups,
    offset_commit, offset_delete, offset_fetch, sync_group,
};

/// One API.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The API key.
    pub key: ApiKey,
    /// Kafka's name; the `api` label of metrics.
    pub name: &'static str,
    /// The oldest version served.
    pub version_min: i16,
    /// The newest version served.
    pub version_max: i16,
    /// The oldest version advertised, at most `version_min`.
    pub advertised_min: i16,
    /// Stage 1 of the request.
    pub handler: Handler,
}

impl Row {
    /// Reports whether requests of this version reach the handler.
    #[must_use]
    pub const fn serves(&self, version: i16) -> bool {
        self.version_min <= version && version <= self.version_max
    }

    /// Advertises versions from `version` on although they are refused.
    // The rows that need it, Produce and JoinGroup, come with their handlers.
    #[allow(dead_code)]
    const fn advertised_from(mut self, version: i16) -> Self {
        self.advertised_min = version;
        self
    }
}

/// `row!(Name, oldest..=newest, handler)`.
macro_rules! row {
    ($name:ident, $min:literal..=$max:literal, $handler:path) => {
        Row {
            key: ApiKey::$name,
            name: stringify!($name),
            version_min: $min,
            version_max: $max,
            advertised_min: $min,
            handler: |context, request| Box::pin(with_memory(context, request, $handler)),
        }
    };
}

/// All APIs, in rising order of their keys.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    // Older librdkafka drops compression unless version 0 is advertised (KAFKA-18659).
    row!(Produce, 3..=13, produce::handle).advertised_from(0),
    row!(Fetch, 4..=18, fetch::handle),
    row!(ListOffsets, 1..=10, list_offsets::handle),
    row!(Metadata, 0..=13, metadata::handle),
    row!(OffsetCommit, 2..=10, offset_commit::handle),
    row!(OffsetFetch, 1..=10, offset_fetch::handle),
    row!(FindCoordinator, 0..=6, find_coordinator::handle),
    row!(JoinGroup, 0..=9, join_group::handle),
    row!(Heartbeat, 0..=4, heartbeat::handle),
    row!(LeaveGroup, 0..=5, leave_group::handle),
    row!(SyncGroup, 0..=5, sync_group::handle),
    row!(DescribeGroups, 0..=6, describe_groups::handle),
    row!(ListGroups, 0..=5, list_groups::handle),
    row!(ApiVersions, 0..=4, api_versions::handle),
    row!(CreateTopics, 2..=7, create_topics::handle),
    row!(DeleteTopics, 1..=6, delete_topics::handle),
    row!(DeleteRecords, 0..=2, delete_records::handle),
    row!(InitProducerId, 0..=5, init_producer_id::handle),
    row!(OffsetForLeaderEpoch, 2..=4, offset_for_leader_epoch::handle),
    row!(AddPartitionsToTxn, 0..=5, add_partitions_to_txn::handle),
    row!(AddOffsetsToTxn, 0..=4, add_offsets_to_txn::handle),
    row!(EndTxn, 0..=5, end_txn::handle),
    row!(WriteTxnMarkers, 1..=2, write_txn_markers::handle),
    row!(TxnOffsetCommit, 0..=5, txn_offset_commit::handle),
    row!(DescribeConfigs, 1..=4, describe_configs::handle),
    row!(AlterConfigs, 0..=2, alter_configs::handle),
    row!(DescribeLogDirs, 1..=4, describe_log_dirs::handle),
    row!(CreatePartitions, 0..=3, create_partitions::handle),
    row!(DeleteGroups, 0..=2, delete_groups::handle),
    row!(IncrementalAlterConfigs, 0..=1, incremental_alter_configs::handle),
    row!(OffsetDelete, 0..=0, offset_delete::handle),
    row!(DescribeCluster, 0..=2, describe_cluster::handle),
    row!(DescribeProducers, 0..=0, describe_producers::handle),
    row!(DescribeTransactions, 0..=0, describe_transactions::handle),
    row!(ListTransactions, 0..=2, list_transactions::handle),
    row!(ListConfigResources, 0..=1, list_config_resources::handle),
    row!(DescribeTopicPartitions, 0..=0, describe_topic_partitions::handle),
];

/// Returns the row of an API key.
#[must_use]
pub fn row(api_key: i16) -> Option<&'static Row> {
    let index = TABLE.binary_search_by_key(&api_key, |row| row.key as i16).ok()?;
    TABLE.get(index)
}

/// What to do with a frame, from its first four bytes alone.
#[derive(Clone, Copy, Debug)]
pub enum Admission {
    /// Read the rest and call the row's handler.
    Serve(&'static Row),
    /// ApiVersions of an unknown version: answered in version 0 with UNSUPPORTED_VERSION and this broker's
    /// ranges, so that the client can start again lower (KIP-35, KIP-511).
    AnswerVersions(&'static Row),
    /// A version that is not served. Clients that asked ApiVersions first never send one; there is no reply
    /// they could read.
    UnsupportedVersion(&'static Row),
    /// A key that is not served, or not Kafka at all.
    UnknownKey,
}

/// Judges an API key and version. Pure.
#[must_use]
pub fn admit(api_key: i16, version: i16) -> Admission {
    match row(api_key) {
        None => Admission::UnknownKey,
        Some(row) if row.serves(version) => Admission::Serve(row),
        Some(row) if row.key == ApiKey::ApiVersions => Admission::AnswerVersions(row),
        Some(row) => Admission::UnsupportedVersion(row),
    }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
