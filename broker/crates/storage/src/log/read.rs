//! Reads: memory by reference, then the write-ahead log, then segments.
//!
//! Whatever comes from a disk is CRC-checked before it is given out; damage is an error that names the file and
//! the position, and is never skipped. Data from memory was checked on its way in.

use super::aborted::IndexSource;
use super::place::{Fit, KnownEpochs, Walk, check_behind};
use super::tail::TailRun;
use super::witness::{batch_before, header_at};
use super::{LogOffsets, PartitionLog, Status};
use crate::disk::{DiskFile, OpenMode};
use crate::segment::Segment;
use crate::segment::names::{FileKind, segment_file};
use crate::segment::offset_index::{self, Neighbours};
use crate::segment::transaction_index::AbortedTransaction;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchHeader, HEADER_LEN, split_batches, verify_crc};
use thiserror::Error;

/// Bytes read at least from a segment: the batch looked for lies within one index interval.
const SEGMENT_READ_BYTES_MIN: usize = 64 << 10;
/// A plan can be overtaken by retention or trimming; a reader that loses the race this often has a bug.
const REPLANS_MAX: usize = 16;

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLimit {
    /// Up to the high watermark.
    HighWatermark,
    /// Up to the last stable offset, with the aborted transactions (`isolation.level=read_committed`).
    LastStable,
}

/// Whether a first batch larger than the limit is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinOne {
    /// Yes, so that a consumer always gets on (KIP-74).
    Yes,
    /// No: another partition filled the reply already.
    No,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// First offset wanted; the whole batch that holds it is returned.
    pub offset: Offset,
    /// Bytes at most, but for [`MinOne::Yes`].
    pub max_bytes: usize,
    /// How far.
    pub limit: ReadLimit,
    /// Whether one batch is returned in any case.
    pub min_one: MinOne,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// The log's numbers when the read was planned.
    pub offsets: LogOffsets,
    /// Whole batches, each element one or more.
    pub batches: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
    /// With [`ReadLimit::LastStable`]: the aborted transactions with records or a marker from the offset asked for to
    /// the end of the batches, in the order of their markers.
    pub aborted: Vec<AbortedTransaction>,
}

/// Why nothing was read.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// The topic is deleted or the partition led elsewhere.
    #[error("the partition is not led here any more")]
    Closed,
    /// The offset is below the log start or above the end.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// Offset asked for.
        offset: Offset,
        /// First offset.
        start: Offset,
        /// End of what may be read.
        end: Offset,
    },
    /// Bytes that were durable do not hold.
    #[error("{path} is damaged at byte {position}: {what}; run `thalweg log check --quarantine` on it")]
    Corrupt {
        /// File.
        path: String,
        /// Byte position.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The disk failed.
    #[error("{path}: {what}")]
    Io {
        /// File.
        path: String,
        /// The disk's error.
        what: String,
    },
}

enum Plan {
    Done(ReadResult),
    Wal {
        offsets: LogOffsets,
        run: Box<TailRun>,
        want: Want,
    },
    Segment {
        offsets: LogOffsets,
        segment: Segment,
        want: Want,
    },
}

/// What may be given out of the place where the records lie.
struct Want {
    max_bytes: usize,
    min_one: MinOne,
    /// No batch from here on.
    end: Offset,
    known: KnownEpochs,
}

/// Files of a segment, opened when it was planned to read them: compaction may put others in their place.
struct SegmentFiles {
    path: PathBuf,
    log: Result<Arc<dyn DiskFile>, Lost>,
    /// The same file past the page cache, for a large read.
    direct: Option<Arc<dyn DiskFile>>,
    /// `None` if the segment has no entries.
    index: Option<io::Result<Arc<dyn DiskFile>>>,
}

