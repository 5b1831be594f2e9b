//! From the tail to segment files: large writes, rolls, indexes; and the rows of a recovery point.
//!
//! A drain is all or nothing for the log's state: until every byte of it is written, nothing counts, and a
//! repeat writes the same bytes to the same place. Nothing here is durable until [`PartitionLog::prepare_rows`]
//! synced the files and the rows are committed.

use super::cleaning_row::{cleaning_key, encode_cleaning};
use super::rows::{PartitionRow, RowChange, encode_partition, encode_segment, partition_key, segment_key};
use super::tail::TailRun;
use super::{PartitionLog, Status};
use crate::commit::CommitError;
use crate::disk::{CrashPoint, DiskFile, OpenMode, UncachedWriter, WritePlace};
use crate::log_config::LogConfig;
use crate::planted::{Bug, is_planted};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::offset_index::Entry;
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment, offset_index, render, time_index};
use crate::wal::Slot;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use thalweg_types::{Offset, TimestampMs};
use thalweg_wire::batch::{BatchHeader, split_batches, verify_crc};
use thiserror::Error;

/// Bytes that one pass of a drain takes from the tail.
const DRAIN_BYTES: usize = 4 << 20;
/// Files with unsynced bytes that one log keeps open at most.
const UNSYNCED_FILES_MAX: usize = 48;

/// Why the tail could not be written to segments.
#[derive(Debug, Error)]
pub enum DrainError {
    /// No space; the data stays in the write-ahead log, and a later try may work.
    #[error("{path}: the disk is full")]
    Full {
        /// File.
        path: String,
    },
    /// A truncation is not in a recovery point yet: writing where it cut would mix old and new records in what the
    /// last recovery point names.
    #[error("{path}: a truncation waits for its recovery point")]
    RowsFirst {
        /// Directory.
        path: String,
    },
    /// The process has no file descriptor left; a later try may work.
    #[error("{path}: no file descriptor is left: raise `ulimit -n`")]
    OutOfDescriptors {
        /// File.
        path: String,
    },
    /// The disk failed; nothing may be acknowledged any more.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// The disk's error.
        source: io::Error,
    },
    /// What the write-ahead log gives back is not what was written.
    #[error("write-ahead log file {file}, byte {position}: {what}")]
    Corrupt {
        /// File number.
        file: u64,
        /// Byte position.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The write-ahead log failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Files of the segment being written, and what a recovery point must sync and write.
#[derive(Debug, Default)]
pub(crate) struct SegmentWriter {
    open: Option<OpenSegment>,
    /// Files with bytes that no sync covers.
    unsynced: Vec<Arc<dyn DiskFile>>,
    unsynced_names: bool,
    /// The directory exists, as far as this process knows.
    directory_ready: bool,
    /// Segments whose rows must be written.
    changed: BTreeSet<Offset>,
    /// Segments whose rows must go.
    removed: BTreeSet<Offset>,
    /// Truncations that cut segments, counted.
    truncations: u64,
}

#[derive(Debug)]
struct OpenSegment {
    base_offset: Offset,
    log: UncachedWriter,
    /// Opened for the first entry: a segment that grows slowly rarely gets one.
    indexes: Option<OpenIndexes>,
    /// Opened with the first aborted transaction.
    transaction_index: Option<Arc<dyn DiskFile>>,
}

#[derive(Debug)]
struct OpenIndexes {
    offset_index: Arc<dyn DiskFile>,
    time_index: Arc<dyn DiskFile>,
    /// Timestamp of the last time index entry.
    last_indexed: TimestampMs,
}

/// Rows to commit.
#[derive(Debug)]
pub(crate) struct PreparedRows {
    pub changes: Vec<RowChange>,
    pub covered: Option<Slot>,
    changed: BTreeSet<Offset>,
    removed: BTreeSet<Offset>,
    truncations: u64,
}

/// Writes of one drain pass to the open segment, not done yet.
#[derive(Default)]
struct Pending {
    parts: Vec<Bytes>,
    position: u64,
    index: Vec<u8>,
    index_position: u64,
    times: Vec<u8>,
    times_position: u64,
    aborts: Vec<u8>,
    aborts_position: u64,
}

/// What one pass writes.
struct Pass<'a> {
    runs: &'a [TailRun],
    /// The transactions whose abort lies in the runs, by the offset of the marker.
    aborts: &'a [AbortedTransaction],
    config: &'a LogConfig,
    active: Option<Segment>,
}

