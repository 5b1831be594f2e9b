//! What a shard may be asked, and what it answers.

use thalweg_types::{PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use super::error::TransactionError;
use super::id::{ProducerIdAndEpoch, TransactionalId};
use super::state::{Outcome, TransactionState, TransactionVersion};
use crate::names::TopicName;

/// A request to a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionRequest {
    /// InitProducerId with a transactional id.
    Init(InitProducerId),
    /// AddPartitionsToTxn and AddOffsetsToTxn.
    Add(AddPartitions),
    /// AddPartitionsToTxn that only asks.
    Verify(VerifyPartitions),
    /// EndTxn.
    End(EndTransaction),
    /// DescribeTransactions.
    Describe(DescribeTransaction),
    /// ListTransactions.
    List(ListTransactions),
}

/// InitProducerId (key 22), versions 0–5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitProducerId {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Longest time one of its transactions may be open.
    pub timeout_ms: i32,
    /// From version 3: who the producer was, when it goes on after an error (KIP-360).
    pub expected: Option<ProducerIdAndEpoch>,
}

/// Partitions that are about to be written to (AddPartitionsToTxn, key 24, versions 0–5; AddOffsetsToTxn, key 25).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitions {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Who writes.
    pub producer: ProducerIdAndEpoch,
    /// The partitions, which exist.
    pub partitions: Vec<(TopicName, PartitionIndex)>,
    /// The client's protocol.
    pub version: TransactionVersion,
}

/// A question whether partitions are part of the transaction (KIP-890).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyPartitions {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Who writes.
    pub producer: ProducerIdAndEpoch,
    /// The partitions.
    pub partitions: Vec<(TopicName, PartitionIndex)>,
}

/// The answer for one partition of [`VerifyPartitions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// [`TransactionError::TransactionAbortable`] if it is not part of the transaction.
    pub outcome: Result<(), TransactionError>,
}

/// EndTxn (key 26), versions 0–5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Who ends it.
    pub producer: ProducerIdAndEpoch,
    /// How.
    pub outcome: Outcome,
    /// The client's protocol: [`TransactionVersion::V2`] from version 5 on.
    pub version: TransactionVersion,
}

/// DescribeTransactions (key 65), version 0, one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTransaction {
    /// The id.
    pub transactional_id: TransactionalId,
}

/// What a description tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    /// The state.
    pub state: TransactionState,
    /// Who may write.
    pub producer: ProducerIdAndEpoch,
    /// Longest time a transaction may be open.
    pub timeout_ms: i32,
    /// When the newest transaction began, else [`TimestampMs::NONE`].
    pub started_at: TimestampMs,
    /// Partitions of the open transaction, by topic.
    pub partitions: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// ListTransactions (key 66), versions 0–1 and what of 2 needs no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListTransactions {
    /// Only ids in these states; empty = all.
    pub states: Vec<TransactionState>,
    /// Only these producer ids; empty = all.
    pub producer_ids: Vec<ProducerId>,
    /// Only transactions that began longer ago (KIP-994); `None` = all.
    pub duration_ms: Option<i64>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The id.
    pub transactional_id: TransactionalId,
    /// Its producer id.
    pub producer_id: ProducerId,
    /// Its state.
    pub state: TransactionState,
}

/// The answer to the request of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionReply {
    /// Who the producer is from now on.
    Init(Result<ProducerIdAndEpoch, TransactionError>),
    /// Every partition was added, or none.
    Add(Result<(), TransactionError>),
    /// One answer for each partition, in the order of the request.
    Verify(Result<Vec<VerifiedPartition>, TransactionError>),
    /// Who the producer is from now on: someone else than before in version 2 only.
    End(Result<ProducerIdAndEpoch, TransactionError>),
    /// The description.
    Describe(Result<DescribedTransaction, TransactionError>),
    /// The lines.
    List(Result<Vec<ListedTransaction>, TransactionError>),
}

impl TransactionReply {
    /// Reports whether the request may be put again when the last transaction has ended.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        let error = match self {
            Self::Init(outcome) | Self::End(outcome) => outcome.as_ref().err(),
            Self::Add(outcome) => outcome.as_ref().err(),
            Self::Verify(outcome) => outcome.as_ref().err(),
            Self::Describe(_) | Self::List(_) => None,
        };
        error == Some(&TransactionError::ConcurrentTransactions)
    }
}

/// The request needs a producer id that was never given out. Nothing has changed; put it again with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsProducerId;

/// A description of a producer in a log line.
pub(crate) fn producer(id: ProducerId, epoch: ProducerEpoch) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id, epoch }
}
