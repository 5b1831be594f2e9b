use super::*;
use crate::test_batches::idempotent_header;

fn batch(producer: i64, base: i64, attributes: i16) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base),
        attributes,
        ..idempotent_header(producer, 0, 0, 2)
    }
}

fn data(producer: i64, base: i64) -> BatchHeader {
    batch(producer, base, 1 << 4)
}

fn marker(producer: i64, base: i64) -> BatchHeader {
    batch(producer, base, 1 << 4 | 1 << 5)
}

const ABORTED: AbortedTransaction = AbortedTransaction {
    producer_id: ProducerId(7),
    first_offset: Offset(10),
    last_offset: Offset(20),
    last_stable_offset: Offset(21),
};

#[test]
fn records_of_an_aborted_transaction_count_for_nothing_and_its_marker_stays_for_them() {
    let mut walk = Transactions::new(vec![ABORTED]);
    assert_eq!(
        walk.on_records(&data(7, 2)),
        Worth::Counts,
        "an earlier transaction"
    );
    assert_eq!(walk.on_marker(&marker(7, 4), Some(Marker::Commit)), Worth::Counts);
    assert_eq!(walk.on_records(&data(8, 6)), Worth::Counts);
    assert_eq!(walk.on_records(&data(7, 10)), Worth::Nothing);
    assert_eq!(
        walk.on_records(&batch(7, 12, 0)),
        Worth::Counts,
        "not transactional"
    );
    assert_eq!(walk.on_marker(&marker(7, 20), Some(Marker::Abort)), Worth::Counts);
    assert_eq!(walk.take_kept(), [ABORTED]);
    assert_eq!(walk.take_kept(), []);
    assert_eq!(
        walk.on_records(&data(7, 22)),
        Worth::Counts,
        "the next transaction"
    );
}

#[test]
fn a_marker_of_which_no_batch_is_left_counts_for_nothing() {
    let mut walk = Transactions::new(vec![ABORTED]);
    assert_eq!(
        walk.on_marker(&marker(7, 20), Some(Marker::Abort)),
        Worth::Nothing
    );
    assert_eq!(walk.take_kept(), []);
    assert_eq!(
        walk.on_marker(&marker(8, 22), Some(Marker::Commit)),
        Worth::Nothing
    );
    assert_eq!(
        walk.on_marker(&marker(8, 24), None),
        Worth::Nothing,
        "emptied before"
    );
    assert_eq!(walk.on_marker(&marker(8, 26), Some(Marker::Other)), Worth::Counts);
}

#[test]
fn markers_are_told_by_the_type_in_their_key() {
    assert_eq!(Marker::of_key(Some(&[0, 0, 0, 0])), Marker::Abort);
    assert_eq!(Marker::of_key(Some(&[0, 0, 0, 1])), Marker::Commit);
    assert_eq!(Marker::of_key(Some(&[0, 0, 0, 2])), Marker::Other);
    assert_eq!(Marker::of_key(Some(&[0])), Marker::Other);
    assert_eq!(Marker::of_key(None), Marker::Other);
}
