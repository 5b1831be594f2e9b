use thalweg_storage::disk::RealDisk;
use thalweg_types::{Offset, TimestampMs};

use super::*;
use crate::test_broker::TestBroker;

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

const NOW: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 24 * 3600 * 1000;

fn caretaker(broker: &TestBroker, clock: &Clock) -> Caretaker {
    Caretaker::of(Charge {
        topics: broker.topics.clone(),
        settings: broker.settings.clone(),
        gate: Arc::default(),
        disk: Arc::new(RealDisk),
        data_directory: std::env::temp_dir(),
        clock: clock.clone(),
        expiry: Arc::default(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_of_the_clock_deletes_nothing_and_what_is_old_goes_all_the_same() {
    let broker = TestBroker::start(&[("log.retention.hours", "168")]);
    let topic = broker.create("orders", 1).await;
    broker.append(&topic, 0, &[NOW]).await;
    let log = broker.log(&topic, 0);
    let clock = Clock::manual(TimestampMs(NOW + DAY_MS));
    let caretaker = caretaker(&broker, &clock);
    caretaker.turn(&[Step::Retention], &broker.shutdown);
    clock.set(TimestampMs(NOW + 366 * DAY_MS));
    caretaker.turn(&[Step::Retention], &broker.shutdown);
    assert_eq!(log.offsets().log_start_offset, Offset(0));
    assert_eq!(caretaker.expiry.jumps(), 1);
    // Back, and far back: nothing goes either.
    for now in [NOW + DAY_MS, NOW - 366 * DAY_MS] {
        clock.set(TimestampMs(now));
        caretaker.turn(&[Step::Retention], &broker.shutdown);
        assert_eq!(log.offsets().log_start_offset, Offset(0));
    }
    // A broker that starts after the time has come does what retention says.
    clock.set(TimestampMs(NOW + 8 * DAY_MS));
    let later = super::tests::caretaker(&broker, &clock);
    later.turn(&[Step::Retention], &broker.shutdown);
    assert_eq!(log.offsets().log_start_offset, Offset(1));
}
