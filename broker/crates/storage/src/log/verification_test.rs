use super::*;
use crate::test_batches::idempotent_header;

fn start(producer: i64, epoch: i16, base_sequence: i32) -> TransactionStart {
    TransactionStart {
        producer_id: ProducerId(producer),
        epoch: ProducerEpoch(epoch),
        base_sequence,
        version: TransactionVersion::V1,
    }
}

#[test]
fn requests_of_one_producer_share_a_guard_until_it_ends() {
    let mut verifications = Verifications::default();
    let first = verifications.begin(start(7, 0, 5), TimestampMs(1), 10);
    let again = verifications.begin(start(7, 0, 2), TimestampMs(2), 10);
    assert_eq!(first, again);
    let header = idempotent_header(7, 0, 5, 1);
    assert!(verifications.holds(&header, Some(first)));
    assert!(!verifications.holds(&header, None));
    assert!(verifications.check_first(&header).is_err());
    assert!(verifications.check_first(&idempotent_header(7, 0, 2, 1)).is_ok());
    verifications.end(ProducerId(7));
    assert!(!verifications.holds(&header, Some(first)));
    assert_ne!(verifications.begin(start(7, 0, 5), TimestampMs(3), 10), first);
}

#[test]
fn another_epoch_asks_anew() {
    let mut verifications = Verifications::default();
    let old = verifications.begin(start(7, 0, 0), TimestampMs(1), 10);
    let new = verifications.begin(start(7, 1, 0), TimestampMs(1), 10);
    assert!(!verifications.holds(&idempotent_header(7, 0, 0, 1), Some(old)));
    assert!(verifications.holds(&idempotent_header(7, 1, 0, 1), Some(new)));
}

#[test]
fn the_number_of_verifications_is_bounded_and_old_ones_expire() {
    let mut verifications = Verifications::default();
    for producer in 0..100 {
        let _ = verifications.begin(start(producer, 0, 0), TimestampMs(producer), 10);
    }
    assert_eq!(verifications.under_way.len(), 10);
    verifications.expire(TimestampMs(95));
    assert_eq!(verifications.under_way.len(), 5);
}

#[test]
fn a_marker_leaves_the_verification_of_the_transaction_behind_it() {
    let of = |version, epoch| TransactionStart {
        version,
        ..start(7, epoch, 0)
    };
    for (version, epoch, is_kept) in [
        (TransactionVersion::V2, 4, true),
        (TransactionVersion::V2, 3, false),
        (TransactionVersion::V1, 4, false),
    ] {
        let mut verifications = Verifications::default();
        let guard = verifications.begin(of(version, epoch), TimestampMs(1), 10);
        verifications.end_by_marker(ProducerId(7), ProducerEpoch(4));
        let holds = verifications.holds(&idempotent_header(7, epoch, 0, 1), Some(guard));
        assert_eq!(holds, is_kept, "{version:?} {epoch}");
    }
}
