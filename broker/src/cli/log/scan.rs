//! Walks through a segment and says what is damaged.

use std::io::{self, Read, Seek};

use serde::Serialize;
use thalweg_wire::batch::{BatchError, HEADER_LEN};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::open_records;

use super::segment_reader::{Fault, RawBatch, SegmentReader};

/// Damaged places that are described; more are only counted.
const DAMAGES_MAX: usize = 1000;

/// How deep a scan looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Headers, checksums and offsets.
    Batches,
    /// Also every record, which decompresses them.
    Records,
}

/// What a scan compares with.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Base offset in the file's name.
    pub base_offset: Option<i64>,
    /// Base offset of the segment behind it.
    pub next_base_offset: Option<i64>,
    /// How deep to look.
    pub depth: Depth,
}

/// A range of offsets, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OffsetRange {
    /// First offset.
    pub first: i64,
    /// Last offset; `None` if nothing says where it ends.
    pub last: Option<i64>,
}

impl std::fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.last {
            Some(last) if last == self.first => write!(f, "{last}"),
            Some(last) => write!(f, "{} to {last}", self.first),
            None => write!(f, "from {} on", self.first),
        }
    }
}

/// What kind of damage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The file ends inside a batch. At the end of the newest segment that is what a crash leaves.
    CutTail,
    /// The checksum is wrong.
    Checksum,
    /// No batch where one should begin.
    NoBatch,
    /// Zeros up to the end.
    Zeros,
    /// Offsets that do not rise, or do not fit the file's name.
    Offsets,
    /// The records contradict the header or cannot be read.
    Records,
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Byte position in the file.
    pub position: u64,
    /// What kind it is.
    pub kind: Kind,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// The offsets that cannot be read. Compacted topics may never have had some of them.
    pub offsets: Option<OffsetRange>,
}

/// What a scan found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Size of the file, in bytes.
    pub size_bytes: u64,
    /// Whole batches with a right checksum.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Base offset of the first of them.
    pub first_offset: Option<i64>,
    /// Last offset of the last of them.
    pub last_offset: Option<i64>,
    /// Damaged places, the first thousand of them.
    pub damages: Vec<Damage>,
    /// Number of damaged places.
    pub damage_count: u64,
}

impl Findings {
    /// Reports whether the only damage is a file that ends inside its last batch.
    pub fn only_tail_is_cut(&self) -> bool {
        self.damage_count == 1
            && self
                .damages
                .iter()
                .all(|damage| matches!(damage.kind, Kind::CutTail | Kind::Zeros))
    }

    /// Reports whether every damaged place lies at or behind `size` bytes.
    pub fn is_whole_up_to(&self, size: u64) -> bool {
        // Places are found in order, so that the first one decides.
        self.size_bytes >= size && self.damages.iter().all(|damage| damage.position >= size)
    }

    /// Adds what only the recovery point tells: the file ends, even between two batches, before what it says is there.
    pub fn compare_with_durable(&mut self, size: u64, next_offset: i64) {
        let known = self
            .damages
            .iter()
            .any(|damage| matches!(damage.kind, Kind::CutTail));
        if self.size_bytes >= size || known {
            return;
        }
        self.add(Damage {
            position: self.size_bytes,
            kind: Kind::CutTail,
            expected: format!("{size} bytes, which the recovery point says are durable"),
            found: format!("{} bytes", self.size_bytes),
            offsets: range(
                self.last_offset.map(|last| last.saturating_add(1)),
                Some(next_offset),
            ),
        });
    }

    fn add(&mut self, damage: Damage) {
        self.damage_count = self.damage_count.saturating_add(1);
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(damage);
        }
    }
}

/// Scans a segment from its start to its end. `progress` gets the position now and then.
///
/// # Errors
/// The system's.
pub fn scan<R: Read + Seek>(
    reader: &mut SegmentReader<R>,
    frame: Frame,
    mut progress: impl FnMut(u64),
) -> io::Result<Findings> {
    let mut findings = Findings {
        size_bytes: reader.size(),
        ..Findings::default()
    };
    // The next offset if nothing is missing; larger ones are normal after compaction.
    let mut next_offset = frame.base_offset;
    while let Some(read) = reader.next_batch()? {
        progress(reader.position());
        match read {
            Ok(batch) if batch.checksum.is_ok() => {
                if let Some(damage) = examine(&batch, next_offset, frame) {
                    findings.add(damage);
                }
                findings.batches = findings.batches.saturating_add(1);
                let records = u64::try_from(batch.header.record_count).unwrap_or(0);
                findings.records = findings.records.saturating_add(records);
                findings.first_offset = findings.first_offset.or(Some(batch.header.base_offset.get()));
                findings.last_offset = Some(batch.header.last_offset().get());
                next_offset = Some(batch.header.next_offset().get()).max(next_offset);
            }
            Ok(batch) => skip_wrong_checksum(&batch, reader, frame, &mut next_offset, &mut findings)?,
            Err(fault) => skip_fault(&fault, reader, frame, next_offset, &mut findings)?,
        }
    }
    progress(reader.size());
    Ok(findings)
}

