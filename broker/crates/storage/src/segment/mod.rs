//! Segment files in Kafka's layout: `<20-digit base offset>.log/.index/.timeindex/.txnindex` in
//! `<topic>-<partition>/`.
//!
//! A segment's `.log` holds record batches exactly as on the wire. `.index` maps the last offset of a batch to
//! the batch's byte position, `.timeindex` a timestamp to the offset of a batch, `.txnindex` lists the transactions
//! whose abort lies in the segment and is there only if one does; all can be rebuilt from the
//! `.log`, and are when they do not hold. How many bytes of each file count is said by the recovery point, not
//! by the file's length.

pub mod names;
pub mod offset_index;
pub mod render;
pub mod time_index;
pub mod transaction_index;
pub(crate) mod transaction_index_cache;

use thalweg_types::{Offset, TimestampMs};

/// What is known of one segment without reading its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Offset that names the files; no record in them is below.
    pub base_offset: Offset,
    /// Offset after the last record in it; the base offset while it is empty.
    pub next_offset: Offset,
    /// Bytes of the `.log` that count.
    pub size: u64,
    /// Largest timestamp of a record, [`TimestampMs::NONE`] while there is none.
    pub max_timestamp: TimestampMs,
    /// Last offset of the batch with that timestamp.
    pub max_timestamp_offset: Offset,
    /// Largest timestamp of the first batch: the start of `segment.ms`.
    pub first_timestamp: TimestampMs,
    /// When bytes were last added, by the broker's clock.
    pub modified: TimestampMs,
    /// The `.index` file.
    pub offset_index: IndexStamp,
    /// The `.timeindex` file.
    pub time_index: IndexStamp,
    /// The `.txnindex` file.
    pub transaction_index: IndexStamp,
    /// Bytes of batches since the last index entry.
    pub unindexed_bytes: u32,
    /// No transaction that was open at the base offset began below this offset. It never falls from segment to
    /// segment.
    pub settled: Offset,
}

/// How many bytes of an index file count, and their CRC-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct IndexStamp {
    /// Bytes.
    pub len: u32,
    /// CRC-32 of those bytes.
    pub crc: u32,
}

impl IndexStamp {
    /// Returns the stamp after `bytes` were added at the end.
    #[must_use]
    pub fn extended(self, bytes: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new_with_initial_len(self.crc, u64::from(self.len));
        hasher.update(bytes);
        let added = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self {
            len: self.len.saturating_add(added),
            crc: hasher.finalize(),
        }
    }
}

impl Segment {
    /// Makes a segment without records.
    #[must_use]
    pub fn new(base_offset: Offset, now: TimestampMs) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            size: 0,
            max_timestamp: TimestampMs::NONE,
            max_timestamp_offset: base_offset,
            first_timestamp: TimestampMs::NONE,
            modified: now,
            offset_index: IndexStamp::default(),
            time_index: IndexStamp::default(),
            transaction_index: IndexStamp::default(),
            unindexed_bytes: 0,
            settled: base_offset,
        }
    }

    /// Returns the time by which retention judges it: the largest timestamp, or when it was written last if no
    /// record carries one.
    #[must_use]
    pub fn retention_time(&self) -> TimestampMs {
        if self.max_timestamp > TimestampMs::NONE {
            self.max_timestamp
        } else {
            self.modified
        }
    }
}
