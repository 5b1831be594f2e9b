//! What several admin APIs share: a refusal with its words, and work that is done to its end.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use thalweg_types::ErrorCode;
use thalweg_wire::mirror::LinkId;

use super::errors::ToErrorCode;
use super::{Charge, Context, Request};

/// A code and a sentence that says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For the client.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A refusal in the words that belong to the code.
    pub(super) fn bare(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }

    /// Returns the message as a response carries it.
    pub(super) fn text(&self) -> Option<StrBytes> {
        Some(StrBytes::from_string(self.message.clone()))
    }

    /// Logs the refusal: as an error if the broker failed, else for debugging only.
    pub(super) fn noted(self, action: &'static str, name: &str) -> Self {
        match self.code {
            ErrorCode::UnknownServerError | ErrorCode::KafkaStorageError => {
                tracing::error!(action, name, error = %self.message, "admin request failed");
            }
            _ => {
                tracing::debug!(action, name, code = %self.code, error = %self.message, "admin request refused")
            }
        }
        self
    }
}

impl<E: ToErrorCode + fmt::Display> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::new(error.error_code(), error.to_string())
    }
}

/// Reads the link that names itself in a tagged field ([`thalweg_wire::mirror::TAG`]) of an admin request.
pub(super) fn mirror_link(tag: Option<&Bytes>) -> Result<Option<LinkId>, Refusal> {
    let Some(bytes) = tag else { return Ok(None) };
    match <[u8; 16]>::try_from(&bytes[..]) {
        Ok(id) => Ok(Some(LinkId(id))),
        Err(_) => Err(Refusal::new(
            ErrorCode::InvalidRequest,
            format!("a mirror link's id has 16 bytes, not {}", bytes.len()),
        )),
    }
}

/// Runs a change as a task of its own, so that it is done to its end even if the client goes away meanwhile.
///
/// # Errors
/// The change's; UNKNOWN_SERVER_ERROR if it panicked or the broker stops.
pub(super) async fn to_the_end<T, E>(
    change: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Refusal>
where
    T: Send + 'static,
    E: Send + 'static,
    Refusal: From<E>,
{
    match tokio::spawn(change).await {
        Ok(outcome) => outcome.map_err(Refusal::from),
        Err(error) => Err(Refusal::new(
            ErrorCode::UnknownServerError,
            format!("the change stopped: {error}"),
        )),
    }
}

/// Charges what a request did; returns how long its connection is muted, also as `throttle_time_ms`.
pub(super) fn throttle(context: &Context, request: &Request, charge: Charge) -> (Duration, i32) {
    let client_id = request.header.client_id.as_deref();
    let mute = context.throttle.charge(&request.connection, client_id, charge);
    (mute, i32::try_from(mute.as_millis()).unwrap_or(i32::MAX))
}

/// Charges the time a request took.
pub(super) fn throttle_work(context: &Context, request: &Request) -> (Duration, i32) {
    throttle(context, request, Charge::WorkTime(request.received_at.elapsed()))
}

/// Returns a text of ours as a response carries it.
pub(super) fn str_bytes(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// Returns a topic's name as a response carries it.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(str_bytes(name))
}
