//! From a crash to running logs: recovery points, then segment files cut at their durable end, then the
//! write-ahead log.
//!
//! What a recovery point says was durable must be there, else the start is refused by name. What lies beyond it
//! in a segment file is cut off unread: the write-ahead log has it. A damaged index is rebuilt.

use crate::disk::{Disk, DiskFile, EntryKind, OpenMode};
use crate::log::cleaning_row::CleaningRow;
use crate::log::place::{Fit, Walk, check_behind};
use crate::log::rows::PartitionRow;
use crate::log::rows::{RecoveryStore, Row, WalRow, decode};
use crate::planted::{Bug, is_planted};
use crate::segment::names::{self, FileKind, parse_segment_file, segment_file};
use crate::segment::offset_index::{self, Entry};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment, render, time_index};
use crate::wal::WalOpenError;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use thalweg_types::{Offset, TimestampMs, TopicId, TopicPartitionId};
use thalweg_wire::batch::{BatchHeader, HEADER_LEN, verify_crc};
use thiserror::Error;

/// What stands between a file's name and its number when it was moved aside.
const QUARANTINED_INFIX: &str = ".quarantined-";
/// Stands for the number where a file is lost and its owner wants to go on.
const QUARANTINED_LOST: &str = "lost";

/// Why the logs cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The write-ahead log.
    #[error(transparent)]
    Wal(#[from] WalOpenError),
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The disk's error.
        source: io::Error,
    },
    /// Recovery points cannot be read.
    #[error("recovery points: {0}")]
    Rows(String),
    /// Bytes that were durable are gone.
    #[error(
        "{path}: {found} bytes (0 if it is missing) where the recovery point says {expected} are durable: records are missing. \
         Restore the file; or, to go on without them, move what is left of it to {path}.quarantined-1"
    )]
    SegmentShort {
        /// File.
        path: PathBuf,
        /// Bytes there (0 when the file is missing).
        found: u64,
        /// Bytes that must be there.
        expected: u64,
    },
    /// A segment was moved aside, and what it said of earlier segments' transactions is gone with it.
    #[error(
        "{path}: is missing or damaged, and says which transactions were aborted in a segment that was moved aside: aborted          records before that segment would be served as committed. Restore the file; or, to go on all the same, create an          empty file {path}.quarantined-lost"
    )]
    AbortsLost {
        /// File.
        path: PathBuf,
    },
    /// A directory belongs to another topic of the same name.
    #[error(
        "{path}: holds topic id {found}, but the metadata says {expected}: the directory mixes two topics"
    )]
    ForeignDirectory {
        /// Its `partition.metadata`.
        path: PathBuf,
        /// Id in it.
        found: String,
        /// Id in the metadata.
        expected: String,
    },
    /// The write-ahead log or a recovery point names a topic that neither lives nor was deleted.
    #[error(
        "{what} names topic id {id}, which the metadata does not know, neither live nor deleted: metadata and logs do not belong together"
    )]
    UnknownTopic {
        /// Where the id was found.
        what: String,
        /// The id.
        id: TopicPartitionId,
    },
    /// Logs without a write-ahead log or the reverse.
    #[error("{0}")]
    Disagreement(String),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// All rows, by partition.
#[derive(Debug, Default)]
pub(crate) struct LoadedRows {
    pub wal: Option<WalRow>,
    pub partitions: HashMap<TopicPartitionId, PartitionRow>,
    pub segments: BTreeMap<TopicPartitionId, Vec<Segment>>,
    pub cleanings: HashMap<TopicPartitionId, CleaningRow>,
}

pub(crate) fn load_rows(store: &dyn RecoveryStore) -> Result<LoadedRows, OpenError> {
    let mut rows = LoadedRows::default();
    store
        .load(&mut |key, value| {
            match decode(key, value)? {
                Row::Wal(row) => rows.wal = Some(row),
                Row::Partition(id, row) => {
                    rows.partitions.insert(id, row);
                }
                Row::Cleaning(id, row) => {
                    rows.cleanings.insert(id, row);
                }
                Row::Segment(id, segment) => rows.segments.entry(id).or_default().push(segment),
            }
            Ok(())
        })
        .map_err(OpenError::Rows)?;
    for segments in rows.segments.values_mut() {
        segments.sort_by_key(|segment| segment.base_offset);
    }
    Ok(rows)
}

