//! The cleaner: compacts the dirtiest logs, again and again, at the rate the settings allow.
//!
//! Owns when, how many at a time and how fast; what is cleaned and how is the engine's. Up to `log.cleaner.threads` logs
//! at a time, each on a thread that may block and never two threads on one log; rate and memory are those of the
//! settings for all of them together. 0 threads pause it; a change counts from the next log on. Nothing here can stop
//! the broker: a log that cannot be cleaned is told of by the engine, and the others go on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;
use thalweg_settings::Settings;
use thalweg_storage::cleaner::{CleanError, CleanParts, MapLimits, Pace};
use thalweg_storage::engine::{CleanTurn, LogEngine};
use thalweg_telemetry::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{Instant as Moment, sleep_until};

use crate::api::codec::compression_limits;
use crate::clock::Clock;
use crate::live_settings::LiveSettings;

/// Debts below this are not slept off at once: a sleep of less is not worth a switch.
const SLEEP_MIN: Duration = Duration::from_millis(5);
/// A longer sleep is interrupted to see whether the broker stops, or may go faster now.
const SLEEP_MAX: Duration = Duration::from_millis(100);
/// The shortest wait between two turns without work, whatever `log.cleaner.backoff.ms` says.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// More threads than this clean no faster on any disk, and each holds buffers.
const THREADS_MAX: u32 = 64;

/// Runs until the broker stops. To be spawned once.
pub async fn run(engine: Arc<LogEngine>, settings: LiveSettings, shutdown: Shutdown) {
    if !settings.current().log_cleaner_enable() {
        tracing::warn!(
            "log.cleaner.enable is false: compacted topics, __consumer_offsets among them, grow for ever"
        );
        return;
    }
    let throttle = Arc::new(Mutex::new(Throttle::new(Instant::now())));
    let mut changes = settings.watch();
    let mut turns = JoinSet::new();
    let mut resting_until = Moment::now();
    while !shutdown.is_requested() {
        let threads = threads_of(&settings.current());
        let is_resting = resting_until > Moment::now();
        while !is_resting && turns.len() < threads {
            let (engine, settings, shutdown) = (engine.clone(), settings.clone(), shutdown.clone());
            let throttle = throttle.clone();
            turns.spawn_blocking(move || turn(&engine, (&settings, &throttle), &shutdown));
        }
        // All may be dropped: a turn that ended stays in the set, the others only wake.
        tokio::select! {
            Some(ended) = turns.join_next() => {
                let next = ended.unwrap_or_else(|error| {
                    tracing::error!(%error, "a turn of the cleaner failed; the next one goes on");
                    Next::AfterBackoff
                });
                let backoff = settings.current().log_cleaner_backoff_ms().max(BACKOFF_MIN);
                resting_until = match next {
                    Next::AtOnce => Moment::now(),
                    Next::AfterBackoff => Moment::now() + backoff,
                };
            }
            () = sleep_until(resting_until), if is_resting => {}
            Ok(()) = changes.changed() => {}
            () = shutdown.requested() => {}
        }
    }
    // Each ends at its next step.
    while turns.join_next().await.is_some() {}
}

/// How many logs may be cleaned at a time.
fn threads_of(settings: &Settings) -> usize {
    settings.log_cleaner_threads().min(THREADS_MAX) as usize
}

/// When the next turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    AtOnce,
    AfterBackoff,
}

/// Cleans the dirtiest log, if one is worth it that no other turn cleans.
fn turn(
    engine: &LogEngine,
    (live, throttle): (&LiveSettings, &Mutex<Throttle>),
    shutdown: &Shutdown,
) -> Next {
    let settings = live.current();
    let pace = |bytes: u64| {
        let rate = live.current().log_cleaner_io_max_bytes_per_second();
        let debt = throttle.lock().spend(bytes, rate, Instant::now());
        sleep_off(debt, shutdown)
    };
    let begun = Instant::now();
    match engine.clean_next(&parts(&settings, &pace)) {
        CleanTurn::Idle => Next::AfterBackoff,
        CleanTurn::Cleaned(log, report) if report.segments_replaced == 0 => {
            tracing::debug!(?log, clean_to = report.first_dirty.0, "nothing to compact");
            Next::AtOnce
        }
        CleanTurn::Cleaned(log, report) => {
            tracing::info!(
                topic = %log.topic(), partition = log.id().partition.0, segments = report.segments_replaced,
                before = report.bytes_replaced, after = report.bytes_written, records = report.records.records_read,
                kept = report.records.records_kept, clean_to = report.first_dirty.0,
                millis = begun.elapsed().as_millis() as u64, "compacted"
            );
            Next::AtOnce
        }
        CleanTurn::Failed(log, error) => {
            match error {
                // Told of as a problem, once.
                CleanError::Corrupt { .. } | CleanError::Io { .. } => return Next::AtOnce,
                CleanError::Overtaken | CleanError::Stopped => tracing::debug!(?log, %error, "not compacted"),
                CleanError::Later(_) => tracing::warn!(?log, %error, "not compacted; it is tried again"),
            }
            Next::AfterBackoff
        }
    }
}

fn parts<'a>(settings: &Settings, pace: &'a (dyn Fn(u64) -> Pace + Sync)) -> CleanParts<'a> {
    // A turn that began with fewer threads keeps its larger share until it ends.
    let share = threads_of(settings).max(1);
    let all_keys = usize::try_from(settings.log_cleaner_dedupe_buffer_size()).unwrap_or(usize::MAX);
    let all_reads = usize::try_from(settings.log_cleaner_io_buffer_size()).unwrap_or(usize::MAX);
    CleanParts {
        now: Clock::System.now(),
        inflate: compression_limits(settings),
        map: MapLimits {
            bytes: all_keys / share,
            load_factor: settings.log_cleaner_io_buffer_load_factor(),
        },
        read_bytes: all_reads / share,
        random: rand::rng().random(),
        pace,
    }
}

fn sleep_off(debt: Duration, shutdown: &Shutdown) -> Pace {
    let mut left = debt;
    loop {
        if shutdown.is_requested() {
            return Pace::Stop;
        }
        if left < SLEEP_MIN {
            return Pace::GoOn;
        }
        let piece = left.min(SLEEP_MAX);
        std::thread::sleep(piece);
        left = left.saturating_sub(piece);
    }
}

/// Holds a rate of bytes a second. Time that was not used is not saved up.
#[derive(Debug)]
struct Throttle {
    /// When what was spent so far is paid for.
    paid_at: Instant,
}

impl Throttle {
    fn new(now: Instant) -> Self {
        Self { paid_at: now }
    }

    /// Returns how long to wait before more is spent.
    fn spend(&mut self, bytes: u64, bytes_per_second: f64, now: Instant) -> Duration {
        let cost = bytes as f64 / bytes_per_second.max(1.0);
        // A rate of next to nothing is an hour for each call at the most, so that a change of it is felt.
        let cost = Duration::try_from_secs_f64(cost).unwrap_or(Duration::MAX);
        let cost = cost.min(Duration::from_secs(3600));
        self.paid_at = self.paid_at.max(now) + cost;
        self.paid_at.duration_since(now)
    }
}

#[cfg(test)]
#[path = "cleaner_test.rs"]
mod tests;
