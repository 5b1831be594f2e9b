use thalweg_types::TimestampMs;

use super::*;

fn id(byte: u8) -> TopicId {
    TopicId([byte; 16])
}

fn tombstone(name: &str) -> TopicTombstone {
    TopicTombstone {
        id: id(7),
        name: name.to_owned(),
        partitions: 3,
        deleted: TimestampMs(0),
    }
}

#[test]
fn a_topic_is_forgotten_only_when_the_log_was_trimmed_past_what_was_written_after_its_deletion() {
    let (mut stages, ids) = (BTreeMap::new(), BTreeSet::from([id(1)]));
    let mut retiring = ids.clone();
    let mut turn = |next, from, retiring: &BTreeSet<TopicId>| {
        !advance_stages(&mut stages, &ids, retiring, (Slot(next), Slot(from))).is_empty()
    };
    assert!(!turn(10, 10, &retiring), "seen");
    for _ in 0..3 {
        assert!(!turn(11, 11, &retiring), "its last append is not durable");
    }
    retiring.clear();
    let mut turn = |next, from| turn(next, from, &retiring);
    assert!(
        !turn(12, 12),
        "what its logs had queued may be in slots up to here"
    );
    assert!(!turn(20, 11));
    assert!(turn(20, 12));
    assert!(turn(20, 13), "again until its directories are gone");
}

#[test]
fn a_tombstone_that_went_is_started_afresh() {
    let mut stages = BTreeMap::from([(id(1), Stage::EndsBefore(Slot(0)))]);
    assert!(
        advance_stages(
            &mut stages,
            &BTreeSet::new(),
            &BTreeSet::new(),
            (Slot(5), Slot(5))
        )
        .is_empty()
    );
    assert!(stages.is_empty());
}

#[test]
fn directories_put_aside_or_left_behind_keep_a_tombstone() {
    let gone = tombstone("orders");
    let aside = format!("orders-2.{}-delete", gone.id);
    assert!(is_of(&aside, &gone, false) && is_of(&aside, &gone, true));
    assert!(is_of("orders-0", &gone, false));
    assert!(
        !is_of("orders-0", &gone, true),
        "of the topic that has the name now"
    );
    for other in [
        "orders",
        "orders-",
        "orders-x",
        "orders-new-0",
        "my-orders-0",
        "wal",
    ] {
        assert!(!is_of(other, &gone, false), "{other}");
    }
}