/// An empty partition's recovery point; `write_state` is whose it is from the start.
pub(crate) fn empty_row(write_state: crate::log::rows::WriteState) -> PartitionRow {
    PartitionRow {
        covered: None,
        log_start: Offset::ZERO,
        log_end: Offset::ZERO,
        write_state,
        epochs: crate::log::epochs::Epochs::default(),
        producers: Vec::new(),
        transactions: crate::log::transactions::DurableTransactions::default(),
        settled: Offset::ZERO,
        mirror: crate::log::rows::MirrorRow::default(),
    }
}

/// Gives cleaned segments, which their rows speak of already, the names of those whose place they take. Names that
/// were changed before the crash are left as they are.
pub(crate) fn finish_swaps(disk: &dyn Disk, directory: &Path, swapping: &[Offset]) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    if is_planted(Bug::SwapNotFinished) {
        return Ok(());
    }
    for base in swapping {
        for kind in FileKind::CLEANED {
            let (from, to) = (
                names::cleaned_file(directory, *base, kind),
                segment_file(directory, *base, kind),
            );
            match disk.rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&from)(error)),
                _ => {}
            }
        }
    }
    if swapping.is_empty() {
        return Ok(());
    }
    disk.sync_dir(directory).map_err(failed(directory))
}

/// Cuts a partition's files at their durable end, and removes what no row names. `holder` is the topic whose directory it
/// is by its own account. Returns the segments that
/// `thalweg log check --quarantine` moved aside: their offsets are a gap from here on.
pub(crate) fn cut_partition(
    disk: &dyn Disk,
    (directory, holder): (&Path, Option<TopicId>),
    id: TopicPartitionId,
    segments: &[Segment],
) -> Result<Vec<Offset>, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    if let Some(found) = holder.filter(|found| *found != id.topic_id) {
        return Err(OpenError::ForeignDirectory {
            path: directory.join(render::PARTITION_METADATA),
            found: found.to_string(),
            expected: id.topic_id.to_string(),
        });
    }
    let mut set_aside = BTreeSet::new();
    for entry in disk.list(directory).map_err(failed(directory))? {
        let path = directory.join(&entry.name);
        if let Some((original, _)) = entry.name.split_once(QUARANTINED_INFIX) {
            set_aside.insert(original.to_owned());
            continue;
        }
        let known = match parse_segment_file(&entry.name) {
            Some((_, FileKind::ProducerSnapshot)) => continue,
            Some((base, _)) => segments.binary_search_by_key(&base, |s| s.base_offset).is_ok(),
            None => !entry.name.ends_with(names::DELETED_FILE_SUFFIX),
        };
        if entry.kind == EntryKind::File && !known {
            disk.remove_file(&path).map_err(failed(&path))?;
        }
    }
    let mut gone = Vec::new();
    for segment in segments {
        let path = segment_file(directory, segment.base_offset, FileKind::Log);
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if set_aside.contains(&name) && disk.file_len(&path).map_err(failed(&path))?.is_none() {
            tracing::warn!(
                file = %path.display(),
                "a quarantined segment: offsets {} to {} are a gap from here on",
                segment.base_offset,
                segment.next_offset.0.saturating_sub(1)
            );
            gone.push(segment.base_offset);
            continue;
        }
        cut_file(disk, &path, segment.size)?;
        for (kind, stamp) in [
            (FileKind::OffsetIndex, segment.offset_index),
            (FileKind::TimeIndex, segment.time_index),
            (FileKind::TransactionIndex, segment.transaction_index),
        ] {
            let path = segment_file(directory, segment.base_offset, kind);
            let len = disk.file_len(&path).map_err(failed(&path))?.unwrap_or(0);
            // A short index is found at its first use and rebuilt; a long one is cut so that it can grow.
            if len > u64::from(stamp.len) {
                let file = disk.open(&path, OpenMode::ReadWrite).map_err(failed(&path))?;
                file.set_len(u64::from(stamp.len)).map_err(failed(&path))?;
            }
        }
    }
    Ok(gone)
}

