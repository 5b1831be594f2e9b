//! Chance with a seed: the choices of a random test, repeatable by `THALWEG_SEED`.
//!
//! Threads and processes are not repeatable, so the same seed makes the same choices and not the same interleaving.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stream of random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// The seed that `THALWEG_SEED` names, or a new one; printed, so that a failure can be repeated.
    ///
    /// # Panics
    /// When `THALWEG_SEED` is not a number.
    #[track_caller]
    pub fn from_environment() -> Chance {
        let seed = match std::env::var("THALWEG_SEED") {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|error| panic!("THALWEG_SEED={text}: {error}")),
            Err(_) => fresh_seed(),
        };
        eprintln!("{}: THALWEG_SEED={seed}", crate::places::test_name());
        crate::watchdog::note(&format!("THALWEG_SEED={seed}"));
        Chance::new(seed)
    }

    /// A stream from a known seed.
    pub fn new(seed: u64) -> Chance {
        Chance { seed, state: seed }
    }

    /// The seed that this stream began with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An independent stream, for another thread.
    pub fn fork(&mut self) -> Chance {
        Chance::new(self.next())
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        let count = to.saturating_sub(from).saturating_add(1);
        from + self.next() % count.max(1)
    }

    /// An index below `count`, which must not be 0.
    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap_or(0)
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count.max(1))
    }

    /// A time from `from` to `to` milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 20 | u64::from(now.subsec_micros())
}

/// A number that the environment may set, such as `THALWEG_KILLS`.
///
/// # Panics
/// When it is set to something else than a number.
#[track_caller]
pub fn number_from_environment(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => otherwise,
    }
}
