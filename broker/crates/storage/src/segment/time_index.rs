//! The `.timeindex` file: 12-byte entries, big-endian: timestamp i64, relative offset i32.
//!
//! An entry says that no record up to the offset has a larger timestamp. A wrong entry could hide records from
//! a search by time without a sign, so the whole file is checked against its CRC before a lookup.

use super::IndexStamp;
use crate::disk::DiskFile;
use std::io;
use thalweg_types::{Offset, TimestampMs};

/// Bytes of an entry.
pub const ENTRY_LEN: usize = 12;

/// Returns an entry's bytes; `None` when the offset does not fit.
#[must_use]
pub fn encode(base_offset: Offset, timestamp: TimestampMs, offset: Offset) -> Option<[u8; ENTRY_LEN]> {
    let relative = i32::try_from(offset.0.checked_sub(base_offset.0)?).ok()?;
    let mut out = [0; ENTRY_LEN];
    out[..8].copy_from_slice(&timestamp.0.to_be_bytes());
    out[8..].copy_from_slice(&relative.to_be_bytes());
    Some(out)
}

/// Reads an entry.
#[must_use]
pub fn decode(base_offset: Offset, bytes: &[u8; ENTRY_LEN]) -> (TimestampMs, Offset) {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    let relative = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    (
        TimestampMs(i64::from_be_bytes(eight)),
        Offset(base_offset.0.saturating_add(i64::from(relative))),
    )
}

/// Returns the offset from which records must be searched for one with a timestamp of at least `target`;
/// the inner `None` says that the file does not hold what its stamp says.
///
/// # Errors
/// As the disk says, except that a short file counts as damaged.
pub fn lookup(
    file: &dyn DiskFile,
    stamp: IndexStamp,
    base_offset: Offset,
    target: TimestampMs,
) -> io::Result<Option<Offset>> {
    // The stamp comes from a row: no memory is taken for more than there is.
    if file.len()? < u64::from(stamp.len) {
        return Ok(None);
    }
    let mut bytes = vec![0; stamp.len as usize];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    if crc32fast::hash(&bytes) != stamp.crc {
        return Ok(None);
    }
    let mut start = base_offset;
    for entry in bytes.as_chunks::<ENTRY_LEN>().0 {
        let (timestamp, offset) = decode(base_offset, entry);
        if timestamp >= target {
            break;
        }
        start = offset;
    }
    Ok(Some(start))
}

#[cfg(test)]
#[path = "time_index_test.rs"]
mod tests;
