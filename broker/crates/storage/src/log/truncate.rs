//! Mirror truncation: records at and above an offset are cut off, and the leader epoch rises (so that clients
//! that saw them notice, KIP-320).
//!
//! The event is durable in the write-ahead log before anything is cut, and replay cuts again: what was cut never
//! comes back.

use super::append::{AppendError, Origin};
use super::drain::DrainError;
use super::rows::WriteState;
use super::tail::TailRun;
use super::{PartitionLog, ReadError};
use crate::commit::{CommitError, EntryContent, Ticket};
use crate::disk::OpenMode;
use crate::segment::names::{FileKind, segment_file};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment};
use crate::wal::group::LogEvent;
use std::sync::Arc;
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::split_batches;
use thiserror::Error;

/// Why a log was not truncated.
#[derive(Debug, Error)]
pub enum TruncateError {
    /// The log refuses it, or failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Batches around the offset cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The segment files cannot be changed.
    #[error(transparent)]
    Disk(#[from] DrainError),
    /// The offset lies inside a batch or below the log start.
    #[error("offset {offset} is not the start of a batch between {start} and {end}")]
    NotABoundary {
        /// Offset asked for.
        offset: Offset,
        /// Log start.
        start: Offset,
        /// Log end.
        end: Offset,
    },
}

impl PartitionLog {
    /// Cuts off records at and above `offset`, a batch boundary, and raises the leader epoch to `epoch`. Blocks
    /// until that is durable. Only a partition that a mirror link owns can be truncated; no append may run
    /// beside it.
    ///
    /// # Errors
    /// [`TruncateError`]; before the event is durable nothing was changed.
    pub fn truncate_to(self: &Arc<Self>, offset: Offset, epoch: LeaderEpoch) -> Result<(), TruncateError> {
        let (start, end) = {
            let state = self.state.lock();
            state.check_open()?;
            if state.write_state != WriteState::OwnedByLink {
                let origin = Origin::Mirror {
                    expected_end: state.log_end,
                };
                return Err(AppendError::WriteState {
                    state: state.write_state,
                    origin,
                }
                .into());
            }
            (state.log_start, state.log_end)
        };
        if offset < start || offset > end {
            return Err(TruncateError::NotABoundary { offset, start, end });
        }
        // All before must be durable: the cut is made in what is committed.
        if let Some(ticket) = self.last_ticket() {
            self.wait_for(&ticket)?;
        }
        self.check_boundary(offset)?;
        let ticket = {
            let mut state = self.state.lock();
            self.push(
                &mut state,
                EntryContent::Event(LogEvent::TruncateTo(offset, epoch)),
            )?
        };
        self.wait_for(&ticket)?;
        let removed = match self.apply_truncation(offset, epoch) {
            Ok(removed) => removed,
            // The event is durable and its effect is not: a recovery point from here on would cover it.
            Err(error) => {
                let place = self.directory().display().to_string();
                self.shared.fatal(&place, &error.to_string());
                return Err(error);
            }
        };
        // Rows first, files after: a recovery point must never name bytes that are gone. A crash in between
        // replays the event.
        let order = self.shared.rows.lock();
        let committed = {
            let mut io = self.io.lock();
            self.prepare_rows_with(&mut io).and_then(|rows| match rows {
                Some(rows) => self.commit_prepared(&mut io, rows),
                None => Ok(()),
            })
        };
        self.fatal_unless_full(committed)?;
        drop(order);
        self.remove_files(&removed)
    }

    fn wait_for(&self, ticket: &Ticket) -> Result<(), AppendError> {
        let committer = self.shared.committer().ok_or(CommitError::Closed)?;
        Ok(committer.wait_for(ticket)?)
    }

