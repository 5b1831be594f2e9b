//! Compaction of transactions: aborted records go and never stand in for committed ones, markers stay as long as a
//! reader may need them.

use super::cleaner::{Compacted, compacted, headers, pairs};
use super::transactions::marker;
use super::*;
use crate::log::{TransactionStart, TransactionVersion};
use thalweg_types::{ProducerEpoch, ProducerId};
use thalweg_wire::records::{
    BatchBuilder, BatchOptions, ProducerStamp, TransactionOutcome, Transactionality,
};

fn transactional(it: &Compacted, producer: i64, rows: &[(&str, &str)]) -> i64 {
    let known = it.log.transactions();
    let known = known.iter().find(|known| known.producer_id.0 == producer);
    let stamp = ProducerStamp {
        id: ProducerId(producer),
        epoch: ProducerEpoch(0),
        base_sequence: known.map_or(0, |known| known.last_sequence + 1),
    };
    let mut builder = BatchBuilder::new(BatchOptions {
        producer: Some(stamp),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    });
    for (key, value) in rows {
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        builder.push(TimestampMs(1000), key, value, &[]).unwrap();
    }
    let start = TransactionStart {
        producer_id: stamp.id,
        epoch: stamp.epoch,
        base_sequence: stamp.base_sequence,
        version: TransactionVersion::V1,
    };
    let guard = it.log.begin_verification(start, TimestampMs(1));
    let batch = CheckedBatch::check(builder.build().unwrap()).unwrap();
    let place = it
        .log
        .append(batch.verified(guard), Origin::Client, TimestampMs(1));
    let place = place.unwrap().place();
    place.ticket.unwrap().wait().unwrap();
    place.base_offset.0
}

fn end(it: &Compacted, producer: i64, outcome: TransactionOutcome) -> i64 {
    let place = it
        .log
        .append_marker(marker(producer, 0, outcome), TimestampMs(9))
        .unwrap();
    place.ticket.unwrap().wait().unwrap();
    place.base_offset.0
}

fn aborted(it: &Compacted) -> Vec<(i64, i64)> {
    let request = ReadRequest {
        offset: Offset(0),
        max_bytes: 1 << 20,
        limit: ReadLimit::LastStable,
        min_one: MinOne::Yes,
    };
    let result = it.log.read(request).unwrap();
    result
        .aborted
        .iter()
        .map(|abort| (abort.first_offset.0, abort.last_offset.0))
        .collect()
}

fn has_batch(it: &Compacted, base: i64) -> bool {
    headers(&it.log).iter().any(|header| header.base_offset.0 == base)
}

#[test]
fn an_aborted_record_never_stands_in_for_a_committed_one() {
    let it = Compacted::new(compacted());
    it.put(BatchOptions::default(), &[("a", Some("committed"))]);
    assert_eq!(transactional(&it, 7, &[("a", "aborted"), ("x", "aborted")]), 1);
    let abort = end(&it, 7, TransactionOutcome::Abort);
    assert_eq!(transactional(&it, 8, &[("b", "1")]), 4);
    let commit = end(&it, 8, TransactionOutcome::Commit);
    it.seal();
    it.clean_at(5000).unwrap();
    let expected = pairs(&[(0, "a=committed"), (4, "b=1")]);
    assert_eq!(it.data(), expected);
    assert_eq!(aborted(&it), [(1, abort)]);
    assert!(has_batch(&it, 1), "emptied: it is the last of its producer");
    assert!(has_batch(&it, abort) && has_batch(&it, commit));
    let it = it.restart();
    assert_eq!(it.data(), expected);
    assert_eq!(aborted(&it), [(1, abort)]);

    // The producers go on, so the emptied batch goes; its marker stays once more, gets its horizon, and goes after it.
    transactional(&it, 7, &[("c", "1")]);
    end(&it, 7, TransactionOutcome::Commit);
    it.seal();
    it.clean_at(5000).unwrap();
    assert!(!has_batch(&it, 1) && has_batch(&it, abort));
    it.seal();
    it.clean_at(5000).unwrap();
    assert!(has_batch(&it, abort));
    assert_eq!(aborted(&it), [], "no record of it is left");
    it.seal();
    it.clean_at(5999).unwrap();
    assert!(has_batch(&it, abort));
    it.seal();
    it.clean_at(6000).unwrap();
    assert!(!has_batch(&it, abort));
    assert!(has_batch(&it, commit), "of its transaction a record is left");
    let it = it.restart();
    let data = it.data();
    assert_eq!(data[..2], expected[..]);
    assert!(data.iter().any(|(_, text)| text == "c=1"));
}

#[test]
fn a_producers_old_abort_hides_none_of_its_later_records() {
    let it = Compacted::new(compacted());
    transactional(&it, 7, &[("a", "old")]);
    end(&it, 7, TransactionOutcome::Commit);
    transactional(&it, 7, &[("z", "junk")]);
    end(&it, 7, TransactionOutcome::Abort);
    it.seal();
    it.clean_at(5000).unwrap();
    // The abort lies below what is dirty now.
    let new = transactional(&it, 7, &[("a", "new")]);
    end(&it, 7, TransactionOutcome::Commit);
    it.seal();
    it.clean_at(5000).unwrap();
    assert_eq!(
        it.data(),
        pairs(&[(new, "a=new")]),
        "what a newer record replaces is gone"
    );
    let it = it.restart();
    assert_eq!(it.data(), pairs(&[(new, "a=new")]));
}

#[test]
fn what_an_open_transaction_holds_back_is_not_touched() {
    let it = Compacted::new(compacted());
    it.put(BatchOptions::default(), &[("a", Some("1"))]);
    transactional(&it, 7, &[("a", "open")]);
    it.seal();
    let _ = it.clean_at(5000);
    assert_eq!(it.data(), pairs(&[(0, "a=1"), (1, "a=open")]));
    end(&it, 7, TransactionOutcome::Commit);
    it.engine.checkpoint().unwrap();
    it.clean_at(5000).unwrap();
    assert_eq!(it.data(), pairs(&[(1, "a=open")]));
}
