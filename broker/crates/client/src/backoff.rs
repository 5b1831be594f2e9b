//! Waits between retries: exponential with jitter, bounded (the shape of KIP-580).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How long to wait before the n-th retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Wait before the first retry.
    pub first: Duration,
    /// Longest wait.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            max: Duration::from_secs(1),
        }
    }
}

impl Backoff {
    /// Returns the wait before retry number `attempt` (from 0): doubled each time up to the maximum, then shortened by
    /// up to a fifth so that clients that failed together do not return together.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        self.wait_with(attempt, RandomState::new().build_hasher().finish())
    }

    fn wait_with(&self, attempt: u32, random: u64) -> Duration {
        let factor = 1u32.checked_shl(attempt.min(30)).unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(factor).min(self.max);
        let fifth = full / 5;
        let cut = u64::try_from(fifth.as_micros()).unwrap_or(u64::MAX);
        full.saturating_sub(Duration::from_micros(random % cut.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum() {
        let backoff = Backoff {
            first: Duration::from_millis(50),
            max: Duration::from_secs(1),
        };
        let waits: Vec<u128> = [0, 1, 2, 4, 5, 31, 1000]
            .map(|n| backoff.wait_with(n, 0).as_millis())
            .to_vec();
        assert_eq!(waits, [50, 100, 200, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn jitter_shortens_by_a_fifth_at_most() {
        let backoff = Backoff::default();
        for random in [0, 1, 9_999, 10_000, u64::MAX] {
            let wait = backoff.wait_with(0, random);
            assert!(
                wait >= Duration::from_millis(40) && wait <= Duration::from_millis(50),
                "{wait:?}"
            );
        }
    }
}
