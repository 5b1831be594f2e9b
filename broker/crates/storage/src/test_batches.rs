//! Record batches for the tests of this crate.

use bytes::BytesMut;
use thalweg_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::{BatchHeader, HEADER_LEN, crc32c};

/// Header of a batch of `count` records by an idempotent producer.
pub(crate) fn idempotent_header(producer: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(0),
        batch_length: 49,
        leader_epoch: LeaderEpoch(-1),
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: TimestampMs(0),
        max_timestamp: TimestampMs(0),
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        record_count: count,
    }
}

/// A batch that a producer without idempotence could have sent; the records are `filler`, not real ones.
pub(crate) fn batch(count: i32, timestamp: i64, filler: &[u8]) -> BytesMut {
    let mut header = idempotent_header(-1, -1, -1, count);
    header.base_timestamp = TimestampMs(timestamp);
    header.max_timestamp = TimestampMs(timestamp);
    with_header(header, filler)
}

/// A batch with a header of choice; length and CRC are filled in.
pub(crate) fn with_header(mut header: BatchHeader, filler: &[u8]) -> BytesMut {
    header.batch_length = 49 + filler.len() as i32;
    let mut bytes = BytesMut::with_capacity(HEADER_LEN + filler.len());
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(filler);
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}
