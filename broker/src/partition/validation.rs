//! The checks of Kafka on one produced batch, before it may be appended. Pure: no log, no lock.
//!
//! Uncompressed batches are always walked; compressed ones only where every record must be seen (compacted topics,
//! `record.validation.strict`) or is rewritten anyway (another `compression.type`). Bytes stay as sent but for what the
//! topic's settings ask for.

use bytes::BytesMut;
use thalweg_settings::{CompressionType, TimestampType, TopicConfig};
use thalweg_types::TimestampMs;
use thalweg_wire::batch::{
    BatchHeader, LOG_OVERHEAD, TimestampType as BatchTime, patch_max_timestamp, verify_crc,
};
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{BatchFacts, Walk, check_batch, check_client_header, recompress};

use super::append::{KEY_NEEDED, ProduceError, RecordError};
use crate::topics::TopicView;

/// A batch with more bytes than this is long work whatever it holds: its checksum, and up to a record for each seven
/// bytes. A smaller one takes a fraction of a millisecond unless it has to be decompressed.
const SHORT_WORK_BYTES_MAX: usize = 128 * 1024;

/// One whole batch that passed the checks of its topic.
#[derive(Debug)]
pub struct ValidRecords {
    bytes: BytesMut,
}

impl ValidRecords {
    pub(super) fn into_bytes(self) -> BytesMut {
        self.bytes
    }
}

/// How long [`validate`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Well below half a millisecond: may run where other connections wait.
    Short,
    /// Perhaps longer, up to a second where it decompresses as far as the limits let it.
    Long,
}

/// Estimates the work from the size and from what the header says; a header that lies is found out early.
pub(super) fn work(records: &[u8], topic: &TopicView) -> Work {
    let compression = BatchHeader::parse(records).and_then(|header| header.compression());
    let long = match compression {
        Ok(Compression::None) => {
            records.len() > SHORT_WORK_BYTES_MAX || target_codec(&topic.config, Compression::None).is_some()
        }
        Ok(codec) => walk(topic, codec) == Walk::Full,
        Err(_) => false,
    };
    if long { Work::Long } else { Work::Short }
}

/// Checks one client's batch, and rewrites it where the topic's `compression.type` asks for it. Blocks for as long as
/// that takes, and needs up to twice [`CompressionLimits::output_bytes_max`] of memory meanwhile.
///
/// # Errors
/// [`ProduceError`], never one of the log's.
pub fn validate(
    mut records: BytesMut,
    topic: &TopicView,
    now: TimestampMs,
    inflate: &CompressionLimits,
) -> Result<ValidRecords, ProduceError> {
    let config = &*topic.config;
    check_size(records.len(), config)?;
    let header = check_whole_batch(&records)?;
    if header.is_control() {
        return Err(ProduceError::InvalidRecord(
            "a client may not produce control batches".into(),
        ));
    }
    check_client_header(&header)?;
    if header.timestamp_type() == BatchTime::LogAppendTime {
        return Err(ProduceError::Timestamp {
            message: "the batch says LogAppendTime, which only a broker may set; send CreateTime".into(),
            records: Vec::new(),
        });
    }
    let codec = header.compression()?;
    let facts = check_batch(&records, walk(topic, codec), inflate)?;
    if topic.is_compacted() && facts.keyless_count > 0 {
        return Err(keyless(&facts));
    }
    if config.message_timestamp_type == TimestampType::CreateTime {
        check_timestamps(&header, &facts, config, now)?;
        if facts.max_timestamp != header.max_timestamp {
            patch_max_timestamp(&mut records, facts.max_timestamp)?;
        }
    }
    if let Some((codec, level)) = target_codec(config, codec) {
        records = recompress(&records, codec, level, inflate)?;
        check_size(records.len(), config)?;
    }
    Ok(ValidRecords { bytes: records })
}

/// How deep a batch of this codec has to be looked into.
fn walk(topic: &TopicView, codec: Compression) -> Walk {
    let config = &topic.config;
    if topic.is_compacted() || config.record_validation_strict || target_codec(config, codec).is_some() {
        Walk::Full
    } else {
        Walk::Uncompressed
    }
}

fn check_size(size: usize, config: &TopicConfig) -> Result<(), ProduceError> {
    let max = usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX);
    if size > max {
        Err(ProduceError::TooLarge { size, max })
    } else {
        Ok(())
    }
}

/// Exactly one batch, whole, with a CRC that holds.
fn check_whole_batch(records: &[u8]) -> Result<BatchHeader, ProduceError> {
    if records.len() < LOG_OVERHEAD {
        return Err(ProduceError::Corrupt(format!(
            "{} bytes are no record batch",
            records.len()
        )));
    }
    let header = BatchHeader::parse(records)?;
    if header.total_len() < records.len() {
        let what = "a partition of a Produce request holds exactly one record batch";
        return Err(ProduceError::InvalidRecord(what.into()));
    }
    verify_crc(records)?;
    Ok(header)
}

/// The codec and level that the topic asks for, when the codec is another than the batch's.
fn target_codec(config: &TopicConfig, codec: Compression) -> Option<(Compression, Option<i32>)> {
    let (target, level) = match config.compression_type {
        CompressionType::Producer => return None,
        CompressionType::Uncompressed => (Compression::None, None),
        CompressionType::Gzip => (Compression::Gzip, Some(config.compression_gzip_level)),
        CompressionType::Snappy => (Compression::Snappy, None),
        CompressionType::Lz4 => (Compression::Lz4, Some(config.compression_lz4_level)),
        CompressionType::Zstd => (Compression::Zstd, Some(config.compression_zstd_level)),
    };
    (target != codec).then_some((target, level))
}

fn keyless(facts: &BatchFacts) -> ProduceError {
    let records = facts.keyless.iter().map(|index| RecordError {
        index: *index,
        message: KEY_NEEDED.to_owned(),
    });
    ProduceError::Keyless {
        records: records.collect(),
    }
}

/// A timestamp outside the bounds, of one record if the records were walked.
fn outside(message: String, index: Option<u32>) -> ProduceError {
    let records = index.map(|index| RecordError {
        index,
        message: message.clone(),
    });
    ProduceError::Timestamp {
        records: records.into_iter().collect(),
        message,
    }
}

fn check_timestamps(
    header: &BatchHeader,
    facts: &BatchFacts,
    config: &TopicConfig,
    now: TimestampMs,
) -> Result<(), ProduceError> {
    let clamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let (before, after) = (
        clamp(config.message_timestamp_before_max_ms),
        clamp(config.message_timestamp_after_max_ms),
    );
    let newest = facts.max_timestamp.max(header.max_timestamp);
    if newest.0.saturating_sub(now.0) > after {
        let what = format!(
            "timestamp {newest} is more than message.timestamp.after.max.ms ({after} ms) ahead of the broker's clock, {now}"
        );
        let place = facts
            .offset_of_max_timestamp
            .filter(|_| facts.max_timestamp == newest);
        let index = place.map(|offset| offset.get().saturating_sub(header.base_offset.get()));
        return Err(outside(what, index.and_then(|index| u32::try_from(index).ok())));
    }
    let oldest = facts.min_timestamp.unwrap_or(header.base_timestamp);
    if oldest > TimestampMs::NONE && now.0.saturating_sub(oldest.0) > before {
        let what = format!(
            "timestamp {oldest} is more than message.timestamp.before.max.ms ({before} ms) behind the broker's clock, {now}"
        );
        return Err(outside(what, facts.index_of_min_timestamp));
    }
    Ok(())
}

#[cfg(test)]
#[path = "validation_test.rs"]
mod tests;
