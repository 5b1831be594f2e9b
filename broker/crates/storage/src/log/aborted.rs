//! The aborted transactions that a read-committed reader must know of: from memory for what no segment holds yet,
//! else from the segments' transaction indexes.
//!
//! An index that cannot be read or does not hold fails the read by name: without it aborted records would be taken
//! for committed ones.

use super::read::Lost;
use super::{PartitionLog, ReadError, ReadLimit, ReadRequest, ReadResult, Status};
use crate::disk::OpenMode;
use crate::planted::{Bug, is_planted};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment};
use std::io;
use std::sync::Arc;
use thalweg_types::Offset;
use thalweg_wire::batch::split_batches;

/// Where indexes may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexSource {
    /// From memory alone.
    Memory,
    /// From their files too; blocks.
    Disk,
}

impl PartitionLog {
    /// Adds to what was read the aborted transactions of its range, for a read-committed reader; `None` when the disk
    /// is needed and may not be used.
    pub(super) fn with_aborted(
        &self,
        request: ReadRequest,
        mut result: ReadResult,
        source: IndexSource,
    ) -> Result<Option<ReadResult>, Lost> {
        if request.limit == ReadLimit::HighWatermark || is_planted(Bug::AbortsForgotten) {
            return Ok(Some(result));
        }
        let Some(end) = end_of(&result) else {
            return Ok(Some(result));
        };
        let Some(aborted) = self.aborted_in((request.offset, end), source)? else {
            return Ok(None);
        };
        result.aborted = aborted;
        Ok(Some(result))
    }

    /// Returns the aborted transactions with a record or their marker between two offsets, by their markers; `None`
    /// when the disk is needed and may not be used.
    pub(super) fn aborted_in(
        &self,
        (start, end): (Offset, Offset),
        source: IndexSource,
    ) -> Result<Option<Vec<AbortedTransaction>>, Lost> {
        let (mut found, segments) = {
            let state = self.state.lock();
            // What was read may be gone by now, and with it what is known of its transactions.
            let is_there = state.log_start <= start && state.last_stable() >= end;
            if state.status == Status::Closed || !is_there {
                return Err(Lost::Race);
            }
            let found: Vec<_> = state.transactions.aborted_in(start, end).copied().collect();
            let first = state
                .segments
                .partition_point(|segment| segment.next_offset <= start);
            // What is aborted further on began behind the range.
            let reached = state.segments[first..].iter().take_while(|s| s.settled < end);
            let indexed = reached.filter(|segment| segment.transaction_index.len > 0);
            (found, indexed.copied().collect::<Vec<_>>())
        };
        for segment in &segments {
            let Some(entries) = self.transaction_index(segment, source)? else {
                return Ok(None);
            };
            let behind = entries.partition_point(|entry| entry.last_offset < start);
            for entry in &entries[behind..] {
                if entry.first_offset < end {
                    found.push(*entry);
                }
            }
        }
        found.sort_by_key(|entry| entry.last_offset);
        Ok(Some(found))
    }

    fn transaction_index(
        &self,
        segment: &Segment,
        source: IndexSource,
    ) -> Result<Option<Arc<[AbortedTransaction]>>, Lost> {
        let (place, stamp) = ((self.id, segment.base_offset), segment.transaction_index);
        let cache = &self.shared.transaction_indexes;
        let known = cache.get(place, stamp);
        if known.is_some() || source == IndexSource::Memory {
            return Ok(known);
        }
        let entries: Arc<[AbortedTransaction]> = self.read_transaction_index(segment)?.into();
        cache.put(place, stamp, entries.clone());
        Ok(Some(entries))
    }

    fn read_transaction_index(&self, segment: &Segment) -> Result<Vec<AbortedTransaction>, Lost> {
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::TransactionIndex);
        let read = self
            .shared
            .disk
            .open(&path, OpenMode::Read)
            .and_then(|file| transaction_index::read(&*file, segment.transaction_index));
        let what = match read {
            Ok(Some(entries)) => return Ok(entries),
            Ok(None) => "it does not hold what was written".to_owned(),
            // Retention or a truncation may have removed it: the next plan says what is true now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has_segment(segment) => {
                return Err(Lost::Race);
            }
            Err(error) => error.to_string(),
        };
        // The file may have been written again since the segment was looked at.
        if !self.has_segment(segment) {
            return Err(Lost::Race);
        }
        self.shared.note_index_damage(self.id, segment.base_offset);
        let path = path.display().to_string();
        tracing::warn!(file = %path, %what, "transaction index damaged, it will be rebuilt");
        let what = format!("the index of aborted transactions is damaged ({what}); it will be rebuilt");
        Err(Lost::Error(ReadError::Io { path, what }))
    }

    fn has_segment(&self, segment: &Segment) -> bool {
        let state = self.state.lock();
        let found = state
            .segments
            .binary_search_by_key(&segment.base_offset, |other| other.base_offset);
        found.is_ok_and(|index| state.segments[index].transaction_index == segment.transaction_index)
    }

    /// Keeps in memory what a drain added to a segment's index, if what was there before is.
    pub(super) fn note_indexed(&self, before: IndexStamp, segment: &Segment, added: &[AbortedTransaction]) {
        let place = (self.id, segment.base_offset);
        let cache = &self.shared.transaction_indexes;
        let known = match before.len {
            0 => Some(Arc::default()),
            _ => cache.get(place, before),
        };
        if let Some(known) = known {
            let entries: Vec<_> = known.iter().chain(added).copied().collect();
            cache.put(place, segment.transaction_index, entries.into());
        }
    }
}

/// The offset behind the last batch that was read.
fn end_of(result: &ReadResult) -> Option<Offset> {
    let last = result.batches.last()?;
    // What is read from a log is whole batches.
    split_batches(last)
        .map_while(Result::ok)
        .last()
        .map(|batch| batch.header.next_offset())
}
