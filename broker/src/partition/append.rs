//! One produced batch, from its bytes to its place in the log: the checks of Kafka, then the append.
//!
//! Uncompressed batches are always walked; compressed ones only where every record must be seen (compacted
//! topics) or is rewritten anyway (another `compression.type`). Bytes are stored as sent but for what the
//! topic's settings ask for.

use std::sync::Arc;

use bytes::BytesMut;
use thalweg_settings::{CompressionType, TimestampType, TopicConfig};
use thalweg_storage::log::{AppendError, Appended, CheckedBatch, Origin, PartitionLog, VerificationGuard};
use thalweg_types::{ErrorCode, TimestampMs};
use thalweg_wire::batch::{
    BatchError, BatchHeader, LOG_OVERHEAD, patch_log_append_time, patch_max_timestamp, verify_crc,
};
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{BatchFacts, Walk, check_batch, check_client_header, recompress};
use thiserror::Error;

use crate::topics::TopicView;

/// Why a batch was refused.
#[derive(Clone, Debug, Error)]
pub enum ProduceError {
    /// The bytes are not what they say.
    #[error("{0}")]
    Corrupt(String),
    /// Format v0 or v1, which clients older than 0.11 send.
    #[error("{0}; use a client of Kafka 0.11 or newer")]
    OldFormat(String),
    /// Not exactly one batch, or the batch breaks a rule.
    #[error("{0}")]
    InvalidRecord(String),
    /// Records that break a rule, by index.
    #[error("{message}")]
    InvalidRecords {
        /// The rule.
        message: String,
        /// The records.
        records: Vec<RecordError>,
    },
    /// A timestamp outside the topic's bounds.
    #[error("{0}")]
    Timestamp(String),
    /// Larger than `max.message.bytes`.
    #[error("a batch of {size} bytes is larger than the topic's max.message.bytes, {max}")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Limit.
        max: usize,
    },
    /// A codec nobody knows.
    #[error("{0}")]
    Compression(String),
    /// The log refused it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// One record that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Index in the batch, from 0.
    pub index: u32,
    /// What is wrong.
    pub message: String,
}

impl ProduceError {
    /// Returns Kafka's code.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::OldFormat(_) => ErrorCode::UnsupportedForMessageFormat,
            Self::InvalidRecord(_) | Self::InvalidRecords { .. } => ErrorCode::InvalidRecord,
            Self::Timestamp(_) => ErrorCode::InvalidTimestamp,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Compression(_) => ErrorCode::UnsupportedCompressionType,
            Self::Append(error) => append_error_code(error),
        }
    }
}