impl Pending {
    /// What comes next goes to the end of the segment's files.
    fn begin_at(&mut self, segment: &Segment) {
        self.position = segment.size;
        self.index_position = u64::from(segment.offset_index.len);
        self.times_position = u64::from(segment.time_index.len);
        self.aborts_position = u64::from(segment.transaction_index.len);
    }
}

impl SegmentWriter {
    pub(super) fn forget_files(&mut self) {
        *self = Self::default();
    }

    pub(super) fn note_changed(&mut self, base_offset: Offset) {
        self.removed.remove(&base_offset);
        self.changed.insert(base_offset);
    }

    pub(super) fn note_removed(&mut self, base_offset: Offset) {
        self.changed.remove(&base_offset);
        self.removed.insert(base_offset);
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.base_offset == base_offset)
        {
            self.open = None;
        }
    }

    /// Puts back what must be written when a commit of rows failed.
    pub(super) fn put_back(&mut self, rows: PreparedRows) {
        for base in rows.changed {
            if !self.removed.contains(&base) {
                self.changed.insert(base);
            }
        }
        for base in rows.removed {
            if !self.changed.contains(&base) {
                self.removed.insert(base);
            }
        }
    }

    /// Syncs and closes files that many rolls have left open.
    fn sync_many(&mut self) -> io::Result<()> {
        if self.unsynced.len() > UNSYNCED_FILES_MAX {
            for file in &self.unsynced {
                file.sync_data()?;
            }
            self.unsynced.clear();
        }
        Ok(())
    }

    /// Returns how many truncations cut segments so far.
    pub(super) fn truncations(&self) -> u64 {
        self.truncations
    }

    pub(super) fn note_truncation(&mut self) {
        self.truncations += 1;
    }

    pub(super) fn close_open_segment(&mut self) {
        self.open = None;
    }
}

impl PartitionLog {
    /// Writes runs up to slot `through` to segment files, all of them or what `bytes` allows; returns how many
    /// bytes were written.
    ///
    /// # Errors
    /// [`DrainError`].
    pub(crate) fn drain(&self, bytes: usize, through: Slot) -> Result<usize, DrainError> {
        let mut io = self.io.lock();
        let mut total = 0;
        while total < bytes {
            let (runs, aborts, config, active) = {
                let mut state = self.state.lock();
                state.drain_queued = false;
                if state.status == Status::Closed {
                    return Ok(total);
                }
                if io.truncations > state.truncations_committed {
                    let path = self.directory().display().to_string();
                    return Err(DrainError::RowsFirst { path });
                }
                let runs = state.tail.next_to_drain(DRAIN_BYTES.min(bytes - total), through);
                let last = runs.last().map_or(Offset::UNKNOWN, |run| run.run.last_offset);
                let first = runs.first().map_or(Offset::ZERO, |run| run.run.base_offset);
                let aborts = state.transactions.unindexed(first, last);
                (runs, aborts, state.config.clone(), state.segments.last().copied())
            };
            if runs.is_empty() {
                return Ok(total);
            }
            let written: usize = runs.iter().map(TailRun::len).sum();
            let pass = Pass {
                runs: &runs,
                aborts: &aborts,
                config: &config,
                active,
            };
            let segments = match self.write_runs(&mut io, &pass) {
                Ok(segments) => segments,
                Err(error) => {
                    // What was indexed in vain must be indexed again.
                    io.close_open_segment();
                    return Err(error);
                }
            };
            io.sync_many()
                .map_err(|error| drain_error(&self.directory().display().to_string(), error))?;
            let mut state = self.state.lock();
            if state.status == Status::Closed {
                return Ok(total);
            }
            if active.is_some() {
                state.segments.pop();
            }
            for segment in &segments {
                io.note_changed(segment.base_offset);
                let added = aborts.partition_point(|abort| abort.last_offset < segment.base_offset)
                    ..aborts.partition_point(|abort| abort.last_offset < segment.next_offset);
                if !added.is_empty() {
                    let before = active.filter(|active| active.base_offset == segment.base_offset);
                    let stamp = before.map_or_else(IndexStamp::default, |active| active.transaction_index);
                    self.note_indexed(stamp, segment, &aborts[added]);
                }
            }
            state.segments.extend(segments);
            state.tail.mark_drained(runs.len());
            state.transactions.mark_indexed(&aborts);
            total += written;
        }
        Ok(total)
    }

