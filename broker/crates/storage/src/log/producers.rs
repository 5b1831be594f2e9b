//! Sequence state of idempotent producers in one partition (KIP-98, KIP-360): which batch may come next, and
//! which of the last five is a repeat.
//!
//! Pure: time is an argument. The whole state is part of the recovery point, so the window of five survives a
//! restart (Kafka's shrinks to one).

use super::transactions::Transactions;
use std::collections::{HashMap, VecDeque};
use thalweg_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::BatchHeader;
use thiserror::Error;

/// Batches remembered per producer: a client may have five requests in flight.
pub const BATCHES_KEPT: usize = 5;

/// Where a remembered batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRange {
    /// Sequence of the first record.
    pub base_sequence: i32,
    /// Sequence of the last record.
    pub last_sequence: i32,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Largest timestamp in it.
    pub timestamp: TimestampMs,
}

/// State of one producer id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Newest epoch seen.
    pub epoch: ProducerEpoch,
    /// Newest batches of that epoch, oldest first, at most [`BATCHES_KEPT`].
    pub batches: VecDeque<BatchRange>,
    /// When the last batch came, by the broker's clock.
    pub last_seen: TimestampMs,
    /// Newest term of a coordinator that ended a transaction of it; [`NO_COORDINATOR_EPOCH`] before the first.
    pub coordinator_epoch: i32,
    /// A marker brought this epoch and no batch of it came yet: the first one has sequence 0.
    pub is_fresh: bool,
}

/// No coordinator has ended a transaction yet.
pub const NO_COORDINATOR_EPOCH: i32 = -1;

/// Whether a batch may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceCheck {
    /// It is the next one.
    Next,
    /// It was appended before.
    Duplicate(BatchRange),
}

/// Why a batch may not be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SequenceError {
    /// The producer was fenced by a newer epoch.
    #[error("producer {producer_id}: epoch {found} is older than {current}; another instance has taken over")]
    StaleEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// Epoch in the batch.
        found: ProducerEpoch,
        /// Epoch known.
        current: ProducerEpoch,
    },
    /// A batch before this one is missing.
    #[error("producer {producer_id}: sequence {found}, expected {expected}")]
    OutOfOrder {
        /// The producer.
        producer_id: ProducerId,
        /// Sequence in the batch.
        found: i32,
        /// Sequence that would follow.
        expected: i32,
    },
}

/// State of all producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    entries: HashMap<ProducerId, ProducerEntry>,
}

/// Returns the sequence after `sequence`: 2³¹−1 is followed by 0.
#[must_use]
pub fn next_sequence(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
}

impl Producers {
    /// Judges a batch's epoch alone: a coordinator's batches have no sequence.
    ///
    /// # Errors
    /// [`SequenceError::StaleEpoch`].
    pub fn check_epoch(&self, header: &BatchHeader) -> Result<(), SequenceError> {
        match self.entries.get(&header.producer_id) {
            Some(entry) if header.has_producer_id() && header.producer_epoch < entry.epoch => {
                Err(SequenceError::StaleEpoch {
                    producer_id: header.producer_id,
                    found: header.producer_epoch,
                    current: entry.epoch,
                })
            }
            _ => Ok(()),
        }
    }

    /// Judges a batch by what is known of its producer. Batches without a producer id are always next.
    ///
    /// An unknown producer may start anywhere: its state may have expired or its records been deleted.
    ///
    /// # Errors
    /// [`SequenceError`].
    pub fn check(&self, header: &BatchHeader) -> Result<SequenceCheck, SequenceError> {
        if !header.has_producer_id() {
            return Ok(SequenceCheck::Next);
        }
        let producer_id = header.producer_id;
        let Some(entry) = self.entries.get(&producer_id) else {
            return Ok(SequenceCheck::Next);
        };
        self.check_epoch(header)?;
        let found = header.base_sequence;
        if header.producer_epoch > entry.epoch {
            return match found {
                0 => Ok(SequenceCheck::Next),
                _ => Err(SequenceError::OutOfOrder {
                    producer_id,
                    found,
                    expected: 0,
                }),
            };
        }
        let repeat = entry
            .batches
            .iter()
            .find(|batch| batch.base_sequence == found && batch.last_sequence == header.last_sequence());
        if let Some(batch) = repeat {
            return Ok(SequenceCheck::Duplicate(*batch));
        }
        let fresh = entry.is_fresh.then_some(0);
        let last = entry.batches.back();
        match last.map(|last| next_sequence(last.last_sequence)).or(fresh) {
            Some(expected) if expected != found => Err(SequenceError::OutOfOrder {
                producer_id,
                found,
                expected,
            }),
            _ => Ok(SequenceCheck::Next),
        }
    }

