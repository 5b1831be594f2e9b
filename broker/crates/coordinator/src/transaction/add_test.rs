use super::super::testing::{Desk, with_epoch};
use super::super::*;
use crate::names::TopicName;
use thalweg_types::{PartitionIndex, ProducerId};

const V0: TransactionVersion = TransactionVersion::V0;

fn verify(desk: &mut Desk, producer: ProducerIdAndEpoch, partition: i32) -> Result<(), TransactionError> {
    let request = TransactionRequest::Verify(VerifyPartitions {
        transactional_id: "a".into(),
        producer,
        partitions: vec![(TopicName::from("t"), PartitionIndex(partition))],
    });
    match desk.call(&request) {
        TransactionReply::Verify(reply) => reply.and_then(|mut all| all.remove(0).outcome),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_partition_begins_the_transaction_and_a_known_one_is_not_stored_again() {
    let mut desk = Desk::new();
    let producer = desk.init("a").unwrap();
    desk.now += 5;
    assert_eq!(desk.add("a", producer, 0, V0), Ok(()));
    let stored = desk.log.len();
    assert_eq!(desk.add("a", producer, 0, V0), Ok(()));
    assert_eq!(desk.log.len(), stored);
    desk.now += 5;
    assert_eq!(desk.add("a", producer, 1, V0), Ok(()));
    let described = desk.describe("a").unwrap();
    assert_eq!(described.started_at.get(), 1_005);
    assert_eq!(
        described.partitions,
        [(TopicName::from("t"), vec![PartitionIndex(0), PartitionIndex(1)])]
    );
    assert_eq!(desk.shard.stats().started, 1);
}

#[test]
fn only_the_newest_producer_may_add() {
    let mut desk = Desk::new();
    let first = desk.init("a").unwrap();
    let second = desk.init("a").unwrap();
    assert_eq!((second.id, second.epoch.get()), (first.id, first.epoch.get() + 1));
    assert_eq!(desk.add("a", first, 0, V0), Err(TransactionError::ProducerFenced));
    let stranger = ProducerIdAndEpoch {
        id: ProducerId(7),
        ..second
    };
    let unknown = Err(TransactionError::InvalidProducerIdMapping);
    assert_eq!(desk.add("a", stranger, 0, V0), unknown);
    assert_eq!(desk.add("nobody", second, 0, V0), unknown);
    assert_eq!(
        desk.add("a", with_epoch(second, 9), 0, V0),
        Err(TransactionError::ProducerFenced)
    );
}

#[test]
fn while_markers_are_written_the_next_transaction_waits() {
    let mut desk = Desk::new();
    let producer = desk.init("a").unwrap();
    desk.add("a", producer, 0, V0).unwrap();
    desk.end("a", producer, Outcome::Commit, V0).unwrap();
    let waits = Err(TransactionError::ConcurrentTransactions);
    assert_eq!(desk.add("a", producer, 1, V0), waits);
    assert_eq!(verify(&mut desk, producer, 0), waits);
    assert_eq!(desk.init("a"), Err(TransactionError::ConcurrentTransactions));
    desk.mark();
    assert_eq!(desk.add("a", producer, 1, V0), Ok(()));
}

#[test]
fn only_partitions_of_the_open_transaction_are_verified() {
    let mut desk = Desk::new();
    let producer = desk.init("a").unwrap();
    let abort = Err(TransactionError::TransactionAbortable);
    assert_eq!(verify(&mut desk, producer, 0), abort);
    desk.add("a", producer, 0, V0).unwrap();
    assert_eq!(verify(&mut desk, producer, 0), Ok(()));
    assert_eq!(verify(&mut desk, producer, 1), abort);
    desk.end("a", producer, Outcome::Abort, V0).unwrap();
    desk.mark();
    assert_eq!(verify(&mut desk, producer, 0), abort);
}

#[test]
fn a_transaction_that_no_record_holds_is_refused_and_goes_on() {
    let mut desk = Desk::with(TransactionConfig {
        record_bytes_max: 1_024,
        ..super::super::testing::config()
    });
    let producer = desk.init("a").unwrap();
    let outcomes: Vec<_> = (0..300)
        .map(|partition| desk.add("a", producer, partition, V0))
        .collect();
    let fitting = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!((100..300).contains(&fitting), "{fitting}");
    assert_eq!(outcomes[fitting], Err(TransactionError::TransactionTooLarge));
    assert!(
        desk.log
            .iter()
            .all(|record| record.key.len() + record.value.as_ref().unwrap().len() <= 1_024)
    );
    assert!(desk.end("a", producer, Outcome::Commit, V0).is_ok());
}
