//! A batch without some of its records: what compaction leaves of it.
//!
//! Follows Kafka's rules (KIP-98, KIP-534), so that Kafka's clients and tools read the result: base offset, last
//! offset, leader epoch, producer id, epoch and sequence stay, so offsets and sequences are as before; the base
//! timestamp is the first record's, or the delete horizon when one is set; the codec stays. None of the functions
//! verifies the checksum of what it is given.

use bytes::BytesMut;
use thalweg_types::TimestampMs;

use super::recompress::assemble;
use super::varint;
use super::view::RecordView;
use crate::batch::{AttributeBits, BatchError, BatchHeader, TimestampType};
use crate::compression::{Compression, compress};

/// Returns the batch with `records`, which are some of its own, in order, at least one.
///
/// With `delete_horizon`, the time from which compaction may drop the batch's tombstones is written into it, as
/// attribute bit 6 and base timestamp (KIP-534).
///
/// # Errors
/// [`BatchError::Inconsistent`] without a record; [`BatchError::TooLarge`]; those of [`compress`].
pub fn retain(
    header: &BatchHeader,
    records: &[RecordView<'_>],
    delete_horizon: Option<TimestampMs>,
) -> Result<BytesMut, BatchError> {
    let first = records.first().ok_or(BatchError::Inconsistent {
        what: "records of a batch that is kept",
        expected: 1,
        found: 0,
    })?;
    let too_large = |what| move |_| BatchError::TooLarge { what };
    let record_count = i32::try_from(records.len()).map_err(too_large("the number of records"))?;
    let base = delete_horizon.unwrap_or_else(|| first.timestamp(header));
    let mut body = Vec::new();
    let mut encoded = Vec::new();
    let mut max_timestamp = TimestampMs::NONE;
    for record in records {
        let timestamp = record.timestamp(header);
        max_timestamp = max_timestamp.max(timestamp);
        let delta = timestamp
            .get()
            .checked_sub(base.get())
            .ok_or(BatchError::TooLarge {
                what: "the distance of a record's timestamp from the base",
            })?;
        body.clear();
        body.extend_from_slice(&record.attributes.to_be_bytes());
        varint::put(&mut body, delta);
        varint::put(&mut body, i64::from(record.offset_delta));
        put_nullable(&mut body, record.key);
        put_nullable(&mut body, record.value);
        varint::put(&mut body, i64::from(record.header_count));
        body.extend_from_slice(record.header_bytes());
        let len = i32::try_from(body.len()).map_err(too_large("a record"))?;
        varint::put(&mut encoded, i64::from(len));
        encoded.extend_from_slice(&body);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        max_timestamp = header.max_timestamp;
    }
    let attributes = match delete_horizon {
        Some(_) => AttributeBits::of(header).delete_horizon(),
        None => AttributeBits::of(header),
    };
    let header = BatchHeader {
        attributes: attributes.bits(),
        base_timestamp: base,
        max_timestamp,
        record_count,
        ..*header
    };
    match header.compression()? {
        Compression::None => assemble(header, &encoded),
        codec => assemble(header, &compress(codec, None, &encoded)?),
    }
}

/// Returns the batch without any record: a bare header that keeps its producer's last sequence, and its place.
///
/// # Errors
/// None that a parsed header can cause; [`BatchError::TooLarge`] is in the signature of what it rests on.
pub fn retain_none(header: &BatchHeader) -> Result<BytesMut, BatchError> {
    let attributes = AttributeBits::of(header)
        .codec(Compression::None)
        .without_delete_horizon();
    let header = BatchHeader {
        attributes: attributes.bits(),
        base_timestamp: TimestampMs::NONE,
        record_count: 0,
        ..*header
    };
    assemble(header, &[])
}

fn put_nullable(output: &mut Vec<u8>, piece: Option<&[u8]>) {
    match piece {
        None => varint::put(output, -1),
        Some(piece) => {
            varint::put(output, i64::try_from(piece.len()).unwrap_or(i64::MAX));
            output.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
#[path = "retain_test.rs"]
mod tests;
