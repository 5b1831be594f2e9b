use super::*;
use crate::test_batches::idempotent_header;
use proptest::prelude::*;

const NOW: TimestampMs = TimestampMs(1);

fn none() -> Transactions {
    Transactions::default()
}

fn append(producers: &mut Producers, header: &BatchHeader, offset: i64) {
    assert_eq!(producers.check(header), Ok(SequenceCheck::Next));
    producers.note(header, Offset(offset), NOW, 100, &none());
}

#[test]
fn rule_11_each_of_the_last_five_batches_is_a_repeat_and_the_sixth_is_out_of_order() {
    let mut producers = Producers::default();
    for index in 0..6 {
        append(
            &mut producers,
            &idempotent_header(7, 0, index * 10, 10),
            i64::from(index) * 10,
        );
    }
    for index in 1..6 {
        let check = producers.check(&idempotent_header(7, 0, index * 10, 10)).unwrap();
        let SequenceCheck::Duplicate(batch) = check else {
            panic!("{check:?}")
        };
        assert_eq!(batch.base_offset, Offset(i64::from(index) * 10));
    }
    let oldest = producers.check(&idempotent_header(7, 0, 0, 10));
    assert!(matches!(
        oldest,
        Err(SequenceError::OutOfOrder {
            found: 0,
            expected: 60,
            ..
        })
    ));
}

#[test]
fn rule_11_the_sequence_wraps_to_zero() {
    let mut producers = Producers::default();
    append(&mut producers, &idempotent_header(7, 0, i32::MAX - 4, 5), 0);
    append(&mut producers, &idempotent_header(7, 0, 0, 3), 5);
    let mut other = Producers::default();
    append(&mut other, &idempotent_header(8, 0, i32::MAX - 1, 4), 0);
    // Records MAX-1, MAX, 0, 1.
    append(&mut other, &idempotent_header(8, 0, 2, 1), 4);
}

#[test]
fn a_gap_is_out_of_order_and_an_unknown_producer_starts_anywhere() {
    let mut producers = Producers::default();
    append(&mut producers, &idempotent_header(7, 0, 40, 2), 0);
    let gap = producers.check(&idempotent_header(7, 0, 43, 1));
    assert!(matches!(
        gap,
        Err(SequenceError::OutOfOrder {
            found: 43,
            expected: 42,
            ..
        })
    ));
}

#[test]
fn a_new_epoch_starts_at_zero_and_fences_the_old() {
    let mut producers = Producers::default();
    append(&mut producers, &idempotent_header(7, 3, 40, 2), 0);
    let wrong = producers.check(&idempotent_header(7, 4, 42, 2));
    assert!(matches!(
        wrong,
        Err(SequenceError::OutOfOrder { expected: 0, .. })
    ));
    append(&mut producers, &idempotent_header(7, 4, 0, 2), 2);
    let stale = producers.check(&idempotent_header(7, 3, 42, 2));
    assert!(matches!(stale, Err(SequenceError::StaleEpoch { .. })));
}

#[test]
fn rule_11_an_idle_producer_survives_until_it_expires() {
    let mut producers = Producers::default();
    append(&mut producers, &idempotent_header(7, 0, 0, 1), 0);
    assert_eq!(producers.expire(NOW, &none()), 0);
    assert_eq!(producers.expire(TimestampMs(2), &none()), 1);
    append(&mut producers, &idempotent_header(7, 0, 99, 1), 1);
}

#[test]
fn the_number_of_producers_is_bounded() {
    let mut producers = Producers::default();
    for id in 0..500 {
        let header = idempotent_header(id, 0, 0, 1);
        producers.note(&header, Offset(id), TimestampMs(id), 100, &none());
    }
    assert_eq!(producers.len(), 100);
    assert_eq!(producers.entries()[0].0, ProducerId(400));
}

proptest! {
    #[test]
    fn noting_a_suffix_again_changes_nothing(sizes in proptest::collection::vec(1i32..20, 1..30), from in 0usize..30) {
        let mut producers = Producers::default();
        let (mut sequence, mut offset, mut notes) = (0, 0i64, Vec::new());
        for size in sizes {
            notes.push((idempotent_header(7, 0, sequence, size), Offset(offset)));
            sequence += size;
            offset += i64::from(size);
        }
        for (header, offset) in &notes {
            producers.note(header, *offset, NOW, 100, &none());
        }
        let before = producers.clone();
        for (header, offset) in notes.iter().skip(from) {
            producers.note(header, *offset, NOW, 100, &none());
        }
        prop_assert_eq!(before, producers);
    }
}