/// Returns the transactions that were aborted in a segment which was moved aside, and have records in segments before
/// it: they must go on being known.
pub(crate) fn aborts_of_quarantined(
    disk: &dyn Disk,
    directory: &Path,
    segment: &Segment,
) -> Result<Vec<AbortedTransaction>, OpenError> {
    let stamp = segment.transaction_index;
    if stamp.len == 0 {
        return Ok(Vec::new());
    }
    let original = segment_file(directory, segment.base_offset, FileKind::TransactionIndex);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    let name = original.file_name().unwrap_or_default().to_string_lossy();
    let accepted = format!("{name}{QUARANTINED_INFIX}{QUARANTINED_LOST}");
    let mut is_accepted = false;
    for entry in disk.list(directory).map_err(failed(directory))? {
        is_accepted |= entry.name == accepted;
        let is_index = entry.name == name
            || entry
                .name
                .split_once(QUARANTINED_INFIX)
                .is_some_and(|(of, _)| of == name);
        if !is_index || entry.kind != EntryKind::File {
            continue;
        }
        let path = directory.join(&entry.name);
        let file = disk.open(&path, OpenMode::Read).map_err(failed(&path))?;
        if let Some(mut entries) = transaction_index::read(&*file, stamp).map_err(failed(&path))? {
            entries.retain(|entry| entry.first_offset < segment.base_offset);
            return Ok(entries);
        }
    }
    if is_accepted {
        tracing::error!(
            file = %original.display(),
            "which transactions were aborted in a quarantined segment is lost: records of them may be served as committed"
        );
        return Ok(Vec::new());
    }
    Err(OpenError::AbortsLost { path: original })
}

fn cut_file(disk: &dyn Disk, path: &Path, expected: u64) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let found = disk.file_len(path).map_err(failed)?.unwrap_or(0);
    if found < expected {
        return Err(OpenError::SegmentShort {
            path: path.to_owned(),
            found,
            expected,
        });
    }
    if found > expected {
        let file = disk.open(path, OpenMode::ReadWrite).map_err(failed)?;
        file.set_len(expected).map_err(failed)?;
    }
    Ok(())
}

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// With the next batch.
    Continue,
    /// No.
    Stop,
}

/// Gives the header and position of each batch in the first `size` bytes of a segment file to `visit`. Batch
/// bodies are not read; returns the position behind the last whole header's batch.
///
/// # Errors
/// The disk's; `InvalidData` for a header that makes no sense.
pub fn scan_batches(
    file: &dyn DiskFile,
    size: u64,
    mut visit: impl FnMut(u64, &BatchHeader) -> Scan,
) -> io::Result<u64> {
    let mut position = 0;
    while position < size {
        let mut bytes = [0; HEADER_LEN];
        if size - position < HEADER_LEN as u64 {
            return Err(invalid(position, "no whole batch header before the end"));
        }
        file.read_exact_at(&mut bytes, position)?;
        let header = BatchHeader::parse(&bytes).map_err(|error| invalid(position, &error.to_string()))?;
        if position + header.total_len() as u64 > size {
            return Err(invalid(position, "a batch passes the end of the segment"));
        }
        if visit(position, &header) == Scan::Stop {
            return Ok(position);
        }
        position += header.total_len() as u64;
    }
    Ok(position)
}

