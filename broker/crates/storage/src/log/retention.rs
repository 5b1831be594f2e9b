//! Retention: old segments go by time, by size, and below the log start. −1 keeps for ever.
//!
//! The new log start is durable in the recovery point before it is visible, and before a file is touched. Files
//! get the suffix `.deleted` at once and are removed after `file.delete.delay.ms`.

use super::drain::{DrainError, PreparedRows, SegmentWriter};
use super::{PartitionLog, Status};
use crate::disk::CrashPoint;
use crate::log::rows::RecoveryStoreError;
use crate::log_config::{Deletion, LogConfig};
use crate::segment::Segment;
use crate::segment::names::{DELETED_FILE_SUFFIX, FileKind, segment_file};
use crate::wal::Slot;
use std::path::PathBuf;
use std::sync::Arc;
use thalweg_types::{Offset, TimestampMs};

/// What retention did to one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Segments deleted.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files to remove later.
    pub doomed: Vec<PathBuf>,
}

impl PartitionLog {
    /// Deletes what the topic's settings and the log start allow.
    ///
    /// # Errors
    /// [`DrainError`]; what was not made durable was not deleted.
    pub fn apply_retention(self: &Arc<Self>, now: TimestampMs) -> Result<RetentionReport, DrainError> {
        let outcome = self.retain(now);
        self.fatal_unless_full(outcome)
    }

    /// From the choice of segments to the renaming of their files nothing else may write rows or segments: a drain
    /// could add to a chosen segment, a deletion could give its name to another topic.
    fn retain(self: &Arc<Self>, now: TimestampMs) -> Result<RetentionReport, DrainError> {
        let config = self.config();
        self.drain_expired(now, &config)?;
        let _rows = self.shared.rows.lock();
        let mut io = self.io.lock();
        let Some((doomed, new_start)) = self.choose_expired(now, &config) else {
            return Ok(RetentionReport::default());
        };
        for segment in &doomed {
            io.note_removed(segment.base_offset);
        }
        let committed = match self.prepare_rows_with(&mut io) {
            Ok(Some(rows)) => self.commit_log_start(&mut io, rows, new_start),
            Ok(None) => return Ok(RetentionReport::default()),
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            // They are still served, so their rows must stay.
            for segment in &doomed {
                io.note_changed(segment.base_offset);
            }
            return Err(error);
        }
        self.shared.disk.reached(CrashPoint::RetentionCommitted);
        {
            let mut state = self.state.lock();
            state.log_start = state.log_start.max(new_start);
            let log_start = state.log_start;
            state.epochs.advance_start(log_start);
            state.transactions.advance_start(log_start);
            state
                .segments
                .retain(|segment| doomed.iter().all(|gone| gone.base_offset != segment.base_offset));
        }
        io.close_open_segment();
        Ok(self.doom_files(&doomed))
    }

    /// Returns the segments that may go and the log start after them.
    fn choose_expired(&self, now: TimestampMs, config: &LogConfig) -> Option<(Vec<Segment>, Offset)> {
        let state = self.state.lock();
        if state.status == Status::Closed {
            return None;
        }
        let count = expired_prefix(&state.segments, state.size(), state.log_start, now, config);
        // Never the segment that is open for writes, unless nothing is on its way into it.
        let all = count > 0 && count == state.segments.len() && state.tail.first_undrained_slot().is_some();
        let count = if all { count - 1 } else { count };
        if count == 0 {
            return None;
        }
        let next = state
            .segments
            .get(count)
            .map_or(state.high_watermark, |s| s.base_offset);
        Some((state.segments[..count].to_vec(), next.max(state.log_start)))
    }

    /// Records that are still on their way to a segment expire too: they are written there so that they can go.
    fn drain_expired(&self, now: TimestampMs, config: &LogConfig) -> Result<(), DrainError> {
        let expired = {
            let state = self.state.lock();
            let by_time = config.deletion == Deletion::ByRetention
                && config.retention_ms >= 0
                && state
                    .tail
                    .undrained_max_timestamp()
                    .is_some_and(|newest| newest.0 < now.0.saturating_sub(config.retention_ms));
            let below_start = state.tail.first_undrained_slot().is_some()
                && state.log_start >= state.high_watermark
                && !state.segments.is_empty();
            by_time || below_start
        };
        if expired {
            self.drain(usize::MAX, Slot(u64::MAX))?;
        }
        Ok(())
    }

