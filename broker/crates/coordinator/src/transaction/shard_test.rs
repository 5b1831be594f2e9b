use super::super::testing::{Desk, config, with_epoch};
use super::*;
use thalweg_types::ProducerEpoch;

const V0: TransactionVersion = TransactionVersion::V0;
const V2: TransactionVersion = TransactionVersion::V2;
use Outcome::{Abort, Commit};

#[test]
fn rule_13_a_commit_and_an_abort_go_through_prepare_to_complete_and_survive_a_crash_at_each_record() {
    for (outcome, version) in [(Commit, V0), (Abort, V0), (Commit, V2), (Abort, V2)] {
        let mut desk = Desk::new();
        let producer = desk.init("a").unwrap();
        desk.add("a", producer, 3, version).unwrap();
        assert_eq!(desk.state("a"), TransactionState::Ongoing);
        desk.reload();
        let after = desk.end("a", producer, outcome, version).unwrap();
        let raised = i16::from(version == V2);
        assert_eq!(after, with_epoch(producer, producer.epoch.get() + raised));
        assert_eq!(desk.state("a"), outcome.prepare());
        for _ in 0..2 {
            let work = desk.works.clone();
            assert_eq!(
                (work.len(), work[0].outcome, work[0].producer),
                (1, outcome, after)
            );
            assert_eq!(work[0].version, version);
            desk.reload();
            assert_eq!(desk.works, work);
        }
        desk.mark();
        desk.reload();
        assert_eq!(desk.state("a"), outcome.complete());
        assert!(desk.works.is_empty());
        assert_eq!(desk.add("a", after, 3, version), Ok(()));
    }
}

#[test]
fn a_new_producer_aborts_the_open_transaction_of_the_old_one_and_fences_it() {
    for version in [V0, V2] {
        let mut desk = Desk::new();
        let old = desk.init("a").unwrap();
        desk.add("a", old, 0, version).unwrap();
        assert_eq!(desk.init("a"), Err(TransactionError::ConcurrentTransactions));
        assert_eq!(desk.state("a"), TransactionState::PrepareAbort);
        // The fencing epoch, which nobody is told.
        assert_eq!(desk.works[0].producer, with_epoch(old, 1));
        assert_eq!(
            desk.works[0].version, V2,
            "the marker's epoch is above that of the data"
        );
        assert_eq!(desk.init("a"), Err(TransactionError::ConcurrentTransactions));
        desk.mark();
        let new = desk.init("a").unwrap();
        assert_eq!(new, with_epoch(old, 2));
        for fenced in [
            desk.add("a", old, 0, version).err(),
            desk.end("a", old, Commit, version).err(),
            desk.init_as("a", Some(old)).err(),
        ] {
            assert_eq!(fenced, Some(TransactionError::ProducerFenced));
        }
        let stats = desk.shard.stats();
        assert_eq!((stats.taken_over, stats.aborted, stats.committed), (1, 1, 0));
    }
}

#[test]
fn rule_18_a_timeout_outside_its_bounds_is_refused() {
    let mut desk = Desk::new();
    for (timeout_ms, is_good) in [
        (0, false),
        (-1, false),
        (1, true),
        (10_000, true),
        (10_001, false),
        (i32::MIN, false),
    ] {
        let request = TransactionRequest::Init(InitProducerId {
            transactional_id: "a".into(),
            timeout_ms,
            expected: None,
        });
        let reply = desk.call(&request);
        let refused = TransactionReply::Init(Err(TransactionError::InvalidTransactionTimeout));
        assert_eq!(reply == refused, !is_good, "{timeout_ms}");
    }
}

#[test]
fn a_transaction_past_its_timeout_is_aborted_whatever_happens_in_between() {
    let mut desk = Desk::new();
    let producer = desk.init("a").unwrap();
    desk.add("a", producer, 0, V0).unwrap();
    desk.tick(4_000);
    desk.add("a", producer, 1, V0).unwrap();
    assert_eq!(desk.state("a"), TransactionState::Ongoing);
    desk.reload();
    desk.tick(999);
    assert_eq!(desk.state("a"), TransactionState::Ongoing);
    desk.tick(1);
    assert_eq!(desk.state("a"), TransactionState::PrepareAbort);
    desk.mark();
    assert_eq!(desk.shard.stats().timed_out, 1);
    assert_eq!(
        desk.end("a", producer, Commit, V0),
        Err(TransactionError::ProducerFenced)
    );
    // One that ended in time is left alone.
    let producer = desk.init("a").unwrap();
    desk.add("a", producer, 0, V0).unwrap();
    desk.end("a", producer, Commit, V0).unwrap();
    desk.mark();
    desk.tick(10_000);
    assert_eq!(desk.state("a"), TransactionState::CompleteCommit);
}