impl PartitionLog {
    /// Reads what is in memory; `None` when the disk is needed.
    ///
    /// # Errors
    /// [`ReadError::Closed`], [`ReadError::OutOfRange`].
    pub fn read_memory(&self, request: ReadRequest) -> Result<Option<ReadResult>, ReadError> {
        match self.plan(request, request.offset)? {
            Plan::Done(result) => match self.with_aborted(request, result, IndexSource::Memory) {
                Ok(result) => Ok(result),
                // Another plan tells.
                Err(_) => Ok(None),
            },
            Plan::Wal { .. } | Plan::Segment { .. } => Ok(None),
        }
    }

    /// Reads from wherever the records lie. Blocks on the disk.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, request: ReadRequest) -> Result<ReadResult, ReadError> {
        let mut offset = request.offset;
        let mut lost_races = 0;
        loop {
            let (plan, files, swaps) = self.plan_and_open(request, offset)?;
            let (offsets, found) = match (plan, files) {
                (Plan::Done(result), _) => (result.offsets, Ok(result.batches)),
                (Plan::Wal { offsets, run, want }, _) => {
                    let found = self.read_wal(&run, offset, &want);
                    (offsets, found.map(|batches| vec![batches]))
                }
                (Plan::Segment { offsets, .. }, None) => (offsets, Err(Lost::Race)),
                (
                    Plan::Segment {
                        offsets,
                        segment,
                        want,
                    },
                    Some(files),
                ) => {
                    let found = self.read_segment((&segment, files), offset, &want);
                    if let Ok(batches) = &found
                        && batches.is_empty()
                        && segment.next_offset > offset
                        && request.min_one == MinOne::Yes
                    {
                        // A gap at the end of the segment: the next one, or the tail, has what follows. Without the
                        // right to one batch it may be one that does not fit, which must not be passed over.
                        offset = segment.next_offset;
                        continue;
                    }
                    (offsets, found.map(|batches| vec![batches]))
                }
            };
            // A topic of the same name may have the directory by now: what was read may be another log's.
            if self.state.lock().status == Status::Closed {
                return Err(ReadError::Closed);
            }
            let found = found.and_then(|mut batches| {
                batches.retain(|part| !part.is_empty());
                let result = ReadResult {
                    offsets,
                    bytes: batches.iter().map(Bytes::len).sum(),
                    batches,
                    aborted: Vec::new(),
                };
                let result = self.with_aborted(request, result, IndexSource::Disk)?;
                // Compaction forgets an abort when its records are gone; these may have been read before.
                if request.limit == ReadLimit::LastStable && self.state.lock().swaps != swaps {
                    return Err(Lost::Race);
                }
                Ok(result)
            });
            match found {
                Ok(Some(result)) => return Ok(result),
                Ok(None) | Err(Lost::Race) if lost_races < REPLANS_MAX => lost_races += 1,
                Ok(None) | Err(Lost::Race) => {
                    let path = self.directory().display().to_string();
                    let what = "the files of this offset were removed while it was read".into();
                    return Err(ReadError::Io { path, what });
                }
                Err(Lost::Error(error)) => {
                    if let ReadError::Corrupt { path, .. } = &error {
                        self.shared.note_problem(path.clone(), error.to_string());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Plans, and opens what the plan names before anything else can get the name.
    fn plan_and_open(
        &self,
        request: ReadRequest,
        offset: Offset,
    ) -> Result<(Plan, Option<SegmentFiles>, u64), ReadError> {
        let _files = self.files.read();
        let swaps = self.state.lock().swaps;
        let plan = self.plan(request, offset)?;
        let files = match &plan {
            Plan::Segment { segment, .. } => Some(self.open_segment_files(segment, request.max_bytes)),
            Plan::Done(_) | Plan::Wal { .. } => None,
        };
        Ok((plan, files, swaps))
    }

    fn open_segment_files(&self, segment: &Segment, max_bytes: usize) -> SegmentFiles {
        let directory = self.directory();
        let path = segment_file(&directory, segment.base_offset, FileKind::Log);
        let index = (segment.offset_index.len > 0)
            .then(|| segment_file(&directory, segment.base_offset, FileKind::OffsetIndex));
        SegmentFiles {
            log: self.open(&path),
            direct: self.shared.segment_reader.open(&path, max_bytes),
            index: index.map(|path| self.shared.disk.open(&path, OpenMode::Read)),
            path,
        }
    }

    fn plan(&self, request: ReadRequest, offset: Offset) -> Result<Plan, ReadError> {
        let state = self.state.lock();
        if state.status == Status::Closed {
            return Err(ReadError::Closed);
        }
        let offsets = state.offsets();
        let end = match request.limit {
            ReadLimit::HighWatermark => offsets.high_watermark,
            ReadLimit::LastStable => offsets.last_stable_offset,
        };
        let is_ahead = offset > offsets.high_watermark;
        if offset < offsets.log_start_offset || (is_ahead && !state.awaits(offset)) {
            let start = offsets.log_start_offset;
            return Err(ReadError::OutOfRange {
                offset,
                start,
                end: offsets.high_watermark,
            });
        }
        let nothing = || {
            Plan::Done(ReadResult {
                offsets,
                batches: Vec::new(),
                bytes: 0,
                aborted: Vec::new(),
            })
        };
        let want = || Want {
            max_bytes: request.max_bytes,
            min_one: request.min_one,
            end,
            known: state.known_epochs(),
        };
        if offset >= end || (request.max_bytes == 0 && request.min_one == MinOne::No) {
            return Ok(nothing());
        }
        if state.tail.start().is_none_or(|start| offset < start) {
            // The last segment that starts at or below the offset, or the first one behind a gap.
            let below = state
                .segments
                .partition_point(|segment| segment.base_offset <= offset);
            let candidates = state.segments[below.saturating_sub(1)..].iter();
            if let Some(segment) = candidates.copied().find(|s| s.next_offset > offset && s.size > 0) {
                return Ok(Plan::Segment {
                    offsets,
                    segment,
                    want: want(),
                });
            }
        }
        let mut batches = Vec::new();
        let mut bytes = 0;
        for run in state.tail.runs_from(offset) {
            let Some(parts) = &run.parts else {
                if batches.is_empty() {
                    return Ok(Plan::Wal {
                        offsets,
                        run: Box::new(run.clone()),
                        want: want(),
                    });
                }
                break;
            };
            if run.run.base_offset >= end
                || !gather(parts, (offset, end), request, (&mut batches, &mut bytes))
            {
                break;
            }
        }
        Ok(Plan::Done(ReadResult {
            offsets,
            batches,
            bytes,
            aborted: Vec::new(),
        }))
    }

    fn read_wal(&self, run: &TailRun, offset: Offset, want: &Want) -> Result<Bytes, Lost> {
        let bytes = self.wal_bytes(run)?;
        let walk = Walk::over(run.run.base_offset, run.run.last_offset);
        let peek = |at: usize| bytes.get(at..).and_then(|rest| BatchHeader::parse(rest).ok());
        let witnesses = Witnesses {
            known: &want.known,
            peek: &peek,
            before: &|| None,
        };
        cut(&bytes, (offset, want), walk, &witnesses).map_err(|(position, what)| {
            Lost::Error(ReadError::Corrupt {
                path: format!("write-ahead log file {}", run.location.file),
                position: run.wal_location().position + position,
                what,
            })
        })
    }

    /// Reads a run from the write-ahead log, unchecked.
    pub(super) fn wal_bytes(&self, run: &TailRun) -> Result<Bytes, Lost> {
        match self.shared.sink.read(run.wal_location(), run.len()) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Lost::Race),
            Err(error) => {
                let path = format!("write-ahead log file {}", run.location.file);
                Err(Lost::Error(ReadError::Io {
                    path,
                    what: error.to_string(),
                }))
            }
        }
    }

    fn read_segment(
        &self,
        (segment, files): (&Segment, SegmentFiles),
        offset: Offset,
        request: &Want,
    ) -> Result<Bytes, Lost> {
        let (path, file, direct) = (files.path, files.log?, files.direct);
        let index = files.index.and_then(|index| self.readable_index(segment, index));
        let mut hint = self.index_entries(segment, index.as_deref(), offset);
        let mut position = hint.below.map_or(0, |entry| entry.position);
        let corrupt = |position: u64, what: String| {
            Lost::Error(ReadError::Corrupt {
                path: path.display().to_string(),
                position,
                what,
            })
        };
        let whole = Walk::over(
            segment.base_offset,
            Offset(segment.next_offset.0.saturating_sub(1)),
        );
        // The first read confirms the entry that led to its start.
        let entry = hint.below.filter(|entry| entry.position > 0);
        let mut walk = entry.map_or(whole, |_| whole.behind_a_confirmed_entry());
        let mut want = request.max_bytes.max(SEGMENT_READ_BYTES_MIN);
        loop {
            let left = segment.size.saturating_sub(position);
            if left == 0 {
                return Ok(Bytes::new());
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(want);
            let buffer = self.read_range((&*file, direct.as_deref()), &path, count, position)?;
            if self.check_hint(segment, &mut hint, (&buffer, position)) == Hint::Misled {
                (position, walk) = (0, whole);
                continue;
            }
            let peek = |at: usize| match buffer.get(at..).and_then(|rest| rest.get(..HEADER_LEN)) {
                Some(header) => BatchHeader::parse(header).ok(),
                None => header_at(&*file, position + at as u64, segment.size),
            };
            let (skipped, first_len) = skip_below(&buffer, offset, &mut walk, &peek)
                .map_err(|(at, what)| corrupt(position + at as u64, what))?;
            match first_len {
                // The batch starts in this read but does not end in it: read again from its start.
                Some(len) if skipped + len > buffer.len() => {
                    if position + (skipped + len) as u64 > segment.size {
                        let what = format!("a batch of {len} bytes passes the end of the segment");
                        return Err(corrupt(position + skipped as u64, what));
                    }
                    if len > request.max_bytes && request.min_one == MinOne::No {
                        return Ok(Bytes::new());
                    }
                    position += skipped as u64;
                    want = len.max(request.max_bytes);
                }
                Some(_) => {
                    let witnesses = Witnesses {
                        known: &request.known,
                        peek: &|at| peek(skipped + at),
                        before: &|| {
                            batch_before((&*file, index.as_deref()), segment, position + skipped as u64)
                        },
                    };
                    return cut(&buffer.slice(skipped..), (offset, request), walk, &witnesses)
                        .map_err(|(at, what)| corrupt(position + skipped as u64 + at, what));
                }
                None if skipped == 0 => {
                    let what = format!("{left} bytes are no whole batch header");
                    return Err(corrupt(position, what));
                }
                // Longer than between two entries: is the one above true?
                None => {
                    position += skipped as u64;
                    if let Some(above) = hint.above.take()
                        && is_wrong_in(&*file, above)
                    {
                        self.shared.note_index_damage(self.id, segment.base_offset);
                    }
                }
            }
        }
    }

    /// Reads bytes that were durable, unchecked.
    fn read_range(
        &self,
        files: (&dyn DiskFile, Option<&dyn DiskFile>),
        path: &Path,
        count: usize,
        position: u64,
    ) -> Result<Bytes, Lost> {
        let read = self.shared.segment_reader.read(files, path, count, position);
        read.map_err(|error| {
            let path = path.display().to_string();
            Lost::Error(if error.kind() == io::ErrorKind::UnexpectedEof {
                let end = position + count as u64;
                let what = format!("the file is shorter than the {end} bytes that were durable");
                ReadError::Corrupt { path, position, what }
            } else {
                let what = error.to_string();
                ReadError::Io { path, what }
            })
        })
    }

    /// Returns an offset index that could be opened; one that could not will be rebuilt.
    fn readable_index(
        &self,
        segment: &Segment,
        index: io::Result<Arc<dyn DiskFile>>,
    ) -> Option<Arc<dyn DiskFile>> {
        index
            .inspect_err(|error| self.note_wrong_index(segment, error))
            .ok()
    }

    /// Finds the index entries around an offset. They are hints: what is read there must agree.
    fn index_entries(&self, segment: &Segment, index: Option<&dyn DiskFile>, offset: Offset) -> Neighbours {
        let Some(file) = index else {
            return Neighbours::default();
        };
        match offset_index::lookup(file, segment.offset_index.len, segment.base_offset, offset) {
            Ok(found) if found.is_within(segment.size) => found,
            Ok(_) => {
                self.note_wrong_index(segment, &"it leads past the segment");
                Neighbours::default()
            }
            Err(error) => {
                self.note_wrong_index(segment, &error);
                Neighbours::default()
            }
        }
    }

    /// Compares the entries with what was read, and forgets those that are done with.
    fn check_hint(&self, segment: &Segment, hint: &mut Neighbours, (bytes, position): (&[u8], u64)) -> Hint {
        let wrong = hint.first_wrong(bytes, position);
        if let Some(entry) = wrong {
            self.note_wrong_index(segment, &format!("{entry:?} names no batch"));
        }
        let led_here = hint.below.take();
        if wrong.is_some() && led_here == wrong {
            hint.above = None;
            return Hint::Misled;
        }
        let end = position + bytes.len() as u64;
        hint.above.take_if(|above| above.position < end);
        Hint::True
    }

    fn note_wrong_index(&self, segment: &Segment, what: &dyn std::fmt::Display) {
        self.shared.note_index_damage(self.id, segment.base_offset);
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::OffsetIndex);
        tracing::warn!(file = %path.display(), %what, "an offset index is wrong, it will be rebuilt");
    }

    pub(super) fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, Lost> {
        match self.shared.disk.open(path, OpenMode::Read) {
            Ok(file) => Ok(file),
            // Retention may have removed it: the next plan says what is true now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Lost::Race),
            Err(error) => {
                let (path, what) = (path.display().to_string(), error.to_string());
                Err(Lost::Error(ReadError::Io { path, what }))
            }
        }
    }
}

/// Reports whether no batch lies where an index entry says.
fn is_wrong_in(file: &dyn DiskFile, entry: offset_index::Entry) -> bool {
    let alone = Neighbours {
        below: None,
        above: Some(entry),
    };
    let header = file.read_new(HEADER_LEN, entry.position);
    header.map_or(true, |header| {
        alone.first_wrong(&header, entry.position).is_some()
    })
}

/// Why a planned read gave nothing.
pub(super) enum Lost {
    /// The files went away; plan again.
    Race,
    Error(ReadError),
}

/// Adds a run's batches from `offset` on and below `end`; `false` when the reply is full.
fn gather(
    parts: &[Bytes],
    (offset, end): (Offset, Offset),
    request: ReadRequest,
    out: (&mut Vec<Bytes>, &mut usize),
) -> bool {
    let (batches, bytes) = out;
    for part in parts {
        // Our own bytes, checked on the way in.
        let Ok(header) = BatchHeader::parse(part) else {
            return false;
        };
        if header.last_offset() < offset {
            continue;
        }
        if header.base_offset >= end {
            return false;
        }
        let first = batches.is_empty() && request.min_one == MinOne::Yes;
        if !first && *bytes + part.len() > request.max_bytes {
            return false;
        }
        *bytes += part.len();
        batches.push(part.clone());
    }
    true
}

/// Whether the index entry that led to a place is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    True,
    /// It is not: the whole segment is to be searched.
    Misled,
}

/// Reads a batch's header at a position of a buffer; `None` where there is none.
type Peek<'a> = dyn Fn(usize) -> Option<BatchHeader> + 'a;

/// What a batch is compared with.
struct Witnesses<'a> {
    known: &'a KnownEpochs,
    peek: &'a Peek<'a>,
    /// Reads the header of the batch in front of the first one that is read.
    before: &'a dyn Fn() -> Option<BatchHeader>,
}

