//! Finding a record by time inside one batch, for ListOffsets.
//!
//! All of these also work on batches that compaction has thinned out.

use thalweg_types::{Offset, TimestampMs};

use super::payload::open_records;
use crate::batch::{BatchError, parse_exact};
use crate::compression::CompressionLimits;

/// Returns the first record whose timestamp is `target` or later, or `None` if the batch has none.
///
/// Reads only the header when the batch's max timestamp is too small. "First" is by offset: timestamps of
/// producers need not rise.
///
/// # Errors
/// Those of [`open_records`], and [`BatchError::BadRecord`].
pub fn first_record_at_or_after(
    batch: &[u8],
    target: TimestampMs,
    limits: &CompressionLimits,
) -> Result<Option<(Offset, TimestampMs)>, BatchError> {
    first_record_at_or_after_from(batch, target, Offset::ZERO, limits)
}

/// As [`first_record_at_or_after`], but skips records below `offset_min`: a log may start inside a batch.
///
/// # Errors
/// Those of [`open_records`], and [`BatchError::BadRecord`].
pub fn first_record_at_or_after_from(
    batch: &[u8],
    target: TimestampMs,
    offset_min: Offset,
    limits: &CompressionLimits,
) -> Result<Option<(Offset, TimestampMs)>, BatchError> {
    let header = parse_exact(batch)?;
    if header.max_timestamp < target || header.last_offset() < offset_min {
        return Ok(None);
    }
    let (header, payload) = open_records(batch, limits)?;
    for record in payload.records(&header) {
        let record = record?;
        let (offset, timestamp) = (record.offset(&header), record.timestamp(&header));
        if timestamp >= target && offset >= offset_min {
            return Ok(Some((offset, timestamp)));
        }
    }
    Ok(None)
}

/// Returns the first record with the largest timestamp in the batch, or `None` if no record is left in it or
/// none has a timestamp.
///
/// # Errors
/// Those of [`open_records`], and [`BatchError::BadRecord`].
pub fn offset_of_max_timestamp(
    batch: &[u8],
    limits: &CompressionLimits,
) -> Result<Option<(Offset, TimestampMs)>, BatchError> {
    let (header, payload) = open_records(batch, limits)?;
    let mut found: Option<(Offset, TimestampMs)> = None;
    for record in payload.records(&header) {
        let record = record?;
        let timestamp = record.timestamp(&header);
        if timestamp > found.map_or(TimestampMs::NONE, |(_, largest)| largest) {
            found = Some((record.offset(&header), timestamp));
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "search_test.rs"]
mod tests;
