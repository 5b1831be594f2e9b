//! Compaction of one log: reads sealed segments, writes what stays of them beside, and swaps the files.
//!
//! The long part, reading and writing `.cleaned` files, holds no lock. A swap holds the locks over rows, segment
//! files and names: the row that speaks of the new bytes is committed first and says that the files still have to
//! change their names; then they do, readers kept out so that none opens one segment and reads another. A start
//! finds the old files under the old row, or the new row and the new files, whose names it finishes to change. The
//! `.cleaned` file of a segment that a durable row names as changing is never written again before that row is gone.

use super::aborted::IndexSource;
use super::cleaning_row::{CleaningRow, cleaning_key, encode_cleaning};
use super::drain::SegmentWriter;
use super::read::Lost;
use super::rows::{RecoveryStoreError, RowChange, encode_segment, segment_key};
use super::{LogState, PartitionLog, Status};
use crate::cleaner::choice::{GroupLimits, LogFacts, cleanable, groups};
use crate::cleaner::filter::{Fate, Filter, FilterParts};
use crate::cleaner::keys::{KeyRange, fill_map};
use crate::cleaner::output::{Output, discard};
use crate::cleaner::source::Source;
use crate::cleaner::transactions::Transactions;
use crate::cleaner::{CleanError, CleanParts, CleanReport, Cleanable};
use crate::disk::CrashPoint;
use crate::engine::CleaningClaim;
use crate::log_config::{CompactionConfig, LogConfig};
use crate::planted::{Bug, is_planted};
use crate::segment::Segment;
use crate::segment::names::{FileKind, cleaned_file, segment_file};
use crate::segment::transaction_index::AbortedTransaction;
use crate::wal::Slot;
use std::collections::HashMap;
use std::sync::Arc;
use thalweg_types::{Offset, ProducerId, TimestampMs};

/// What a log remembers of its compaction. A log that was never compacted has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleaning {
    first_dirty: Offset,
    /// A durable row may say that files have to change their names.
    named: bool,
    /// Why it is not cleaned again before the next start.
    blocked: Option<String>,
}

impl Cleaning {
    pub(super) fn restore(row: CleaningRow) -> Self {
        Self {
            first_dirty: row.first_dirty,
            named: !row.swapping.is_empty(),
            blocked: None,
        }
    }

    /// The row when no file is changing its name.
    pub(super) fn row(&self) -> CleaningRow {
        CleaningRow {
            first_dirty: self.first_dirty,
            swapping: Vec::new(),
        }
    }

    /// What was cut off was not cleaned.
    pub(super) fn truncate_to(&mut self, offset: Offset) {
        self.first_dirty = self.first_dirty.min(offset);
    }
}

/// What a cleaning rests on: when it has changed at the swap, nothing is swapped.
struct Snapshot {
    directory: std::path::PathBuf,
    config: Arc<LogConfig>,
    compaction: CompactionConfig,
    cleanable: Cleanable,
    segments: Vec<Segment>,
    last_offsets: HashMap<ProducerId, Offset>,
    aborted: Vec<AbortedTransaction>,
    truncations: u64,
}

impl PartitionLog {
    /// Returns what may be cleaned; `None` when the topic is not compacted, or the log cannot be cleaned.
    #[must_use]
    pub fn cleanable(&self, now: TimestampMs) -> Option<Cleanable> {
        let state = self.state.lock();
        if state.cleaning_blocked() {
            return None;
        }
        state.cleanable(now)
    }

    /// Returns why the log is not cleaned before the next start.
    #[must_use]
    pub fn uncleanable_reason(&self) -> Option<String> {
        self.state.lock().cleaning.as_ref()?.blocked.clone()
    }

    /// Returns how many bytes cannot be cleaned, as Kafka counts them: all above the first dirty offset of a log that
    /// is blocked.
    #[must_use]
    pub fn uncleanable_bytes(&self) -> u64 {
        let state = self.state.lock();
        let first_dirty = match &state.cleaning {
            Some(cleaning) if cleaning.blocked.is_some() => cleaning.first_dirty,
            _ => return 0,
        };
        let dirty = state.segments.iter().filter(|s| s.next_offset > first_dirty);
        dirty.map(|segment| segment.size).sum()
    }

    /// Returns the offset below which everything was cleaned.
    #[must_use]
    pub fn first_dirty_offset(&self) -> Option<Offset> {
        let state = self.state.lock();
        state.config.compaction.as_ref()?;
        Some(state.first_dirty())
    }