    fn write_runs(&self, io: &mut SegmentWriter, pass: &Pass<'_>) -> Result<Vec<Segment>, DrainError> {
        let now = self.shared.clock.now();
        let config = pass.config;
        let mut aborts = pass.aborts.iter().peekable();
        let mut done = Vec::new();
        let mut current = pass.active;
        let mut pending = Pending::default();
        for run in pass.runs {
            for part in self.checked_parts(run)? {
                let Ok(header) = BatchHeader::parse(&part) else {
                    continue;
                };
                let full = current.as_ref().is_some_and(|s| must_roll(s, &header, config));
                if full && let Some(mut segment) = current.take() {
                    self.finish_segment(io, &mut segment, &mut pending)?;
                    self.flush(io, &mut pending)?;
                    done.push(segment);
                    io.open = None;
                    self.shared.note_segment_rolled();
                    self.shared.disk.reached(CrashPoint::SegmentRolled);
                }
                let segment = match &mut current {
                    Some(segment) => segment,
                    None => current.insert(Segment {
                        settled: run.settled,
                        ..Segment::new(header.base_offset, now)
                    }),
                };
                if io
                    .open
                    .as_ref()
                    .is_none_or(|open| open.base_offset != segment.base_offset)
                {
                    self.open_segment(io, segment)?;
                    pending = Pending::default();
                    pending.begin_at(segment);
                } else if pending.parts.is_empty() && pending.position == 0 {
                    pending.begin_at(segment);
                }
                if segment.unindexed_bytes > config.index_interval_bytes {
                    self.open_indexes(io, segment)?;
                }
                add_batch(io, segment, &header, config, &mut pending);
                while let Some(abort) = aborts.next_if(|abort| abort.last_offset <= header.last_offset()) {
                    let entry = transaction_index::encode(abort);
                    segment.transaction_index = segment.transaction_index.extended(&entry);
                    pending.aborts.extend_from_slice(&entry);
                }
                segment.size += part.len() as u64;
                segment.modified = now;
                pending.parts.push(part);
            }
        }
        self.flush(io, &mut pending)?;
        done.extend(current);
        Ok(done)
    }

    /// Returns a run's batches one by one; what comes back from the disk is checked, so that damage in the
    /// write-ahead log is never copied into a segment.
    fn checked_parts(&self, run: &TailRun) -> Result<Vec<Bytes>, DrainError> {
        if let Some(parts) = &run.parts {
            return Ok(parts.to_vec());
        }
        let location = run.wal_location();
        let corrupt = |what: String| DrainError::Corrupt {
            file: location.file,
            position: location.position,
            what,
        };
        let bytes = self.wal_bytes(run).map_err(|lost| match lost {
            super::read::Lost::Race => corrupt("trimmed before it was drained".into()),
            super::read::Lost::Error(error) => corrupt(error.to_string()),
        })?;
        let mut parts = Vec::new();
        for batch in split_batches(&bytes) {
            let batch = batch.map_err(|error| corrupt(error.to_string()))?;
            verify_crc(batch.bytes).map_err(|error| corrupt(error.to_string()))?;
            parts.push(bytes.slice(batch.position..batch.position + batch.bytes.len()));
        }
        Ok(parts)
    }

    fn open_segment(&self, io: &mut SegmentWriter, segment: &Segment) -> Result<(), DrainError> {
        let directory = self.directory();
        if !io.directory_ready {
            let made = self.shared.disk.create_dir_all(&directory);
            made.and_then(|()| render::partition_metadata(&*self.shared.disk, &directory, self.id.topic_id))
                .map_err(|error| drain_error(&directory.display().to_string(), error))?;
            io.directory_ready = true;
        }
        let log = self.open_file(segment.base_offset, FileKind::Log)?;
        io.unsynced_names |= segment.size == 0;
        io.open = Some(OpenSegment {
            base_offset: segment.base_offset,
            log: UncachedWriter::new(log, self.shared.config.segment_write_direct_bytes),
            indexes: None,
            transaction_index: None,
        });
        Ok(())
    }

