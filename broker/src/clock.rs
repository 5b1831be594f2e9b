//! What time it is, as a value that tests can set.
//!
//! Owns wall-clock time only (record timestamps, retention, group deadlines that are written down). Waiting
//! is tokio's business: tests that need it under control pause the runtime's clock instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use thalweg_types::TimestampMs;

/// The wall clock; clones show the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock. It may jump, both ways.
    #[default]
    System,
    /// Shows what was last set; for tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Returns a clock that stands at `now` until [`Clock::set`].
    #[must_use]
    pub fn manual(now: TimestampMs) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.get())))
    }

    /// Returns the time now. A machine clock before 1970 or past the range of the type is clamped.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual(now) => TimestampMs(now.load(Ordering::Acquire)),
        }
    }

    /// Sets a manual clock; does nothing to the machine's.
    pub fn set(&self, now: TimestampMs) {
        if let Self::Manual(shown) = self {
            shown.store(now.get(), Ordering::Release);
        }
    }
}
