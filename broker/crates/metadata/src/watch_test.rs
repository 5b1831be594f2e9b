use super::*;

fn put(key: &[u8]) -> WatchEvent {
    WatchEvent {
        key: key.to_vec(),
        change: WatchChange::Put(Arc::from(&b"v"[..])),
    }
}

#[test]
fn a_watcher_sees_only_its_prefix_in_commit_order() {
    let watchers = Watchers::default();
    let mut watch = watchers.add(b"a/");
    watchers.publish(Revision(1), &[put(b"a/1"), put(b"b/1")]);
    watchers.publish(Revision(2), &[put(b"b/2")]);
    watchers.publish(
        Revision(3),
        &[WatchEvent {
            key: b"a/1".to_vec(),
            change: WatchChange::Delete,
        }],
    );
    assert_eq!(
        watch.try_recv(),
        Ok(Some(WatchBatch {
            revision: Revision(1),
            events: vec![put(b"a/1")]
        }))
    );
    let second = watch.try_recv().unwrap().unwrap();
    assert_eq!(
        (second.revision, second.events[0].change.clone()),
        (Revision(3), WatchChange::Delete)
    );
    assert_eq!(watch.try_recv(), Ok(None));
}

#[test]
fn a_slow_watcher_gets_what_was_queued_and_then_lagged() {
    let watchers = Watchers::default();
    let mut slow = watchers.add(b"");
    for revision in 0..CAPACITY_BATCHES as u64 + 1 {
        watchers.publish(Revision(revision), &[put(b"k")]);
    }
    for revision in 0..CAPACITY_BATCHES as u64 {
        assert_eq!(slow.try_recv().unwrap().unwrap().revision, Revision(revision));
    }
    assert_eq!(slow.try_recv(), Err(WatchError::Lagged));
    assert!(!watchers.any_for(b"k"));
}

#[test]
fn closing_ends_every_watch() {
    let watchers = Watchers::default();
    let mut watch = watchers.add(b"");
    watchers.close();
    assert_eq!(watch.try_recv(), Err(WatchError::Closed));
}

#[test]
fn a_dropped_watch_is_forgotten() {
    let watchers = Watchers::default();
    drop(watchers.add(b"a"));
    watchers.publish(Revision(1), &[put(b"b")]);
    assert!(!watchers.any_for(b"a"));
}