/// Judges how a batch follows the one before.
fn judge(
    walk: &Walk,
    header: &BatchHeader,
    position: usize,
    peek: &Peek<'_>,
) -> Result<Fit, (usize, String)> {
    let here = |what| (position, what);
    let fit = walk.fit(header).map_err(here)?;
    if fit == Fit::BehindGap
        && let Some(behind) = peek(position + header.total_len())
    {
        check_behind(header, &behind).map_err(here)?;
    }
    Ok(fit)
}

/// Returns the bytes of batches below `offset` at the start, and the length of the first one that is not below. The
/// walk goes on to that one.
///
/// What is passed over is not checked, but where a batch behind it seems to miss offsets: they could be its own.
fn skip_below(
    buffer: &Bytes,
    offset: Offset,
    walk: &mut Walk,
    peek: &Peek<'_>,
) -> Result<(usize, Option<usize>), (usize, String)> {
    let check = |skipped: Option<(usize, &[u8])>| match skipped {
        Some((at, batch)) => verify_crc(batch).map_err(|error| (at, error.to_string())),
        None => Ok(()),
    };
    let mut position = 0;
    let mut before = None;
    while let Some(rest) = buffer.get(position..)
        && rest.len() >= HEADER_LEN
    {
        let header = BatchHeader::parse(rest).map_err(|error| (position, error.to_string()))?;
        let fit = judge(walk, &header, position, peek)?;
        let len = header.total_len();
        let whole = rest.get(..len);
        if fit == Fit::BehindGap || whole.is_none() {
            check(before)?;
        }
        let Some(whole) = whole.filter(|_| header.last_offset() < offset) else {
            return Ok((position, Some(len)));
        };
        if fit == Fit::BehindGap {
            check(Some((position, whole)))?;
        }
        walk.pass(&header);
        before = Some((position, whole));
        position += len;
    }
    // The next read does not see it.
    check(before)?;
    Ok((position, None))
}

