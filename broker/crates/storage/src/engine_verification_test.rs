//! Who may begin a transaction in a partition, and end it.

use super::*;

#[test]
fn a_batch_that_begins_a_transaction_needs_a_guard_which_a_marker_makes_void() {
    let mut log = Log::new();
    let header = transactional_header(&log.log, 7, 1);
    let unverified = append(&log.log, with_header(header, b"x"));
    assert!(
        matches!(unverified, Err(AppendError::TransactionState { .. })),
        "{unverified:?}"
    );
    let start = TransactionStart {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        base_sequence: 0,
        version: TransactionVersion::V1,
    };
    let guard = log.log.begin_verification(start, TimestampMs(1));
    assert!(guard.is_some());
    // The coordinator's answer is under way, and the abort of the transaction it is about comes first.
    log.end(7, TransactionOutcome::Abort);
    let late = CheckedBatch::check(with_header(header, b"x"))
        .unwrap()
        .verified(guard);
    let late = log.log.append(late, Origin::Client, TimestampMs(1));
    assert!(
        matches!(late, Err(AppendError::TransactionEnding { .. })),
        "{late:?}"
    );
    log.data(7, 1, b"x");
    // While it is open nobody needs to ask.
    assert_eq!(log.log.begin_verification(start, TimestampMs(1)), None);
    // A batch of a newer epoch waits for the marker.
    let newer = BatchHeader {
        producer_epoch: ProducerEpoch(header.producer_epoch.get() + 1),
        base_sequence: 0,
        ..header
    };
    let epoch = newer.producer_epoch;
    let guard = log
        .log
        .begin_verification(TransactionStart { epoch, ..start }, TimestampMs(1));
    let newer = CheckedBatch::check(with_header(newer, b"x"))
        .unwrap()
        .verified(guard);
    let newer = log.log.append(newer, Origin::Client, TimestampMs(1));
    assert!(
        matches!(newer, Err(AppendError::TransactionEnding { .. })),
        "{newer:?}"
    );
    let plain = idempotent_header(7, 0, 1, 1);
    let plain = append(&log.log, with_header(plain, b"x"));
    assert!(
        matches!(plain, Err(AppendError::TransactionState { .. })),
        "{plain:?}"
    );
    log.check();
}

#[test]
fn requests_that_are_verified_out_of_order_do_not_change_the_order_of_records() {
    let log = Log::new();
    let start = |base_sequence| TransactionStart {
        producer_id: ProducerId(7),
        epoch: ProducerEpoch(0),
        base_sequence,
        version: TransactionVersion::V1,
    };
    let _first = log.log.begin_verification(start(0), TimestampMs(1));
    let second = log.log.begin_verification(start(3), TimestampMs(1));
    let mut header = idempotent_header(7, 0, 3, 1);
    header.attributes |= TRANSACTIONAL;
    let batch = CheckedBatch::check(with_header(header, b"x"))
        .unwrap()
        .verified(second);
    let early = log.log.append(batch, Origin::Client, TimestampMs(1));
    assert!(
        matches!(
            early,
            Err(AppendError::Sequence(SequenceError::OutOfOrder {
                expected: 0,
                ..
            }))
        ),
        "{early:?}"
    );
}

#[test]
fn markers_of_an_old_epoch_or_coordinator_are_refused() {
    let mut log = Log::new();
    log.data(7, 1, b"x");
    let append = |marker| log.log.append_marker(marker, TimestampMs(1));
    let commit = marker(7, 0, TransactionOutcome::Commit);
    // With version 2 the epoch of the marker is above that of the records.
    let same_epoch = append(TransactionMarker {
        version: TransactionVersion::V2,
        ..commit
    });
    assert!(
        matches!(
            same_epoch,
            Err(AppendError::Sequence(SequenceError::StaleEpoch { .. }))
        ),
        "{same_epoch:?}"
    );
    append(TransactionMarker {
        version: TransactionVersion::V2,
        producer_epoch: ProducerEpoch(1),
        coordinator_epoch: 5,
        ..commit
    })
    .unwrap();
    assert_eq!(log.log.transactions()[0].transaction_start, None);
    // Sent again it is harmless.
    append(TransactionMarker {
        version: TransactionVersion::V2,
        producer_epoch: ProducerEpoch(1),
        coordinator_epoch: 5,
        ..commit
    })
    .unwrap();
    let old_epoch = append(commit);
    assert!(matches!(
        old_epoch,
        Err(AppendError::Sequence(SequenceError::StaleEpoch { .. }))
    ));
    let old_coordinator = append(TransactionMarker {
        producer_epoch: ProducerEpoch(1),
        coordinator_epoch: 4,
        ..commit
    });
    assert!(matches!(
        old_coordinator,
        Err(AppendError::TransactionCoordinatorFenced {
            found: 4,
            current: 5,
            ..
        })
    ));
    // The epoch before is fenced, and the new one begins at sequence 0.
    let mut header = idempotent_header(7, 0, 1, 1);
    header.attributes |= TRANSACTIONAL;
    let fenced = append_transactional(&log.log, header, b"late");
    assert!(matches!(
        fenced,
        Err(AppendError::Sequence(SequenceError::StaleEpoch { .. }))
    ));
    header.producer_epoch = ProducerEpoch(1);
    let gap = append_transactional(&log.log, header, b"gap");
    assert!(matches!(
        gap,
        Err(AppendError::Sequence(SequenceError::OutOfOrder {
            expected: 0,
            ..
        }))
    ));
    header.base_sequence = 0;
    append_transactional(&log.log, header, b"first").unwrap();
}

#[test]
fn a_producer_with_an_open_transaction_is_never_forgotten() {
    let mut log = Log::new();
    log.log.set_config(Arc::new(LogConfig {
        producers_max: 3,
        producer_id_expiration_ms: 10,
        ..config()
    }));
    let first = log.data(7, 1, b"x");
    for producer in 20..30 {
        append_durably(&log.log, with_header(idempotent_header(producer, 0, 0, 1), b"y"));
    }
    assert_eq!(log.log.producer_count(), 3);
    log.log.expire_producers(TimestampMs(i64::MAX / 2));
    let left = log.log.transactions();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].transaction_start, Some(Offset(first)));
    log.engine.checkpoint().unwrap();
    log.crash_and_open();
    let left = log.log.transactions();
    assert_eq!((left[0].producer_id.0, left[0].last_sequence), (7, 0));
    assert_eq!(log.log.offsets().last_stable_offset.0, first);
}