    fn open_file(&self, base_offset: Offset, kind: FileKind) -> Result<Arc<dyn DiskFile>, DrainError> {
        let path = segment_file(&self.directory(), base_offset, kind);
        let opened = self.shared.disk.open(&path, OpenMode::Create);
        opened.map_err(|error| drain_error(&path.display().to_string(), error))
    }

    /// Opens the indexes of the open segment, before an entry is added.
    fn open_indexes(&self, io: &mut SegmentWriter, segment: &Segment) -> Result<(), DrainError> {
        let Some(open) = io.open.as_mut().filter(|open| open.indexes.is_none()) else {
            return Ok(());
        };
        let mut opened = OpenIndexes {
            offset_index: self.open_file(segment.base_offset, FileKind::OffsetIndex)?,
            time_index: self.open_file(segment.base_offset, FileKind::TimeIndex)?,
            last_indexed: TimestampMs(i64::MIN),
        };
        let mut bytes = [0; time_index::ENTRY_LEN];
        let len = u64::from(segment.time_index.len);
        if let Some(position) = len.checked_sub(time_index::ENTRY_LEN as u64)
            && opened.time_index.read_exact_at(&mut bytes, position).is_ok()
        {
            opened.last_indexed = time_index::decode(segment.base_offset, &bytes).0;
        }
        io.unsynced_names |= segment.offset_index.len == 0 || segment.time_index.len == 0;
        open.indexes = Some(opened);
        Ok(())
    }

    /// Adds the last time index entry, and the files Kafka's tools expect at a roll.
    fn finish_segment(
        &self,
        io: &mut SegmentWriter,
        segment: &mut Segment,
        pending: &mut Pending,
    ) -> Result<(), DrainError> {
        if io
            .open
            .as_ref()
            .is_none_or(|open| open.base_offset != segment.base_offset)
        {
            self.open_segment(io, segment)?;
        }
        if pending.parts.is_empty() {
            pending.begin_at(segment);
        }
        self.open_indexes(io, segment)?;
        add_time_entry(io, segment, pending);
        self.render(segment.next_offset)
            .map_err(|error| drain_error(&self.directory().display().to_string(), error))
    }

    /// Writes the producer snapshot at `offset` and the epoch checkpoint: renderings for Kafka's tools.
    pub(crate) fn render(&self, offset: Offset) -> io::Result<()> {
        let (epochs, producers, transactions) = {
            let state = self.state.lock();
            (
                state.epochs.clone(),
                state.producers.clone(),
                state.transactions.clone(),
            )
        };
        let directory = self.directory();
        render::epoch_checkpoint(&*self.shared.disk, &directory, &epochs)?;
        render::producer_snapshot(
            &*self.shared.disk,
            &directory,
            offset,
            (&producers, &transactions),
        )
    }

    fn flush(&self, io: &mut SegmentWriter, pending: &mut Pending) -> Result<(), DrainError> {
        let Some(open) = &mut io.open else { return Ok(()) };
        let path = segment_file(&self.directory(), open.base_offset, FileKind::Log);
        let failed = |error| drain_error(&path.display().to_string(), error);
        let place = WritePlace {
            disk: &*self.shared.disk,
            path: &path,
            pool: &self.shared.buffers,
        };
        let log_len = open
            .log
            .write(place, &pending.parts, pending.position)
            .map_err(failed)?;
        let mut written = vec![(open.log.file(), log_len > 0)];
        if let Some(indexes) = &open.indexes {
            let entries = [
                (&indexes.offset_index, &pending.index, pending.index_position),
                (&indexes.time_index, &pending.times, pending.times_position),
            ];
            for (file, bytes, position) in entries {
                file.write_all_at(bytes, position).map_err(failed)?;
                written.push((file, !bytes.is_empty()));
            }
        }
        if !pending.aborts.is_empty() {
            if open.transaction_index.is_none() {
                let file = self.open_file(open.base_offset, FileKind::TransactionIndex)?;
                open.transaction_index = Some(file);
            }
            if let Some(file) = &open.transaction_index {
                let path = segment_file(&self.directory(), open.base_offset, FileKind::TransactionIndex);
                let failed = |error| drain_error(&path.display().to_string(), error);
                io.unsynced_names |= pending.aborts_position == 0;
                file.write_all_at(&pending.aborts, pending.aborts_position)
                    .map_err(failed)?;
                written.push((file, true));
            }
        }
        for (file, written) in written {
            if written && !io.unsynced.iter().any(|other| Arc::ptr_eq(other, file)) {
                io.unsynced.push(file.clone());
            }
        }
        *pending = Pending::default();
        self.shared.disk.reached(CrashPoint::SegmentWritten);
        Ok(())
    }

