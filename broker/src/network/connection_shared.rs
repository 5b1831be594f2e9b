//! What the two halves of a connection share, and what the connection is allowed.
//!
//! Owns the counters and times that one half writes and the other reads, the limits that follow from
//! authentication, and the log lines about a connection that is closed for a reason.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::frame_reader::FrameLimit;
use super::listener::ServeHandles;
use crate::api::table::Row;
use crate::api::{ApiError, ConnectionInfo};

/// Largest frame before authentication.
const FRAME_SIZE_MAX_BEFORE_AUTHENTICATION: usize = 64 * 1024;

/// What a connection has to prove before it may use the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthState {
    /// The listener asks for nothing.
    NotRequired,
    /// Only small frames are taken until SASL succeeds.
    Pending,
    /// SASL succeeded.
    Authenticated,
}

impl AuthState {
    /// Returns the largest frame in this state.
    #[must_use]
    pub fn frame_limit(self, handles: &ServeHandles) -> FrameLimit {
        let by_setting = FrameLimit {
            size_max: handles.settings.request_size_max,
            advice: "socket.request.max.bytes raises it",
        };
        let by_budget = FrameLimit {
            size_max: usize::try_from(handles.budget.frame_max()).unwrap_or(usize::MAX),
            advice: "it is half of memory.budget.bytes, which raises it",
        };
        let by_authentication = FrameLimit {
            size_max: match self {
                Self::Pending => FRAME_SIZE_MAX_BEFORE_AUTHENTICATION,
                Self::NotRequired | Self::Authenticated => usize::MAX,
            },
            advice: "it is higher after authentication",
        };
        // The first of equals wins, so that the setting is named that most people know.
        let limits = [by_setting, by_budget, by_authentication];
        limits
            .into_iter()
            .min_by_key(|limit| limit.size_max)
            .unwrap_or(by_setting)
    }
}

/// What the two halves of a connection share.
#[derive(Debug)]
pub(super) struct ConnectionShared {
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) serve: Arc<ServeHandles>,
    pub(super) unsent: Unsent,
    muted_until: Mutex<Option<Instant>>,
    reply_sent_at: Mutex<Instant>,
}

/// Bytes of replies that are queued and not written.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: AtomicU64,
    sank: Notify,
}

impl Unsent {
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(super) fn subtract(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.sank.notify_one();
    }

    /// Waits until no more than `limit` bytes are queued. One waiter: the reading half.
    pub(super) async fn at_most(&self, limit: u64) {
        while self.bytes.load(Ordering::Acquire) > limit {
            self.sank.notified().await;
        }
    }
}

impl ConnectionShared {
    pub(super) fn new(info: Arc<ConnectionInfo>, serve: Arc<ServeHandles>) -> Self {
        Self {
            info,
            serve,
            unsent: Unsent::default(),
            muted_until: Mutex::new(None),
            reply_sent_at: Mutex::new(Instant::now()),
        }
    }

    /// Keeps the next request from being handled for that long (KIP-219).
    pub(super) fn mute_for(&self, throttle: Duration) {
        if throttle.is_zero() {
            return;
        }
        let until = Instant::now().checked_add(throttle);
        let mut muted_until = self.muted_until.lock();
        *muted_until = (*muted_until).max(until);
    }

    pub(super) fn note_reply_sent(&self) {
        *self.reply_sent_at.lock() = Instant::now();
    }

    /// Returns when a reply last left; the start of the connection if none has.
    pub(super) fn reply_sent_at(&self) -> Instant {
        *self.reply_sent_at.lock()
    }

    /// Waits until the connection may be served again.
    pub(super) async fn unmuted(&self) {
        loop {
            let until = *self.muted_until.lock();
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Logs why a request has no reply: once, here, where the connection is about to be closed for it.
    pub(super) fn log_failure(&self, row: &Row, error: &ApiError) {
        match error {
            // A defect of ours, which a person should see every time.
            ApiError::Encode { .. } => {
                tracing::error!(connection = %self.info, api = row.name, %error, "closed");
            }
            ApiError::Malformed { .. } | ApiError::Refused(_) | ApiError::Answer(_) => {
                self.log_refusal(row.name, error);
            }
        }
    }

    pub(super) fn log_panic(&self, row: &Row, panic: &(dyn Any + Send)) {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("(no text)");
        tracing::error!(connection = %self.info, api = row.name, panic = text, "closed: a handler panicked");
    }

    /// Logs why the other end is sent away; strangers can cause this, so the lines are limited.
    pub(super) fn log_refusal(&self, api: &str, reason: &dyn std::fmt::Display) {
        if let Some(suppressed) = self.serve.refusal_log.admit() {
            tracing::warn!(connection = %self.info, api, %reason, suppressed, "closed");
        }
    }
}
