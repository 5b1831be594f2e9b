//! Transactional ids and their transactions (KIP-98, 360, 447, 890, 994).
//!
//! [`TransactionShard`] holds the transactional ids of one `__transaction_state` partition; everything else here is a
//! part of it. A request names its transactional id; [`partition_for`] tells which shard that is.
//!
//! A shard never talks to a partition. It says which markers are due ([`MarkerWork`]) and is told when all of them are
//! durable ([`TransactionShard::markers_written`]); the caller appends none before the records of the step that asked
//! for them are durable.

mod add;
mod config;
mod end;
mod error;
mod id;
mod init;
mod list;
mod metadata;
mod replay;
mod request;
mod shard;
mod state;
mod step;
mod summary;

pub use crate::partition::partition_for;
pub use config::{TransactionConfig, TransactionConfigError};
pub use error::{TransactionError, TransactionReplayError};
pub use id::{ProducerIdAndEpoch, TransactionalId};
pub use replay::TransactionReplayed;
pub use request::{
    AddPartitions, DescribeTransaction, DescribedTransaction, EndTransaction, InitProducerId,
    ListTransactions, ListedTransaction, NeedsProducerId, TransactionReply, TransactionRequest,
    VerifiedPartition, VerifyPartitions,
};
pub use shard::TransactionShard;
pub use state::{Outcome, TransactionState, TransactionVersion};
pub use step::{AbortCause, MarkerWork, TransactionEvent, TransactionRecord, TransactionStep};
pub use summary::{TransactionShardStats, TransactionSummary};

#[cfg(test)]
#[path = "testing_test.rs"]
mod testing;

#[cfg(test)]
#[path = "model_test.rs"]
mod model_test;

#[cfg(test)]
#[path = "random_test.rs"]
mod random_test;