    /// Takes note of an appended batch of records. Repeating a note changes nothing, so that replay may overlap with
    /// a recovery point. Beyond `producers_max` the longest idle producer without an open transaction is forgotten.
    pub fn note(
        &mut self,
        header: &BatchHeader,
        base_offset: Offset,
        now: TimestampMs,
        producers_max: usize,
        transactions: &Transactions,
    ) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        self.make_room(header.producer_id, producers_max, transactions);
        let entry = self.entry(header.producer_id, header.producer_epoch, now);
        if header.producer_epoch < entry.epoch {
            return;
        }
        if header.producer_epoch > entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
            entry.is_fresh = false;
        }
        // What a coordinator appends has no sequence.
        if !header.is_idempotent() {
            entry.last_seen = entry.last_seen.max(now);
            return;
        }
        if entry
            .batches
            .back()
            .is_some_and(|last| last.base_offset >= base_offset)
        {
            return;
        }
        if entry.batches.len() == BATCHES_KEPT {
            entry.batches.pop_front();
        }
        entry.is_fresh = false;
        entry.last_seen = now;
        entry.batches.push_back(BatchRange {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
            last_offset: Offset(base_offset.0.saturating_add(i64::from(header.last_offset_delta))),
            timestamp: header.max_timestamp,
        });
    }

    /// Takes note of a marker: a raised epoch fences the one before, and its sequences start at 0. Repeating a note
    /// changes nothing.
    pub fn note_marker(
        &mut self,
        header: &BatchHeader,
        coordinator_epoch: i32,
        now: TimestampMs,
        producers_max: usize,
        transactions: &Transactions,
    ) {
        self.make_room(header.producer_id, producers_max, transactions);
        let entry = self.entry(header.producer_id, header.producer_epoch, now);
        entry.coordinator_epoch = entry.coordinator_epoch.max(coordinator_epoch);
        entry.last_seen = entry.last_seen.max(now);
        if header.producer_epoch > entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
            entry.is_fresh = true;
        }
    }

    fn entry(&mut self, id: ProducerId, epoch: ProducerEpoch, now: TimestampMs) -> &mut ProducerEntry {
        self.entries.entry(id).or_insert_with(|| ProducerEntry {
            epoch,
            batches: VecDeque::new(),
            last_seen: now,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            is_fresh: false,
        })
    }

    fn make_room(&mut self, id: ProducerId, producers_max: usize, transactions: &Transactions) {
        if self.entries.len() < producers_max || self.entries.contains_key(&id) {
            return;
        }
        let longest_idle = self
            .entries
            .iter()
            .filter(|(id, _)| !transactions.is_open(**id))
            .min_by_key(|(id, e)| (e.last_seen, **id))
            .map(|(id, _)| *id);
        if let Some(id) = longest_idle {
            self.entries.remove(&id);
        }
    }

    /// Returns what is known of a producer.
    #[must_use]
    pub fn get(&self, id: ProducerId) -> Option<&ProducerEntry> {
        self.entries.get(&id)
    }

    /// Forgets producers that were last seen before `before` and have no open transaction; returns how many.
    pub fn expire(&mut self, before: TimestampMs, transactions: &Transactions) -> usize {
        let count = self.entries.len();
        self.entries
            .retain(|id, entry| entry.last_seen >= before || transactions.is_open(*id));
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
        count - self.entries.len()
    }

    /// Forgets batches at and above an offset that was cut off, and producers with none left and no transaction that
    /// is open there.
    pub fn truncate_to(&mut self, offset: Offset, transactions: &Transactions) {
        self.entries.retain(|id, entry| {
            entry.batches.retain(|batch| batch.last_offset < offset);
            // The marker that brought the epoch may be cut off.
            entry.is_fresh = false;
            !entry.batches.is_empty() || transactions.is_open(*id)
        });
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries = HashMap::new();
    }

    /// Returns how many producers are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Reports whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns all producers, sorted by id.
    #[must_use]
    pub fn entries(&self) -> Vec<(ProducerId, &ProducerEntry)> {
        let mut all: Vec<_> = self.entries.iter().map(|(id, entry)| (*id, entry)).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Returns the producers without batches at or above the high watermark, which a crash may still lose.
    ///
    /// A client has at most five batches in flight: those left out and those kept always contain all that it may
    /// send again.
    #[must_use]
    pub fn durable_entries(&self, high_watermark: Offset) -> Vec<(ProducerId, ProducerEntry)> {
        let durable = |(id, entry): (ProducerId, &ProducerEntry)| {
            let mut entry = entry.clone();
            entry.batches.retain(|batch| batch.last_offset < high_watermark);
            (id, entry)
        };
        self.entries().into_iter().map(durable).collect()
    }

    /// Puts back what a recovery point held.
    pub fn restore(&mut self, id: ProducerId, entry: ProducerEntry) {
        self.entries.insert(id, entry);
    }
}

#[cfg(test)]
#[path = "producers_test.rs"]
mod tests;