    /// Makes the segment files durable and returns the rows that say so. The rows speak of durable appends only,
    /// so that they can be committed while the write-ahead log waits for the room that they make.
    ///
    /// # Errors
    /// [`DrainError::Io`].
    pub(crate) fn prepare_rows(&self) -> Result<Option<PreparedRows>, DrainError> {
        self.prepare_rows_with(&mut self.io.lock())
    }

    /// As [`PartitionLog::prepare_rows`], by one who holds the segment files already.
    pub(super) fn prepare_rows_with(
        &self,
        io: &mut SegmentWriter,
    ) -> Result<Option<PreparedRows>, DrainError> {
        let directory = self.directory();
        let failed = |source| DrainError::Io {
            path: directory.display().to_string(),
            source,
        };
        for file in &io.unsynced {
            file.sync_data().map_err(failed)?;
        }
        io.unsynced.clear();
        if io.unsynced_names && !is_planted(Bug::DirectorySyncLost) {
            for names in [&directory, &self.shared.directory] {
                let synced = self.shared.disk.sync_dir(names);
                synced.map_err(|error| drain_error(&names.display().to_string(), error))?;
            }
            io.unsynced_names = false;
        }
        // No descriptor stays open for a partition that may be idle from here on.
        io.open = None;
        let state = self.state.lock();
        if state.status == Status::Closed {
            return Ok(None);
        }
        let covered = match state.tail.first_undrained_slot() {
            Some(slot) => slot.0.checked_sub(1).map(Slot).max(state.covered),
            None => state.uncovered.back().copied().max(state.covered),
        };
        let row = PartitionRow {
            covered,
            log_start: state.log_start,
            log_end: state.high_watermark,
            write_state: state.durable_write_state,
            epochs: state.durable_epochs(),
            producers: state.durable_producers(),
            transactions: state.transactions.durable(state.high_watermark),
            settled: state
                .tail
                .undrained_settled()
                .unwrap_or_else(|| state.transactions.settled(state.high_watermark)),
            mirror: state.mirror.row(),
        };
        let mut changes = vec![RowChange {
            key: partition_key(self.id),
            value: Some(encode_partition(&row)),
        }];
        if let Some(cleaning) = &state.cleaning {
            changes.push(RowChange {
                key: cleaning_key(self.id),
                value: Some(encode_cleaning(&cleaning.row())),
            });
        }
        for base in &io.changed {
            let Ok(index) = state.segments.binary_search_by_key(base, |s| s.base_offset) else {
                continue;
            };
            let value = Some(encode_segment(&state.segments[index]));
            changes.push(RowChange {
                key: segment_key(self.id, *base),
                value,
            });
        }
        for base in &io.removed {
            changes.push(RowChange {
                key: segment_key(self.id, *base),
                value: None,
            });
        }
        drop(state);
        let changed = std::mem::take(&mut io.changed);
        let removed = std::mem::take(&mut io.removed);
        Ok(Some(PreparedRows {
            changes,
            covered,
            changed,
            removed,
            truncations: io.truncations,
        }))
    }

    /// Takes note that prepared rows are durable.
    pub(crate) fn rows_committed(&self, rows: &PreparedRows) {
        let mut state = self.state.lock();
        state.covered = state.covered.max(rows.covered);
        state.truncations_committed = state.truncations_committed.max(rows.truncations);
        if let Some(covered) = rows.covered {
            while state.uncovered.front().is_some_and(|slot| *slot <= covered) {
                state.uncovered.pop_front();
            }
        }
        if state.uncovered.is_empty() {
            state.uncovered = std::collections::VecDeque::new();
            // Under the state's lock: a commit that comes now puts the log back.
            self.shared.forget_dirty(self.id);
        }
    }