    /// Reports whether writing the tail to segments would close one, so that it can be cleaned.
    pub(crate) fn would_roll(&self) -> bool {
        let state = self.state.lock();
        let config = &state.config;
        let undrained = state.tail.undrained_bytes() as u64;
        if state.status == Status::Closed || undrained == 0 || config.compaction.is_none() {
            return false;
        }
        let newest = state.tail.undrained_max_timestamp();
        let (size, first) = match state.segments.last() {
            Some(active) => (active.size, Some(active.first_timestamp)),
            None => (0, state.tail.first_undrained_timestamp()),
        };
        let aged = |(first, newest): (TimestampMs, TimestampMs)| {
            first > TimestampMs::NONE && newest.0.saturating_sub(first.0) > config.segment_ms
        };
        size + undrained > config.segment_bytes || first.zip(newest).is_some_and(aged)
    }

    /// Cleans the log once, whether it is worth it or not; the claim is what keeps others away from the names of the
    /// new files. Blocks on the disk; memory is the map of keys and one
    /// batch.
    ///
    /// # Errors
    /// [`CleanError`]; what was swapped before it stays, and is as good as what was there before.
    pub(crate) fn clean(
        self: &Arc<Self>,
        _claim: &CleaningClaim<'_>,
        parts: &CleanParts<'_>,
    ) -> Result<CleanReport, CleanError> {
        let mut snapshot = self.snapshot(parts.now)?;
        snapshot.aborted = self.aborted_before(snapshot.cleanable.end)?;
        let outcome = self.clean_with(&snapshot, parts);
        match outcome {
            // A truncation writes over what it cut, so a reader may have seen half of it.
            Err(CleanError::Corrupt { .. }) if !self.is_unchanged(&snapshot) => Err(CleanError::Overtaken),
            other => other,
        }
    }

    /// Takes note that the log cannot be cleaned: it is left alone until the next start, and the problem is told.
    pub(crate) fn block_cleaning(&self, error: &CleanError) {
        let name = format!("{}-{}", self.topic, self.id.partition);
        let text = format!("{error}; {name} is not compacted any more before the next start");
        {
            let mut state = self.state.lock();
            let first_dirty = state.first_dirty();
            let cleaning = state.cleaning.get_or_insert_default();
            cleaning.first_dirty = first_dirty;
            cleaning.blocked = Some(text.clone());
        }
        let place = match error {
            CleanError::Corrupt { path, .. } | CleanError::Io { path, .. } => path.clone(),
            _ => name,
        };
        self.shared.note_problem(place, text);
    }

    fn snapshot(&self, now: TimestampMs) -> Result<Snapshot, CleanError> {
        let io = self.io.lock();
        let state = self.state.lock();
        let is_waiting = io.truncations() > state.truncations_committed;
        let cleanable = state.cleanable(now).filter(|_| !is_waiting);
        let (Some(cleanable), Some(compaction)) = (cleanable, state.config.compaction) else {
            return Err(CleanError::Overtaken);
        };
        let producers = state.producers.entries().into_iter();
        let last_offsets = producers
            .filter_map(|(id, entry)| Some((id, entry.batches.back()?.last_offset)))
            .collect();
        Ok(Snapshot {
            directory: self.directory(),
            config: state.config.clone(),
            compaction,
            segments: state.segments.iter().take(cleanable.segments).copied().collect(),
            cleanable,
            last_offsets,
            aborted: Vec::new(),
            truncations: io.truncations(),
        })
    }

    /// Returns the aborted transactions with records below `end`, wherever their markers lie.
    fn aborted_before(&self, end: Offset) -> Result<Vec<AbortedTransaction>, CleanError> {
        let start = self.offsets().log_start_offset;
        if start >= end {
            return Ok(Vec::new());
        }
        match self.aborted_in((start, end), IndexSource::Disk) {
            Ok(Some(aborted)) => Ok(aborted),
            Ok(None) | Err(Lost::Race) => Err(CleanError::Overtaken),
            // The index is built again; without it aborted records would overwrite committed ones.
            Err(Lost::Error(error)) => Err(CleanError::Later(error.to_string())),
        }
    }

