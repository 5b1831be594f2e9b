//! What a handler gives back, and when it may leave.
//!
//! A request is worked on in two stages. **Stage 1** is the handler itself: the connection awaits it before
//! it starts the next request, so effects (validation, offset assignment, a coordinator's step) happen in
//! arrival order. **Stage 2** is [`Reply::Later`]: waiting that must not hold up the next request (a flush, a
//! long poll, a rebalance).
//!
//! Replies leave in arrival order. Only the oldest unanswered `Later` of a connection is polled: a stage-2
//! future must wait for something that moves by itself (a ticket, a timer, a spawned task), never do the work
//! that others wait for.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use thalweg_types::ErrorCode;
use thalweg_wire::frame::Frame;

use super::ApiError;
use crate::budget::MemoryPermit;

/// The outcome of stage 1.
pub enum Reply {
    /// The response is there.
    Ready(Response),
    /// The response will be there; see the module's text for what the future may do. Dropped unfinished if
    /// the client goes away or the broker stops at once.
    Later(BoxFuture<'static, Result<Response, ApiError>>),
    /// No response is due (Produce with acks=0); the connection is muted all the same if a quota says so.
    None {
        /// As [`Response::throttle`].
        throttle: Duration,
    },
    /// No response is possible (Produce with acks=0 that failed): the connection closes after the replies
    /// before it.
    Close(String),
}

impl Reply {
    /// Wraps a stage-2 future.
    pub fn later<F>(future: F) -> Self
    where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        Self::Later(future.boxed())
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Ready(response)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(response) => f.debug_tuple("Ready").field(response).finish(),
            Self::Later(_) => f.write_str("Later"),
            Self::None { throttle } => f.debug_struct("None").field("throttle", throttle).finish(),
            Self::Close(reason) => f.debug_tuple("Close").field(reason).finish(),
        }
    }
}

/// One response frame and what the connection needs to know about it.
pub struct Response {
    /// The bytes, length field and header included.
    pub frame: Frame,
    /// How long the connection is not read after the response (KIP-219); the body's `throttle_time_ms` says
    /// the same.
    pub throttle: Duration,
    /// Memory acquired before a large response was built; smaller ones are charged when they are queued.
    pub memory: Option<MemoryPermit>,
    /// The response's top-level error, for metrics only.
    pub error: ErrorCode,
}

impl Response {
    /// Returns a response that is not throttled, holds no memory permit and reports no error.
    #[must_use]
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            throttle: Duration::ZERO,
            memory: None,
            error: ErrorCode::None,
        }
    }

    /// Mutes the connection after this response.
    #[must_use]
    pub fn throttled(mut self, throttle: Duration) -> Self {
        self.throttle = throttle;
        self
    }

    /// Attaches the memory the response was built under.
    #[must_use]
    pub fn holding(mut self, memory: MemoryPermit) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Counts the response under `result="error"` unless the code is [`ErrorCode::None`].
    #[must_use]
    pub fn with_error(mut self, error: ErrorCode) -> Self {
        self.error = error;
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("size", &self.frame.len)
            .field("throttle", &self.throttle)
            .field("memory", &self.memory)
            .field("error", &self.error)
            .finish()
    }
}
