//! Keeps log lines that strangers can cause from filling the disk.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines of one kind that are written in one [`WINDOW`].
const LINES_MAX: u32 = 10;

const WINDOW: Duration = Duration::from_secs(1);

/// Lets the first lines of each second through and counts the others.
#[derive(Debug)]
pub(super) struct LogLimit {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window_start: Instant,
    lines: u32,
    suppressed: u64,
}

impl LogLimit {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                window_start: Instant::now(),
                lines: 0,
                suppressed: 0,
            }),
        }
    }

    /// Returns how many lines were left out since the last one written, or `None` if this one is to be left
    /// out.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if now.saturating_duration_since(state.window_start) >= WINDOW {
            state.window_start = now;
            state.lines = 0;
        }
        if state.lines >= LINES_MAX {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_limit_are_counted_and_reported_by_the_next_one() {
        let limit = LogLimit::new();
        let start = Instant::now();
        for _ in 0..LINES_MAX {
            assert_eq!(limit.admit_at(start), Some(0));
        }
        assert_eq!(limit.admit_at(start), None);
        assert_eq!(limit.admit_at(start), None);
        assert_eq!(limit.admit_at(start + WINDOW), Some(2));
    }
}