    fn clean_with(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        parts: &CleanParts<'_>,
    ) -> Result<CleanReport, CleanError> {
        let mut report = CleanReport {
            first_dirty: snapshot.cleanable.first_dirty,
            ..CleanReport::default()
        };
        self.commit_cleaning_if_named()?;
        let range = KeyRange {
            directory: &snapshot.directory,
            segments: &snapshot.segments,
            start: snapshot.cleanable.first_dirty,
            end: snapshot.cleanable.end,
            aborted: &snapshot.aborted,
        };
        let (map, read) = fill_map(&*self.shared.disk, &range, parts)?;
        report.bytes_read += read;
        report.map_utilization = map.utilization();
        let Some(latest) = map.latest() else {
            return Ok(report);
        };
        let end = latest.next().min(snapshot.cleanable.end);
        let mut filter = Filter::new(FilterParts {
            map: &map,
            transactions: Transactions::new(snapshot.aborted.clone()),
            last_offsets: &snapshot.last_offsets,
            end: snapshot.cleanable.end,
            now: parts.now,
            delete_retention_ms: snapshot.compaction.delete_retention_ms,
            inflate: parts.inflate,
        });
        let touched = snapshot.segments.partition_point(|s| s.base_offset < end);
        let limits = GroupLimits {
            segment_bytes: snapshot.config.segment_bytes,
            index_bytes: snapshot.config.segment_index_bytes,
        };
        for group in groups(snapshot.segments.get(..touched).unwrap_or_default(), limits) {
            let outcome = self.write_group(group, (snapshot, parts), &mut filter, &mut report);
            report.records = filter.counts;
            let Outcome::Changed(new) = outcome.inspect_err(|_| self.discard(group))? else {
                continue;
            };
            self.swap(group, new, snapshot)?;
            report.segments_replaced += group.len() as u64;
            report.bytes_replaced += group.iter().map(|segment| segment.size).sum::<u64>();
            report.bytes_written += new.map_or(0, |segment| segment.size);
        }
        self.advance_first_dirty(snapshot, end)?;
        report.first_dirty = end;
        Ok(report)
    }

