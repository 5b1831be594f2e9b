//! Records as owned values, for readers that keep them: coordinators that load their state, the command line.

use bytes::Bytes;
use thalweg_types::{Offset, TimestampMs};

use super::payload::{Payload, open_records};
use crate::batch::BatchError;
use crate::compression::CompressionLimits;

/// Least bytes of a record: length, attributes, two deltas, two null lengths, header count.
const RECORD_BYTES_MIN: usize = 7;

/// One record with its own hold on the decompressed bytes of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The record's offset.
    pub offset: Offset,
    /// Its timestamp: the batch's, for log append time.
    pub timestamp: TimestampMs,
    /// The key, `None` for null.
    pub key: Option<Bytes>,
    /// The value, `None` for null.
    pub value: Option<Bytes>,
    /// Headers in order; keys may repeat and need not be text.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Decodes all records of one batch.
///
/// Keys, values and headers share one buffer, which lives as long as any of them. The result takes at most
/// about 35 times the decompressed size (a batch of nothing but empty headers); usual records take little
/// more than their bytes. The caller has verified the checksum.
///
/// # Errors
/// Those of [`open_records`], and [`BatchError::BadRecord`].
pub fn decode_records(batch: &[u8], limits: &CompressionLimits) -> Result<Vec<OwnedRecord>, BatchError> {
    let (header, payload) = open_records(batch, limits)?;
    let payload = Payload::Inflated(payload.into_bytes());
    let Payload::Inflated(shared) = &payload else {
        return Ok(Vec::new());
    };
    let share = |piece: &[u8]| shared.slice_ref(piece);
    // The header's count is a claim; the bytes bound it.
    let claimed = usize::try_from(header.record_count).unwrap_or(0);
    let mut records = Vec::with_capacity(claimed.min(shared.len() / RECORD_BYTES_MIN));
    for record in payload.records(&header) {
        let record = record?;
        records.push(OwnedRecord {
            offset: record.offset(&header),
            timestamp: record.timestamp(&header),
            key: record.key.map(share),
            value: record.value.map(share),
            headers: record
                .headers()
                .map(|(key, value)| (share(key), value.map(share)))
                .collect(),
        });
    }
    Ok(records)
}

#[cfg(test)]
#[path = "decode_test.rs"]
mod tests;
