//! Administrative calls: one thin typed function for each, on [`crate::Cluster`].
//!
//! A call about several things returns one result for each of them; `Err` of the whole call means that nothing is known
//! about any. Changes are repeated only when the first try certainly had no effect.

mod cluster;
mod configs;
mod group_offsets;
mod groups;
mod member_protocol;
mod members;
mod records;
mod topics;
mod transactions;

pub use cluster::{ClusterDescription, DescribedBroker, DescribedLogDir, LogDirReplica};
pub use configs::{
    AlterOperation, ConfigAlteration, ConfigEntry, ConfigResource, ConfigSource, ResourceKind,
};
pub use group_offsets::{CommitOffset, CommittedOffset};
pub use groups::{DescribedMember, GroupDescription, GroupListing};
pub use members::{GroupMember, MemberSettings};
pub use topics::{CreatedTopic, NewTopic};
pub use transactions::EndedTransactions;

/// Whether a request changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Do it.
    Apply,
    /// Only say whether it could be done (`validate_only`).
    Only,
}

/// How long brokers may take for a change, in milliseconds.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

fn text(value: &str) -> kafka_protocol::protocol::StrBytes {
    kafka_protocol::protocol::StrBytes::from_string(value.to_owned())
}

fn topic_name(value: &str) -> kafka_protocol::messages::TopicName {
    kafka_protocol::messages::TopicName(text(value))
}

fn group_id(value: &str) -> kafka_protocol::messages::GroupId {
    kafka_protocol::messages::GroupId(text(value))
}

fn owned(value: Option<kafka_protocol::protocol::StrBytes>) -> Option<String> {
    value.map(|value| value.to_string())
}
