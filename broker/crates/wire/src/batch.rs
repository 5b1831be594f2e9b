//! Record batches of format v2 (magic 2): the 61-byte header, its checksum, and cutting a byte run into
//! batches.
//!
//! Owns the header and the bytes around the records; the records themselves belong to [`crate::records`],
//! their codecs to [`crate::compression`]. A batch is kept exactly as its producer sent it. After that only
//! the `patch_…` functions below write to it: base offset and leader epoch, which lie outside the checksum,
//! and the timestamp flag and max timestamp, with which they renew it.
//!
//! | bytes | field | bytes | field |
//! |---|---|---|---|
//! | 0–7 | base offset | 27–34 | base timestamp (or delete horizon) |
//! | 8–11 | batch length (bytes after this field) | 35–42 | max timestamp |
//! | 12–15 | leader epoch | 43–50 | producer id |
//! | 16 | magic | 51–52 | producer epoch |
//! | 17–20 | CRC-32C of bytes 21 to the end | 53–56 | base sequence |
//! | 21–22 | attributes | 57–60 | record count |
//! | 23–26 | last offset delta | 61– | records |
//!
//! Invariant: nothing here reads beyond the given slice or panics on its content. Sources: KIP-98 (format),
//! KIP-534 (delete horizon).

use bytes::{Buf, BufMut};
use thalweg_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::compression::Compression;

mod error;
mod sign;
mod split;

pub use error::BatchError;
pub use sign::{
    PiecewiseCrc, crc32c, parse_exact, patch_base_offset_and_epoch, patch_log_append_time,
    patch_max_timestamp, verify_crc,
};
pub use split::{BatchIter, BatchSlice, split_batches};

/// Size of the batch header in bytes, up to the first record.
pub const HEADER_LEN: usize = 61;

/// Size in bytes of the two fields (base offset, batch length) that the batch length does not count.
pub const LOG_OVERHEAD: usize = 12;

/// The magic number of the only batch format served: v2.
pub const MAGIC_V2: i8 = 2;

const BATCH_LENGTH_MIN: i32 = (HEADER_LEN - LOG_OVERHEAD) as i32;
const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
/// First byte the checksum covers.
pub(crate) const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;

const ATTRIBUTE_CODEC_MASK: i16 = 0x07;
const ATTRIBUTE_LOG_APPEND_TIME: i16 = 1 << 3;
const ATTRIBUTE_TRANSACTIONAL: i16 = 1 << 4;
const ATTRIBUTE_CONTROL: i16 = 1 << 5;
const ATTRIBUTE_DELETE_HORIZON: i16 = 1 << 6;

/// Who set the timestamps of a batch (attribute bit 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer; every record has its own.
    CreateTime,
    /// The broker; every record has the batch's max timestamp.
    LogAppendTime,
}

/// The fixed part of a record batch, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (of the first one ever written, when compaction removed it).
    pub base_offset: Offset,
    /// Bytes after this field; at least 49.
    pub batch_length: i32,
    /// Term in which the leader appended the batch; [`LeaderEpoch::UNKNOWN`] from producers.
    pub leader_epoch: LeaderEpoch,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes to the end.
    pub crc: u32,
    /// Flags: codec, timestamp type, transactional, control, delete horizon. Unknown bits are kept.
    pub attributes: i16,
    /// Offset of the last record minus the base offset; not negative. Survives compaction.
    pub last_offset_delta: i32,
    /// What record timestamps count from; the delete horizon when [`BatchHeader::has_delete_horizon`].
    pub base_timestamp: TimestampMs,
    /// Largest record timestamp, as the producer (or the broker, for log append time) claims.
    pub max_timestamp: TimestampMs,
    /// The idempotent or transactional producer, or [`ProducerId::NONE`].
    pub producer_id: ProducerId,
    /// Epoch of that producer. Meaningless without a producer id.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record. Meaningless without a producer id.
    pub base_sequence: i32,
    /// Records in the batch; not negative. 0 only after compaction.
    pub record_count: i32,
}

