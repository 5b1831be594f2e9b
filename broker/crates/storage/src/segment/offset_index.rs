//! The `.index` file: 8-byte entries, big-endian: relative offset i32, byte position i32.
//!
//! An entry names the last offset of a batch and the position where that batch starts. Looked up by reading
//! single entries from the file, so that it costs no memory. An entry is only a hint: the reader checks that a
//! batch with that last offset does start there as soon as it has read the place, which makes any damage show.

use crate::disk::DiskFile;
use std::io;
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchHeader, HEADER_LEN};

/// Bytes of an entry.
pub const ENTRY_LEN: usize = 8;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Last offset of a batch.
    pub last_offset: Offset,
    /// Position of the batch's first byte.
    pub position: u64,
}

/// Returns an entry's bytes; `None` when offset or position does not fit, which must roll the segment before.
#[must_use]
pub fn encode(base_offset: Offset, entry: Entry) -> Option<[u8; ENTRY_LEN]> {
    let relative = i32::try_from(entry.last_offset.0.checked_sub(base_offset.0)?).ok()?;
    let position = i32::try_from(entry.position).ok()?;
    let mut out = [0; ENTRY_LEN];
    out[..4].copy_from_slice(&relative.to_be_bytes());
    out[4..].copy_from_slice(&position.to_be_bytes());
    Some(out)
}

/// Reads an entry.
#[must_use]
pub fn decode(base_offset: Offset, bytes: [u8; ENTRY_LEN]) -> Entry {
    let relative = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let position = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    Entry {
        last_offset: Offset(base_offset.0.saturating_add(i64::from(relative))),
        position: u64::from(position),
    }
}

/// The two entries around an offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// The last entry at or below the offset.
    pub below: Option<Entry>,
    /// The first entry above it: what bounds the scan from `below`, if both are true.
    pub above: Option<Entry>,
}

impl Neighbours {
    /// Reports whether both name places in a segment of `size` bytes.
    #[must_use]
    pub fn is_within(&self, size: u64) -> bool {
        let mut entries = self.below.iter().chain(&self.above);
        entries.all(|entry| entry.position < size)
    }

    /// Returns an entry that names no batch, of those that name a place in `bytes`, which lie at `position`. A wrong
    /// entry above would make the scan from the one below long, at every read; one that lies beyond what is read does no
    /// harm.
    #[must_use]
    pub fn first_wrong(&self, bytes: &[u8], position: u64) -> Option<Entry> {
        let is_wrong = |entry: &&Entry| {
            let at = entry.position.checked_sub(position);
            let at = at.and_then(|at| usize::try_from(at).ok());
            let header = at.and_then(|at| bytes.get(at..)?.get(..HEADER_LEN));
            // A header that is cut off is none of those that can be checked.
            header.is_some_and(|header| {
                BatchHeader::parse(header).map_or(true, |header| header.last_offset() != entry.last_offset)
            })
        };
        self.below.iter().chain(&self.above).find(is_wrong).copied()
    }
}

/// Finds the entries around `target` among the first `len` bytes of the file.
///
/// # Errors
/// As the disk says; a file shorter than `len` is `UnexpectedEof`.
pub fn lookup(file: &dyn DiskFile, len: u32, base_offset: Offset, target: Offset) -> io::Result<Neighbours> {
    let (mut low, mut high) = (0, u64::from(len) / ENTRY_LEN as u64);
    let mut found = Neighbours::default();
    while low < high {
        let middle = low + (high - low) / 2;
        let mut bytes = [0; ENTRY_LEN];
        file.read_exact_at(&mut bytes, middle * ENTRY_LEN as u64)?;
        let entry = decode(base_offset, bytes);
        if entry.last_offset <= target {
            found.below = Some(entry);
            low = middle + 1;
        } else {
            found.above = Some(entry);
            high = middle;
        }
    }
    Ok(found)
}
