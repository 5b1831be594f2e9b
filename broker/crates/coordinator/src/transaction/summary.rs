//! What metrics and dumps read of a shard without asking it a request.

use super::id::{ProducerIdAndEpoch, TransactionalId};
use super::metadata::TransactionMetadata;
use super::state::TransactionState;

/// Counters of one shard since it was made; none goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionShardStats {
    /// Transactions that began.
    pub started: u64,
    /// Transactions decided to commit.
    pub committed: u64,
    /// Transactions decided to abort, those that timed out or were fenced included.
    pub aborted: u64,
    /// Transactions that were open for too long.
    pub timed_out: u64,
    /// Transactions aborted because another producer took their id over.
    pub taken_over: u64,
    /// Transactional ids that expired.
    pub ids_expired: u64,
    /// Records of other kinds found in the log at load.
    pub records_skipped: u64,
    /// Changes of state that the table does not allow. Anything but 0 is a bug of ours.
    pub impossible_moves: u64,
}

impl TransactionShardStats {
    /// Adds the counters of another shard, or of this one before it was loaded again.
    pub fn add(&mut self, more: &Self) {
        self.started += more.started;
        self.committed += more.committed;
        self.aborted += more.aborted;
        self.timed_out += more.timed_out;
        self.taken_over += more.taken_over;
        self.ids_expired += more.ids_expired;
        self.records_skipped += more.records_skipped;
        self.impossible_moves += more.impossible_moves;
    }
}

/// A view of one transactional id.
#[derive(Clone, Copy, Debug)]
pub struct TransactionSummary<'a> {
    pub(crate) transactional_id: &'a TransactionalId,
    pub(crate) metadata: &'a TransactionMetadata,
}

impl<'a> TransactionSummary<'a> {
    /// The id.
    #[must_use]
    pub fn transactional_id(&self) -> &'a TransactionalId {
        self.transactional_id
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> TransactionState {
        self.metadata.state
    }

    /// Who may write.
    #[must_use]
    pub fn producer(&self) -> ProducerIdAndEpoch {
        self.metadata.producer()
    }
}
