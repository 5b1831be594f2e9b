//! Hostile bytes on stable Rust: the bodies of the fuzz targets over random mutations of valid inputs.
//!
//! The first rounds run each seed as it is; then every round mutates one. A failure prints target, seed of the random
//! numbers and the input. `THALWEG_SEED` gives the seed of the random numbers, `THALWEG_ROUNDS` how many mutations
//! each target gets. `tests/run-fuzz` goes further, with coverage and the address sanitizer.

mod mutation;

use std::sync::Mutex;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thalweg_hostile::{TARGETS, Target};
use thalweg_tests::watchdog;

/// One body at a time: they measure the memory of the whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
    )
}

/// Says what ran when a body panics.
struct Running<'a> {
    target: &'static str,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("target {}, THALWEG_SEED={}, input {hex}", self.target, self.seed);
        }
    }
}

fn run(name: &str, rounds: u64) {
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let target: &Target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    let seed = number("THALWEG_SEED").unwrap_or_else(rand::random);
    let asked = number("THALWEG_ROUNDS");
    let rounds = asked.unwrap_or(rounds);
    // The slowest target does some 100 rounds a second in a debug build on a busy machine.
    watchdog::allow(Duration::from_secs(900 + asked.unwrap_or(0) / 50));
    println!("{name}: THALWEG_SEED={seed}, {rounds} mutations");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let call = |input: &[u8]| {
        let running = Running {
            target: target.name,
            seed,
            input,
        };
        (target.run)(running.input);
    };
    call(&[]);
    seeds.iter().for_each(|seed| call(seed));
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..rounds {
        let mut input = seeds[rng.random_range(0..seeds.len())].clone();
        for _ in 0..rng.random_range(1..=4) {
            mutation::mutate(&mut input, &seeds, &mut rng);
        }
        call(&input);
    }
}

macro_rules! hostile {
    ($($name:ident $target:literal $rounds:literal;)*) => {
        $(#[test]
        fn $name() {
            run($target, $rounds);
        })*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$($target),*];
            let missing: Vec<_> = TARGETS.iter().map(|target| target.name).filter(|name| !tested.contains(name)).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    };
}

hostile! {
    frames_and_headers_are_taken_whole_or_refused "frame" 300_000;
    messages_stay_within_the_estimate_of_the_guard "request" 120_000;
    produce_and_fetch_are_read_as_the_message_crate_reads_them "produce_fetch" 100_000;
    record_batches_check_walk_and_decode_alike "record_batch" 25_000;
    inflating_stays_within_its_limits "compression" 10_000;
    commit_groups_decode_and_encode_alike "wal_group" 120_000;
    a_damaged_ring_is_refused_or_gives_its_first_groups "wal_ring" 12_000;
    a_damaged_segment_never_serves_what_nobody_wrote "segment" 4_000;
    rows_decode_and_encode_alike "rows" 200_000;
    settings_are_refused_or_read_back "settings" 4_000;
    coordinator_records_load_or_are_passed_over "coordinator_record" 60_000;
    transactional_ids_load_and_end_what_was_decided "transaction_record" 40_000;
    mirror_messages_decode_and_encode_alike "mirror_message" 100_000;
}
