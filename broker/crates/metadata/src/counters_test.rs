use std::collections::BTreeSet;

use super::*;
use crate::embedded::faulty_backend::FaultyBackend;
use crate::embedded::{EmbeddedOptions, EmbeddedStore, OpenMode};

fn open(disk: &FaultyBackend) -> EmbeddedStore {
    let options = EmbeddedOptions::new("test", OpenMode::CreateIfMissing);
    EmbeddedStore::open(disk.clone(), options).unwrap().0
}

#[test]
fn every_start_has_a_higher_number() {
    let disk = FaultyBackend::default();
    for start in 0..4 {
        assert_eq!(raise_start_counter(&open(&disk)), Ok(LeaderEpoch(start)));
    }
}

#[test]
fn the_start_counter_ends_with_an_error() {
    let store = open(&FaultyBackend::default());
    let last = Encoder::new(COUNTER_FORMAT).i64(i64::from(i32::MAX)).finish();
    store
        .commit(Transaction::new().put(keys::START_COUNTER, last))
        .unwrap();
    let expected = MetadataError::StartCounterExhausted { last: i32::MAX };
    assert_eq!(raise_start_counter(&store), Err(expected));
}

#[test]
fn producer_ids_begin_at_the_base_and_never_come_twice() {
    let disk = FaultyBackend::default();
    let base = ProducerId(1 << 40);
    assert_eq!(
        take_producer_id_block(&open(&disk), 1000, base),
        Ok(1 << 40..(1 << 40) + 1000)
    );
    // Another start with another random base goes on where the last one ended.
    let second = take_producer_id_block(&open(&disk), 5, ProducerId(7)).unwrap();
    assert_eq!(second, (1 << 40) + 1000..(1 << 40) + 1005);
}

#[test]
fn blocks_taken_at_the_same_time_do_not_overlap() {
    let store = open(&FaultyBackend::default());
    let store = &store;
    let ids: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    (0..5)
                        .flat_map(|_| take_producer_id_block(store, 10, ProducerId(100)).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(ids.len(), 200);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (100..300).collect());
}

#[test]
fn producer_ids_end_with_an_error_and_bad_arguments_are_refused() {
    let store = open(&FaultyBackend::default());
    assert!(matches!(
        take_producer_id_block(&store, 0, ProducerId(1)),
        Err(MetadataError::Invalid { .. })
    ));
    assert!(matches!(
        take_producer_id_block(&store, 1, ProducerId(-1)),
        Err(MetadataError::Invalid { .. })
    ));
    let last = ProducerId(i64::MAX - 5);
    assert!(take_producer_id_block(&store, 5, last).is_ok());
    let exhausted = take_producer_id_block(&store, 5, last).unwrap_err();
    assert!(matches!(
        exhausted,
        MetadataError::ProducerIdsExhausted { size: 5, .. }
    ));
}

#[test]
fn a_counter_that_makes_no_sense_is_refused() {
    let store = open(&FaultyBackend::default());
    for bytes in [vec![], vec![1, 0], vec![2; 9], Encoder::new(1).i64(-4).finish()] {
        store
            .commit(Transaction::new().put(keys::PRODUCER_IDS, bytes))
            .unwrap();
        let refused = take_producer_id_block(&store, 1, ProducerId(0)).unwrap_err();
        assert!(matches!(refused, MetadataError::Record { .. }), "{refused}");
    }
}
