//! Transactions of one partition: which are open, which were aborted, and how far everything is decided (KIP-98).
//!
//! Pure: offsets and time are arguments. A transaction counts as undecided until its marker is below the high
//! watermark; the last stable offset is the first offset of the oldest undecided one. What is noted may not be
//! durable yet: [`Transactions::durable`] gives the part that a crash would bring back.
//!
//! Noting is idempotent: what lies below the offset up to which the state speaks is passed over, so that replay may
//! overlap with a recovery point.

use crate::planted::{Bug, is_planted};
use crate::segment::transaction_index::AbortedTransaction;
use std::collections::{BTreeMap, HashMap};
use thalweg_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::BatchHeader;
use thalweg_wire::records::{EndTransactionMarker, TransactionOutcome};

/// A transaction without a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Epoch of the producer when it began here.
    pub epoch: ProducerEpoch,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Largest timestamp of its first batch.
    pub started: TimestampMs,
}

/// One that is open, or ended by a marker that is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Undecided {
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    started: TimestampMs,
    /// Offset of the marker.
    end: Option<Offset>,
}

/// The transactions of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    /// By first offset, which no two share.
    undecided: BTreeMap<Offset, Undecided>,
    /// First offset of each producer's open transaction.
    open: HashMap<ProducerId, Offset>,
    /// Aborts that no segment's index holds, by the offset of the marker.
    aborted: BTreeMap<Offset, AbortedTransaction>,
    /// The state speaks of all below this offset.
    noted_below: Offset,
    /// What began below this offset had ended before any record that no segment holds, when the recovery point was
    /// made; for records below `noted_below` that replay brings.
    settled_at_start: Offset,
}

/// What of the transactions a crash would bring back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurableTransactions {
    /// Open ones, by first offset.
    pub open: Vec<OpenTransaction>,
    /// Aborts that no segment's index holds, by the offset of the marker.
    pub aborted: Vec<AbortedTransaction>,
}

impl Transactions {
    /// Puts back what a recovery point held, which speaks of all records below `log_end`; what began below `settled`
    /// had ended before the first record that no segment holds.
    #[must_use]
    pub fn restore(durable: DurableTransactions, log_end: Offset, settled: Offset) -> Self {
        let mut restored = Self {
            noted_below: log_end,
            settled_at_start: settled,
            ..Self::default()
        };
        restored.put_open(durable.open);
        restored.put_unindexed(durable.aborted);
        restored
    }

    /// Adds aborts that no segment's index holds.
    pub fn put_unindexed(&mut self, aborts: Vec<AbortedTransaction>) {
        for abort in aborts {
            self.aborted.insert(abort.last_offset, abort);
        }
    }

    fn put_open(&mut self, open: impl IntoIterator<Item = OpenTransaction>) {
        for transaction in open {
            let undecided = Undecided {
                producer_id: transaction.producer_id,
                epoch: transaction.epoch,
                started: transaction.started,
                end: None,
            };
            self.open
                .insert(transaction.producer_id, transaction.first_offset);
            self.undecided.insert(transaction.first_offset, undecided);
        }
    }

    /// Takes note of a batch at `base_offset`, with its marker if it is one.
    pub fn note(&mut self, header: &BatchHeader, base_offset: Offset, marker: Option<EndTransactionMarker>) {
        let last_offset = Offset(base_offset.0.saturating_add(i64::from(header.last_offset_delta)));
        if last_offset < self.noted_below {
            return;
        }
        self.noted_below = last_offset.next();
        if !header.has_producer_id() || !header.is_transactional() {
            return;
        }
        match marker {
            Some(marker) => self.end(header.producer_id, last_offset, marker.outcome),
            // A control batch of another kind ends nothing and begins nothing.
            None if header.is_control() => {}
            None => self.begin(header, base_offset),
        }
    }

    fn begin(&mut self, header: &BatchHeader, base_offset: Offset) {
        if self.open.contains_key(&header.producer_id) {
            return;
        }
        self.put_open([OpenTransaction {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            first_offset: base_offset,
            started: header.max_timestamp,
        }]);
    }

    fn end(&mut self, producer_id: ProducerId, last_offset: Offset, outcome: TransactionOutcome) {
        let Some(first_offset) = self.open.remove(&producer_id) else {
            return;
        };
        if let Some(undecided) = self.undecided.get_mut(&first_offset) {
            undecided.end = Some(last_offset);
        }
        if outcome == TransactionOutcome::Abort {
            let oldest_open = self.undecided.iter().find(|(_, other)| other.end.is_none());
            let last_stable_offset = oldest_open.map_or(last_offset.next(), |(first, _)| *first);
            let abort = AbortedTransaction {
                producer_id,
                first_offset,
                last_offset,
                last_stable_offset,
            };
            self.aborted.insert(last_offset, abort);
        }
    }