    fn check_boundary(&self, offset: Offset) -> Result<(), TruncateError> {
        let offsets = self.offsets();
        if offset == offsets.high_watermark || offset == offsets.log_start_offset {
            return Ok(());
        }
        let request = super::ReadRequest {
            offset,
            max_bytes: 1,
            limit: super::ReadLimit::HighWatermark,
            min_one: super::MinOne::Yes,
        };
        let found = self.read(request)?;
        let first = found
            .batches
            .first()
            .and_then(|bytes| split_batches(bytes).next());
        match first {
            Some(Ok(batch)) if batch.header.base_offset >= offset => Ok(()),
            _ => {
                let (start, end) = (offsets.log_start_offset, offsets.log_end_offset);
                Err(TruncateError::NotABoundary { offset, start, end })
            }
        }
    }

    /// Cuts what is in force, and touches no file; live after the event is durable, and on replay. Returns the
    /// segments that are gone.
    pub(super) fn apply_truncation(
        self: &Arc<Self>,
        offset: Offset,
        epoch: LeaderEpoch,
    ) -> Result<Vec<Offset>, TruncateError> {
        let mut io = self.io.lock();
        io.close_open_segment();
        let place = self.directory().display().to_string();
        let failed = |error| super::drain::drain_error(&place, error);
        let open = self.open_transactions_at(offset).map_err(failed)?;
        let cut = self.cut_segments(offset)?;
        if cut.changed.is_some() || !cut.removed.is_empty() {
            io.note_truncation();
        }
        let mut state = self.state.lock();
        for gone in &cut.removed {
            io.note_removed(*gone);
        }
        state
            .segments
            .retain(|segment| !cut.removed.contains(&segment.base_offset));
        if let (Some(changed), Some(last)) = (cut.changed, state.segments.last_mut()) {
            io.note_changed(changed.base_offset);
            *last = changed;
        }
        // Read before the state is locked would race with evictions; a run that is cut lies in memory or in the
        // write-ahead log, whose file stays while the run does.
        let kept = match state.tail.cut_run(offset) {
            Some(run) => self.boundary(&run, offset)?,
            None => None,
        };
        state.tail.truncate_to(offset, kept);
        state.log_end = offset;
        state.high_watermark = offset;
        state.epochs.truncate_to(offset);
        if let Some(cleaning) = &mut state.cleaning {
            cleaning.truncate_to(offset);
        }
        let now = &mut *state;
        now.transactions.truncate_to(offset, open);
        now.transactions.put_unindexed(cut.unindexed);
        now.producers.truncate_to(offset, &now.transactions);
        now.verifications = super::verification::Verifications::default();
        state.leader_epoch = state.leader_epoch.max(epoch);
        // No record begins with it: what follows has the epochs of the source.
        state.mirror.note_announced(epoch);
        Ok(cut.removed)
    }