/// An entry that names a wrong offset would lead every reader astray.
fn check_place(
    log: &dyn DiskFile,
    size: u64,
    walk: &Walk,
    (position, header): (u64, &BatchHeader),
) -> Result<(), String> {
    let behind = position + header.total_len() as u64;
    if walk.fit(header)? == Fit::Next || behind + HEADER_LEN as u64 > size {
        return Ok(());
    }
    let mut bytes = [0; HEADER_LEN];
    match log
        .read_exact_at(&mut bytes, behind)
        .map(|()| BatchHeader::parse(&bytes))
    {
        Ok(Ok(next)) => check_behind(header, &next),
        // What is behind tells of itself.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

fn invalid(position: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("byte {position}: {what}"))
}

/// Indexes that were built again.
#[derive(Debug)]
pub(crate) struct RebuiltIndexes {
    pub(crate) offset_index: IndexStamp,
    pub(crate) time_index: IndexStamp,
    /// Damage in the segment itself: the indexes lead up to it, so that what lies before is found at once, and a
    /// reader that goes on meets the damage at once.
    pub(crate) damage: Option<io::Error>,
}

/// Builds both indexes of a segment from its batches, each CRC-checked, and replaces the files.
///
/// # Errors
/// The disk's.
pub(crate) fn rebuild_indexes(
    disk: &dyn Disk,
    directory: &Path,
    segment: &Segment,
    interval_bytes: u32,
) -> io::Result<RebuiltIndexes> {
    let log_path = segment_file(directory, segment.base_offset, FileKind::Log);
    let log = disk.open(&log_path, OpenMode::Read)?;
    let (mut offsets, mut times) = (Vec::new(), Vec::new());
    let (mut unindexed, mut last_time, mut max) = (0u64, i64::MIN, (i64::MIN, segment.base_offset));
    let mut failure = None;
    let mut body = Vec::new();
    let mut walk = Walk::over(
        segment.base_offset,
        Offset(segment.next_offset.0.saturating_sub(1)),
    );
    let scanned = scan_batches(&*log, segment.size, |position, header| {
        body.resize(header.total_len(), 0);
        let checked = log
            .read_exact_at(&mut body, position)
            .and_then(|()| verify_crc(&body).map_err(|error| invalid(position, &error.to_string())));
        if let Err(error) = checked {
            // The header says where the next batch starts: what lies behind damaged records can be found.
            let is_fatal = !is_damage(&error);
            failure.get_or_insert(error);
            return if is_fatal { Scan::Stop } else { Scan::Continue };
        }
        if let Err(what) = check_place(&*log, segment.size, &walk, (position, header)) {
            failure.get_or_insert(invalid(position, &what));
            return Scan::Continue;
        }
        walk.pass(header);
        if header.max_timestamp.0 > max.0 {
            max = (header.max_timestamp.0, header.last_offset());
        }
        if unindexed > u64::from(interval_bytes) {
            let entry = Entry {
                last_offset: header.last_offset(),
                position,
            };
            offsets.extend(
                offset_index::encode(segment.base_offset, entry)
                    .into_iter()
                    .flatten(),
            );
            if max.0 > last_time {
                let bytes = time_index::encode(segment.base_offset, TimestampMs(max.0), max.1);
                times.extend(bytes.into_iter().flatten());
                last_time = max.0;
            }
            unindexed = 0;
        }
        unindexed += header.total_len() as u64;
        Scan::Continue
    });
    let damage = match scanned.map_or_else(Some, |_| failure) {
        Some(error) if !is_damage(&error) => return Err(error),
        other => other,
    };
    let mut stamps = Vec::new();
    for (kind, bytes) in [(FileKind::OffsetIndex, &offsets), (FileKind::TimeIndex, &times)] {
        replace_index(disk, &segment_file(directory, segment.base_offset, kind), bytes)?;
        stamps.push(IndexStamp::default().extended(bytes));
    }
    disk.sync_dir(directory)?;
    Ok(RebuiltIndexes {
        offset_index: stamps[0],
        time_index: stamps[1],
        damage,
    })
}

/// Puts an index in the place of one that does not hold. Durable once the directory is synced.
///
/// # Errors
/// The disk's.
pub(crate) fn replace_index(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".rebuilt");
    let temporary = PathBuf::from(temporary);
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(&temporary, path)
}

/// Bytes that are not what was written, or are not there: not the device's refusal.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
