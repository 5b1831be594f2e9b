use std::sync::Arc;

use super::*;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::watch::{WatchBatch, WatchError};

fn options(mode: OpenMode) -> EmbeddedOptions {
    EmbeddedOptions::new("metadata.redb", mode)
}

fn open_new() -> (FaultyBackend, EmbeddedStore) {
    let disk = FaultyBackend::default();
    let (store, report) = EmbeddedStore::open(disk.clone(), options(OpenMode::CreateIfMissing)).unwrap();
    assert_eq!(
        report,
        OpenReport {
            recovery: Recovery::Created,
            revision: Revision::ZERO,
            rows: 0
        }
    );
    (disk, store)
}

fn rows(store: &EmbeddedStore, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let mut rows = Vec::new();
    store
        .scan(prefix, &mut |row| {
            rows.push((row.key.to_vec(), row.value.to_vec(), row.version.0));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

#[test]
fn a_commit_is_read_back_with_its_revision_as_version() {
    let (_, store) = open_new();
    let revision = store
        .commit(Transaction::new().put("a", "1").put("b", "2"))
        .unwrap();
    assert_eq!(revision, Revision(1));
    assert_eq!(
        store.get(b"a"),
        Ok(Some(Versioned {
            value: b"1".to_vec(),
            version: revision
        }))
    );
    assert_eq!(store.get(b"c"), Ok(None));
    let second = store
        .commit(Transaction::new().put("a", "3").delete("b"))
        .unwrap();
    assert_eq!(rows(&store, b""), [(b"a".to_vec(), b"3".to_vec(), second.0)]);
}

#[test]
fn a_scan_shows_one_prefix_in_order_and_can_stop() {
    let (_, store) = open_new();
    let keys = ["a", "b/", "b/2", "b/1", "b0", "c"];
    let put = keys
        .iter()
        .fold(Transaction::new(), |all, key| all.put(*key, *key));
    store.commit(put).unwrap();
    let shown: Vec<_> = rows(&store, b"b/").into_iter().map(|row| row.0).collect();
    assert_eq!(shown, [b"b/".to_vec(), b"b/1".to_vec(), b"b/2".to_vec()]);
    let mut seen = 0;
    let revision = store.scan(b"", &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((revision, seen), (Ok(Revision(1)), 1));
}

#[test]
fn a_failed_compare_changes_nothing_and_names_the_key() {
    let (disk, store) = open_new();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    let before = disk.bytes();
    let conflict = store
        .commit(Transaction::new().require_absent("a").put("b", "2"))
        .unwrap_err();
    assert_eq!(
        conflict,
        CommitError::Conflict {
            key: KeyText(b"a".to_vec()),
            expected: Found::Absent,
            found: Found::Version(Revision(1)),
        }
    );
    let conflict = store.commit(Transaction::new().require_version("c", Revision(1)).put("b", "2"));
    assert!(
        matches!(
            conflict,
            Err(CommitError::Conflict {
                found: Found::Absent,
                ..
            })
        ),
        "{conflict:?}"
    );
    assert_eq!(store.get(b"b"), Ok(None));
    assert_eq!(disk.bytes(), before);
    store
        .commit(Transaction::new().require_version("a", Revision(1)).put("a", "2"))
        .unwrap();
    let stale = store.commit(Transaction::new().require_version("a", Revision(1)).put("a", "3"));
    assert!(matches!(stale, Err(CommitError::Conflict { .. })));
}

#[test]
fn a_key_written_again_after_deletion_has_a_new_version() {
    let (_, store) = open_new();
    let first = store.commit(Transaction::new().put("a", "1")).unwrap();
    store.commit(Transaction::new().delete("a")).unwrap();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    let stale = store.commit(Transaction::new().require_version("a", first).put("a", "2"));
    assert!(matches!(stale, Err(CommitError::Conflict { .. })));
}

#[test]
fn a_transaction_that_writes_nothing_only_compares() {
    let (disk, store) = open_new();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    let before = disk.done();
    assert_eq!(
        store.commit(Transaction::new().require_absent("b")),
        Ok(Revision(1))
    );
    assert!(store.commit(Transaction::new().require_absent("a")).is_err());
    assert_eq!(disk.done(), before);
}

#[test]
fn too_large_and_doubled_keys_are_refused() {
    let (_, store) = open_new();
    let long_key = store.commit(Transaction::new().put(vec![0; KEY_BYTES_MAX + 1], ""));
    assert!(matches!(
        long_key,
        Err(CommitError::TooLarge { what: "a key", .. })
    ));
    let large = store.commit(Transaction::new().put("a", vec![0; VALUE_BYTES_MAX + 1]));
    assert!(matches!(
        large,
        Err(CommitError::TooLarge { what: "a value", .. })
    ));
    let doubled = store.commit(Transaction::new().put("a", "1").delete("a"));
    assert_eq!(
        doubled,
        Err(CommitError::DuplicateKey {
            key: KeyText(b"a".to_vec())
        })
    );
    store
        .commit(Transaction::new().put(vec![0; KEY_BYTES_MAX], vec![7; VALUE_BYTES_MAX]))
        .unwrap();
}

#[test]
fn rows_and_revision_survive_a_clean_close() {
    let (disk, store) = open_new();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    store.commit(Transaction::new().put("b", "2")).unwrap();
    store.close().unwrap();
    assert_eq!(disk.closes(), 1);
    let (store, report) = EmbeddedStore::open(disk.clone(), options(OpenMode::Existing)).unwrap();
    assert_eq!(
        report,
        OpenReport {
            recovery: Recovery::Acknowledged,
            revision: Revision(2),
            rows: 2
        }
    );
    assert_eq!(store.commit(Transaction::new().delete("a")), Ok(Revision(3)));
    drop(store);
    assert_eq!(disk.closes(), 2);
}

#[test]
fn a_missing_file_is_refused_unless_it_may_be_created() {
    let disk = FaultyBackend::default();
    let refused = EmbeddedStore::open(disk.clone(), options(OpenMode::Existing)).unwrap_err();
    assert_eq!(
        refused,
        StoreError::Missing {
            store: "metadata.redb".into()
        }
    );
    assert_eq!((disk.done(), disk.closes()), (0, 1));
}

#[test]
fn the_cache_is_as_small_as_set() {
    let disk = FaultyBackend::default();
    let options = EmbeddedOptions {
        cache_bytes: 64 << 10,
        ..options(OpenMode::CreateIfMissing)
    };
    let (store, _) = EmbeddedStore::open(disk, options).unwrap();
    for round in 0..3u8 {
        let put = (0..200u32).fold(Transaction::new(), |all, key| {
            all.put(key.to_be_bytes(), vec![round; 5000])
        });
        store.commit(put).unwrap();
    }
    assert_eq!(rows(&store, b"").len(), 200);
    assert!(rows(&store, b"").iter().all(|row| row.1 == vec![2; 5000]));
}

#[test]
fn a_watch_reports_commits_after_it_and_ends_with_the_store() {
    let (_, store) = open_new();
    store.commit(Transaction::new().put("a/1", "old")).unwrap();
    let mut watch = store.watch(b"a/").unwrap();
    store
        .commit(Transaction::new().put("a/1", "new").put("b", "x").delete("a/2"))
        .unwrap();
    store.commit(Transaction::new().put("b", "y")).unwrap();
    let expected = WatchBatch {
        revision: Revision(2),
        events: vec![
            WatchEvent {
                key: b"a/1".to_vec(),
                change: WatchChange::Put(Arc::from(&b"new"[..])),
            },
            WatchEvent {
                key: b"a/2".to_vec(),
                change: WatchChange::Delete,
            },
        ],
    };
    assert_eq!(watch.try_recv(), Ok(Some(expected)));
    assert_eq!(watch.try_recv(), Ok(None));
    store.close().unwrap();
    assert_eq!(watch.try_recv(), Err(WatchError::Closed));
}

#[test]
fn every_lease_is_the_process_own() {
    let (_, store) = open_new();
    let lease = store.lease("controller", "broker-1").unwrap();
    assert!(store.lease("controller", "broker-2").is_err());
    store.close().unwrap();
    assert_eq!(lease.state(), crate::lease::LeaseState::Lost);
}

#[test]
fn commits_of_many_threads_are_all_there_and_numbered_once() {
    let (_, store) = open_new();
    let store = &store;
    let mut revisions: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u8)
            .map(|thread| {
                scope.spawn(move || {
                    (0..10u8)
                        .map(|n| {
                            assert!(store.get(&[thread, n]).unwrap().is_none());
                            store.commit(Transaction::new().put([thread, n], [n])).unwrap().0
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=40).collect::<Vec<_>>());
    assert_eq!(rows(store, b"").len(), 40);
}

#[test]
fn a_visitor_may_commit_and_its_panic_is_its_own() {
    let (_, store) = open_new();
    store.commit(Transaction::new().put("a", "1")).unwrap();
    store
        .scan(b"", &mut |row| {
            store.commit(Transaction::new().put("b", row.value)).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(rows(&store, b"").len(), 2);
    let panicked = catch_unwind(AssertUnwindSafe(|| store.scan(b"", &mut |_| panic!("mine"))));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
    store.commit(Transaction::new().put("c", "1")).unwrap();
}

#[test]
fn a_real_file_is_written_and_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metadata.redb");
    let open = |mode| {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        EmbeddedStore::open(redb::backends::FileBackend::new(file).unwrap(), options(mode))
    };
    let (store, report) = open(OpenMode::CreateIfMissing).unwrap();
    assert_eq!(report.recovery, Recovery::Created);
    for n in 0..20u8 {
        store
            .commit(Transaction::new().put([n], vec![n; 10_000]))
            .unwrap();
    }
    drop(store);
    let (store, report) = open(OpenMode::Existing).unwrap();
    assert_eq!(
        report,
        OpenReport {
            recovery: Recovery::Acknowledged,
            revision: Revision(20),
            rows: 20
        }
    );
    assert!(
        rows(&store, b"")
            .iter()
            .all(|row| row.1 == vec![row.0[0]; 10_000])
    );
    drop(store);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(50_000).unwrap();
    let refused = open(OpenMode::Existing).unwrap_err();
    assert!(refused.to_string().starts_with("metadata.redb: "), "{refused}");
}
