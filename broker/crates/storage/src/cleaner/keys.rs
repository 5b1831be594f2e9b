//! The first pass of a cleaning: the newest offset of each key in the dirty part, as far as the map has room.
//!
//! Records of aborted transactions do not count: they must not make a cleaning drop what they seem to overwrite.

use super::digest::DigestSeed;
use super::offset_map::OffsetMap;
use super::source::{Source, SourceBatch};
use super::transactions::{Marker, Transactions, Worth};
use super::{CleanError, CleanParts};
use crate::disk::Disk;
use crate::segment::Segment;
use crate::segment::transaction_index::AbortedTransaction;
use std::path::Path;
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchError, BatchHeader};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::open_records;

/// Where the keys are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRange<'a> {
    pub directory: &'a Path,
    pub segments: &'a [Segment],
    /// First dirty offset.
    pub start: Offset,
    pub end: Offset,
    pub aborted: &'a [AbortedTransaction],
}

/// Reads the dirty segments and notes the newest offset of each key, until the map is full.
///
/// Returns the map and how many bytes were read.
pub(crate) fn fill_map(
    disk: &dyn Disk,
    range: &KeyRange<'_>,
    parts: &CleanParts<'_>,
) -> Result<(OffsetMap, u64), CleanError> {
    let start = range.start;
    let mut bytes_read = 0;
    let keys_max = range.end.0.saturating_sub(start.0).max(0).unsigned_abs();
    let mut map = OffsetMap::new(parts.map, keys_max, DigestSeed::new(parts.random));
    // One that ended below this walk would never end in it, and its producer's later records would count for nothing.
    let met = range
        .aborted
        .iter()
        .filter(|aborted| aborted.last_offset >= start);
    let mut transactions = Transactions::new(met.copied().collect());
    let dirty = range.segments.iter().filter(|s| s.next_offset > start);
    for segment in dirty {
        let mut source = Source::open(disk, range.directory, *segment, parts.read_bytes)?;
        while let Some((batch, read)) = source.next()? {
            bytes_read += read;
            parts.go_on(read)?;
            if batch.header.last_offset() < start {
                continue;
            }
            let counts =
                !batch.header.is_control() && transactions.on_records(&batch.header) == Worth::Counts;
            if batch.header.is_control() {
                end_transaction(&mut transactions, &batch.header, &batch.bytes, &parts.inflate)
                    .map_err(|error| source.corrupt_before(&batch, error.to_string()))?;
            }
            if counts {
                let noted = note_keys(&mut map, &batch, (start, &parts.inflate))
                    .map_err(|error| source.corrupt_before(&batch, error.to_string()))?;
                if noted == Noted::Full {
                    return Ok((map, bytes_read));
                }
            }
            map.advance(batch.header.last_offset());
        }
        map.advance(Offset(segment.next_offset.0.saturating_sub(1)));
    }
    Ok((map, bytes_read))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    All,
    Full,
}

fn note_keys(
    map: &mut OffsetMap,
    batch: &SourceBatch,
    (start, inflate): (Offset, &CompressionLimits),
) -> Result<Noted, BatchError> {
    let (header, payload) = open_records(&batch.bytes, inflate)?;
    for record in payload.records(&header) {
        let record = record?;
        let offset = record.offset(&header);
        if let Some(key) = record.key
            && offset >= start
            && map.put(key, offset).is_err()
        {
            return Ok(Noted::Full);
        }
    }
    Ok(Noted::All)
}

fn end_transaction(
    transactions: &mut Transactions,
    header: &BatchHeader,
    bytes: &[u8],
    inflate: &CompressionLimits,
) -> Result<(), BatchError> {
    let (_, payload) = open_records(bytes, inflate)?;
    let first = payload.records(header).next().transpose()?;
    transactions.on_marker(header, first.map(|record| Marker::of_key(record.key)));
    Ok(())
}
