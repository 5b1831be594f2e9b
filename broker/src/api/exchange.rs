//! What is left of a request once its body is decoded: who asks, what he may do, and how he is answered.
//!
//! For handlers whose replies are small and whose waiting holds no request bytes: making an [`Exchange`] gives the
//! frame's memory back.

use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::protocol::{Encodable, StrBytes};
use thalweg_types::ErrorCode;

use super::request::{ConnectionInfo, Request, RequestHeader};
use super::{Access, ApiError, Charge, Context, Operation, Resource, Response, respond};

/// One request under way.
pub(super) struct Exchange {
    pub(super) context: Arc<Context>,
    pub(super) header: RequestHeader,
    pub(super) connection: Arc<ConnectionInfo>,
    started: Instant,
}

impl Exchange {
    /// Takes over from the request, whose body has been decoded and copied.
    pub(super) fn new(context: Arc<Context>, request: Request) -> Self {
        Self {
            context,
            header: request.header,
            connection: request.connection,
            started: Instant::now(),
        }
    }

    pub(super) fn version(&self) -> i16 {
        self.header.api_version
    }

    pub(super) fn authorize(&self, operation: Operation, resource: Resource<'_>) -> Access {
        self.context
            .authorizer
            .authorize(&self.connection, operation, resource)
    }

    pub(super) fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.authorize(operation, resource).is_allowed()
    }

    /// Ends stage 1: charges the work done so far. Waiting is not work.
    pub(super) fn charged(self) -> Charged {
        let client_id = self.header.client_id.as_deref();
        let work = Charge::WorkTime(self.started.elapsed());
        let throttle = self.context.throttle.charge(&self.connection, client_id, work);
        Charged {
            header: self.header,
            throttle,
        }
    }
}

/// An exchange that only lacks its answer.
pub(super) struct Charged {
    header: RequestHeader,
    throttle: std::time::Duration,
}

impl Charged {
    pub(super) fn version(&self) -> i16 {
        self.header.api_version
    }

    /// What `throttle_time_ms` says.
    pub(super) fn throttle_ms(&self) -> i32 {
        i32::try_from(self.throttle.as_millis()).unwrap_or(i32::MAX)
    }

    /// Says that the answer has the same form in another version, which the message crate can write.
    pub(super) fn in_form_of(mut self, version: i16) -> Self {
        self.header.api_version = version;
        self
    }

    /// Answers; `error` is the one that metrics count.
    pub(super) fn answer<T: Encodable>(self, body: &T, error: ErrorCode) -> Result<Response, ApiError> {
        Ok(respond(&self.header, body)?
            .throttled(self.throttle)
            .with_error(error))
    }
}

/// Text for the wire.
pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