#[test]
fn a_producer_that_goes_on_after_an_error_is_told_the_same_again() {
    let mut desk = Desk::new();
    let first = desk.init("a").unwrap();
    let second = desk.init_as("a", Some(first)).unwrap();
    assert_eq!(second, with_epoch(first, 1));
    assert_eq!(desk.init_as("a", Some(first)), Ok(second), "the answer was lost");
    let third = desk.init("a").unwrap();
    assert_eq!(third, with_epoch(first, 2));
    assert_eq!(
        desk.init_as("a", Some(first)),
        Err(TransactionError::ProducerFenced),
        "another producer came in between"
    );
    assert_eq!(
        desk.init_as("a", Some(second)),
        Err(TransactionError::ProducerFenced)
    );
}

/// Brings a producer to the last epoch that clients are given.
fn exhausted(desk: &mut Desk) -> ProducerIdAndEpoch {
    let first = desk.init("a").unwrap();
    let mut last = first;
    for _ in 0..i16::MAX - 1 {
        last = desk.init("a").unwrap();
    }
    assert_eq!(last, with_epoch(first, i16::MAX - 1));
    last
}

#[test]
fn an_exhausted_epoch_brings_a_new_producer_id() {
    let mut desk = Desk::new();
    let last = exhausted(&mut desk);
    let next = desk.init_as("a", Some(last)).unwrap();
    assert_ne!(next.id, last.id);
    assert_eq!(next.epoch, ProducerEpoch(0));
    assert_eq!(desk.init_as("a", Some(last)), Ok(next), "the answer was lost");
    desk.reload();
    assert_eq!(
        desk.add("a", last, 0, V0),
        Err(TransactionError::InvalidProducerIdMapping)
    );
    assert_eq!(desk.add("a", next, 0, V0), Ok(()));
}

#[test]
fn an_end_with_an_exhausted_epoch_brings_a_new_producer_id_and_can_be_asked_again() {
    let mut desk = Desk::new();
    let last = exhausted(&mut desk);
    desk.add("a", last, 0, V2).unwrap();
    let next = desk.end("a", last, Commit, V2).unwrap();
    assert_eq!(
        desk.works[0].producer,
        with_epoch(last, i16::MAX),
        "the marker is the old id's"
    );
    desk.reload();
    desk.mark();
    assert_eq!(desk.end("a", last, Commit, V2), Ok(next), "the answer was lost");
    desk.reload();
    assert_eq!(desk.end("a", last, Commit, V2), Ok(next));
    assert_eq!(desk.add("a", next, 0, V2), Ok(()));
    assert_eq!(
        desk.end("a", last, Commit, V2),
        Err(TransactionError::ProducerFenced)
    );
}

#[test]
fn an_end_in_version_2_is_told_from_its_repetition_by_the_epoch() {
    let mut desk = Desk::new();
    let first = desk.init("a").unwrap();
    desk.add("a", first, 0, V2).unwrap();
    let second = desk.end("a", first, Commit, V2).unwrap();
    let waits = Err(TransactionError::ConcurrentTransactions);
    assert_eq!(desk.end("a", first, Commit, V2), waits);
    assert_eq!(desk.end("a", second, Abort, V2), waits);
    desk.mark();
    assert_eq!(desk.end("a", first, Commit, V2), Ok(second));
    assert_eq!(
        desk.end("a", first, Abort, V2),
        Err(TransactionError::InvalidTxnState)
    );
    assert_eq!(
        desk.end("a", second, Commit, V2),
        Err(TransactionError::InvalidTxnState),
        "nothing was written"
    );
    let third = desk.end("a", second, Abort, V2).unwrap();
    assert_eq!(third, with_epoch(first, 2));
    assert!(desk.works[0].partitions.is_empty());
    desk.mark();
    assert_eq!(desk.state("a"), TransactionState::CompleteAbort);
    assert_eq!(
        desk.end("a", first, Commit, V2),
        Err(TransactionError::ProducerFenced)
    );
}

#[test]
fn an_end_in_version_0_keeps_the_epoch_and_can_be_asked_again() {
    let mut desk = Desk::new();
    let producer = desk.init("a").unwrap();
    let wrong = Err(TransactionError::InvalidTxnState);
    assert_eq!(desk.end("a", producer, Commit, V0), wrong, "nothing was begun");
    assert_eq!(desk.end("a", producer, Abort, V0), wrong);
    desk.add("a", producer, 0, V0).unwrap();
    assert_eq!(desk.end("a", producer, Abort, V0), Ok(producer));
    desk.mark();
    assert_eq!(desk.end("a", producer, Abort, V0), Ok(producer));
    assert_eq!(desk.end("a", producer, Commit, V0), wrong);
}