    /// Puts back what must be written when a commit of rows failed.
    pub(crate) fn rows_refused(&self, rows: PreparedRows) {
        self.io.lock().put_back(rows);
    }

    /// Reports whether a recovery point must come before anything is drained.
    pub(crate) fn needs_rows_first(&self) -> bool {
        let io = self.io.lock();
        io.truncations > self.state.lock().truncations_committed
    }

    /// Returns the first slot that no committed recovery point of this log covers.
    pub(crate) fn first_uncovered(&self) -> Option<Slot> {
        self.state.lock().uncovered.front().copied()
    }
}

pub(super) fn drain_error(path: &str, source: io::Error) -> DrainError {
    if crate::disk::is_disk_full(&source) {
        DrainError::Full {
            path: path.to_owned(),
        }
    } else if crate::disk::is_out_of_descriptors(&source) {
        DrainError::OutOfDescriptors {
            path: path.to_owned(),
        }
    } else {
        DrainError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn must_roll(segment: &Segment, header: &BatchHeader, config: &LogConfig) -> bool {
    if segment.size == 0 {
        return false;
    }
    let len = header.total_len() as u64;
    let by_size = segment.size + len > config.segment_bytes || segment.size + len > i32::MAX as u64;
    let aged = header.max_timestamp.0.saturating_sub(segment.first_timestamp.0) > config.segment_ms;
    let by_time = segment.first_timestamp > TimestampMs::NONE && aged;
    let by_offset = header.last_offset().0 - segment.base_offset.0 > i64::from(i32::MAX);
    let by_index = segment
        .offset_index
        .len
        .saturating_add(offset_index::ENTRY_LEN as u32)
        > config.segment_index_bytes
        || segment
            .time_index
            .len
            .saturating_add(2 * time_index::ENTRY_LEN as u32)
            > config.segment_index_bytes
        || segment
            .transaction_index
            .len
            .saturating_add(transaction_index::ENTRY_LEN as u32)
            > config.segment_index_bytes;
    by_size || by_time || by_offset || by_index
}

/// Brings a segment's facts up to date with a batch that will lie at its end.
fn add_batch(
    io: &mut SegmentWriter,
    segment: &mut Segment,
    header: &BatchHeader,
    config: &LogConfig,
    pending: &mut Pending,
) {
    if segment.size == 0 {
        segment.first_timestamp = header.max_timestamp;
    }
    if header.max_timestamp > segment.max_timestamp {
        segment.max_timestamp = header.max_timestamp;
        segment.max_timestamp_offset = header.last_offset();
    }
    segment.next_offset = header.last_offset().next();
    if segment.unindexed_bytes > config.index_interval_bytes {
        let entry = Entry {
            last_offset: header.last_offset(),
            position: segment.size,
        };
        if let Some(bytes) = offset_index::encode(segment.base_offset, entry) {
            pending.index.extend_from_slice(&bytes);
            segment.offset_index = segment.offset_index.extended(&bytes);
        }
        add_time_entry(io, segment, pending);
        segment.unindexed_bytes = 0;
    }
    let len = u32::try_from(header.total_len()).unwrap_or(u32::MAX);
    segment.unindexed_bytes = segment.unindexed_bytes.saturating_add(len);
}

fn add_time_entry(io: &mut SegmentWriter, segment: &mut Segment, pending: &mut Pending) {
    let Some(open) = io.open.as_mut().and_then(|open| open.indexes.as_mut()) else {
        return;
    };
    if segment.max_timestamp <= open.last_indexed {
        return;
    }
    let entry = time_index::encode(
        segment.base_offset,
        segment.max_timestamp,
        segment.max_timestamp_offset,
    );
    if let Some(bytes) = entry {
        pending.times.extend_from_slice(&bytes);
        segment.time_index = segment.time_index.extended(&bytes);
        open.last_indexed = segment.max_timestamp;
    }
}
