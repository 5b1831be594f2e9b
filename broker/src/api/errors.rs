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
