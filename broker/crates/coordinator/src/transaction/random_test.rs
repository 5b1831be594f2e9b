//! Long random lives of several producers of a few transactional ids, beside a simple model: the newest producer to be
//! initialized is the only one that gets anything done, and every transaction ends once, as was promised.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::testing::Desk;
use super::*;

const SEEDS: u64 = 60;
const STEPS: usize = 400;
const IDS: [&str; 3] = ["a", "b", "c"];

#[derive(Default)]
struct Model {
    /// Who may write, by id; `None` after the coordinator fenced it.
    owner: BTreeMap<&'static str, Option<ProducerIdAndEpoch>>,
    /// Everybody who was ever told an identity.
    known: Vec<(&'static str, ProducerIdAndEpoch)>,
    open: BTreeMap<&'static str, bool>,
}

fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut desk = Desk::new();
    let mut model = Model::default();
    for step in 0..STEPS {
        let context = || format!("seed {seed}, step {step}");
        let id = IDS[random.random_range(0..IDS.len())];
        let version = if random.random_bool(0.5) {
            TransactionVersion::V2
        } else {
            TransactionVersion::V0
        };
        match random.random_range(0..10) {
            0 => {
                if let Ok(producer) = desk.init(id) {
                    model.owner.insert(id, Some(producer));
                    model.open.insert(id, false);
                    model.known.push((id, producer));
                } else if model.open.insert(id, false) == Some(true) {
                    model.owner.insert(id, None);
                }
            }
            1..=3 => {
                let Some(producer) = model.owner.get(id).copied().flatten() else {
                    continue;
                };
                let partition = random.random_range(0..4);
                if desk.add(id, producer, partition, version).is_ok() {
                    model.open.insert(id, true);
                }
            }
            4 | 5 => {
                let Some(producer) = model.owner.get(id).copied().flatten() else {
                    continue;
                };
                let outcome = if random.random_bool(0.5) {
                    Outcome::Commit
                } else {
                    Outcome::Abort
                };
                let was_open = model.open.get(id) == Some(&true);
                let state = desk.state(id);
                match desk.end(id, producer, outcome, version) {
                    Ok(next) => {
                        if was_open {
                            assert_eq!(desk.state(id), outcome.prepare(), "{}", context());
                        }
                        model.owner.insert(id, Some(next));
                        model.open.insert(id, false);
                        model.known.push((id, next));
                    }
                    Err(error) => assert!(
                        !was_open && state != TransactionState::Ongoing,
                        "{}: {error} in {state}",
                        context()
                    ),
                }
            }
            6 => {
                // Somebody from the past.
                if model.known.is_empty() {
                    continue;
                }
                let (id, producer) = model.known[random.random_range(0..model.known.len())];
                let is_owner = model.owner.get(id).copied().flatten() == Some(producer);
                if !is_owner {
                    let added = desk.add(id, producer, 9, version);
                    assert!(added.is_err(), "{}: {producer:?} of {id} may write", context());
                }
            }
            7 => desk.mark(),
            8 => desk.reload(),
            _ => {
                desk.tick(random.random_range(0..3_000));
                for id in IDS {
                    let is_aborted = desk
                        .describe(id)
                        .is_ok_and(|described| described.state == TransactionState::PrepareAbort);
                    if is_aborted && model.open.insert(id, false) == Some(true) {
                        model.owner.insert(id, None);
                    }
                }
            }
        }
        for id in IDS {
            let is_open = desk
                .describe(id)
                .is_ok_and(|described| described.state == TransactionState::Ongoing);
            assert_eq!(is_open, model.open.get(id) == Some(&true), "{}: {id}", context());
        }
    }
    let stats = desk.shard.stats();
    assert_eq!(stats.impossible_moves, 0);
}

#[test]
fn random_lives_of_producers_match_the_model() {
    let seeds: Vec<u64> = match std::env::var("THALWEG_SEED") {
        Ok(seed) => vec![seed.parse().expect("THALWEG_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    println!("seeds {seeds:?}");
    for seed in seeds {
        run(seed);
    }
}