/// Returns Kafka's code for a refused append.
#[must_use]
pub fn append_error_code(error: &AppendError) -> ErrorCode {
    use thalweg_storage::log::producers::SequenceError;
    match error {
        AppendError::Closed => ErrorCode::NotLeaderOrFollower,
        AppendError::WriteState { .. } => ErrorCode::PolicyViolation,
        AppendError::Sequence(SequenceError::StaleEpoch { .. }) => ErrorCode::InvalidProducerEpoch,
        AppendError::Sequence(SequenceError::OutOfOrder { .. }) => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::MirrorEnd { .. } | AppendError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        AppendError::TransactionState { .. } => ErrorCode::InvalidTxnState,
        // Every producer sends the batch again, and looks for no other leader.
        AppendError::TransactionEnding { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::OffsetsExhausted => ErrorCode::InvalidRequest,
        AppendError::Batch(_) => ErrorCode::CorruptMessage,
        AppendError::Commit(_) => ErrorCode::KafkaStorageError,
    }
}

impl From<BatchError> for ProduceError {
    fn from(error: BatchError) -> Self {
        let text = error.to_string();
        match error {
            BatchError::UnsupportedMagic { .. } => Self::OldFormat(text),
            BatchError::UnknownCodec { .. } => Self::Compression(text),
            BatchError::TrailingBytes { .. }
            | BatchError::Inconsistent { .. }
            | BatchError::BadRecord { .. }
            | BatchError::TooLarge { .. } => Self::InvalidRecord(text),
            BatchError::TooShort { .. }
            | BatchError::Truncated { .. }
            | BatchError::UnknownMagic { .. }
            | BatchError::BadLength { .. }
            | BatchError::CrcMismatch { .. }
            | BatchError::Compression(_) => Self::Corrupt(text),
        }
    }
}

/// One batch of a client, unchecked.
#[derive(Debug)]
pub struct ClientBatch {
    /// Its bytes.
    pub records: BytesMut,
    /// What a batch needs that begins a transaction (see [`super::admit`]).
    pub guard: Option<VerificationGuard>,
}

impl From<BytesMut> for ClientBatch {
    fn from(records: BytesMut) -> Self {
        Self { records, guard: None }
    }
}

/// Appends one client's batch. Returns when its place is fixed; the ticket says when it is durable.
///
/// # Errors
/// [`ProduceError`]; nothing was appended then.
pub fn append_from_client(
    log: &Arc<PartitionLog>,
    topic: &TopicView,
    batch: ClientBatch,
    now: TimestampMs,
    inflate: &CompressionLimits,
) -> Result<Produced, ProduceError> {
    let prepared = prepare(batch.records, topic, now, inflate)?.verified(batch.guard);
    let log_append_time = match topic.config.message_timestamp_type {
        TimestampType::LogAppendTime => Some(now),
        TimestampType::CreateTime => None,
    };
    let place = log.append(prepared, Origin::Client, now)?.place();
    Ok(Produced {
        place,
        log_append_time,
    })
}

/// Where a client's batch went.
#[derive(Clone, Debug)]
pub struct Produced {
    /// Its place.
    pub place: Appended,
    /// The time all its records got, if the topic is in LogAppendTime.
    pub log_append_time: Option<TimestampMs>,
}

fn prepare(
    mut records: BytesMut,
    topic: &TopicView,
    now: TimestampMs,
    inflate: &CompressionLimits,
) -> Result<CheckedBatch, ProduceError> {
    let config = &topic.config;
    check_size(records.len(), config)?;
    let header = check_whole_batch(&records)?;
    if header.is_control() {
        return Err(ProduceError::InvalidRecord(
            "a client may not produce control batches".into(),
        ));
    }
    check_client_header(&header)?;
    let codec = header.compression()?;
    let target = target_codec(config.compression_type, codec);
    let walk = if topic.is_compacted() || target.is_some() {
        Walk::Full
    } else {
        Walk::Uncompressed
    };
    let facts = check_batch(&records, walk, inflate)?;
    if topic.is_compacted() && facts.keyless_count > 0 {
        return Err(keyless(&facts));
    }
    match config.message_timestamp_type {
        TimestampType::CreateTime => {
            check_timestamps(&header, &facts, config, now)?;
            if facts.max_timestamp != header.max_timestamp {
                patch_max_timestamp(&mut records, facts.max_timestamp)?;
            }
        }
        TimestampType::LogAppendTime => patch_log_append_time(&mut records, now)?,
    }
    if let Some((codec, level)) = target {
        let level = level.and_then(|level| codec.level_range().filter(|r| r.contains(&level)).map(|_| level));
        records = recompress(&records, codec, level, inflate)?;
        check_size(records.len(), config)?;
    }
    Ok(CheckedBatch {
        header: BatchHeader::parse(&records)?,
        bytes: records,
        guard: None,
    })
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

/// The codec that the topic asks for, when it is another than the batch's.
fn target_codec(wanted: CompressionType, codec: Compression) -> Option<(Compression, Option<i32>)> {
    let target = match wanted {
        CompressionType::Producer => return None,
        CompressionType::Uncompressed => Compression::None,
        CompressionType::Gzip => Compression::Gzip,
        CompressionType::Snappy => Compression::Snappy,
        CompressionType::Lz4 => Compression::Lz4,
        CompressionType::Zstd => Compression::Zstd,
    };
    (target != codec).then_some((target, None))
}

fn keyless(facts: &BatchFacts) -> ProduceError {
    let message = "a record of a compacted topic needs a key".to_owned();
    let records = facts
        .keyless
        .iter()
        .map(|index| RecordError {
            index: *index,
            message: message.clone(),
        })
        .collect();
    ProduceError::InvalidRecords { message, records }
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
        return Err(ProduceError::Timestamp(format!(
            "timestamp {newest} is more than message.timestamp.after.max.ms ({after} ms) ahead of the broker's clock, {now}"
        )));
    }
    let oldest = facts.min_timestamp.unwrap_or(header.base_timestamp);
    if oldest > TimestampMs::NONE && now.0.saturating_sub(oldest.0) > before {
        return Err(ProduceError::Timestamp(format!(
            "timestamp {oldest} is more than message.timestamp.before.max.ms ({before} ms) behind the broker's clock, {now}"
        )));
    }
    Ok(())
}
