use thalweg_types::{LeaderEpoch, ProducerEpoch, ProducerId, TimestampMs};

use super::*;

/// A header with `body` bytes behind it that nobody reads.
pub(crate) fn batch(base: i64, last: i64, body: usize) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: Offset(base),
        batch_length: 49 + body as i32,
        leader_epoch: LeaderEpoch(1),
        magic: 2,
        crc: 7,
        attributes: 0,
        last_offset_delta: (last - base) as i32,
        base_timestamp: TimestampMs(1),
        max_timestamp: TimestampMs(1),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: 1,
    };
    let mut bytes = header.encode().to_vec();
    bytes.resize(bytes.len() + body, 0xab);
    bytes
}

fn joined(batches: &[Vec<u8>]) -> Bytes {
    batches.concat().into()
}

#[test]
fn whole_batches_are_taken_and_a_cut_one_is_left() {
    let (first, second) = (batch(5, 7, 10), batch(8, 8, 20));
    let all = joined(&[first.clone(), second.clone()]);
    let whole = cut(&all, Offset(5)).unwrap().unwrap();
    assert_eq!((whole.base, whole.next, whole.batches), (Offset(5), Offset(9), 2));
    assert_eq!(whole.records, all);
    for len in 0..all.len() {
        let run = cut(&all.slice(..len), Offset(5)).unwrap();
        match len < first.len() {
            true => assert_eq!(run, None, "{len}"),
            false => assert_eq!(run.unwrap().records, first, "{len}"),
        }
    }
}

#[test]
fn what_lies_before_the_wanted_offset_is_left_out_and_holes_stay() {
    let all = joined(&[batch(0, 3, 1), batch(4, 9, 1), batch(20, 20, 1)]);
    let run = cut(&all, Offset(4)).unwrap().unwrap();
    assert_eq!((run.base, run.next, run.batches), (Offset(4), Offset(21), 2));
    let inside = cut(&all, Offset(6)).unwrap().unwrap();
    assert_eq!(
        inside.base,
        Offset(4),
        "the batch that holds the offset comes whole"
    );
    let hole = cut(&all, Offset(12)).unwrap().unwrap();
    assert_eq!((hole.base, hole.batches), (Offset(20), 1));
    assert_eq!(cut(&all, Offset(21)).unwrap(), None);
}

#[test]
fn bytes_that_are_no_batches_in_order_are_named() {
    let mut old = batch(3, 3, 1);
    old[16] = 1;
    assert!(matches!(
        cut(&joined(&[old]), Offset(3)),
        Err(RunError::OldFormat { magic: 1, .. })
    ));
    let back = joined(&[batch(5, 9, 1), batch(9, 10, 1)]);
    assert_eq!(
        cut(&back, Offset(5)),
        Err(RunError::Order {
            after: Offset(10),
            base: Offset(9)
        })
    );
    let mut short = batch(0, 0, 1);
    short[8..12].copy_from_slice(&(-1i32).to_be_bytes());
    assert!(matches!(
        cut(&joined(&[short]), Offset(0)),
        Err(RunError::Broken { .. })
    ));
}
