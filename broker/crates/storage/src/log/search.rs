//! Offsets by timestamp, down to the record inside the batch (ListOffsets, KIP-79, KIP-734).

use super::{MinOne, PartitionLog, ReadError, ReadLimit, ReadRequest};
use crate::disk::{DiskFile, OpenMode};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::{Segment, time_index};
use bytes::Bytes;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchHeader, split_batches};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{first_record_at_or_after_from, offset_of_max_timestamp};
use thiserror::Error;

const SEARCH_READ_BYTES: usize = 1 << 20;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: TimestampMs,
    /// Leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// Takes a batch; says whether the walk goes on.
type BatchVisitor<'a> = dyn FnMut(&BatchHeader, &[u8]) -> Result<ControlFlow<()>, BatchError> + 'a;

/// Why a search failed.
#[derive(Clone, Debug, Error)]
pub enum SearchError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A batch cannot be opened.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl PartitionLog {
    /// Finds the first record at or below `limit` whose timestamp is at least `target`. Blocks on the disk.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn find_by_timestamp(
        &self,
        target: TimestampMs,
        limit: ReadLimit,
        inflate: &CompressionLimits,
    ) -> Result<Option<FoundOffset>, SearchError> {
        let start = self.search_start(target);
        let log_start = self.offsets().log_start_offset;
        let mut found = None;
        self.walk(start, limit, &mut |header, batch| {
            if header.max_timestamp < target {
                return Ok(ControlFlow::Continue(()));
            }
            // The batch that holds the log start may begin below it.
            let record = first_record_at_or_after_from(batch, target, log_start, inflate)?;
            let Some((offset, timestamp)) = record else {
                return Ok(ControlFlow::Continue(()));
            };
            found = Some(FoundOffset {
                offset,
                timestamp,
                leader_epoch: header.leader_epoch,
            });
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Finds the first record with the largest timestamp (ListOffsets −3, KIP-734). Blocks on the disk.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn find_max_timestamp(
        &self,
        limit: ReadLimit,
        inflate: &CompressionLimits,
    ) -> Result<Option<FoundOffset>, SearchError> {
        let (max, start) = {
            let state = self.state.lock();
            let in_segments = state
                .segments
                .iter()
                .map(|s| (s.max_timestamp, s.base_offset))
                .reduce(|best, next| if next.0 > best.0 { next } else { best });
            let in_tail = state
                .tail
                .runs_from(Offset::ZERO)
                .map(|run| (run.run.max_timestamp, run.run.base_offset))
                .reduce(|best, next| if next.0 > best.0 { next } else { best });
            match (in_segments, in_tail) {
                (Some(a), Some(b)) => {
                    if b.0 > a.0 {
                        b
                    } else {
                        a
                    }
                }
                (a, b) => match a.or(b) {
                    Some(best) => best,
                    None => return Ok(None),
                },
            }
        };
        if max <= TimestampMs::NONE {
            return Ok(None);
        }
        let mut best: Option<FoundOffset> = None;
        self.walk(start, limit, &mut |header, batch| {
            if best.is_some_and(|found| header.max_timestamp <= found.timestamp) {
                return Ok(ControlFlow::Continue(()));
            }
            if let Some((offset, timestamp)) = offset_of_max_timestamp(batch, inflate)? {
                best = Some(FoundOffset {
                    offset,
                    timestamp,
                    leader_epoch: header.leader_epoch,
                });
            }
            Ok(match best {
                Some(found) if found.timestamp >= max => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        })?;
        Ok(best)
    }

    /// An offset at or before the first record with a timestamp of at least `target`.
    fn search_start(&self, target: TimestampMs) -> Offset {
        let (opened, tail_start) = {
            // Compaction may put another index in its place.
            let _files = self.files.read();
            let state = self.state.lock();
            let segment = state.segments.iter().find(|s| s.max_timestamp >= target).copied();
            let tail = state
                .tail
                .runs_from(Offset::ZERO)
                .find(|run| run.run.max_timestamp >= target);
            let tail_start = tail.map_or(state.high_watermark, |run| run.run.base_offset);
            drop(state);
            let opened = segment.map(|segment| {
                let path = segment_file(&self.directory(), segment.base_offset, FileKind::TimeIndex);
                (segment, self.shared.disk.open(&path, OpenMode::Read))
            });
            (opened, tail_start)
        };
        match opened {
            Some((segment, file)) => self.search_start_in(&segment, file, target),
            None => tail_start,
        }
    }

    fn search_start_in(
        &self,
        segment: &Segment,
        file: io::Result<Arc<dyn DiskFile>>,
        target: TimestampMs,
    ) -> Offset {
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::TimeIndex);
        let found =
            file.and_then(|file| time_index::lookup(&*file, segment.time_index, segment.base_offset, target));
        match found {
            Ok(Some(offset)) => offset,
            // Without its index the whole segment is searched, and the index is rebuilt.
            Ok(None) | Err(_) => {
                tracing::warn!(file = %path.display(), "time index damaged, it will be rebuilt");
                self.shared.note_index_damage(self.id, segment.base_offset);
                segment.base_offset
            }
        }
    }

    /// Gives whole batches from `start` on to `visit` until it breaks.
    fn walk(&self, start: Offset, limit: ReadLimit, visit: &mut BatchVisitor<'_>) -> Result<(), SearchError> {
        let mut offset = start.max(self.offsets().log_start_offset);
        loop {
            let request = ReadRequest {
                offset,
                max_bytes: SEARCH_READ_BYTES,
                limit,
                min_one: MinOne::Yes,
            };
            let result = match self.read(request) {
                Ok(result) => result,
                // Retention overtook the search: go on where the log starts now.
                Err(ReadError::OutOfRange { start, .. }) if start > offset => {
                    offset = start;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut next = offset;
            for bytes in &result.batches {
                next = self.walk_bytes(bytes, next, visit)?.unwrap_or(Offset(i64::MAX));
                if next.0 == i64::MAX {
                    return Ok(());
                }
            }
            if next == offset {
                return Ok(());
            }
            offset = next;
        }
    }

    fn walk_bytes(
        &self,
        bytes: &Bytes,
        mut next: Offset,
        visit: &mut BatchVisitor<'_>,
    ) -> Result<Option<Offset>, SearchError> {
        for batch in split_batches(bytes) {
            let batch = batch?;
            if visit(&batch.header, batch.bytes)?.is_break() {
                return Ok(None);
            }
            next = batch.header.next_offset();
        }
        Ok(Some(next))
    }
}
