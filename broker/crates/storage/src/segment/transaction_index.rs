//! The `.txnindex` file: the aborted transactions whose marker lies in the segment, in the order of their markers.
//!
//! Entries have 34 bytes, big-endian: version i16 (0), producer id i64, first offset i64, last offset i64 (the
//! marker's), last stable offset i64 (as it was once this marker counted; it never falls from entry to entry, and no
//! transaction that ends later began below it). A missing entry would show aborted records as committed, so the
//! whole file is checked against its stamp before it is used, and damage is never "no aborts".

use super::IndexStamp;
use crate::disk::DiskFile;
use std::io;
use thalweg_types::{Offset, ProducerId};

/// Bytes of an entry.
pub const ENTRY_LEN: usize = 34;

const VERSION: i16 = 0;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Offset of its first record in this partition.
    pub first_offset: Offset,
    /// Offset of the marker that aborted it.
    pub last_offset: Offset,
    /// First offset of the oldest transaction that was open behind the marker, else the offset after the marker.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    /// Reports whether one who reads from `start` up to `end` must know of it.
    #[must_use]
    pub fn concerns(&self, start: Offset, end: Offset) -> bool {
        self.last_offset >= start && self.first_offset < end
    }
}

/// Returns an entry's bytes.
#[must_use]
pub fn encode(entry: &AbortedTransaction) -> [u8; ENTRY_LEN] {
    let mut out = [0; ENTRY_LEN];
    out[..2].copy_from_slice(&VERSION.to_be_bytes());
    out[2..10].copy_from_slice(&entry.producer_id.0.to_be_bytes());
    out[10..18].copy_from_slice(&entry.first_offset.0.to_be_bytes());
    out[18..26].copy_from_slice(&entry.last_offset.0.to_be_bytes());
    out[26..].copy_from_slice(&entry.last_stable_offset.0.to_be_bytes());
    out
}

/// Reads an entry; `None` for a version that is not known.
#[must_use]
pub fn decode(bytes: &[u8; ENTRY_LEN]) -> Option<AbortedTransaction> {
    let number = |at: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[at..at + 8]);
        i64::from_be_bytes(eight)
    };
    if i16::from_be_bytes([bytes[0], bytes[1]]) != VERSION {
        return None;
    }
    Some(AbortedTransaction {
        producer_id: ProducerId(number(2)),
        first_offset: Offset(number(10)),
        last_offset: Offset(number(18)),
        last_stable_offset: Offset(number(26)),
    })
}

/// Reads all entries; the inner `None` says that the file does not hold what its stamp says.
///
/// # Errors
/// As the disk says, except that a short file counts as damaged.
pub fn read(file: &dyn DiskFile, stamp: IndexStamp) -> io::Result<Option<Vec<AbortedTransaction>>> {
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
    let (entries, rest) = bytes.as_chunks::<ENTRY_LEN>();
    if !rest.is_empty() {
        return Ok(None);
    }
    Ok(entries.iter().map(decode).collect())
}

/// Returns the stamp of a file that holds just these entries.
#[must_use]
pub fn stamp_of(entries: &[AbortedTransaction]) -> IndexStamp {
    entries.iter().fold(IndexStamp::default(), |stamp, entry| {
        stamp.extended(&encode(entry))
    })
}

#[cfg(test)]
#[path = "transaction_index_test.rs"]
mod tests;
