//! A cut at any moment leaves the acknowledged commits and at most one more, whole.

use std::collections::BTreeMap;

use super::*;
use crate::embedded::faulty_backend::{Cut, Done, FaultyBackend, cut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

type Rows = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

fn options(mode: OpenMode) -> EmbeddedOptions {
    EmbeddedOptions::new("metadata.redb", mode)
}

fn rows(store: &EmbeddedStore) -> Rows {
    let mut rows = Rows::new();
    store
        .scan(b"", &mut |row| {
            rows.insert(row.key.to_vec(), (row.value.to_vec(), row.version.0));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// A run of commits: what the rows were after each, and how many were acknowledged at which point of the history.
struct Run {
    history: Vec<Done>,
    /// Rows after commit n.
    states: Vec<Rows>,
    /// At `.0` things done, commit `.1` had been acknowledged.
    acknowledged: Vec<(usize, usize)>,
    /// Things done when the store was first open.
    created: usize,
}

fn run(seed: u64, commits: usize) -> Run {
    let mut random = StdRng::seed_from_u64(seed);
    let disk = FaultyBackend::default();
    let (mut store, _) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap();
    let mut run = Run {
        history: Vec::new(),
        states: vec![Rows::new()],
        acknowledged: vec![(disk.done(), 0)],
        created: disk.done(),
    };
    for commit in 1..=commits {
        let mut state = run.states[commit - 1].clone();
        let mut transaction = Transaction::new();
        let mut keys: Vec<u8> = (0..40).collect();
        for _ in 0..random.random_range(1..12) {
            let key = vec![keys.swap_remove(random.random_range(0..keys.len()))];
            if random.random_bool(0.3) {
                transaction = transaction.delete(key.clone());
                state.remove(&key);
            } else {
                let value = vec![random.random(); random.random_range(0..3000)];
                transaction = transaction.put(key.clone(), value.clone());
                state.insert(key, (value, commit as u64));
            }
        }
        assert_eq!(store.commit(transaction).unwrap().0, commit as u64);
        run.states.push(state);
        run.acknowledged.push((disk.done(), commit));
        if commit % 7 == 0 {
            store.close().unwrap();
            store = EmbeddedStore::open(disk.clone(), options(OpenMode::Existing))
                .unwrap()
                .0;
        }
    }
    store.close().unwrap();
    run.history = disk.history();
    run
}

fn check_after_cut(run: &Run, done: usize, how: Cut) -> FaultyBackend {
    let disk = FaultyBackend::with_bytes(cut(&run.history, done, how));
    let mode = if done < run.created {
        OpenMode::CreateIfMissing
    } else {
        OpenMode::Existing
    };
    let (store, report) = match EmbeddedStore::open(disk.clone(), options(mode)) {
        Ok(opened) => opened,
        Err(error) => panic!("cut after {done} of {}, {how:?}: {error}", run.history.len()),
    };
    let acknowledged = run
        .acknowledged
        .iter()
        .rev()
        .find(|(at, _)| *at <= done)
        .map_or(0, |ack| ack.1);
    let found = report.revision.0 as usize;
    assert!(
        found == acknowledged || found == acknowledged + 1,
        "cut after {done}, {how:?}: {found}"
    );
    assert_eq!(rows(&store), run.states[found], "cut after {done}, {how:?}");
    // It works on, and what it found stays.
    assert_eq!(
        store.commit(Transaction::new().put("after", "crash")).unwrap().0 as usize,
        found + 1
    );
    store.close().unwrap();
    disk
}

#[test]
fn a_cut_at_any_moment_leaves_a_prefix_with_everything_acknowledged() {
    let run = run(1, 30);
    let mut opened = 0;
    for done in 0..=run.history.len() {
        let mut ways = vec![Cut::KeepAll, Cut::KeepNone];
        ways.extend((0..3).map(|seed| Cut::Random(seed + 10 * done as u64)));
        for how in ways {
            check_after_cut(&run, done, how);
            opened += 1;
        }
    }
    assert!(opened > 1000, "only {opened} cuts");
}

#[test]
fn a_cut_during_recovery_is_recovered_too() {
    let run = run(2, 9);
    let mut cuts = 0;
    for done in (run.created..run.history.len()).step_by(5) {
        let base = cut(&run.history, done, Cut::Random(done as u64));
        let disk = FaultyBackend::with_bytes(base.clone());
        let (store, report) = EmbeddedStore::open(disk.clone(), options(OpenMode::Existing)).unwrap();
        let expected = (report.revision, rows(&store));
        let recovery = disk.history();
        drop(store);
        for again in 0..=recovery.len() {
            // The recovery starts from `base`, all of it flushed.
            let mut history = vec![
                Done::SetLen(base.len() as u64),
                Done::Write(0, base.clone()),
                Done::Sync,
            ];
            history.extend_from_slice(&recovery);
            let bytes = cut(&history, 3 + again, Cut::Random((done * 1000 + again) as u64));
            let disk = FaultyBackend::with_bytes(bytes);
            let (store, report) = EmbeddedStore::open(disk, options(OpenMode::Existing)).unwrap();
            assert_eq!(
                (report.revision, rows(&store)),
                expected,
                "cut after {done}, again after {again}"
            );
            cuts += 1;
        }
    }
    assert!(cuts > 50, "only {cuts} cuts");
}

#[test]
fn an_interrupted_creation_is_redone_or_refused_by_name() {
    let run = run(3, 1);
    let mut refused = 0;
    for done in 0..run.created {
        for how in [Cut::KeepAll, Cut::KeepNone, Cut::Random(done as u64)] {
            let disk = FaultyBackend::with_bytes(cut(&run.history, done, how));
            match EmbeddedStore::open(disk, options(OpenMode::Existing)) {
                Ok((store, _)) => assert!(rows(&store).is_empty()),
                Err(StoreError::Missing { .. } | StoreError::Unfinished { .. }) => refused += 1,
                Err(other) => panic!("cut after {done}, {how:?}: {other}"),
            }
        }
    }
    assert!(refused > 10, "only {refused} refusals");
}
