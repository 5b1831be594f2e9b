//! A run: whole record batches of one partition, cut out of a fetch answer, their bytes unchanged.
//!
//! Owns the walk over batch headers. Records are never looked at; the checksum is for the target, which refuses a batch
//! whose CRC is wrong. Invariant: offsets in a run rise strictly, and nothing reads beyond the answer.

use bytes::Bytes;
use thalweg_types::{Offset, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchHeader, LOG_OVERHEAD};
use thiserror::Error;

/// Whole batches with rising offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The batches, as the source has them.
    pub records: Bytes,
    /// Base offset of the first batch.
    pub base: Offset,
    /// Offset after the last record of the last batch.
    pub next: Offset,
    /// How many batches.
    pub batches: usize,
    /// How many records, control records among them.
    pub record_count: u64,
    /// The newest timestamp of the last batch.
    pub newest: TimestampMs,
}

/// Bytes of a source that cannot be mirrored verbatim.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RunError {
    /// Message format 0 or 1: written before Kafka 0.11, or by `log.message.format.version`.
    #[error(
        "at offset {at}: message format {magic}, which only Kafka before 4.0 keeps; verbatim mode needs format 2"
    )]
    OldFormat {
        /// Offset that was asked for.
        at: Offset,
        /// The format.
        magic: i8,
    },
    /// A header that breaks the format.
    #[error("behind offset {at}: {error}")]
    Broken {
        /// The last good offset.
        at: Offset,
        /// What is wrong.
        error: BatchError,
    },
    /// Offsets that do not rise.
    #[error("a batch with base offset {base} follows offset {after}")]
    Order {
        /// Where the batch before ends.
        after: Offset,
        /// The batch's base offset.
        base: Offset,
    },
}

/// Cuts the whole batches that reach `from` or beyond; what is cut off at the end is fetched again.
///
/// The first batch may begin before `from`, when `from` lies inside it; `None` if there is no whole batch.
///
/// # Errors
/// [`RunError`] for bytes that are no batches of format 2 in order.
pub fn cut(records: &Bytes, from: Offset) -> Result<Option<Run>, RunError> {
    let mut position = 0usize;
    let mut start = None;
    let mut base = from;
    let mut next = from;
    let mut last_end = None;
    let mut batches = 0;
    let mut record_count = 0u64;
    let mut newest = TimestampMs::NONE;
    loop {
        let rest = records.get(position..).unwrap_or_default();
        // A cut header is told apart from a broken one by its length alone.
        if rest.len() < LOG_OVERHEAD || rest.len() < claimed_len(rest) {
            break;
        }
        let header = BatchHeader::parse(rest).map_err(|error| match error {
            BatchError::UnsupportedMagic { magic } => RunError::OldFormat { at: from, magic },
            error => RunError::Broken { at: next, error },
        })?;
        if let Some(after) = last_end.filter(|end| header.base_offset < *end) {
            return Err(RunError::Order {
                after,
                base: header.base_offset,
            });
        }
        last_end = Some(header.next_offset());
        if header.next_offset() > from {
            if start.is_none() {
                (start, base) = (Some(position), header.base_offset);
            }
            next = header.next_offset();
            batches += 1;
            record_count += u64::try_from(header.record_count).unwrap_or_default();
            newest = header.max_timestamp;
        }
        position = position.saturating_add(header.total_len());
    }
    Ok(start.map(|start| Run {
        records: records.slice(start..position.min(records.len())),
        base,
        next,
        batches,
        record_count,
        newest,
    }))
}

/// The length a batch claims to have, header fields included; a negative one is left to the parser to name.
fn claimed_len(rest: &[u8]) -> usize {
    let length = rest
        .get(8..LOG_OVERHEAD)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_be_bytes);
    LOG_OVERHEAD.saturating_add(usize::try_from(length).unwrap_or(0))
}

#[cfg(test)]
#[path = "run_test.rs"]
pub(crate) mod tests;