    /// Takes note that all below `high_watermark` is durable: transactions whose marker is there are decided.
    pub fn advance(&mut self, high_watermark: Offset) {
        let is_decided = |other: &Undecided| other.end.is_some_and(|end| end < high_watermark);
        // Mostly the oldest ends first; a scan is needed only when something behind it did.
        while self
            .undecided
            .first_key_value()
            .is_some_and(|(_, oldest)| is_decided(oldest))
        {
            self.undecided.pop_first();
        }
        if self.undecided.len() > self.open.len() {
            self.undecided.retain(|_, other| !is_decided(other));
        }
    }

    /// Returns the first offset of the oldest undecided transaction.
    #[must_use]
    pub fn first_unstable(&self) -> Option<Offset> {
        if is_planted(Bug::StableBeforeMarker) {
            let open = self.undecided.iter().find(|(_, other)| other.end.is_none());
            return open.map(|(first, _)| *first);
        }
        self.undecided.first_key_value().map(|(first, _)| *first)
    }

    /// Returns a lower bound: no transaction that is open at a record from the high watermark on began below it,
    /// but for those that begin there.
    #[must_use]
    pub fn settled(&self, high_watermark: Offset) -> Offset {
        self.first_unstable()
            .map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// As [`Transactions::settled`], for the record at `offset` that replay brings and the state may contain already.
    #[must_use]
    pub fn settled_in_replay(&self, offset: Offset, high_watermark: Offset) -> Offset {
        let now = self.settled(high_watermark);
        if offset < self.noted_below {
            now.min(self.settled_at_start)
        } else {
            now
        }
    }

    /// Returns a producer's open transaction.
    #[must_use]
    pub fn of_producer(&self, producer_id: ProducerId) -> Option<OpenTransaction> {
        let first_offset = *self.open.get(&producer_id)?;
        let undecided = self.undecided.get(&first_offset)?;
        Some(OpenTransaction {
            producer_id,
            epoch: undecided.epoch,
            first_offset,
            started: undecided.started,
        })
    }

    /// Reports whether a producer has an open transaction.
    #[must_use]
    pub fn is_open(&self, producer_id: ProducerId) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// Returns the open transactions, by first offset.
    #[must_use]
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        let mut open: Vec<_> = self
            .open_producers()
            .filter_map(|producer_id| self.of_producer(producer_id))
            .collect();
        open.sort_by_key(|transaction| transaction.first_offset);
        open
    }

    /// Returns how many transactions are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Returns the producers with an open transaction, in no order.
    pub fn open_producers(&self) -> impl Iterator<Item = ProducerId> {
        self.open.keys().copied()
    }

    /// Returns the aborts that no segment's index holds and that one who reads `start..end` must know of.
    pub fn aborted_in(&self, start: Offset, end: Offset) -> impl Iterator<Item = &AbortedTransaction> {
        let from_start = self.aborted.range(start..).map(|(_, abort)| abort);
        from_start.filter(move |abort| abort.concerns(start, end))
    }

    /// Returns the aborts that no segment's index holds whose markers lie from `first` to `last`.
    #[must_use]
    pub fn unindexed(&self, first: Offset, last: Offset) -> Vec<AbortedTransaction> {
        if first > last {
            return Vec::new();
        }
        self.aborted
            .range(first..=last)
            .map(|(_, abort)| *abort)
            .collect()
    }

    /// Takes note that a segment's index holds these aborts now.
    pub fn mark_indexed(&mut self, aborts: &[AbortedTransaction]) {
        for abort in aborts {
            self.aborted.remove(&abort.last_offset);
        }
    }

    /// Forgets aborts whose records all lie below the log start.
    pub fn advance_start(&mut self, log_start: Offset) {
        self.aborted = self.aborted.split_off(&log_start);
    }

    /// Returns what of the state is durable, given the first offset that is not.
    #[must_use]
    pub fn durable(&self, high_watermark: Offset) -> DurableTransactions {
        let open = self
            .undecided
            .range(..high_watermark)
            .filter(|(_, other)| other.end.is_none_or(|end| end >= high_watermark))
            .map(|(first, other)| OpenTransaction {
                producer_id: other.producer_id,
                epoch: other.epoch,
                first_offset: *first,
                started: other.started,
            });
        let forgotten = is_planted(Bug::OpenTransactionsLost);
        DurableTransactions {
            open: open.filter(|_| !forgotten).collect(),
            aborted: self
                .aborted
                .range(..high_watermark)
                .map(|(_, abort)| *abort)
                .collect(),
        }
    }

    /// Goes back to `offset`, where just these transactions were open.
    pub fn truncate_to(&mut self, offset: Offset, open: Vec<OpenTransaction>) {
        self.undecided.clear();
        self.open.clear();
        self.put_open(open);
        let _cut = self.aborted.split_off(&offset);
        self.noted_below = offset;
        self.settled_at_start = self.settled_at_start.min(offset);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[path = "transactions_test.rs"]
mod tests;
