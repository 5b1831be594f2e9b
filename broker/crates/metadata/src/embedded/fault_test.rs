//! A failing disk: an error, and nothing more is acknowledged; a full one: an error, and the store works on.

use std::io::ErrorKind;

use super::*;
use crate::embedded::faulty_backend::{Fault, FaultyBackend};

fn options(mode: OpenMode) -> EmbeddedOptions {
    EmbeddedOptions::new("metadata.redb", mode)
}

fn open_existing(disk: &FaultyBackend) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(disk.clone(), options(OpenMode::Existing)).map(|(store, _)| store)
}

fn put(n: u32) -> Transaction {
    (0..10u32).fold(Transaction::new(), |all, key| {
        all.put((key + n * 7).to_be_bytes(), vec![n as u8; 900])
    })
}

/// A file with a few commits, and the revision it ends at.
fn some_file(commits: u32) -> (Vec<u8>, Revision) {
    let disk = FaultyBackend::default();
    let (store, _) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap();
    let last = (0..commits)
        .map(|n| store.commit(put(n)).unwrap())
        .last()
        .unwrap();
    store.close().unwrap();
    (disk.bytes(), last)
}

#[test]
fn an_io_error_in_any_call_of_a_commit_poisons_the_store() {
    let (bytes, last) = some_file(5);
    let mut faults = 0;
    for call in 0.. {
        let disk = FaultyBackend::with_bytes(bytes.clone());
        let store = open_existing(&disk).unwrap();
        let opened_at = disk.calls();
        disk.set_fault(Some(Fault {
            call: opened_at + call,
            kind: ErrorKind::Other,
        }));
        let mut acknowledged = last;
        let mut failed = None;
        for n in 5..12 {
            match store.commit(put(n)) {
                Ok(revision) => acknowledged = revision,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let Some(error) = failed else { break };
        faults += 1;
        assert!(
            matches!(error, CommitError::Store(StoreError::Io { .. })),
            "call {call}: {error}"
        );
        let done = disk.done();
        let refused = store.commit(put(20)).unwrap_err();
        assert!(
            matches!(refused, CommitError::Store(StoreError::Poisoned { .. })),
            "{refused}"
        );
        assert!(matches!(store.get(b"a"), Err(StoreError::Poisoned { .. })));
        assert!(matches!(store.watch(b""), Err(StoreError::Poisoned { .. })));
        drop(store);
        assert_eq!(
            disk.done(),
            done,
            "call {call}: something was written after the failure"
        );
        // The process restarts; the disk is well again.
        let store = open_existing(&disk).unwrap();
        let found = store.commit(Transaction::new()).unwrap();
        assert!(
            found >= acknowledged && found.0 <= acknowledged.0 + 1,
            "call {call}"
        );
    }
    assert!(faults > 20, "only {faults} faults");
}

#[test]
fn an_io_error_in_any_call_of_opening_is_an_error_and_loses_nothing() {
    let (bytes, last) = some_file(5);
    let mut faults = 0;
    for call in 0.. {
        let disk = FaultyBackend::with_bytes(bytes.clone());
        disk.set_fault(Some(Fault {
            call,
            kind: ErrorKind::Other,
        }));
        let Err(error) = open_existing(&disk) else { break };
        faults += 1;
        assert!(matches!(error, StoreError::Io { .. }), "call {call}: {error}");
        let store = open_existing(&disk).unwrap();
        assert_eq!(store.commit(Transaction::new()), Ok(last), "call {call}");
    }
    assert!(faults > 10, "only {faults} faults");
}

#[test]
fn an_io_error_in_any_call_of_creation_can_be_tried_again() {
    for call in 0.. {
        let disk = FaultyBackend::default();
        disk.set_fault(Some(Fault {
            call,
            kind: ErrorKind::Other,
        }));
        let Err(error) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)) else {
            break;
        };
        assert!(matches!(error, StoreError::Io { .. }), "call {call}: {error}");
        EmbeddedStore::open(disk, options(OpenMode::CreateIfMissing)).unwrap();
    }
}

#[test]
fn a_flush_that_runs_out_of_space_is_fatal() {
    let (bytes, _) = some_file(5);
    let disk = FaultyBackend::with_bytes(bytes);
    let store = open_existing(&disk).unwrap();
    // Find the call that flushes: the first one after which the history ends with a flush.
    let mut fatal = 0;
    for call in 0..40 {
        let disk = FaultyBackend::with_bytes(some_file(5).0);
        let store = open_existing(&disk).unwrap();
        disk.set_fault(Some(Fault {
            call: disk.calls() + call,
            kind: ErrorKind::StorageFull,
        }));
        match store.commit(put(9)) {
            Ok(_) => {}
            Err(CommitError::NoSpace { .. }) => {
                store.commit(put(10)).unwrap();
            }
            Err(CommitError::Store(StoreError::Io { .. })) => {
                fatal += 1;
                assert!(store.commit(put(10)).is_err());
            }
            Err(other) => panic!("call {call}: {other}"),
        }
    }
    assert!(fatal >= 2, "neither the commit's nor the slot's flush was hit");
    drop(store);
}

