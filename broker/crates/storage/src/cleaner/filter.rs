//! What stays of a batch: the decisions of compaction, and nothing else.
//!
//! A record stays if it is the newest of its key as far as the map of keys reaches, or lies beyond it; a tombstone
//! stays until the delete horizon of its batch, which is set when a cleaning meets it first (KIP-534). A batch of
//! which nothing is left stays as an empty one if it is the last of its producer, so that sequences survive, or the
//! last of the range. Records without a key go, as in Kafka: they came before the topic was compacted.

use super::offset_map::OffsetMap;
use super::transactions::{Marker, Transactions, Worth};
use crate::planted::{Bug, is_planted};
use crate::segment::transaction_index::AbortedTransaction;
use bytes::BytesMut;
use std::collections::HashMap;
use thalweg_types::{Offset, ProducerId, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchHeader};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{RecordView, open_records, retain, retain_none};

/// What a filter is made of.
#[derive(Debug)]
pub(crate) struct FilterParts<'a> {
    pub map: &'a OffsetMap,
    pub transactions: Transactions,
    /// Last offset of the newest batch of each producer that is remembered.
    pub last_offsets: &'a HashMap<ProducerId, Offset>,
    /// End of the range that this cleaning may touch.
    pub end: Offset,
    pub now: TimestampMs,
    /// How long a tombstone stays after a cleaning met it (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    pub inflate: CompressionLimits,
}

/// Judges batch after batch, from the start of the log on.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    parts: FilterParts<'a>,
    pub counts: FilterCounts,
}

/// What a filter has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterCounts {
    /// Records read.
    pub records_read: u64,
    /// Records that stay.
    pub records_kept: u64,
    /// Records without a key, which go.
    pub keyless: u64,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Gone,
    AsItIs,
    Rewritten(BytesMut),
}

/// Whether a batch without records is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenEmpty {
    Keep,
    Drop,
}

impl<'a> Filter<'a> {
    pub(crate) fn new(parts: FilterParts<'a>) -> Self {
        Self {
            parts,
            counts: FilterCounts::default(),
        }
    }

    /// Returns the aborted transactions that an index must name, of the batches judged since the last call.
    pub(crate) fn take_kept_transactions(&mut self) -> Vec<AbortedTransaction> {
        self.parts.transactions.take_kept()
    }

    /// Judges the next batch; its checksum was verified.
    ///
    /// # Errors
    /// [`BatchError`]: the records cannot be read, although the checksum holds.
    pub(crate) fn judge(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<Fate, BatchError> {
        let (_, payload) = open_records(batch, &self.parts.inflate)?;
        let records: Vec<RecordView<'_>> = payload.records(header).collect::<Result<_, _>>()?;
        self.counts.records_read += records.len() as u64;
        let worth = if header.is_control() {
            let marker = records.first().map(|record| Marker::of_key(record.key));
            self.parts.transactions.on_marker(header, marker)
        } else {
            self.parts.transactions.on_records(header)
        };
        let when_empty = self.when_empty(header);
        let kept: Vec<RecordView<'_>> = if self.is_discarded(header, worth) {
            if when_empty == WhenEmpty::Drop {
                return Ok(Fate::Gone);
            }
            Vec::new()
        } else if header.is_control() {
            records.clone()
        } else {
            let stays = |record: &&RecordView<'_>| self.stays(header, record);
            let kept = records.iter().filter(stays).copied().collect();
            self.counts.keyless += records.iter().filter(|record| record.key.is_none()).count() as u64;
            kept
        };
        self.counts.records_kept += kept.len() as u64;
        if kept.is_empty() {
            return match when_empty {
                WhenEmpty::Drop => Ok(Fate::Gone),
                WhenEmpty::Keep if records.is_empty() => Ok(Fate::AsItIs),
                WhenEmpty::Keep => Ok(Fate::Rewritten(retain_none(header)?)),
            };
        }
        let marker_of_nothing = header.is_control() && worth == Worth::Nothing;
        let has_tombstone = !header.is_control() && kept.iter().any(|record| record.value.is_none());
        let sets_horizon = (has_tombstone || marker_of_nothing) && !header.has_delete_horizon();
        if kept.len() == records.len() && !sets_horizon {
            return Ok(Fate::AsItIs);
        }
        let horizon = if sets_horizon {
            let retention = self.parts.delete_retention_ms;
            Some(TimestampMs(self.parts.now.0.saturating_add(retention)))
        } else {
            header.has_delete_horizon().then_some(header.base_timestamp)
        };
        match retain(header, &kept, horizon) {
            Ok(batch) => Ok(Fate::Rewritten(batch)),
            // Times so far apart that the format cannot say it from another base: better too much than nothing.
            Err(BatchError::TooLarge { .. }) => Ok(Fate::AsItIs),
            Err(error) => Err(error),
        }
    }

    fn is_discarded(&self, header: &BatchHeader, worth: Worth) -> bool {
        worth == Worth::Nothing && (!header.is_control() || self.horizon_passed(header))
    }

    fn horizon_passed(&self, header: &BatchHeader) -> bool {
        header.has_delete_horizon() && header.base_timestamp <= self.parts.now
    }

    fn when_empty(&self, header: &BatchHeader) -> WhenEmpty {
        let last = self.parts.last_offsets.get(&header.producer_id);
        let is_last_of_producer = header.has_producer_id() && last == Some(&header.last_offset());
        if is_last_of_producer || header.next_offset() == self.parts.end {
            WhenEmpty::Keep
        } else {
            WhenEmpty::Drop
        }
    }

    fn stays(&self, header: &BatchHeader, record: &RecordView<'_>) -> bool {
        let offset = record.offset(header);
        if self.parts.map.latest().is_none_or(|latest| offset > latest) {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_newest = match self.parts.map.get(key) {
            Some(newest) if is_planted(Bug::NewestDropped) => offset < newest,
            Some(newest) => offset >= newest,
            None => true,
        };
        is_newest && (record.value.is_some() || !self.horizon_passed(header))
    }
}

#[cfg(test)]
#[path = "filter_test.rs"]
mod tests;
