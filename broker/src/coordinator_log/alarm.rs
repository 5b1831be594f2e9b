//! When the timer task of a coordinator wakes.

use std::sync::atomic::{AtomicI64, Ordering};

use thalweg_types::TimestampMs;
use tokio::sync::Notify;

use super::clock::EvenClock;

/// "No deadline".
pub const NEVER: i64 = i64::MAX;

/// The alarm clock of one coordinator's timer task.
#[derive(Debug)]
pub struct Alarm {
    /// When the timer task wakes; [`NEVER`] while it decides.
    wakes_at: AtomicI64,
    rung: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            wakes_at: AtomicI64::new(NEVER),
            rung: Notify::new(),
        }
    }
}

impl Alarm {
    /// Sees to it that the timer task is awake at `deadline`.
    pub fn wake_by(&self, deadline: i64) {
        if deadline < self.wakes_at.load(Ordering::SeqCst) {
            self.rung.notify_one();
        }
    }
}

/// Calls `tick` whenever something is due; it returns the next deadline. Runs for ever.
pub async fn keep_time(alarm: &Alarm, clock: &EvenClock, tick: impl Fn() -> Option<TimestampMs>) {
    loop {
        // Before the look at the shards, so that a deadline set between the look and the sleep rings the alarm.
        alarm.wakes_at.store(NEVER, Ordering::SeqCst);
        let next = tick();
        let rung = alarm.rung.notified();
        match next {
            None => rung.await,
            Some(next) => {
                alarm.wakes_at.store(next.get(), Ordering::SeqCst);
                tokio::select! {
                    () = rung => {}
                    () = tokio::time::sleep_until(clock.wake_at(next)) => {}
                }
            }
        }
    }
}