fn key(n: u32) -> Vec<u8> {
    format!("fill/{n}").into_bytes()
}

/// Commits larger and larger rows until the disk is full, then frees space: the store must work on each time.
fn fill(disk: &FaultyBackend, free: impl Fn(&FaultyBackend), full: impl Fn(&FaultyBackend)) {
    let store = open_existing(disk).unwrap();
    full(disk);
    let mut acknowledged = std::collections::BTreeMap::new();
    let mut refusals = 0;
    for n in 0..60u32 {
        let value = vec![n as u8; 200_000];
        match store.commit(Transaction::new().put(key(n), value.clone())) {
            Ok(_) => {
                acknowledged.insert(n, value);
            }
            Err(CommitError::NoSpace { .. }) => {
                refusals += 1;
                assert!(store.get(&key(n)) == Ok(None), "a refused commit is there");
            }
            Err(other) => panic!("{n}: {other}"),
        }
        for (n, value) in &acknowledged {
            assert!(&store.get(&key(*n)).unwrap().unwrap().value == value);
        }
        if refusals == 3 {
            break;
        }
    }
    assert_eq!(refusals, 3, "the disk never ran full");
    // Deleting needs hardly any space: it works while the disk is full.
    let some = *acknowledged.keys().next().unwrap();
    store.commit(Transaction::new().delete(key(some))).unwrap();
    acknowledged.remove(&some);
    free(disk);
    store
        .commit(Transaction::new().put("freed", vec![1; 1_000_000]))
        .unwrap();
    store.close().unwrap();
    let store = open_existing(disk).unwrap();
    for (n, value) in &acknowledged {
        assert!(&store.get(&key(*n)).unwrap().unwrap().value == value);
    }
    assert!(store.get(b"freed").unwrap().is_some());
}

#[test]
fn growth_that_is_refused_is_no_poison() {
    let disk = FaultyBackend::with_bytes(some_file(2).0);
    let len = disk.bytes().len() as u64;
    fill(
        &disk,
        |disk| disk.set_len_max(None),
        |disk| disk.set_len_max(Some(len + 400_000)),
    );
}

#[test]
fn blocks_that_are_refused_behind_a_granted_length_are_no_poison() {
    let disk = FaultyBackend::with_bytes(some_file(2).0);
    fill(
        &disk,
        |disk| disk.allow_more_blocks(None),
        |disk| disk.allow_more_blocks(Some(100)),
    );
}

#[test]
fn small_changes_go_on_for_long_on_a_full_disk() {
    let disk = FaultyBackend::with_bytes(some_file(5).0);
    let store = open_existing(&disk).unwrap();
    disk.allow_more_blocks(Some(0));
    disk.set_len_max(Some(disk.bytes().len() as u64));
    for n in 0..200 {
        store.commit(put(n % 10)).unwrap();
        store
            .commit(Transaction::new().delete((n % 70).to_be_bytes()))
            .unwrap();
    }
}

#[test]
fn the_file_does_not_grow_by_being_opened_or_changed_in_place() {
    let disk = FaultyBackend::with_bytes(some_file(5).0);
    let mut lengths = Vec::new();
    for _ in 0..5 {
        let store = open_existing(&disk).unwrap();
        for n in 0..40 {
            store.commit(put(n % 5)).unwrap();
        }
        store.close().unwrap();
        lengths.push(disk.bytes().len());
    }
    assert!(lengths.iter().all(|len| *len == lengths[0]), "{lengths:?}");
    assert!(lengths[0] < 3 << 20, "{lengths:?}");
}

#[test]
fn a_disk_that_is_full_when_the_file_is_made_says_so() {
    let disk = FaultyBackend::default();
    disk.set_len_max(Some(5_000));
    let refused = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap_err();
    assert!(matches!(refused, StoreError::NoSpace { .. }), "{refused}");
    disk.set_len_max(None);
    EmbeddedStore::open(disk, options(OpenMode::CreateIfMissing)).unwrap();
}

#[test]
fn readers_do_not_notice_that_commits_run_out_of_space() {
    let disk = FaultyBackend::with_bytes(some_file(5).0);
    let store = open_existing(&disk).unwrap();
    disk.allow_more_blocks(Some(0));
    disk.set_len_max(Some(disk.bytes().len() as u64));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(store.get(&7u32.to_be_bytes()).unwrap().is_some());
                }
            });
        }
        let refused = (0..20).filter(|_| {
            let large = Transaction::new().put("large", vec![1; 3_000_000]);
            match store.commit(large) {
                Ok(_) => false,
                Err(CommitError::NoSpace { .. }) => true,
                Err(other) => panic!("{other}"),
            }
        });
        assert_eq!(refused.count(), 20);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