    fn remove_files(&self, segments: &[Offset]) -> Result<(), TruncateError> {
        let _io = self.io.lock();
        let directory = self.directory();
        // A segment that starts at the cut may have been written again meanwhile.
        let live: Vec<Offset> = self.state.lock().segments.iter().map(|s| s.base_offset).collect();
        for base in segments.iter().filter(|base| !live.contains(base)) {
            for kind in FileKind::ALL {
                let path = segment_file(&directory, *base, kind);
                match self.shared.disk.remove_file(&path) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        return Err(super::drain::drain_error(&path.display().to_string(), error).into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes, last offset and largest timestamp of a run's batches below `offset`.
    fn boundary(
        &self,
        run: &TailRun,
        offset: Offset,
    ) -> Result<Option<(u32, Offset, TimestampMs)>, TruncateError> {
        let lost = |what: String| ReadError::Io {
            path: format!("write-ahead log file {}", run.location.file),
            what,
        };
        let bytes = match &run.parts {
            Some(parts) => parts.concat(),
            None => {
                let read = self.shared.sink.read(run.wal_location(), run.len());
                read.map_err(|error| lost(error.to_string()))?.to_vec()
            }
        };
        let mut kept = None;
        for batch in split_batches(&bytes) {
            let batch = batch.map_err(|error| lost(error.to_string()))?;
            if batch.header.last_offset() >= offset {
                break;
            }
            let len = u32::try_from(batch.position + batch.bytes.len()).unwrap_or(u32::MAX);
            let before = kept.map_or(
                TimestampMs::NONE,
                |(_, _, timestamp): (u32, Offset, TimestampMs)| timestamp,
            );
            kept = Some((
                len,
                batch.header.last_offset(),
                before.max(batch.header.max_timestamp),
            ));
        }
        Ok(kept)
    }

    /// Works out what is left of the segments.
    fn cut_segments(&self, offset: Offset) -> Result<Cut, TruncateError> {
        let segments = self.state.lock().segments.clone();
        let mut cut = Cut {
            removed: Vec::new(),
            changed: None,
            unindexed: Vec::new(),
        };
        for segment in segments.iter().filter(|segment| segment.next_offset > offset) {
            if segment.base_offset >= offset {
                cut.removed.push(segment.base_offset);
                continue;
            }
            let mut shorter = self.shorten(segment, offset)?;
            cut.unindexed = self.cut_transaction_index(&mut shorter, segment, offset)?;
            cut.changed = Some(shorter);
        }
        Ok(cut)
    }

    /// Lets the entries of the transaction index count whose markers are kept: they come first in the file. Entries
    /// of a damaged index are worked out again and returned.
    fn cut_transaction_index(
        &self,
        shorter: &mut Segment,
        segment: &Segment,
        offset: Offset,
    ) -> Result<Vec<AbortedTransaction>, TruncateError> {
        if segment.transaction_index.len == 0 {
            return Ok(Vec::new());
        }
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::TransactionIndex);
        let failed = |error| super::drain::drain_error(&path.display().to_string(), error);
        let entries = match self.shared.disk.open(&path, OpenMode::Read) {
            Ok(file) => transaction_index::read(&*file, segment.transaction_index).map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error).into()),
        };
        let Some(mut entries) = entries else {
            tracing::warn!(file = %path.display(), "transaction index damaged, its entries are worked out again");
            return Ok(self.aborted_by_segment(segment, offset).map_err(failed)?);
        };
        entries.retain(|entry| entry.last_offset < offset);
        shorter.transaction_index = transaction_index::stamp_of(&entries);
        Ok(Vec::new())
    }

    /// The segment up to a batch boundary, its indexes empty: they are hints, and grow again with the next
    /// records. The file keeps its bytes, which do not count any more and are written over.
    fn shorten(&self, segment: &Segment, offset: Offset) -> Result<Segment, TruncateError> {
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::Log);
        let failed = |error| super::drain::drain_error(&path.display().to_string(), error);
        let file = self.shared.disk.open(&path, OpenMode::Read).map_err(failed)?;
        let mut shorter = Segment::new(segment.base_offset, segment.modified);
        let scan = crate::recovery::scan_batches(&*file, segment.size, |position, header| {
            if header.last_offset() >= offset {
                return crate::recovery::Scan::Stop;
            }
            if shorter.size == 0 {
                shorter.first_timestamp = header.max_timestamp;
            }
            if header.max_timestamp > shorter.max_timestamp {
                shorter.max_timestamp = header.max_timestamp;
                shorter.max_timestamp_offset = header.last_offset();
            }
            shorter.size = position + header.total_len() as u64;
            shorter.next_offset = header.last_offset().next();
            crate::recovery::Scan::Continue
        });
        scan.map_err(failed)?;
        shorter.offset_index = IndexStamp::default();
        shorter.time_index = IndexStamp::default();
        shorter.unindexed_bytes = u32::MAX;
        shorter.settled = segment.settled;
        Ok(shorter)
    }
}

struct Cut {
    removed: Vec<Offset>,
    changed: Option<Segment>,
    /// Aborts of the changed segment that its index cannot give.
    unindexed: Vec<AbortedTransaction>,
}
