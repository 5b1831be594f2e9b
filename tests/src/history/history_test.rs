use super::*;

const TOPIC: u32 = 5;
const PARTITION: i32 = 1;
const PLACE: (u32, i32) = (TOPIC, PARTITION);

fn stamp(producer: u32, number: u64) -> Stamp {
    Stamp {
        topic: TOPIC,
        partition: PARTITION,
        producer,
        number,
    }
}

/// Ten acknowledged records of one producer, and a reading that has them all.
fn sound(promise: Promise) -> (History, Reading) {
    let mut history = History::default();
    let producer = history.add_producer(promise);
    let mut reading = Reading {
        start: 0,
        end: 10,
        records: Vec::new(),
    };
    for number in 0..10 {
        let stamp = stamp(producer, number);
        let offset = i64::try_from(number).expect("small");
        history.sent(stamp);
        history.acknowledged(stamp, Some(offset));
        reading.records.push((offset, stamp.value(60)));
    }
    (history, reading)
}

fn judge(history: &History, reading: &Reading) -> Vec<Violation> {
    history.check(TOPIC, PARTITION, reading)
}

#[test]
fn a_kept_word_passes() {
    for promise in [Promise::Once, Promise::AtLeastOnce] {
        let (history, reading) = sound(promise);
        assert_eq!(judge(&history, &reading), []);
        assert_eq!(history.unanswered(), []);
        assert_eq!(history.violations(), []);
        assert_eq!(history.acknowledged_count(), 10);
    }
}

#[test]
fn a_lost_record_at_the_end_is_found() {
    let (history, mut reading) = sound(Promise::Once);
    reading.records.pop();
    reading.end = 9;
    let lost = Violation::Lost {
        place: PLACE,
        offset: Some(9),
        stamp: stamp(0, 9),
    };
    assert_eq!(judge(&history, &reading), [lost]);
}

#[test]
fn a_lost_record_in_between_is_found_as_lost_and_as_a_gap() {
    let (history, mut reading) = sound(Promise::Once);
    reading.records.remove(4);
    let found = judge(&history, &reading);
    assert!(found.contains(&Violation::Gap {
        place: PLACE,
        offset: 4
    }));
    assert!(
        found
            .iter()
            .any(|one| matches!(one, Violation::Lost { offset: Some(4), .. }))
    );
}

#[test]
fn lost_records_whose_offsets_went_to_others_are_found() {
    let (mut history, mut reading) = sound(Promise::Once);
    let late = stamp(0, 10);
    history.sent(late);
    reading.records[9].1 = late.value(60);
    let replaced = Violation::Replaced {
        place: PLACE,
        offset: 9,
        was: stamp(0, 9),
        found: late,
    };
    assert_eq!(judge(&history, &reading), [replaced]);
}

#[test]
fn an_end_without_its_records_is_a_gap() {
    let (history, mut reading) = sound(Promise::Once);
    reading.end = 12;
    let gap = |offset| Violation::Gap { place: PLACE, offset };
    assert_eq!(judge(&history, &reading), [gap(10), gap(11)]);
}

#[test]
fn a_duplicate_is_found_for_an_idempotent_producer_only() {
    for (promise, expected) in [(Promise::Once, 1), (Promise::AtLeastOnce, 0)] {
        let (history, mut reading) = sound(promise);
        reading.records.push((10, stamp(0, 9).value(60)));
        reading.end = 11;
        let found = judge(&history, &reading);
        assert_eq!(found.len(), expected, "{promise:?}: {found:?}");
        if let Some(one) = found.first() {
            let duplicate = Violation::Duplicated {
                stamp: stamp(0, 9),
                first: 9,
                second: 10,
            };
            assert_eq!(*one, duplicate);
        }
    }
}

#[test]
fn records_out_of_order_are_found() {
    for promise in [Promise::Once, Promise::AtLeastOnce] {
        let mut history = History::default();
        let producer = history.add_producer(promise);
        let mut reading = Reading {
            end: 3,
            ..Reading::default()
        };
        for (offset, number) in [(0, 0), (1, 2), (2, 1)] {
            history.sent(stamp(producer, 2));
            history.acknowledged(stamp(producer, number), Some(offset));
            reading.records.push((offset, stamp(producer, number).value(50)));
        }
        let found = judge(&history, &reading);
        assert!(
            matches!(found[..], [Violation::OutOfOrder { offset: 2, .. }]),
            "{found:?}"
        );
    }
}

#[test]
fn a_record_of_a_deleted_topic_under_the_same_name_is_found() {
    let (history, mut reading) = sound(Promise::Once);
    let old = Stamp {
        topic: TOPIC - 1,
        ..stamp(0, 3)
    };
    reading.records.push((10, old.value(60)));
    reading.end = 11;
    let foreign = Violation::Foreign {
        place: PLACE,
        offset: 10,
        stamp: old,
    };
    assert_eq!(judge(&history, &reading), [foreign]);
}