/// Returns the whole, checked batches from `offset` on that fit.
fn cut(
    buffer: &Bytes,
    (offset, request): (Offset, &Want),
    mut walk: Walk,
    witnesses: &Witnesses<'_>,
) -> Result<Bytes, (u64, String)> {
    let peek = witnesses.peek;
    let mut start = None;
    let mut end = 0;
    for batch in split_batches(buffer) {
        let batch = match batch {
            Ok(batch) => batch,
            // The read ended inside a batch, or damage follows: the next read starts there and will tell.
            Err(_) if start.is_some() => break,
            Err(error) => return Err((end as u64, error.to_string())),
        };
        if batch.header.base_offset >= request.end {
            break;
        }
        let batch_end = batch.position + batch.bytes.len();
        let wanted = batch.header.last_offset() >= offset;
        let placed = judge(&walk, &batch.header, batch.position, peek).and_then(|_| {
            if !wanted {
                return Ok(());
            }
            let behind = || peek(batch_end);
            let checked = walk.check_epoch(&batch.header, witnesses.known, witnesses.before, behind);
            checked.map_err(|what| (batch.position, what))
        });
        match placed {
            Ok(()) => walk.pass(&batch.header),
            Err(_) if start.is_some() => break,
            Err((at, what)) => return Err((at as u64, what)),
        }
        if wanted {
            let from = *start.get_or_insert(batch.position);
            let first = from == batch.position && request.min_one == MinOne::Yes;
            if !first && batch_end - from > request.max_bytes {
                break;
            }
            match verify_crc(batch.bytes) {
                Ok(()) => {}
                Err(_) if from < batch.position => break,
                Err(error) => return Err((batch.position as u64, error.to_string())),
            }
        }
        end = batch_end;
    }
    Ok(start.map_or_else(Bytes::new, |start| buffer.slice(start..end.max(start))))
}
