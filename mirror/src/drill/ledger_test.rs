use super::*;

fn batch(id: u64, at: Option<i64>, transaction: Option<usize>, term: u8) -> Batch {
    Batch {
        id,
        at: at.map(Offset),
        count: 2,
        transaction,
        term,
    }
}

fn seen(records: &[(i64, u64, u32)]) -> Vec<Seen> {
    records
        .iter()
        .map(|(offset, id, index)| Seen {
            offset: Offset(*offset),
            id: *id,
            index: *index,
        })
        .collect()
}

fn ledger(batches: &[Batch]) -> Ledger {
    let mut ledger = Ledger::new(1);
    for batch in batches {
        ledger.note(0, *batch);
    }
    ledger
}

#[test]
fn every_kind_of_damage_is_seen() {
    let ledger = ledger(&[batch(1, Some(0), None, 1), batch(2, Some(2), None, 2)]);
    let judge = |records: &[(i64, u64, u32)]| ledger.judge(&[seen(records)], &[]);
    let whole = [(0, 1, 0), (1, 1, 1), (2, 2, 0), (3, 2, 1)];
    assert!(judge(&whole).is_good());
    assert_eq!(judge(&whole).kept, 4);
    assert_eq!(judge(&whole[..3]).lost, 1);
    assert_eq!(
        judge(&[whole[0], whole[1], whole[2], whole[3], whole[3]]).doubled,
        1
    );
    assert_eq!(judge(&[whole[1], whole[0], (3, 2, 0), (4, 2, 1)]).misplaced, 2);
    assert_eq!(judge(&[(0, 9, 0)]).misplaced, 1);
}

#[test]
fn aborted_transactions_are_not_read_and_those_in_doubt_may_be() {
    let mut ledger = ledger(&[
        batch(1, Some(0), Some(0), 2),
        batch(2, Some(2), Some(1), 2),
        batch(3, Some(4), Some(2), 2),
        batch(4, None, None, 2),
    ]);
    for outcome in [Outcome::Committed, Outcome::Aborted, Outcome::Unknown] {
        let number = ledger.begin_transaction();
        ledger.end_transaction(number, outcome);
    }
    let judge = |records: &[(i64, u64, u32)]| ledger.judge(&[seen(records)], &[]);
    let committed = [(0, 1, 0), (1, 1, 1)];
    assert!(judge(&committed).is_good());
    assert_eq!(judge(&[committed[0], committed[1], (2, 2, 0)]).risen, 1);
    let all = judge(&[
        committed[0],
        committed[1],
        (4, 3, 0),
        (5, 3, 1),
        (7, 4, 0),
        (8, 4, 1),
    ]);
    assert!(all.is_good());
    assert_eq!(all.in_doubt, 4);
}

#[test]
fn what_lies_beyond_the_cut_is_in_the_export_and_nowhere_else() {
    let mut ledger = ledger(&[
        batch(1, Some(0), None, 1),
        batch(2, Some(2), Some(0), 1),
        batch(3, Some(6), None, 1),
        batch(4, Some(4), None, 2),
    ]);
    let number = ledger.begin_transaction();
    ledger.end_transaction(number, Outcome::Committed);
    // The transaction's records are below the cut, its end at 5 is not.
    let tail = |records: &[(i64, u64, u32)]| Tail {
        cut: Offset(4),
        records: seen(records),
        first_marker: Some(Offset(5)),
    };
    let read = [(0, 1, 0), (1, 1, 1), (4, 4, 0), (5, 4, 1)];
    let exported = [(6, 3, 0), (7, 3, 1)];
    let good = ledger.judge(&[seen(&read)], &[tail(&exported)]);
    assert!(good.is_good(), "{good:?}");
    assert_eq!((good.kept, good.cut_off, good.cut_through), (4, 2, 2));
    let lost = ledger.judge(&[seen(&read)], &[tail(&exported[..1])]);
    assert_eq!(lost.lost, 1);
    let mut risen = read.to_vec();
    risen.push((6, 3, 0));
    assert_eq!(ledger.judge(&[seen(&risen)], &[tail(&exported)]).risen, 1);
}