    /// Writes what stays of neighbours into one segment.
    fn write_group(
        &self,
        group: &[Segment],
        (snapshot, parts): (&Snapshot, &CleanParts<'_>),
        filter: &mut Filter<'_>,
        report: &mut CleanReport,
    ) -> Result<Outcome, CleanError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(Outcome::Same);
        };
        let (disk, directory) = (&*self.shared.disk, &snapshot.directory);
        let interval = snapshot.config.index_interval_bytes;
        let mut output = Output::create(disk, directory, first.base_offset, interval)?;
        let (mut is_changed, mut is_empty) = (group.len() > 1, true);
        for segment in group {
            let mut source = Source::open(disk, directory, *segment, parts.read_bytes)?;
            while let Some((batch, read)) = source.next()? {
                report.bytes_read += read;
                parts.go_on(read)?;
                let fate = filter
                    .judge(&batch.header, &batch.bytes)
                    .map_err(|error| source.corrupt_before(&batch, error.to_string()))?;
                let written = match &fate {
                    Fate::Gone => 0,
                    Fate::AsItIs => output.push(&batch.header, &batch.bytes)?,
                    Fate::Rewritten(bytes) => {
                        let header = thalweg_wire::batch::BatchHeader::parse(bytes)
                            .map_err(|error| source.corrupt_before(&batch, error.to_string()))?;
                        output.push(&header, bytes)?
                    }
                };
                is_changed |= fate != Fate::AsItIs;
                is_empty &= fate == Fate::Gone;
                parts.go_on(written)?;
            }
        }
        let aborted = filter.take_kept_transactions();
        if !is_changed || is_empty {
            discard(disk, directory, first.base_offset);
            return Ok(if is_changed {
                Outcome::Changed(None)
            } else {
                Outcome::Same
            });
        }
        let segment = output.finish((first, last), &aborted)?;
        self.sync_names(snapshot)?;
        disk.reached(CrashPoint::CleanerSynced);
        Ok(Outcome::Changed(Some(segment)))
    }

    fn sync_names(&self, snapshot: &Snapshot) -> Result<(), CleanError> {
        let synced = self.shared.disk.sync_dir(&snapshot.directory);
        synced.map_err(|error| CleanError::io(&snapshot.directory, error))
    }

    /// Puts a cleaned segment in the place of a group, durably.
    fn swap(&self, group: &[Segment], new: Option<Segment>, snapshot: &Snapshot) -> Result<(), CleanError> {
        let _rows = self.shared.rows.lock();
        let mut io = self.io.lock();
        if !self.holds(&io, group, snapshot) {
            self.discard(group);
            return Err(CleanError::Overtaken);
        }
        if is_planted(Bug::SwappedBeforeRow) {
            self.change_names(group, new)?;
        }
        self.commit_swap(&mut io, group, new).inspect_err(|error| {
            // A commit that failed in another way may be there after all.
            if matches!(error, CleanError::Later(_) | CleanError::Overtaken) {
                self.discard(group);
            }
        })?;
        self.shared.disk.reached(CrashPoint::CleanerCommitted);
        let changed = {
            let _files = self.files.write();
            let changed = self.change_names(group, new);
            let mut state = self.state.lock();
            replace(&mut state.segments, group, new);
            state.swaps += 1;
            if let Some(last) = group.last() {
                state.tail.forget_drained_below(last.next_offset);
            }
            if let Some(cleaning) = &mut state.cleaning {
                cleaning.named = true;
            }
            changed
        };
        self.shared.disk.reached(CrashPoint::CleanerRenamed);
        let synced = changed.and_then(|()| self.sync_names(snapshot));
        if let Err(error) = synced {
            // The row speaks of files that have other names: only a start puts that right.
            let place = self.directory().display().to_string();
            self.shared.fatal(&place, &error.to_string());
            return Err(error);
        }
        self.shared.disk.reached(CrashPoint::CleanerSwapped);
        Ok(())
    }

    /// Commits the rows of the new segment, and that its files have to change their names.
    fn commit_swap(
        &self,
        io: &mut SegmentWriter,
        group: &[Segment],
        new: Option<Segment>,
    ) -> Result<(), CleanError> {
        self.state.lock().note_cleaning();
        let prepared = self.fatal_unless_full(self.prepare_rows_with(io))?;
        let Some(mut rows) = prepared else {
            return Err(CleanError::Overtaken);
        };
        let cleaning = CleaningRow {
            first_dirty: self.state.lock().first_dirty(),
            swapping: new.iter().map(|segment| segment.base_offset).collect(),
        };
        let gone = group
            .iter()
            .map(|segment| (segment_key(self.id, segment.base_offset), None));
        let added = new.map(|new| (segment_key(self.id, new.base_offset), Some(encode_segment(&new))));
        let state = (cleaning_key(self.id), Some(encode_cleaning(&cleaning)));
        for (key, value) in gone.chain(added).chain([state]) {
            rows.changes.retain(|change| change.key != key);
            rows.changes.push(RowChange { key, value });
        }
        let committed = self.commit_prepared(io, rows);
        Ok(self.fatal_unless_full(committed)?)
    }

    /// Gives the new files the old names, and removes the files of the other segments.
    fn change_names(&self, group: &[Segment], new: Option<Segment>) -> Result<(), CleanError> {
        let directory = self.directory();
        let disk = &*self.shared.disk;
        let new_base = new.map(|segment| segment.base_offset);
        if let Some(base) = new_base {
            for kind in FileKind::CLEANED {
                if kind == FileKind::TransactionIndex && new.is_some_and(|new| new.transaction_index.len == 0)
                {
                    // Nothing of it counts; one that stays is cut at the next start.
                    let _ = disk.remove_file(&segment_file(&directory, base, kind));
                    continue;
                }
                let (from, to) = (
                    cleaned_file(&directory, base, kind),
                    segment_file(&directory, base, kind),
                );
                if !(is_planted(Bug::SwappedBeforeRow) && disk.file_len(&from).ok().flatten().is_none()) {
                    disk.rename(&from, &to)
                        .map_err(|error| CleanError::io(&from, error))?;
                }
            }
        }
        for segment in group
            .iter()
            .filter(|segment| Some(segment.base_offset) != new_base)
        {
            for kind in FileKind::ALL {
                // One that stays is named by no row, and goes at the next start.
                let _ = disk.remove_file(&segment_file(&directory, segment.base_offset, kind));
            }
        }
        Ok(())
    }

    fn discard(&self, group: &[Segment]) {
        if let Some(first) = group.first() {
            discard(&*self.shared.disk, &self.directory(), first.base_offset);
        }
    }

    /// Forgets durably that files had to change their names: the same names are about to be written again.
    fn commit_cleaning_if_named(&self) -> Result<(), CleanError> {
        let _rows = self.shared.rows.lock();
        let row = {
            let state = self.state.lock();
            match (&state.cleaning, &state.status) {
                (_, Status::Closed) => return Err(CleanError::Overtaken),
                (Some(cleaning), Status::Open) if cleaning.named => cleaning.row(),
                _ => return Ok(()),
            }
        };
        self.commit_cleaning(&row)
    }

    fn advance_first_dirty(&self, snapshot: &Snapshot, end: Offset) -> Result<(), CleanError> {
        let _rows = self.shared.rows.lock();
        let io = self.io.lock();
        let row = {
            let mut state = self.state.lock();
            if state.status == Status::Closed || io.truncations() != snapshot.truncations {
                return Err(CleanError::Overtaken);
            }
            let cleaning = state.note_cleaning();
            cleaning.first_dirty = cleaning.first_dirty.max(end);
            cleaning.row()
        };
        self.commit_cleaning(&row)
    }

    fn commit_cleaning(&self, row: &CleaningRow) -> Result<(), CleanError> {
        let change = RowChange {
            key: cleaning_key(self.id),
            value: Some(encode_cleaning(row)),
        };
        match self.shared.recovery.commit(vec![change]) {
            Ok(()) => {
                if let Some(cleaning) = &mut self.state.lock().cleaning {
                    cleaning.named = false;
                }
                Ok(())
            }
            Err(error @ RecoveryStoreError::Full(_)) => Err(CleanError::Later(error.to_string())),
            Err(error) => {
                let place = self.directory().display().to_string();
                self.shared.fatal(&place, &error.to_string());
                Err(CleanError::Later(error.to_string()))
            }
        }
    }

    fn is_unchanged(&self, snapshot: &Snapshot) -> bool {
        let io = self.io.lock();
        self.holds(&io, &snapshot.segments, snapshot)
    }

    /// Reports whether the log still has these segments, one behind the other, with the bytes that were read.
    fn holds(&self, io: &SegmentWriter, group: &[Segment], snapshot: &Snapshot) -> bool {
        let state = self.state.lock();
        if state.status == Status::Closed || io.truncations() != snapshot.truncations {
            return false;
        }
        let Some(first) = group.first() else { return true };
        let at = state
            .segments
            .partition_point(|s| s.base_offset < first.base_offset);
        let found = state.segments.get(at..at + group.len()).unwrap_or_default();
        let same = |(a, b): (&Segment, &Segment)| {
            (a.base_offset, a.next_offset, a.size) == (b.base_offset, b.next_offset, b.size)
        };
        found.len() == group.len()
            && at + group.len() < state.segments.len()
            && found.iter().zip(group).all(same)
    }
}

