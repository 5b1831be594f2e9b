//! Sequence state of idempotent producers in one partition (KIP-98, KIP-360): which batch may come next, and
//! which of the last five is a repeat.
//!
//! Pure: time is an argument. The whole state is part of the recovery point, so the window of five survives a
//! restart (Kafka's shrinks to one).

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
}

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
        if header.producer_epoch < entry.epoch {
            let (found, current) = (header.producer_epoch, entry.epoch);
            return Err(SequenceError::StaleEpoch {
                producer_id,
                found,
                current,
            });
        }
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
        match entry.batches.back().map(|last| next_sequence(last.last_sequence)) {
            Some(expected) if expected != found => Err(SequenceError::OutOfOrder {
                producer_id,
                found,
                expected,
            }),
            _ => Ok(SequenceCheck::Next),
        }
    }

    /// Takes note of an appended batch. Repeating a note changes nothing, so that replay may overlap with a
    /// recovery point.
    pub fn note(
        &mut self,
        header: &BatchHeader,
        base_offset: Offset,
        now: TimestampMs,
        producers_max: usize,
    ) {
        if !header.has_producer_id() || header.is_control() {
            return;
        }
        if !self.entries.contains_key(&header.producer_id) && self.entries.len() >= producers_max {
            self.forget_longest_idle();
        }
        let entry = self
            .entries
            .entry(header.producer_id)
            .or_insert_with(|| ProducerEntry {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
                last_seen: now,
            });
        if header.producer_epoch < entry.epoch {
            return;
        }
        if header.producer_epoch > entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
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
        entry.last_seen = now;
        entry.batches.push_back(BatchRange {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
            last_offset: Offset(base_offset.0.saturating_add(i64::from(header.last_offset_delta))),
            timestamp: header.max_timestamp,
        });
    }

    fn forget_longest_idle(&mut self) {
        if let Some(id) = self
            .entries
            .iter()
            .min_by_key(|(id, e)| (e.last_seen, **id))
            .map(|(id, _)| *id)
        {
            self.entries.remove(&id);
        }
    }

    /// Forgets producers that were last seen before `before`; returns how many.
    pub fn expire(&mut self, before: TimestampMs) -> usize {
        let count = self.entries.len();
        self.entries.retain(|_, entry| entry.last_seen >= before);
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
        count - self.entries.len()
    }

    /// Forgets batches at and above an offset that was cut off, and producers with none left.
    pub fn truncate_to(&mut self, offset: Offset) {
        self.entries.retain(|_, entry| {
            entry.batches.retain(|batch| batch.last_offset < offset);
            !entry.batches.is_empty()
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