#[test]
fn a_consumer_that_meets_an_old_topics_record_notes_it_at_once() {
    let (mut history, _) = sound(Promise::Once);
    let old = Stamp {
        topic: TOPIC - 1,
        ..stamp(0, 3)
    };
    history.read(TOPIC, PARTITION, 3, &old.value(60));
    assert!(matches!(history.violations(), [Violation::Foreign { .. }]));
}

#[test]
fn a_record_that_nobody_sent_and_a_damaged_one_are_found() {
    let (history, mut reading) = sound(Promise::Once);
    reading.records.push((10, stamp(0, 77).value(60)));
    let mut damaged = stamp(0, 8).value(60);
    damaged[50] ^= 4;
    reading.records.push((11, damaged));
    reading.end = 12;
    let found = judge(&history, &reading);
    assert!(matches!(
        found[..],
        [Violation::NeverSent { .. }, Violation::Damaged { .. }]
    ));
}

#[test]
fn what_was_read_once_must_stay() {
    let mut history = History::default();
    let producer = history.add_producer(Promise::AtLeastOnce);
    let first = stamp(producer, 0);
    history.sent(first);
    history.read(TOPIC, PARTITION, 0, &first.value(60));
    let found = judge(&history, &Reading::default());
    assert!(matches!(found[..], [Violation::Lost { offset: Some(0), .. }]));
}

#[test]
fn one_offset_with_two_contents_is_found_while_it_happens() {
    let (mut history, _) = sound(Promise::Once);
    history.read(TOPIC, PARTITION, 4, &stamp(0, 5).value(60));
    assert!(matches!(
        history.violations(),
        [Violation::Replaced { offset: 4, .. }]
    ));
}

#[test]
fn records_handed_out_twice_or_backwards_are_found() {
    let (history, mut reading) = sound(Promise::Once);
    reading.records.swap(3, 4);
    let found = judge(&history, &reading);
    assert!(
        found
            .iter()
            .any(|one| matches!(one, Violation::Disordered { offset: 3, .. }))
    );
}

#[test]
fn a_record_acknowledged_without_an_offset_must_be_somewhere() {
    let mut history = History::default();
    let producer = history.add_producer(Promise::Once);
    history.sent(stamp(producer, 0));
    history.acknowledged(stamp(producer, 0), None);
    let lost = Violation::Lost {
        place: PLACE,
        offset: None,
        stamp: stamp(producer, 0),
    };
    assert_eq!(judge(&history, &Reading::default()), [lost]);
    let there = Reading {
        start: 0,
        end: 1,
        records: vec![(0, stamp(producer, 0).value(9))],
    };
    assert_eq!(judge(&history, &there), []);
}

#[test]
fn deleted_records_may_be_gone_but_not_come_back() {
    let (mut history, mut reading) = sound(Promise::Once);
    history.log_start_asked(TOPIC, PARTITION, 4);
    history.log_start(TOPIC, PARTITION, 4);
    let back = Violation::LogStartWentBack {
        place: PLACE,
        was: 4,
        found: 0,
    };
    assert_eq!(judge(&history, &reading), [back]);
    reading.records.drain(..4);
    reading.start = 4;
    assert_eq!(judge(&history, &reading), []);
    history.log_start(TOPIC, PARTITION, 3);
    assert!(matches!(
        history.violations(),
        [Violation::LogStartWentBack { was: 4, found: 3, .. }]
    ));
}

#[test]
fn a_log_start_that_nobody_asked_for_is_found() {
    let (history, mut reading) = sound(Promise::Once);
    reading.records.drain(..4);
    reading.start = 4;
    let unasked = Violation::LogStartUnasked {
        place: PLACE,
        asked: 0,
        found: 4,
    };
    assert_eq!(judge(&history, &reading), [unasked]);
}

#[test]
fn a_committed_offset_that_went_back_or_away_is_found() {
    let mut history = History::default();
    history.committed("g", TOPIC, PARTITION, 40);
    history.committed("g", TOPIC, PARTITION, 30);
    for (key, at_least) in history.commits() {
        assert_eq!(at_least, 40);
        history.found_committed(&key, at_least, Some(40));
        history.found_committed(&key, at_least, Some(50));
        assert_eq!(history.violations(), []);
        history.found_committed(&key, at_least, Some(39));
        history.found_committed(&key, at_least, None);
        assert_eq!(history.violations().len(), 2);
    }
}

#[test]
fn records_without_an_answer_are_counted() {
    let mut history = History::default();
    let producer = history.add_producer(Promise::Once);
    history.sent(stamp(producer, 0));
    history.sent(stamp(producer, 1));
    history.acknowledged(stamp(producer, 0), Some(0));
    let open = Violation::Unanswered {
        producer,
        sent: 2,
        acknowledged: 1,
    };
    assert_eq!(history.unanswered(), [open]);
}

#[test]
fn a_refused_record_is_a_violation() {
    let mut history = History::default();
    history.failed(stamp(0, 0), "fatal");
    assert!(matches!(history.violations(), [Violation::Refused { .. }]));
}
