//! What a shard hands back: records to append, a reply, markers to write after that, and events worth a log line.

use bytes::Bytes;
use thalweg_types::PartitionIndex;

use super::id::{ProducerIdAndEpoch, TransactionalId};
use super::request::TransactionReply;
use super::state::{Outcome, TransactionVersion};
use crate::names::TopicName;

/// One record for the log of the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Compaction key.
    pub key: Bytes,
    /// `None` = tombstone.
    pub value: Option<Bytes>,
}

/// Markers that a decided transaction needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerWork {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Whose transaction it is. The epoch is the marker's: in version 2 it is one above that of the data.
    pub producer: ProducerIdAndEpoch,
    /// What was decided.
    pub outcome: Outcome,
    /// Tells this decision from every other of the same shard. Before version 2 nothing else does: the epoch stays.
    pub decision: u64,
    /// The protocol of the transaction's end.
    pub version: TransactionVersion,
    /// Where a marker is needed; may be nowhere.
    pub partitions: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// The effects of one call.
///
/// The shard's memory has changed already. The caller appends `records` in order, sends the reply only when they and
/// every earlier record of the shard are durable, and writes no marker before that either.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct TransactionStep {
    /// To append, in order.
    pub records: Vec<TransactionRecord>,
    /// To send once durable; `None` if there was no request.
    pub reply: Option<TransactionReply>,
    /// To write once durable, each as often as it takes; then [`super::TransactionShard::markers_written`].
    pub markers: Vec<MarkerWork>,
    /// To log.
    pub events: Vec<TransactionEvent>,
}

/// Why a transaction is aborted without its producer having asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortCause {
    /// Another producer took the transactional id over.
    TakenOver,
    /// The transaction was open for longer than its timeout.
    TimedOut,
}

/// Something an operator may ask for later; the caller logs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionEvent {
    /// A producer has a new identity.
    ProducerInitialized {
        /// The id.
        transactional_id: TransactionalId,
        /// Who it is.
        producer: ProducerIdAndEpoch,
    },
    /// A transaction is aborted by the coordinator.
    Fenced {
        /// The id.
        transactional_id: TransactionalId,
        /// Who is fenced.
        producer: ProducerIdAndEpoch,
        /// Why.
        cause: AbortCause,
    },
    /// Ids that were not used for long are gone.
    IdsExpired {
        /// How many.
        count: usize,
    },
}