/// A batch whose length still leads to the next batch is lost alone; otherwise its length is not believed.
fn skip_wrong_checksum<R: Read + Seek>(
    batch: &RawBatch,
    reader: &mut SegmentReader<R>,
    frame: Frame,
    next_offset: &mut Option<i64>,
    findings: &mut Findings,
) -> io::Result<()> {
    let (expected, found) = match &batch.checksum {
        Err(BatchError::CrcMismatch { expected, found }) => {
            (format!("{expected:#010x}"), format!("{found:#010x}"))
        }
        Err(other) => ("a right checksum".to_owned(), other.to_string()),
        Ok(()) => return Ok(()),
    };
    let position = batch.position;
    let mut damage = Damage {
        position,
        kind: Kind::Checksum,
        expected,
        found,
        offsets: None,
    };
    let behind = reader.position();
    let leads_on = match reader.next_batch()? {
        None => true,
        Some(Ok(next)) => next.checksum.is_ok() || next.header.base_offset > batch.header.base_offset,
        Some(Err(_)) => false,
    };
    if leads_on {
        reader.rewind_to(behind);
        let after = Some(batch.header.next_offset().get());
        damage.offsets = range(Some(batch.header.base_offset.get()).max(*next_offset), after);
        *next_offset = after.max(*next_offset);
    } else {
        reader.rewind_to(position);
        damage.offsets = range(*next_offset, first_offset_behind(reader, frame)?);
    }
    findings.add(damage);
    Ok(())
}

fn skip_fault<R: Read + Seek>(
    fault: &Fault,
    reader: &mut SegmentReader<R>,
    frame: Frame,
    next_offset: Option<i64>,
    findings: &mut Findings,
) -> io::Result<()> {
    let position = reader.position();
    // A few bytes may be zero by chance: offsets begin with zeros.
    let zeros = reader.remaining() >= HEADER_LEN as u64 && reader.rest_is_zero()?;
    let after = first_offset_behind(reader, frame)?;
    let found_end = reader.remaining() == 0;
    let (kind, expected, found) = match fault {
        _ if zeros => (
            Kind::Zeros,
            "a batch".to_owned(),
            "nothing but zeros up to the end".to_owned(),
        ),
        Fault::Cut { expected, found } if found_end => (
            Kind::CutTail,
            format!("{expected} bytes of a batch"),
            format!("{found} bytes up to the end"),
        ),
        Fault::Cut { expected, found } => (
            Kind::NoBatch,
            format!("a batch of at most {found} bytes"),
            format!("a length of {expected}"),
        ),
        Fault::NoBatch(error) => (Kind::NoBatch, "a batch header".to_owned(), error.to_string()),
        Fault::TooLong { found } => (
            Kind::NoBatch,
            "a batch header".to_owned(),
            format!("a length of {found}"),
        ),
    };
    findings.add(Damage {
        position,
        kind,
        expected,
        found,
        offsets: range(next_offset, after),
    });
    Ok(())
}

/// Moves to the next valid batch and returns its base offset; at the end, what the next segment says.
fn first_offset_behind<R: Read + Seek>(
    reader: &mut SegmentReader<R>,
    frame: Frame,
) -> io::Result<Option<i64>> {
    if !reader.skip_to_valid_batch()? {
        return Ok(frame.next_base_offset);
    }
    let behind = reader.position();
    let next = reader.next_batch()?;
    reader.rewind_to(behind);
    Ok(next
        .and_then(Result::ok)
        .map(|batch| batch.header.base_offset.get()))
}

/// The offsets from `first` up to, not including, `after`.
fn range(first: Option<i64>, after: Option<i64>) -> Option<OffsetRange> {
    let first = first?;
    match after {
        Some(after) if after <= first => None,
        after => Some(OffsetRange {
            first,
            last: after.map(|after| after.saturating_sub(1)),
        }),
    }
}

/// Looks at a batch whose checksum is right.
fn examine(batch: &RawBatch, next_offset: Option<i64>, frame: Frame) -> Option<Damage> {
    let header = &batch.header;
    let (base, last) = (header.base_offset.get(), header.last_offset().get());
    let offsets = Some(OffsetRange {
        first: base,
        last: Some(last),
    });
    let damage = |kind, expected, found| {
        Some(Damage {
            position: batch.position,
            kind,
            expected,
            found,
            offsets,
        })
    };
    if let Some(least) = next_offset
        && base < least
    {
        return damage(
            Kind::Offsets,
            format!("a base offset of at least {least}"),
            base.to_string(),
        );
    }
    if let Some(limit) = frame.next_base_offset
        && last >= limit
    {
        let expected = format!("offsets below {limit}, where the next segment begins");
        return damage(Kind::Offsets, expected, format!("a last offset of {last}"));
    }
    match frame.depth {
        Depth::Batches => None,
        Depth::Records => match check_records(batch) {
            Ok(()) => None,
            Err((expected, found)) => damage(Kind::Records, expected, found),
        },
    }
}

/// Reads every record. Compaction may have taken some out, so their offsets need only rise.
fn check_records(batch: &RawBatch) -> Result<(), (String, String)> {
    let readable = |error: BatchError| ("readable records".to_owned(), error.to_string());
    let (header, payload) = open_records(&batch.bytes, &CompressionLimits::default()).map_err(readable)?;
    let mut last_delta = -1;
    for record in payload.records(&header) {
        let delta = record.map_err(readable)?.offset_delta;
        if delta <= last_delta || delta > header.last_offset_delta {
            let expected = format!(
                "an offset delta above {last_delta} and at most {}",
                header.last_offset_delta
            );
            return Err((expected, delta.to_string()));
        }
        last_delta = delta;
    }
    Ok(())
}

#[cfg(test)]
#[path = "scan_test.rs"]
mod tests;
