//! Waits that do not run out while the broker is stopped by the test itself.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long the broker was made to stand still so far.
#[derive(Debug, Clone, Default)]
pub struct Standstill(Arc<Mutex<Stood>>);

#[derive(Debug, Default)]
struct Stood {
    before: Duration,
    since: Option<Instant>,
}

impl Standstill {
    /// Runs `act` while the broker stands still; the caller stops it before and lets it go on afterwards.
    pub fn during<T>(&self, act: impl FnOnce() -> T) -> T {
        self.stood().since = Some(Instant::now());
        let done = act();
        let mut stood = self.stood();
        if let Some(since) = stood.since.take() {
            stood.before += since.elapsed();
        }
        done
    }

    /// A wait of `length`, in which a standstill does not count.
    pub fn patience(&self, length: Duration) -> Patience {
        Patience {
            standstill: self.clone(),
            length,
            begun: Instant::now(),
            stood_before: self.so_far(),
        }
    }

    fn so_far(&self) -> Duration {
        let stood = self.stood();
        stood.before + stood.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn stood(&self) -> MutexGuard<'_, Stood> {
        self.0.lock().expect("no holder panics")
    }
}

/// A bounded wait for an answer of a broker that may be made to stand still meanwhile.
#[derive(Debug)]
pub struct Patience {
    standstill: Standstill,
    length: Duration,
    begun: Instant,
    stood_before: Duration,
}

impl Patience {
    /// True once the broker had `length` to answer.
    pub fn is_over(&self) -> bool {
        let stood = self.standstill.so_far().saturating_sub(self.stood_before);
        self.begun.elapsed().saturating_sub(stood) >= self.length
    }

    /// Begins again.
    pub fn renew(&mut self) {
        *self = self.standstill.patience(self.length);
    }
}

#[cfg(test)]
#[path = "standstill_test.rs"]
mod tests;