#[test]
fn ids_that_nobody_uses_expire_and_open_ones_do_not() {
    let mut desk = Desk::with(TransactionConfig {
        id_expiration_ms: 3_000,
        expiry_records_max: 1,
        ..config()
    });
    let open = desk.init("open").unwrap();
    desk.init("b").unwrap();
    desk.init("c").unwrap();
    desk.tick(1_000);
    desk.add("open", open, 0, V0).unwrap();
    desk.tick(2_100);
    desk.tick(1);
    desk.tick(1);
    assert_eq!(desk.describe("b"), Err(TransactionError::TransactionalIdNotFound));
    assert_eq!(desk.describe("c"), Err(TransactionError::TransactionalIdNotFound));
    assert_eq!(desk.state("open"), TransactionState::Ongoing);
    assert_eq!(desk.shard.stats().ids_expired, 2);
    desk.reload();
    assert_eq!(desk.shard.transactions().count(), 1);
}

#[test]
fn an_id_beyond_the_limit_is_refused_and_known_ones_are_served() {
    let mut desk = Desk::new();
    for id in ["a", "b", "c", "d"] {
        desk.init(id).unwrap();
    }
    assert_eq!(desk.init("e"), Err(TransactionError::TransactionalIdsMaxReached));
    assert!(desk.init("a").is_ok());
    assert_eq!(desk.init(""), Err(TransactionError::InvalidRequest));
    let long = "x".repeat(STRING_BYTES_MAX + 1);
    assert_eq!(desk.init(&long), Err(TransactionError::InvalidRequest));
}

#[test]
fn a_shard_that_loads_or_is_unloaded_answers_everybody_and_changes_nothing() {
    let mut loading = TransactionShard::new(config());
    let request = TransactionRequest::Init(InitProducerId {
        transactional_id: "a".into(),
        timeout_ms: 1,
        expected: None,
    });
    let step = loading.step(TimestampMs(1), &request, &mut None).unwrap();
    assert_eq!(
        step.reply,
        Some(TransactionReply::Init(Err(
            TransactionError::CoordinatorLoadInProgress
        )))
    );
    assert!(step.records.is_empty());
    loading.unload();
    let step = loading.step(TimestampMs(1), &request, &mut None).unwrap();
    assert_eq!(
        step.reply,
        Some(TransactionReply::Init(Err(TransactionError::NotCoordinator)))
    );
}

#[test]
fn lists_are_filtered_by_state_producer_and_age() {
    let mut desk = Desk::new();
    let a = desk.init("a").unwrap();
    let b = desk.init("b").unwrap();
    desk.add("a", a, 0, V0).unwrap();
    desk.now += 100;
    let mut list = |list: ListTransactions| -> Vec<String> {
        match desk.call(&TransactionRequest::List(list)) {
            TransactionReply::List(Ok(lines)) => lines
                .iter()
                .map(|line| line.transactional_id.as_str().to_owned())
                .collect(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(ListTransactions::default()), ["a", "b"]);
    let ongoing = ListTransactions {
        states: vec![TransactionState::Ongoing],
        ..ListTransactions::default()
    };
    assert_eq!(list(ongoing.clone()), ["a"]);
    let of_b = ListTransactions {
        producer_ids: vec![b.id],
        ..ListTransactions::default()
    };
    assert_eq!(list(of_b), ["b"]);
    for (duration_ms, expected) in [(99, 1), (100, 0)] {
        let aged = ListTransactions {
            duration_ms: Some(duration_ms),
            ..ongoing.clone()
        };
        assert_eq!(list(aged).len(), expected);
    }
}

#[test]
fn a_record_that_says_nonsense_is_named_and_changes_nothing() {
    let mut desk = Desk::new();
    desk.init("a").unwrap();
    let record = desk.log[0].clone();
    let mut value = record.value.unwrap().to_vec();
    let mut shard = TransactionShard::new(config());
    // The state's number, behind version, id, epoch and timeout.
    value[16] = 6;
    let error = shard.replay(&record.key, Some(&value), Offset(5)).unwrap_err();
    assert_eq!(
        error,
        TransactionReplayError::UnknownState {
            offset: Offset(5),
            number: 6
        }
    );
    let error = shard
        .replay(&record.key, Some(&value[..9]), Offset(6))
        .unwrap_err();
    assert!(error.to_string().contains("offset 6"), "{error}");
    assert_eq!(
        shard.replay(&[0, 9], None, Offset(7)),
        Ok(TransactionReplayed::Skipped)
    );
    assert_eq!(shard.transactions().count(), 0);
}
