//! Reads: memory by reference, then the write-ahead log, then segments.
//!
//! Whatever comes from a disk is CRC-checked before it is given out; damage is an error that names the file and
//! the position, and is never skipped. Data from memory was checked on its way in.

use super::place::{Fit, KnownEpochs, Walk, check_behind};
use super::tail::TailRun;
use super::{LogOffsets, PartitionLog, Status};
use crate::disk::{DiskFile, OpenMode};
use crate::segment::names::{FileKind, segment_file};
use crate::segment::{Segment, offset_index};
use bytes::Bytes;
use std::io;
use std::path::Path;
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
    /// Up to the last stable offset (`isolation.level=read_committed`).
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
        known: KnownEpochs,
    },
    Segment {
        offsets: LogOffsets,
        segment: Segment,
        known: KnownEpochs,
    },
}

impl PartitionLog {
    /// Reads what is in memory; `None` when the disk is needed.
    ///
    /// # Errors
    /// [`ReadError::Closed`], [`ReadError::OutOfRange`].
    pub fn read_memory(&self, request: ReadRequest) -> Result<Option<ReadResult>, ReadError> {
        match self.plan(request, request.offset)? {
            Plan::Done(result) => Ok(Some(result)),
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
            let (offsets, found) = match self.plan(request, offset)? {
                Plan::Done(result) => return Ok(result),
                Plan::Wal { offsets, run, known } => (offsets, self.read_wal(&run, offset, request, &known)),
                Plan::Segment {
                    offsets,
                    segment,
                    known,
                } => {
                    let found = self.read_segment(&segment, offset, request, &known);
                    if let Ok(batches) = &found
                        && batches.is_empty()
                        && segment.next_offset > offset
                    {
                        // A gap at the end of the segment: the next one, or the tail, has what follows.
                        offset = segment.next_offset;
                        continue;
                    }
                    (offsets, found)
                }
            };
            // A topic of the same name may have the directory by now: what was read may be another log's.
            if self.state.lock().status == Status::Closed {
                return Err(ReadError::Closed);
            }
            match found {
                Ok(batches) => {
                    let bytes = batches.len();
                    let batches = if bytes == 0 { Vec::new() } else { vec![batches] };
                    return Ok(ReadResult {
                        offsets,
                        batches,
                        bytes,
                    });
                }
                Err(Lost::Race) if lost_races < REPLANS_MAX => lost_races += 1,
                Err(Lost::Race) => {
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
        if offset < offsets.log_start_offset || offset > offsets.high_watermark {
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
            })
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
                    known: state.known_epochs(),
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
                        known: state.known_epochs(),
                    });
                }
                break;
            };
            if run.run.base_offset >= end || !gather(parts, offset, request, (&mut batches, &mut bytes)) {
                break;
            }
        }
        Ok(Plan::Done(ReadResult {
            offsets,
            batches,
            bytes,
        }))
    }

    fn read_wal(
        &self,
        run: &TailRun,
        offset: Offset,
        request: ReadRequest,
        known: &KnownEpochs,
    ) -> Result<Bytes, Lost> {
        let bytes = self.wal_bytes(run)?;
        let walk = Walk::over(run.run.base_offset, run.run.last_offset);
        let peek = |at: usize| bytes.get(at..).and_then(|rest| BatchHeader::parse(rest).ok());
        let witnesses = Witnesses {
            known,
            peek: &peek,
            first: &|| None,
        };
        cut(&bytes, (offset, request), walk, &witnesses).map_err(|(position, what)| {
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
        segment: &Segment,
        offset: Offset,
        request: ReadRequest,
        known: &KnownEpochs,
    ) -> Result<Bytes, Lost> {
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::Log);
        let file = self.open(&path)?;
        let mut position = self.start_position(segment, &*file, offset)?;
        let corrupt = |position: u64, what: String| {
            Lost::Error(ReadError::Corrupt {
                path: path.display().to_string(),
                position,
                what,
            })
        };
        let mut walk = Walk::over(
            segment.base_offset,
            Offset(segment.next_offset.0.saturating_sub(1)),
        );
        if position > 0 {
            walk = walk.starting_confirmed();
        }
        let mut want = request.max_bytes.max(SEGMENT_READ_BYTES_MIN);
        loop {
            let left = segment.size.saturating_sub(position);
            if left == 0 {
                return Ok(Bytes::new());
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(want);
            let buffer = read_piece((&*file, &path), segment, position, count)?;
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
                Some(_) if position + skipped as u64 > 0 && walk.doubts_epoch(peek(skipped), known) => {
                    // The batch before is the witness, so the walk is repeated with it. Damage, or a mirror's past.
                    position = 0;
                    walk = Walk::over(
                        segment.base_offset,
                        Offset(segment.next_offset.0.saturating_sub(1)),
                    );
                }
                Some(_) => {
                    let witnesses = Witnesses {
                        known,
                        peek: &|at| peek(skipped + at),
                        first: &|| header_at(&*file, 0, segment.size),
                    };
                    return cut(&buffer.slice(skipped..), (offset, request), walk, &witnesses)
                        .map_err(|(at, what)| corrupt(position + skipped as u64 + at, what));
                }
                None if skipped == 0 => {
                    return Err(corrupt(
                        position,
                        format!("{left} bytes are no whole batch header"),
                    ));
                }
                None => position += skipped as u64,
            }
        }
    }

    /// Finds a position at or before the batch that holds `offset`. The index is a hint that is checked.
    fn start_position(&self, segment: &Segment, log: &dyn DiskFile, offset: Offset) -> Result<u64, Lost> {
        let path = segment_file(&self.directory(), segment.base_offset, FileKind::OffsetIndex);
        let found = match self.shared.disk.open(&path, OpenMode::Read) {
            Ok(file) => offset_index::lookup(&*file, segment.offset_index.len, segment.base_offset, offset),
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.shared.note_index_damage(self.id, segment.base_offset);
                tracing::warn!(file = %path.display(), %error, "offset index unreadable, it will be rebuilt");
                return Ok(0);
            }
        };
        let holds = |entry: &offset_index::Entry| {
            let mut header = [0; HEADER_LEN];
            entry.position < segment.size
                && log.read_exact_at(&mut header, entry.position).is_ok()
                && BatchHeader::parse(&header).is_ok_and(|header| header.last_offset() == entry.last_offset)
        };
        // A wrong entry above would make the scan from the one below long, at every read.
        let wrong = found.below.iter().chain(&found.above).find(|entry| !holds(entry));
        if let Some(entry) = wrong {
            self.shared.note_index_damage(self.id, segment.base_offset);
            tracing::debug!(file = %path.display(), ?entry, "offset index entry names no batch, it will be rebuilt");
        }
        let below = found.below.filter(|entry| Some(entry) != wrong);
        Ok(below.map_or(0, |entry| entry.position))
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

/// Why a planned read gave nothing.
pub(super) enum Lost {
    /// The files went away; plan again.
    Race,
    Error(ReadError),
}

/// Adds a run's batches from `offset` on; `false` when the reply is full.
fn gather(parts: &[Bytes], offset: Offset, request: ReadRequest, out: (&mut Vec<Bytes>, &mut usize)) -> bool {
    let (batches, bytes) = out;
    for part in parts {
        // Our own bytes, checked on the way in.
        let Ok(header) = BatchHeader::parse(part) else {
            return false;
        };
        if header.last_offset() < offset {
            continue;
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

/// Reads so many bytes of a segment.
fn read_piece(
    (file, path): (&dyn DiskFile, &Path),
    segment: &Segment,
    position: u64,
    count: usize,
) -> Result<Bytes, Lost> {
    let mut buffer = vec![0; count];
    let error = match file.read_exact_at(&mut buffer, position) {
        Ok(()) => return Ok(Bytes::from(buffer)),
        Err(error) => error,
    };
    let path = path.display().to_string();
    Err(Lost::Error(match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Corrupt {
            path,
            position,
            what: format!(
                "the file is shorter than the {} bytes that were durable",
                segment.size
            ),
        },
        _ => ReadError::Io {
            path,
            what: error.to_string(),
        },
    }))
}

/// Reads a batch's header at a position of a buffer; `None` where there is none.
type Peek<'a> = dyn Fn(usize) -> Option<BatchHeader> + 'a;

/// What a batch is compared with.
struct Witnesses<'a> {
    known: &'a KnownEpochs,
    peek: &'a Peek<'a>,
    /// Reads the header of the first batch of the segment.
    first: &'a dyn Fn() -> Option<BatchHeader>,
}

fn header_at(file: &dyn DiskFile, position: u64, size: u64) -> Option<BatchHeader> {
    let mut bytes = [0; HEADER_LEN];
    let is_inside = position
        .checked_add(HEADER_LEN as u64)
        .is_some_and(|end| end <= size);
    if !is_inside || file.read_exact_at(&mut bytes, position).is_err() {
        return None;
    }
    BatchHeader::parse(&bytes).ok()
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
    (offset, request): (Offset, ReadRequest),
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
        let batch_end = batch.position + batch.bytes.len();
        let wanted = batch.header.last_offset() >= offset;
        let placed = judge(&walk, &batch.header, batch.position, peek).and_then(|_| {
            if !wanted {
                return Ok(());
            }
            let behind = || peek(batch_end);
            let checked = walk.check_epoch(&batch.header, witnesses.known, witnesses.first, behind);
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
