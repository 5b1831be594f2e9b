//! Headers of batches near the one that is read: what a batch is compared with when its place is in doubt.
//!
//! Read only then, so that a read of sound batches costs nothing more.

use crate::disk::DiskFile;
use crate::segment::{Segment, offset_index};
use thalweg_types::Offset;
use thalweg_wire::batch::{BatchHeader, HEADER_LEN};

/// Most headers that are passed on the way from an index entry to a batch.
const STEPS_MAX: usize = 10_000;

/// Reads the header of a batch at a position below `size`; `None` where there is none.
pub(super) fn header_at(file: &dyn DiskFile, position: u64, size: u64) -> Option<BatchHeader> {
    let mut bytes = [0; HEADER_LEN];
    let is_inside = position
        .checked_add(HEADER_LEN as u64)
        .is_some_and(|end| end <= size);
    if !is_inside || file.read_exact_at(&mut bytes, position).is_err() {
        return None;
    }
    BatchHeader::parse(&bytes).ok()
}

/// Reads the header of the batch that ends where the one at `position` starts, on the way from the index entry below it;
/// `None` where that way does not lead there.
pub(super) fn batch_before(
    (log, index): (&dyn DiskFile, Option<&dyn DiskFile>),
    segment: &Segment,
    position: u64,
) -> Option<BatchHeader> {
    let here = header_at(log, position, segment.size)?;
    let target = Offset(here.base_offset.0.checked_sub(1)?);
    let below = index.and_then(|index| {
        let found = offset_index::lookup(index, segment.offset_index.len, segment.base_offset, target);
        found.ok()?.below
    });
    let mut at = below
        .map(|entry| entry.position)
        .filter(|at| *at < position)
        .unwrap_or(0);
    for _ in 0..STEPS_MAX {
        let header = header_at(log, at, segment.size)?;
        let next = at.checked_add(header.total_len() as u64)?;
        if next == position {
            return Some(header);
        }
        if next > position {
            return None;
        }
        at = next;
    }
    None
}
