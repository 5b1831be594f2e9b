//! Writes a cleaned segment and its indexes beside the old ones, under names that count for nothing.
//!
//! The files end in `.cleaned` until a row names what is in them: a start removes them, unless the row of the
//! partition's cleaning says that they take the place of the old ones. What is written here is synced by
//! [`Output::finish`] before anybody may name it.

use super::CleanError;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::planted::{Bug, is_planted};
use crate::segment::names::{FileKind, cleaned_file};
use crate::segment::offset_index::{self, Entry};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment, time_index};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thalweg_types::{Offset, TimestampMs};
use thalweg_wire::batch::BatchHeader;

/// Bytes that gather before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A cleaned segment that is being written.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    disk: &'a dyn Disk,
    directory: PathBuf,
    log: Arc<dyn DiskFile>,
    segment: Segment,
    written: u64,
    pending: Vec<u8>,
    offsets: Vec<u8>,
    times: Vec<u8>,
    last_indexed: TimestampMs,
    interval_bytes: u32,
}

impl<'a> Output<'a> {
    /// Makes the files; what a run that did not finish has left of them goes.
    pub(crate) fn create(
        disk: &'a dyn Disk,
        directory: &Path,
        base_offset: Offset,
        interval_bytes: u32,
    ) -> Result<Self, CleanError> {
        let path = cleaned_file(directory, base_offset, FileKind::Log);
        let created = disk.open(&path, OpenMode::Create).and_then(|log| {
            log.set_len(0)?;
            Ok(log)
        });
        let log = created.map_err(|error| CleanError::io(&path, error))?;
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            log,
            segment: Segment::new(base_offset, TimestampMs(0)),
            written: 0,
            pending: Vec::new(),
            offsets: Vec::new(),
            times: Vec::new(),
            last_indexed: TimestampMs(i64::MIN),
            interval_bytes,
        })
    }

    /// Adds a batch; returns how many bytes were written to the disk.
    pub(crate) fn push(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<u64, CleanError> {
        let segment = &mut self.segment;
        if segment.size == 0 {
            segment.first_timestamp = header.max_timestamp;
        }
        // An emptied batch keeps a time of which no record is left.
        if header.record_count > 0 && header.max_timestamp > segment.max_timestamp {
            segment.max_timestamp = header.max_timestamp;
            segment.max_timestamp_offset = header.last_offset();
        }
        if segment.unindexed_bytes > self.interval_bytes {
            let entry = Entry {
                last_offset: header.last_offset(),
                position: segment.size,
            };
            let bytes = offset_index::encode(segment.base_offset, entry);
            self.offsets.extend(bytes.into_iter().flatten());
            segment.unindexed_bytes = 0;
            self.add_time_entry();
        }
        let len = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        self.segment.unindexed_bytes = self.segment.unindexed_bytes.saturating_add(len);
        self.segment.size += batch.len() as u64;
        self.pending.extend_from_slice(batch);
        if self.pending.len() < WRITE_BYTES {
            return Ok(0);
        }
        self.flush()
    }

    fn add_time_entry(&mut self) {
        let segment = &self.segment;
        if segment.max_timestamp <= self.last_indexed {
            return;
        }
        let bytes = time_index::encode(
            segment.base_offset,
            segment.max_timestamp,
            segment.max_timestamp_offset,
        );
        self.times.extend(bytes.into_iter().flatten());
        self.last_indexed = segment.max_timestamp;
    }

    fn flush(&mut self) -> Result<u64, CleanError> {
        let path = cleaned_file(&self.directory, self.segment.base_offset, FileKind::Log);
        let written = self.log.write_all_at(&self.pending, self.written);
        written.map_err(|error| CleanError::io(&path, error))?;
        let count = self.pending.len() as u64;
        self.written += count;
        self.pending.clear();
        Ok(count)
    }

    /// Writes what is left and the indexes, and syncs all but the names. The segment takes over the end and the
    /// time of the newest segment that it is made of, and what the oldest knows of the transactions before it.
    pub(crate) fn finish(
        mut self,
        (oldest, newest): (&Segment, &Segment),
        aborted: &[AbortedTransaction],
    ) -> Result<Segment, CleanError> {
        self.flush()?;
        self.disk.reached(crate::disk::CrashPoint::CleanerWritten);
        self.add_time_entry();
        let base = self.segment.base_offset;
        if !is_planted(Bug::CleanedUnsynced) {
            let path = cleaned_file(&self.directory, base, FileKind::Log);
            self.log
                .sync_data()
                .map_err(|error| CleanError::io(&path, error))?;
        }
        let aborts: Vec<u8> = aborted.iter().flat_map(transaction_index::encode).collect();
        for (kind, bytes) in [
            (FileKind::OffsetIndex, &self.offsets),
            (FileKind::TimeIndex, &self.times),
            (FileKind::TransactionIndex, &aborts),
        ] {
            // A segment without aborts has no such file, as in Kafka.
            if kind == FileKind::TransactionIndex && bytes.is_empty() {
                continue;
            }
            let path = cleaned_file(&self.directory, base, kind);
            let written = self.disk.open(&path, OpenMode::Create).and_then(|file| {
                file.set_len(0)?;
                file.write_all_at(bytes, 0)?;
                file.sync_data()
            });
            written.map_err(|error| CleanError::io(&path, error))?;
        }
        Ok(Segment {
            next_offset: newest.next_offset,
            modified: newest.modified,
            offset_index: IndexStamp::default().extended(&self.offsets),
            time_index: IndexStamp::default().extended(&self.times),
            transaction_index: IndexStamp::default().extended(&aborts),
            settled: oldest.settled,
            ..self.segment
        })
    }
}

/// Removes what an output has left, as far as that works: a start removes the rest.
pub(crate) fn discard(disk: &dyn Disk, directory: &Path, base_offset: Offset) {
    for kind in FileKind::CLEANED {
        let _ = disk.remove_file(&cleaned_file(directory, base_offset, kind));
    }
}
