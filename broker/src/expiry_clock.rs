//! The time by which records and producer ids expire: the wall clock, but for jumps ahead.
//!
//! What is deleted does not come back when a wrong clock is set right. So the wall clock is compared with one that
//! only counts: when it runs ahead by more than that explains, the time for expiry goes on as if nothing had
//! happened, and follows the wall clock only after it stayed ahead for [`HOLD`]. A clock that goes back is believed at
//! once: things live longer, and nothing is lost.
//! Invariant: between two looks the time for expiry never gains more than what has passed plus [`TOLERANCE`], until a
//! jump was held back for [`HOLD`].

use std::time::Duration;

use parking_lot::Mutex;
use thalweg_types::TimestampMs;

/// How far the wall clock may gain between two looks: what time servers correct, and a pause of the machine.
pub const TOLERANCE: Duration = Duration::from_secs(60);
/// How long a jump ahead is not believed. Time enough for a time server, or a person, to set it right.
pub const HOLD: Duration = Duration::from_secs(3600);

/// The clock; one for a broker.
#[derive(Debug, Default)]
pub struct ExpiryClock {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// What was seen last; `None` before the first look.
    last: Option<Look>,
    /// Since when, by the counting clock, the wall clock has been ahead.
    ahead_since: Option<Duration>,
    jumps: u64,
    ahead: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    /// The time for expiry.
    shown: TimestampMs,
    counted: Duration,
}

impl ExpiryClock {
    /// Takes note of both clocks, the wall clock and one that only counts, and returns the time for expiry.
    pub fn look(&self, wall: TimestampMs, counted: Duration) -> TimestampMs {
        let mut state = self.state.lock();
        let Some(last) = state.last else {
            state.last = Some(Look { shown: wall, counted });
            return wall;
        };
        let passed = counted.saturating_sub(last.counted);
        let expected = later(last.shown, passed);
        let shown = if wall <= later(expected, TOLERANCE) {
            state.end_hold(wall);
            wall
        } else if state.held_for(counted) >= HOLD {
            tracing::warn!(
                ahead_s = between(expected, wall).as_secs(),
                "the clock has stayed ahead for {HOLD:?}: it is believed now, and what has expired by it is deleted"
            );
            state.end_hold(wall);
            wall
        } else {
            state.hold(between(expected, wall), counted);
            expected
        };
        state.last = Some(Look { shown, counted });
        shown
    }

    /// Returns how far the wall clock is ahead of the time for expiry; zero but after a jump.
    #[must_use]
    pub fn ahead(&self) -> Duration {
        self.state.lock().ahead
    }

    /// Returns how often the wall clock jumped ahead.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.state.lock().jumps
    }
}

impl State {
    fn held_for(&self, counted: Duration) -> Duration {
        self.ahead_since
            .map_or(Duration::ZERO, |since| counted.saturating_sub(since))
    }

    fn hold(&mut self, ahead: Duration, counted: Duration) {
        if self.ahead_since.is_none() {
            self.ahead_since = Some(counted);
            self.jumps += 1;
            tracing::warn!(
                ahead_s = ahead.as_secs(),
                "the clock jumped ahead: records and producer ids do not expire by it for {HOLD:?}; set it right if it is wrong"
            );
        }
        self.ahead = ahead;
    }

    fn end_hold(&mut self, wall: TimestampMs) {
        if self.ahead_since.take().is_some() {
            tracing::info!(now = wall.get(), "records expire by the wall clock again");
        }
        self.ahead = Duration::ZERO;
    }
}

fn later(time: TimestampMs, by: Duration) -> TimestampMs {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    TimestampMs(time.get().saturating_add(by))
}

fn between(from: TimestampMs, to: TimestampMs) -> Duration {
    let ms = to.get().saturating_sub(from.get());
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
#[path = "expiry_clock_test.rs"]
mod tests;