    fn commit_log_start(
        &self,
        io: &mut SegmentWriter,
        mut rows: PreparedRows,
        new_start: Offset,
    ) -> Result<(), DrainError> {
        // The row that is about to be durable already names the new start.
        if let Some(first) = rows.changes.first_mut() {
            let decoded = super::rows::decode(&first.key, first.value.as_deref().unwrap_or_default());
            if let Ok(super::rows::Row::Partition(_, mut row)) = decoded {
                row.log_start = row.log_start.max(new_start);
                row.epochs.advance_start(row.log_start);
                first.value = Some(super::rows::encode_partition(&row));
            }
        }
        self.commit_prepared(io, rows)
    }

    /// Commits rows of this log alone; the caller holds the lock over rows since before they were prepared.
    pub(super) fn commit_prepared(
        &self,
        io: &mut SegmentWriter,
        rows: PreparedRows,
    ) -> Result<(), DrainError> {
        let error = match self.shared.recovery.commit(rows.changes.clone()) {
            Ok(()) => {
                self.rows_committed(&rows);
                return Ok(());
            }
            Err(error) => error,
        };
        let path = self.directory().display().to_string();
        io.put_back(rows);
        Err(match error {
            RecoveryStoreError::Full(_) => DrainError::Full { path },
            RecoveryStoreError::Failed(what) => DrainError::Io {
                path,
                source: std::io::Error::other(what),
            },
        })
    }

    /// Reports every failure that does not pass as fatal: a sync that failed once tells nothing when it is repeated.
    pub(super) fn fatal_unless_full<T>(&self, outcome: Result<T, DrainError>) -> Result<T, DrainError> {
        match &outcome {
            Ok(_) | Err(DrainError::OutOfDescriptors { .. } | DrainError::RowsFirst { .. }) => {}
            Err(error @ DrainError::Full { .. }) => self.shared.note_full(&error.to_string()),
            Err(error) => {
                let place = self.directory().display().to_string();
                self.shared.fatal(&place, &error.to_string());
            }
        }
        outcome
    }

    fn doom_files(&self, doomed: &[Segment]) -> RetentionReport {
        let directory = self.directory();
        self.shared.note_segments_deleted(doomed.len());
        let mut report = RetentionReport {
            segments: doomed.len(),
            ..RetentionReport::default()
        };
        for segment in doomed {
            report.bytes += segment.size;
            for kind in FileKind::ALL {
                let path = segment_file(&directory, segment.base_offset, kind);
                let mut name = path.clone().into_os_string();
                name.push(DELETED_FILE_SUFFIX);
                let deleted = PathBuf::from(name);
                // A file that is not there, or stays under its old name, is swept at the next start.
                if self.shared.disk.rename(&path, &deleted).is_ok() {
                    report.doomed.push(deleted);
                }
            }
        }
        tracing::info!(
            topic = %self.topic, partition = self.id.partition.0, segments = report.segments, bytes = report.bytes,
            "retention deleted segments"
        );
        report
    }
}

/// Returns how many of the oldest segments may go.
fn expired_prefix(
    segments: &[Segment],
    size: u64,
    log_start: Offset,
    now: TimestampMs,
    config: &LogConfig,
) -> usize {
    let mut excess = match config.retention_bytes {
        limit if limit < 0 => 0,
        limit => size.saturating_sub(limit.unsigned_abs()),
    };
    let mut count = 0;
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        let below_start = segment.next_offset <= log_start;
        let by_policy = config.deletion == Deletion::ByRetention;
        let cutoff = now.0.saturating_sub(config.retention_ms);
        let by_time = by_policy && config.retention_ms >= 0 && segment.retention_time().0 < cutoff;
        // By size only what keeps the log at or above the limit, and never the segment open for writes.
        let by_size = by_policy && !last && excess >= segment.size && excess > 0;
        if !(below_start || by_time || by_size) {
            break;
        }
        excess = excess.saturating_sub(segment.size);
        count += 1;
    }
    count
}
