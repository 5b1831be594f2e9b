//! The time of coordinators: starts at the wall clock and then runs evenly.
//!
//! A wall clock that jumps ahead would end every session at once; one that jumps back would keep the dead.

use std::time::Duration;

use thalweg_types::TimestampMs;
use tokio::time::Instant;

use crate::clock::Clock;

/// How often a clock that only moves by hand is looked at.
const MANUAL_LOOK: Duration = Duration::from_millis(10);

/// An even clock in wall-clock milliseconds.
#[derive(Clone, Debug)]
pub enum EvenClock {
    /// The wall clock at the start, and when that was.
    Even {
        /// The wall clock's time then.
        started_at: TimestampMs,
        /// When.
        started: Instant,
    },
    /// A test's clock, as it is.
    Manual(Clock),
}

impl EvenClock {
    /// Starts at the time of `clock`, which it does not ask again unless it is a test's.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        match clock {
            Clock::System => Self::Even {
                started_at: clock.now(),
                started: Instant::now(),
            },
            Clock::Manual(_) => Self::Manual(clock),
        }
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        match self {
            Self::Even { started_at, started } => {
                let passed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
                TimestampMs(started_at.get().saturating_add(passed))
            }
            Self::Manual(clock) => clock.now(),
        }
    }

    /// Returns when to look for what is due at `deadline`.
    #[must_use]
    pub fn wake_at(&self, deadline: TimestampMs) -> Instant {
        let left = deadline.get().saturating_sub(self.now().get());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        // A deadline beyond the range of the clock is looked at again in an hour.
        let left = left.min(Duration::from_secs(3600));
        match self {
            Self::Even { .. } => Instant::now() + left,
            Self::Manual(_) => Instant::now() + left.min(MANUAL_LOOK),
        }
    }
}
