//! How far a long poll has come towards its least number of bytes, without the records.
//!
//! Keeps for each partition where the records end that are there, and how many bytes all have. What is appended is
//! counted from memory; whatever cannot be told that way (the disk, an error) is left to a new read.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_storage::log::{MinOne, PartitionLog, ReadLimit, ReadRequest};
use thalweg_types::Offset;
use thalweg_wire::batch::split_batches;

/// Bytes counted at a time; more is in the next look.
const LOOK_BYTES: usize = 1 << 20;

/// The progress of one long poll.
pub(super) struct Progress {
    bytes: usize,
    min_bytes: usize,
    limit: ReadLimit,
    partitions: Vec<(Arc<PartitionLog>, Offset)>,
    /// A read found records and stopped before the end of what may be read (at the end of a file, or by a limit):
    /// waiting would not bring the rest, the next fetch does.
    pub(super) ended_early: bool,
}

/// Whether a new read may have enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// Not yet.
    Waits,
    /// There is enough, or it cannot be told without a read.
    ReadAgain,
}

impl Progress {
    pub(super) fn new(min_bytes: usize, limit: ReadLimit) -> Self {
        Self {
            bytes: 0,
            min_bytes,
            limit,
            partitions: Vec::new(),
            ended_early: false,
        }
    }

    /// Adds what a read found in a partition from `start` on, where records up to `end` may be read.
    pub(super) fn add(&mut self, log: &Arc<PartitionLog>, start: Offset, records: &[Bytes], end: Offset) {
        let next = end_of(records).unwrap_or(start);
        self.bytes += records.iter().map(Bytes::len).sum::<usize>();
        self.ended_early |= !records.is_empty() && next < end;
        self.partitions.push((Arc::clone(log), next));
    }

    /// Counts what has come in. Never blocks.
    pub(super) fn advance(&mut self) -> Advance {
        for (log, next) in &mut self.partitions {
            let request = ReadRequest {
                offset: *next,
                max_bytes: LOOK_BYTES,
                limit: self.limit,
                min_one: MinOne::Yes,
            };
            let Ok(Some(read)) = log.read_memory(request) else {
                return Advance::ReadAgain;
            };
            if let Some(end) = end_of(&read.batches) {
                *next = end;
                self.bytes = self.bytes.saturating_add(read.bytes);
            }
        }
        if self.bytes >= self.min_bytes {
            Advance::ReadAgain
        } else {
            Advance::Waits
        }
    }
}

/// Returns the offset after the last batch; `None` if there is none.
fn end_of(records: &[Bytes]) -> Option<Offset> {
    let last = records.iter().rev().find(|part| !part.is_empty())?;
    // What is read from a log is whole batches.
    split_batches(last)
        .map_while(Result::ok)
        .last()
        .map(|batch| batch.header.next_offset())
}

#[cfg(test)]
#[path = "fetch_progress_test.rs"]
mod tests;
