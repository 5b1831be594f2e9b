//! One produced batch from its checks ([`super::validation`]) to its place in the log, and what a refusal is for a
//! client.

use std::sync::Arc;

use bytes::BytesMut;
use thalweg_settings::TimestampType;
use thalweg_storage::commit::SharedFrame;
use thalweg_storage::log::{AppendError, Appended, CheckedBatch, Origin, PartitionLog, VerificationGuard};
use thalweg_types::{ErrorCode, TimestampMs};
use thalweg_wire::batch::{BatchError, BatchHeader, patch_log_append_time};
use thalweg_wire::compression::CompressionError;
use thiserror::Error;

use super::validation::ValidRecords;
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
    /// Records without a key on a compacted topic.
    #[error("{KEY_NEEDED}")]
    Keyless {
        /// The records.
        records: Vec<RecordError>,
    },
    /// A timestamp outside the topic's bounds, or of the wrong type.
    #[error("{message}")]
    Timestamp {
        /// The rule.
        message: String,
        /// The record, where it is known.
        records: Vec<RecordError>,
    },
    /// Larger than `max.message.bytes`.
    #[error("a batch of {size} bytes is larger than the topic's max.message.bytes, {max}")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Limit.
        max: usize,
    },
    /// Larger than the limits on what a batch may become.
    #[error(
        "{0}; send smaller batches, or raise decompression.bytes.max or decompression.ratio.max on the broker"
    )]
    Inflated(String),
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

/// Why a compacted topic refuses a record.
pub(super) const KEY_NEEDED: &str = "a record of a compacted topic needs a key";

impl ProduceError {
    /// Returns Kafka's code.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::OldFormat(_) => ErrorCode::UnsupportedForMessageFormat,
            Self::InvalidRecord(_) | Self::InvalidRecords { .. } | Self::Keyless { .. } => {
                ErrorCode::InvalidRecord
            }
            Self::Timestamp { .. } => ErrorCode::InvalidTimestamp,
            // Java's producer splits the batch at this code and sends the parts.
            Self::TooLarge { .. } | Self::Inflated(_) => ErrorCode::MessageTooLarge,
            Self::Compression(_) => ErrorCode::UnsupportedCompressionType,
            Self::Append(error) => append_error_code(error),
        }
    }

    /// All words that metrics have for refusals.
    pub const REASONS: [&str; 10] = [
        "corrupt",
        "old_format",
        "invalid_record",
        "no_key",
        "timestamp",
        "too_large",
        "inflates_too_far",
        "codec",
        "sequence",
        "log",
    ];

    /// Returns the word that metrics have for it, one of [`ProduceError::REASONS`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Corrupt(_) => "corrupt",
            Self::OldFormat(_) => "old_format",
            Self::InvalidRecord(_) | Self::InvalidRecords { .. } => "invalid_record",
            Self::Keyless { .. } => "no_key",
            Self::Timestamp { .. } => "timestamp",
            Self::TooLarge { .. } => "too_large",
            Self::Inflated(_) => "inflates_too_far",
            Self::Compression(_) => "codec",
            Self::Append(AppendError::Sequence(_)) => "sequence",
            Self::Append(_) => "log",
        }
    }

    /// Returns the records that break a rule, where single ones do (KIP-467).
    #[must_use]
    pub fn records(&self) -> &[RecordError] {
        match self {
            Self::InvalidRecords { records, .. }
            | Self::Keyless { records }
            | Self::Timestamp { records, .. } => records,
            _ => &[],
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
            BatchError::BadRecord { index, what } => Self::InvalidRecords {
                message: text,
                records: vec![RecordError {
                    index,
                    message: what.to_owned(),
                }],
            },
            BatchError::Compression(
                CompressionError::OutputLimit { .. } | CompressionError::RatioLimit { .. },
            ) => Self::Inflated(text),
            BatchError::TrailingBytes { .. }
            | BatchError::Inconsistent { .. }
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

/// Where a client's batch went.
#[derive(Clone, Debug)]
pub struct Produced {
    /// Its place.
    pub place: Appended,
    /// The time all its records got, if the topic is in LogAppendTime.
    pub log_append_time: Option<TimestampMs>,
}

/// Appends one client's checked batch. Returns when its place is fixed; the ticket says when it is durable.
///
/// `guard` is what a batch needs that begins a transaction (see [`super::admit`]); the frame is the one that the records
/// are a part of, if they are. LogAppendTime is stamped only here, so that it follows the offsets however long the checks
/// took.
///
/// # Errors
/// [`ProduceError`]; nothing was appended then.
pub fn append_from_client(
    log: &Arc<PartitionLog>,
    topic: &TopicView,
    (valid, frame): (ValidRecords, Option<Arc<SharedFrame>>),
    guard: Option<VerificationGuard>,
    now: TimestampMs,
) -> Result<Produced, ProduceError> {
    let mut bytes: BytesMut = valid.into_bytes();
    let log_append_time = match topic.config.message_timestamp_type {
        TimestampType::LogAppendTime => {
            patch_log_append_time(&mut bytes, now)?;
            Some(now)
        }
        TimestampType::CreateTime => None,
    };
    let batch = CheckedBatch {
        header: BatchHeader::parse(&bytes)?,
        bytes,
        guard,
        frame,
    };
    let place = log.append(batch, Origin::Client, now)?.place();
    Ok(Produced {
        place,
        log_append_time,
    })
}
