use super::*;
use crate::test_batches::idempotent_header;
use proptest::prelude::*;

fn data(producer: i64, count: i32) -> BatchHeader {
    let mut header = idempotent_header(producer, 0, 0, count);
    header.attributes |= 0x10;
    header
}

fn marker(outcome: TransactionOutcome) -> Option<EndTransactionMarker> {
    Some(EndTransactionMarker {
        outcome,
        coordinator_epoch: 0,
    })
}

const ABORT: TransactionOutcome = TransactionOutcome::Abort;

#[test]
fn a_transaction_is_undecided_until_its_marker_is_below_the_high_watermark() {
    let mut transactions = Transactions::default();
    transactions.note(&data(1, 2), Offset(0), None);
    transactions.note(&data(2, 1), Offset(2), None);
    transactions.note(&data(2, 1), Offset(3), marker(ABORT));
    assert_eq!(transactions.first_unstable(), Some(Offset(0)));
    transactions.note(&data(1, 1), Offset(4), marker(TransactionOutcome::Commit));
    transactions.advance(Offset(4));
    assert_eq!(transactions.first_unstable(), Some(Offset(0)));
    assert_eq!(transactions.durable(Offset(4)).open.len(), 1);
    transactions.advance(Offset(5));
    assert_eq!(transactions.first_unstable(), None);
    assert!(transactions.durable(Offset(5)).open.is_empty());
}

#[test]
fn an_abort_names_the_oldest_transaction_that_stays_open() {
    let mut transactions = Transactions::default();
    transactions.note(&data(1, 1), Offset(0), None);
    transactions.note(&data(2, 1), Offset(1), None);
    transactions.note(&data(1, 1), Offset(2), marker(ABORT));
    transactions.note(&data(2, 1), Offset(3), marker(ABORT));
    let all = transactions.unindexed(Offset(0), Offset(9));
    let stable: Vec<i64> = all.iter().map(|abort| abort.last_stable_offset.0).collect();
    assert_eq!(stable, [1, 4]);
}

#[test]
fn a_truncation_forgets_what_it_cuts_and_opens_what_it_is_told() {
    let mut transactions = Transactions::default();
    transactions.note(&data(1, 1), Offset(0), None);
    transactions.note(&data(1, 1), Offset(1), marker(ABORT));
    transactions.note(&data(2, 1), Offset(2), None);
    transactions.note(&data(2, 1), Offset(3), marker(ABORT));
    transactions.advance(Offset(4));
    let open = OpenTransaction {
        producer_id: ProducerId(2),
        epoch: ProducerEpoch(0),
        first_offset: Offset(2),
        started: TimestampMs(0),
    };
    transactions.truncate_to(Offset(3), vec![open]);
    assert_eq!(transactions.first_unstable(), Some(Offset(2)));
    assert_eq!(transactions.of_producer(ProducerId(2)), Some(open));
    assert_eq!(transactions.unindexed(Offset(0), Offset(9)).len(), 1);
    transactions.note(&data(2, 1), Offset(3), marker(ABORT));
    assert_eq!(transactions.unindexed(Offset(0), Offset(9)).len(), 2);
}

proptest! {
    #[test]
    fn replay_over_a_recovery_point_changes_nothing(
        steps in proptest::collection::vec((0i64..4, 0u8..4), 1..60),
        durable in 0usize..60,
        from in 0usize..60,
    ) {
        let mut live = Transactions::default();
        let batch = |(producer, kind): (i64, u8)| match kind {
            0 => (data(producer, 1), marker(ABORT)),
            1 => (data(producer, 1), marker(TransactionOutcome::Commit)),
            _ => (data(producer, 1), None),
        };
        for (offset, step) in steps.iter().enumerate() {
            let (header, marker) = batch(*step);
            live.note(&header, Offset(offset as i64), marker);
        }
        let durable = durable.min(steps.len());
        let end = Offset(durable as i64);
        let mut replayed = Transactions::restore(live.durable(end), end, Offset(0));
        for (offset, step) in steps.iter().enumerate().skip(from.min(durable)) {
            let (header, marker) = batch(*step);
            replayed.note(&header, Offset(offset as i64), marker);
        }
        let all = Offset(steps.len() as i64);
        prop_assert_eq!(replayed.durable(all), live.durable(all));
        live.advance(all);
        replayed.advance(all);
        prop_assert_eq!(replayed.first_unstable(), live.first_unstable());
    }
}
