//! Which transactions a batch belongs to, as a cleaning walks the log from its start.
//!
//! Records of an aborted transaction go. Its marker stays while any batch of it was met in the same walk, so that
//! a reader who saw the records also sees that they count for nothing; the same holds for the marker of a commit
//! (KIP-98). What goes after that is up to the delete horizon of the marker's batch (KIP-534).

use crate::segment::transaction_index::AbortedTransaction;
use std::collections::{HashMap, HashSet, VecDeque};
use thalweg_types::{Offset, ProducerId};
use thalweg_wire::batch::BatchHeader;

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Abort,
    Commit,
    /// Of another kind, which a cleaning leaves alone.
    Other,
}

impl Marker {
    /// Reads the key of a control record: version i16, type i16.
    pub(crate) fn of_key(key: Option<&[u8]>) -> Self {
        match key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => Self::Abort,
            Some([0, 1]) => Self::Commit,
            _ => Self::Other,
        }
    }
}

/// Whether a batch counts for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// Its records are judged by their keys, or it is a marker that is needed.
    Counts,
    /// An aborted batch, or a marker of which no batch is left.
    Nothing,
}

#[derive(Debug)]
struct Ongoing {
    transaction: AbortedTransaction,
    observed: bool,
}

/// The transactions that are open at the place of the walk.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// By first offset.
    upcoming: VecDeque<AbortedTransaction>,
    aborted: HashMap<ProducerId, Ongoing>,
    committed: HashSet<ProducerId>,
    kept: Vec<AbortedTransaction>,
}

impl Transactions {
    /// Starts a walk that meets these aborted transactions.
    pub(crate) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            upcoming: aborted.into(),
            ..Self::default()
        }
    }

    /// Takes note of a batch of records.
    pub(crate) fn on_records(&mut self, header: &BatchHeader) -> Worth {
        self.begin_up_to(header.last_offset());
        if !header.is_transactional() {
            return Worth::Counts;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some(ongoing) => {
                ongoing.observed = true;
                Worth::Nothing
            }
            None => {
                self.committed.insert(header.producer_id);
                Worth::Counts
            }
        }
    }

    /// Takes note of a marker; `None` for a batch whose marker was removed before.
    pub(crate) fn on_marker(&mut self, header: &BatchHeader, marker: Option<Marker>) -> Worth {
        self.begin_up_to(header.last_offset());
        match marker {
            Some(Marker::Abort) => match self.aborted.remove(&header.producer_id) {
                Some(ongoing) if ongoing.observed => {
                    self.kept.push(ongoing.transaction);
                    Worth::Counts
                }
                _ => Worth::Nothing,
            },
            Some(Marker::Commit) => {
                if self.committed.remove(&header.producer_id) {
                    Worth::Counts
                } else {
                    Worth::Nothing
                }
            }
            Some(Marker::Other) => Worth::Counts,
            None => Worth::Nothing,
        }
    }

    /// Returns the aborted transactions whose markers were met since the last call and are needed still.
    pub(crate) fn take_kept(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.kept)
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(transaction) = self.upcoming.front().copied() {
            if transaction.first_offset > offset {
                return;
            }
            self.upcoming.pop_front();
            let ongoing = Ongoing {
                transaction,
                observed: false,
            };
            self.aborted.entry(transaction.producer_id).or_insert(ongoing);
        }
    }
}

#[cfg(test)]
#[path = "transactions_test.rs"]
mod tests;