impl BatchHeader {
    /// Decodes the header at the start of `bytes`.
    ///
    /// Does not check the CRC, nor that the records are all there.
    ///
    /// # Errors
    /// [`BatchError::TooShort`], [`BatchError::UnsupportedMagic`] (also when the old format's message is
    /// shorter than a v2 header), [`BatchError::UnknownMagic`], [`BatchError::BadLength`], and
    /// [`BatchError::Inconsistent`] for a negative last offset delta or record count and for offsets that
    /// overflow.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT) {
            match i8::from_be_bytes([magic]) {
                MAGIC_V2 => {}
                magic @ 0..=1 => return Err(BatchError::UnsupportedMagic { magic }),
                magic => return Err(BatchError::UnknownMagic { magic }),
            }
        }
        let too_short = BatchError::TooShort {
            needed: HEADER_LEN,
            have: bytes.len(),
        };
        let mut fields: &[u8] = bytes.first_chunk::<HEADER_LEN>().ok_or(too_short)?;
        // The getters below take exactly HEADER_LEN bytes together, so none of them can run dry.
        let header = Self {
            base_offset: Offset(fields.get_i64()),
            batch_length: fields.get_i32(),
            leader_epoch: LeaderEpoch(fields.get_i32()),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: fields.get_i16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: TimestampMs(fields.get_i64()),
            max_timestamp: TimestampMs(fields.get_i64()),
            producer_id: ProducerId(fields.get_i64()),
            producer_epoch: ProducerEpoch(fields.get_i16()),
            base_sequence: fields.get_i32(),
            record_count: fields.get_i32(),
        };
        header.check_fields()?;
        Ok(header)
    }

    fn check_fields(&self) -> Result<(), BatchError> {
        if self.batch_length < BATCH_LENGTH_MIN {
            return Err(BatchError::BadLength {
                batch_length: self.batch_length,
            });
        }
        if self.last_offset_delta < 0 {
            return Err(BatchError::Inconsistent {
                what: "last offset delta is negative",
                expected: 0,
                found: i64::from(self.last_offset_delta),
            });
        }
        if self.record_count < 0 {
            return Err(BatchError::Inconsistent {
                what: "record count is negative",
                expected: 0,
                found: i64::from(self.record_count),
            });
        }
        if self
            .base_offset
            .checked_add(i64::from(self.last_offset_delta) + 1)
            .is_none()
        {
            return Err(BatchError::Inconsistent {
                what: "base offset leaves no room for the records",
                expected: i64::MAX - i64::from(self.last_offset_delta) - 1,
                found: self.base_offset.get(),
            });
        }
        Ok(())
    }

    /// Encodes the header as [`BatchHeader::parse`] reads it.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0u8; HEADER_LEN];
        // The putters below write exactly HEADER_LEN bytes together.
        let mut fields = &mut bytes[..];
        fields.put_i64(self.base_offset.get());
        fields.put_i32(self.batch_length);
        fields.put_i32(self.leader_epoch.get());
        fields.put_i8(self.magic);
        fields.put_u32(self.crc);
        fields.put_i16(self.attributes);
        fields.put_i32(self.last_offset_delta);
        fields.put_i64(self.base_timestamp.get());
        fields.put_i64(self.max_timestamp.get());
        fields.put_i64(self.producer_id.get());
        fields.put_i16(self.producer_epoch.get());
        fields.put_i32(self.base_sequence);
        fields.put_i32(self.record_count);
        bytes
    }

    /// Returns the size of the whole batch in bytes, header included.
    #[must_use]
    pub fn total_len(&self) -> usize {
        LOG_OVERHEAD.saturating_add(usize::try_from(self.batch_length).unwrap_or(0))
    }

    /// Returns the offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(
            self.base_offset
                .get()
                .saturating_add(i64::from(self.last_offset_delta)),
        )
    }

    /// Returns the offset after the last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// Returns the codec of the records (attribute bits 0–2).
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`] for 5, 6 and 7.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let id = (self.attributes & ATTRIBUTE_CODEC_MASK) as u8;
        Compression::from_id(id).ok_or(BatchError::UnknownCodec { id })
    }

    /// Reports whether the batch belongs to a transaction (attribute bit 4).
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & ATTRIBUTE_TRANSACTIONAL != 0
    }

    /// Reports whether the batch holds a marker instead of user records (attribute bit 5).
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// Returns who set the timestamps (attribute bit 3).
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & ATTRIBUTE_LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Reports whether the base timestamp is the time from which compaction may drop tombstones (attribute
    /// bit 6, KIP-534). Record timestamps still count from it.
    #[must_use]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes & ATTRIBUTE_DELETE_HORIZON != 0
    }

    /// Reports whether a producer id is set. The epoch and the sequence mean nothing without one, and some
    /// clients leave zeros there.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > ProducerId::NONE
    }

    /// Reports whether the batch takes part in duplicate detection: a producer id and a sequence are set.
    /// Control batches have an id but no sequence.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.has_producer_id() && self.base_sequence >= 0
    }

    /// Returns the sequence number of the last record; after 2³¹−1 comes 0. −1 when the batch has none.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta.max(0));
        // Two values of at most 2³¹−1 wrap once at most, so the remainder is the wrapped sequence.
        (sum % (i64::from(i32::MAX) + 1)) as i32
    }
}

/// Attribute bits of a batch that is being built.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttributeBits(i16);

impl AttributeBits {
    pub(crate) fn codec(self, codec: Compression) -> Self {
        Self((self.0 & !ATTRIBUTE_CODEC_MASK) | i16::from(codec.id()))
    }

    pub(crate) fn timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !ATTRIBUTE_LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | ATTRIBUTE_LOG_APPEND_TIME),
        }
    }

    pub(crate) fn transactional(self) -> Self {
        Self(self.0 | ATTRIBUTE_TRANSACTIONAL)
    }

    pub(crate) fn control(self) -> Self {
        Self(self.0 | ATTRIBUTE_CONTROL)
    }

    pub(crate) fn delete_horizon(self) -> Self {
        Self(self.0 | ATTRIBUTE_DELETE_HORIZON)
    }

    pub(crate) fn without_delete_horizon(self) -> Self {
        Self(self.0 & !ATTRIBUTE_DELETE_HORIZON)
    }

    pub(crate) fn of(header: &BatchHeader) -> Self {
        Self(header.attributes)
    }

    pub(crate) fn bits(self) -> i16 {
        self.0
    }
}

#[cfg(test)]
#[path = "batch_test.rs"]
mod tests;
