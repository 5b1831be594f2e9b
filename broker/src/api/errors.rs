//! From failures to what a client sees: the only map from domain errors to Kafka's error codes.
//!
//! Domain errors know nothing of Kafka. Each gets one `impl ToErrorCode` here, with an exhaustive `match`
//! without a wildcard, so that a new variant does not compile until somebody decided its code.

use kafka_protocol::messages::ApiKey;
use thalweg_types::ErrorCode;
use thalweg_wire::frame::FrameError;
use thalweg_wire::guard::DecodeError;
use thiserror::Error;

use super::Response;
use crate::broker_configs::BrokerConfigError;
use crate::partition::{ProducerIdError, append_error_code};
use crate::topics::TopicError;
use crate::transactions::MarkerError;
use thalweg_settings::SettingError;

/// Why a handler has no ordinary reply.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The body is not what its version says: the connection closes.
    #[error("malformed {api:?} request: {cause}")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// What is wrong, with the field and its position.
        cause: DecodeError,
    },
    /// A response could not be encoded: a mistake of ours. The connection closes, since the client waits for
    /// a reply that cannot be made.
    #[error("{cause}; this is a defect of the broker")]
    Encode {
        /// The message, its version and what does not fit.
        cause: FrameError,
    },
    /// The request breaks a rule that has no error code, or the client cannot be told: the connection closes.
    #[error("{0}")]
    Refused(String),
    /// An early answer: lets a handler leave with `?` from deep inside its checks. It is sent as any other
    /// response.
    #[error("answered with {}", .0.error)]
    Answer(Box<Response>),
}

impl ApiError {
    /// Closes the connection; the text goes to the log.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<Response> for ApiError {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

/// Returns the code of a refusal by the transaction coordinator, for those below `api` that speak for a client.
#[must_use]
pub fn transaction_error_code(error: thalweg_coordinator::transaction::TransactionError) -> ErrorCode {
    error.error_code()
}

/// A domain error that a client can be told about.
pub trait ToErrorCode {
    /// Returns the code Kafka uses for this failure.
    fn error_code(&self) -> ErrorCode;
}

/// A body inside a body (group metadata, embedded schemas) that cannot be decoded.
impl ToErrorCode for DecodeError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Guard(_) | Self::Content { .. } => ErrorCode::InvalidRequest,
        }
    }
}

/// A group request, or a part of it, that the coordinator refused.
impl ToErrorCode for thalweg_coordinator::group::GroupError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::InvalidGroupId => ErrorCode::InvalidGroupId,
            Self::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            Self::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            Self::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            Self::GroupsMaxReached => ErrorCode::PolicyViolation,
            Self::UnknownMemberId => ErrorCode::UnknownMemberId,
            Self::MemberIdRequired => ErrorCode::MemberIdRequired,
            Self::FencedInstanceId => ErrorCode::FencedInstanceId,
            Self::IllegalGeneration => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            Self::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            Self::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
            Self::TransactionEnded => ErrorCode::InvalidTxnState,
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::GroupRecordTooLarge => ErrorCode::UnknownServerError,
        }
    }
}

/// A request of a transactional producer that the coordinator refused.
impl ToErrorCode for thalweg_coordinator::transaction::TransactionError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::CoordinatorLoadInProgress => ErrorCode::CoordinatorLoadInProgress,
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            Self::CoordinatorNotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::InvalidTransactionTimeout => ErrorCode::InvalidTransactionTimeout,
            Self::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            Self::ProducerFenced => ErrorCode::ProducerFenced,
            Self::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            Self::InvalidTxnState => ErrorCode::InvalidTxnState,
            Self::TransactionAbortable => ErrorCode::TransactionAbortable,
            Self::TransactionalIdNotFound => ErrorCode::TransactionalIdNotFound,
            Self::TransactionalIdsMaxReached | Self::TransactionTooLarge => ErrorCode::PolicyViolation,
        }
    }
}

/// A marker that is in no log.
impl ToErrorCode for MarkerError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Self::Append(error) => append_error_code(error),
        }
    }
}

/// Topics: create, delete, grow, alter.
impl ToErrorCode for TopicError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Name(_) => ErrorCode::InvalidTopicException,
            Self::Exists { .. } => ErrorCode::TopicAlreadyExists,
            Self::Unknown => ErrorCode::UnknownTopicOrPartition,
            Self::Partitions(_) => ErrorCode::InvalidPartitions,
            Self::ReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::Config(_) | Self::FixedAtCreation { .. } | Self::Mirror(_) => ErrorCode::InvalidConfig,
            Self::OwnedByLink(_) => ErrorCode::PolicyViolation,
            Self::Internal { .. } => ErrorCode::InvalidRequest,
            // Retriable; nothing of the change was made.
            Self::Conflict => ErrorCode::RequestTimedOut,
            Self::DiskFull(_) => ErrorCode::KafkaStorageError,
            Self::Failed(_) => ErrorCode::UnknownServerError,
        }
    }
}

/// Dynamic broker settings. Kafka answers INVALID_REQUEST for what is wrong with a broker's key.
impl ToErrorCode for BrokerConfigError {
    fn error_code(&self) -> ErrorCode {
        match self {
            Self::Setting(SettingError::NotAList { .. }) => ErrorCode::InvalidConfig,
            Self::Setting(_) => ErrorCode::InvalidRequest,
            Self::Conflict => ErrorCode::RequestTimedOut,
            Self::DiskFull(_) => ErrorCode::KafkaStorageError,
            Self::Failed(_) => ErrorCode::UnknownServerError,
        }
    }
}

/// A block of producer ids could not be made durable. Of the codes on which producers ask again, this is the one
/// that does not send those without a transactional id to look for a coordinator.
impl ToErrorCode for ProducerIdError {
    fn error_code(&self) -> ErrorCode {
        ErrorCode::CoordinatorLoadInProgress
    }
}
