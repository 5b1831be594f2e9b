//! Building a batch record by record.

use bytes::BytesMut;
use thalweg_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::recompress::assemble;
use super::varint;
use crate::batch::{AttributeBits, BatchError, BatchHeader, MAGIC_V2, TimestampType};
use crate::compression::{Compression, compress};

/// The idempotent or transactional producer a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerStamp {
    /// The producer id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record; −1 for control batches.
    pub base_sequence: i32,
}

/// Whether a batch belongs to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transactionality {
    /// It stands for itself.
    #[default]
    NonTransactional,
    /// It is visible to read-committed readers once its transaction commits.
    Transactional,
}

/// What the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchContent {
    /// User records.
    #[default]
    Records,
    /// A marker, which consumers do not show.
    Control,
}

/// The header fields that are known before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Who sets the timestamps.
    pub timestamp_type: TimestampType,
    /// What record timestamps count from; `None`: the first record's timestamp.
    pub base_timestamp: Option<TimestampMs>,
    /// Codec of the records.
    pub compression: Compression,
    /// Level of the codec; `None`: its default.
    pub level: Option<i32>,
    /// The producer, if it is idempotent.
    pub producer: Option<ProducerStamp>,
    /// Whether the batch is part of a transaction.
    pub transactionality: Transactionality,
    /// User records or a marker.
    pub content: BatchContent,
}

impl Default for BatchOptions {
    /// Uncompressed user records with their own timestamps, from a producer without idempotence.
    fn default() -> Self {
        Self {
            timestamp_type: TimestampType::CreateTime,
            base_timestamp: None,
            compression: Compression::None,
            level: None,
            producer: None,
            transactionality: Transactionality::default(),
            content: BatchContent::default(),
        }
    }
}

/// Collects records and makes one batch of them: base offset 0, leader epoch unknown, as producers send it.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    options: BatchOptions,
    records: Vec<u8>,
    record_count: i32,
    base_timestamp: Option<TimestampMs>,
    max_timestamp: TimestampMs,
}

impl BatchBuilder {
    /// Starts an empty batch.
    #[must_use]
    pub fn new(options: BatchOptions) -> Self {
        Self {
            base_timestamp: options.base_timestamp,
            options,
            records: Vec::new(),
            record_count: 0,
            max_timestamp: TimestampMs::NONE,
        }
    }

    /// Returns the number of records so far.
    #[must_use]
    pub fn record_count(&self) -> usize {
        usize::try_from(self.record_count).unwrap_or(0)
    }

    /// Reports whether no record was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Returns the size in bytes of the records so far, before compression and without the header.
    #[must_use]
    pub fn records_bytes(&self) -> usize {
        self.records.len()
    }

    /// Appends a record. `None` is null; header keys may repeat.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] if a length, the timestamp's distance or the number of records exceeds the
    /// format; the batch stays as it was.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) -> Result<(), BatchError> {
        let base = self.base_timestamp.unwrap_or(timestamp);
        let timestamp_delta = timestamp
            .get()
            .checked_sub(base.get())
            .ok_or(BatchError::TooLarge {
                what: "the distance of a record's timestamp from the base",
            })?;
        let offset_delta = i64::from(self.record_count);
        let next_count = self.record_count.checked_add(1).ok_or(BatchError::TooLarge {
            what: "the number of records",
        })?;
        let header_count = length(headers.len(), "the number of headers")?;

        let mut body_len = 1 + varint::size(timestamp_delta) + varint::size(offset_delta);
        body_len = body_len.saturating_add(nullable_size(key, "a key")?);
        body_len = body_len.saturating_add(nullable_size(value, "a value")?);
        body_len = body_len.saturating_add(varint::size(header_count));
        for (name, value) in headers {
            body_len = body_len.saturating_add(nullable_size(Some(name), "a header key")?);
            body_len = body_len.saturating_add(nullable_size(*value, "a header value")?);
        }
        let body_length = length(body_len, "a record")?;
        // The length itself takes at most 5 bytes more.
        length(
            self.records.len().saturating_add(body_len).saturating_add(5),
            "the size of the batch",
        )?;

        let output = &mut self.records;
        output.reserve(body_len + 5);
        varint::put(output, body_length);
        output.push(0);
        varint::put(output, timestamp_delta);
        varint::put(output, offset_delta);
        put_nullable(output, key);
        put_nullable(output, value);
        varint::put(output, header_count);
        for (name, value) in headers {
            put_nullable(output, Some(name));
            put_nullable(output, *value);
        }
        self.record_count = next_count;
        self.base_timestamp = Some(base);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    /// Compresses the records and returns the whole batch with its checksum.
    ///
    /// # Errors
    /// [`BatchError::Inconsistent`] without a record; those of [`compress`]; [`BatchError::TooLarge`].
    pub fn build(self) -> Result<BytesMut, BatchError> {
        if self.record_count == 0 {
            return Err(BatchError::Inconsistent {
                what: "record count of a new batch",
                expected: 1,
                found: 0,
            });
        }
        let options = &self.options;
        let mut attributes = AttributeBits::default()
            .codec(options.compression)
            .timestamp_type(options.timestamp_type);
        if options.transactionality == Transactionality::Transactional {
            attributes = attributes.transactional();
        }
        if options.content == BatchContent::Control {
            attributes = attributes.control();
        }
        let none = ProducerStamp {
            id: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            base_sequence: -1,
        };
        let producer = options.producer.unwrap_or(none);
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            batch_length: 0,
            leader_epoch: LeaderEpoch::UNKNOWN,
            magic: MAGIC_V2,
            crc: 0,
            attributes: attributes.bits(),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp.unwrap_or(TimestampMs::NONE),
            max_timestamp: self.max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            record_count: self.record_count,
        };
        match options.compression {
            Compression::None => assemble(header, &self.records),
            codec => assemble(header, &compress(codec, options.level, &self.records)?),
        }
    }
}

/// Returns a length as the format's 32-bit number.
fn length(bytes: usize, what: &'static str) -> Result<i64, BatchError> {
    i32::try_from(bytes)
        .map(i64::from)
        .map_err(|_| BatchError::TooLarge { what })
}

fn nullable_size(piece: Option<&[u8]>, what: &'static str) -> Result<usize, BatchError> {
    match piece {
        None => Ok(1),
        Some(piece) => Ok(varint::size(length(piece.len(), what)?) + piece.len()),
    }
}

/// Writes a length that [`nullable_size`] has checked, and the bytes.
fn put_nullable(output: &mut Vec<u8>, piece: Option<&[u8]>) {
    match piece {
        None => varint::put(output, -1),
        Some(piece) => {
            varint::put(output, piece.len() as i64);
            output.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
#[path = "build_test.rs"]
mod tests;
