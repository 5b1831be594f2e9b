//! The row of a partition's compaction: how far it got, and which files are changing their names.
//!
//! Beside the partition's own row, under the key prefix `c`, so that partitions that are not compacted have none.

use super::rows::{Reader, id_key, put_count};
use thalweg_types::{Offset, TopicPartitionId};

pub(super) const CLEANING_VERSION: u8 = 1;

/// How far compaction got in a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleaningRow {
    /// Everything below was cleaned.
    pub first_dirty: Offset,
    /// Segments whose row names a `.cleaned` file that may still have that name. A start renames it first.
    pub swapping: Vec<Offset>,
}

/// Returns the key of the row.
#[must_use]
pub fn cleaning_key(id: TopicPartitionId) -> Vec<u8> {
    id_key(b'c', id)
}

/// Encodes the row.
#[must_use]
pub fn encode_cleaning(row: &CleaningRow) -> Vec<u8> {
    let mut out = vec![CLEANING_VERSION];
    out.extend_from_slice(&row.first_dirty.0.to_be_bytes());
    put_count(&mut out, row.swapping.len());
    for base in &row.swapping {
        out.extend_from_slice(&base.0.to_be_bytes());
    }
    out
}

pub(super) fn decode_cleaning(reader: &mut Reader<'_>) -> Option<CleaningRow> {
    let first_dirty = Offset(reader.i64()?);
    let count = reader.count(8)?;
    let swapping = (0..count)
        .map(|_| reader.i64().map(Offset))
        .collect::<Option<Vec<_>>>()?;
    let sound = first_dirty >= Offset::ZERO && swapping.iter().all(|base| *base >= Offset::ZERO);
    sound.then_some(CleaningRow {
        first_dirty,
        swapping,
    })
}

#[cfg(test)]
#[path = "cleaning_row_test.rs"]
mod tests;
