//! A small raw Kafka client: connections, metadata, raw fetch and produce, admin calls.
//!
//! Owns sockets, version negotiation, the order of answers, metadata and retries. Does not own records: fetched
//! batches are handed out, and batches to produce are taken, as the bytes of the wire. It keeps no consumer
//! state; who is a group's member, or writes transactions, makes each step itself.
//!
//! Invariant: no byte from a broker reaches the message decoder before [`thalweg_wire::guard`] has bounded it, and no
//! answer makes memory grow past [`ClientConfig::response_size_max`] per connection.
//!
//! [`Connection`] is one socket to one broker; [`Cluster`] finds the right one, and retries what is safe to retry.

mod admin;
mod backoff;
mod cluster;
mod config;
mod connection;
mod dial;
mod error;
#[cfg(test)]
#[path = "fake_broker_test.rs"]
mod fake_broker;
mod fetch;
mod frame;
mod leader_epochs;
mod list_offsets;
mod metadata;
mod mirror;
mod produce;
mod transactions;
mod versions;

pub use admin::{
    AlterOperation, ClusterDescription, CommitOffset, CommittedOffset, ConfigAlteration, ConfigEntry,
    ConfigResource, ConfigSource, CreatedTopic, DescribedBroker, DescribedLogDir, DescribedMember,
    EndedTransactions, GroupDescription, GroupListing, GroupMember, LogDirReplica, MemberSettings, NewTopic,
    ResourceKind, Validation,
};
pub use backoff::Backoff;
pub use cluster::Cluster;
pub use config::{Address, AddressError, ClientConfig, parse_bootstrap};
pub use connection::Connection;
pub use dial::{ByteStream, Dial, Dialled};
pub use error::{BrokerError, ClientError, Resource};
pub use fetch::{AbortedTransaction, FetchOptions, FetchTarget, FetchedPartition, FetchedRecords, Isolation};
pub use leader_epochs::EpochEnd;
pub use list_offsets::{ListedOffset, OffsetQuery};
pub use metadata::{BrokerNode, Metadata, PartitionMetadata, TopicCreation, TopicMetadata, TopicSelection};
pub use mirror::{MirrorAnswer, MirrorCommand};
pub use produce::{Acks, ProduceAck, ProduceBatch, ProduceOptions, ProducedPartition, ProducerIdentity};
pub use transactions::{TransactionError, TransactionRecord, TransactionalProducer};
pub use versions::ApiVersionTable;

use thalweg_types::PartitionIndex;

/// One partition of one topic, by name: what a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: String,
    /// Partition inside it.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Names one partition.
    #[must_use]
    pub fn new(topic: impl Into<String>, partition: PartitionIndex) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