/// What became of a group.
enum Outcome {
    /// Nothing: it is as clean as it can be.
    Same,
    /// A new segment, or none when nothing is left.
    Changed(Option<Segment>),
}

impl LogState {
    fn cleaning_blocked(&self) -> bool {
        self.cleaning
            .as_ref()
            .is_some_and(|cleaning| cleaning.blocked.is_some())
    }

    /// A log start above it, or a log that ends below, says that what was remembered is not of this log any more.
    fn first_dirty(&self) -> Offset {
        let noted = self.cleaning.as_ref().map_or(Offset::ZERO, |c| c.first_dirty);
        if noted > self.log_end {
            return self.log_start;
        }
        noted.max(self.log_start)
    }

    fn note_cleaning(&mut self) -> &mut Cleaning {
        let first_dirty = self.first_dirty();
        let cleaning = self.cleaning.get_or_insert_default();
        cleaning.first_dirty = first_dirty;
        cleaning
    }

    fn cleanable(&self, now: TimestampMs) -> Option<Cleanable> {
        if self.status == Status::Closed {
            return None;
        }
        let config = self.config.compaction.as_ref()?;
        let (_, sealed) = self.segments.split_last()?;
        Some(cleanable(LogFacts {
            sealed,
            first_dirty: self.first_dirty(),
            last_stable: self.offsets().last_stable_offset,
            config,
            now,
        }))
    }
}

/// Puts a segment, or none, in the place of neighbours.
fn replace(segments: &mut Vec<Segment>, group: &[Segment], new: Option<Segment>) {
    let Some(first) = group.first() else { return };
    let at = segments.partition_point(|segment| segment.base_offset < first.base_offset);
    let end = (at + group.len()).min(segments.len());
    segments.splice(at..end, new);
}

/// Drains a log whose tail would close a segment.
pub(crate) fn drain_before_cleaning(log: &PartitionLog) {
    if log.would_roll() {
        // Errors were noted; the tail stays where it is.
        let _ = log.drain_counted(usize::MAX, Slot(u64::MAX));
    }
}
