//! Seals, and logs of clients that become a link's: in force at once, kept over crashes, and what still gets in.

use super::transactions::{append_transactional, marker, transactional_header};
use super::*;
use crate::log::rows::WriteState;
use crate::log::{MirrorFence, MirrorRefusal, MirrorTime, MirroredRun, TransactionOutcome};
use std::time::Instant;
use thalweg_types::LeaderEpoch;
use thalweg_wire::batch::patch_base_offset_and_epoch;

const ANY_EPOCH: LeaderEpoch = LeaderEpoch(i32::MAX);

fn seal(log: &Arc<PartitionLog>) {
    log.seal(ANY_EPOCH).unwrap().unwrap().wait().unwrap();
}

fn end(log: &PartitionLog) -> i64 {
    log.offsets().log_end_offset.0
}

fn crash(world: &mut World, engine: Arc<LogEngine>) -> Arc<LogEngine> {
    drop(engine);
    world.disk.crash(&mut |_| 0);
    world.open().unwrap().0
}

fn is_sealed(refused: &Result<Append, AppendError>) -> bool {
    let Err(AppendError::WriteState { state, .. }) = refused else {
        return false;
    };
    matches!(state, WriteState::SealedAt(_))
}

#[test]
fn a_sealed_log_takes_nothing_new_and_acknowledges_what_it_has_over_crashes() {
    let mut world = World::new(1);
    let (mut engine, _) = world.open().unwrap();
    let sent = |sequence| with_header(idempotent_header(7, 0, sequence, 2), b"sent");
    append_durably(&log(&engine, 0), sent(0));
    seal(&log(&engine, 0));
    for _ in 0..2 {
        let partition = log(&engine, 0);
        assert_eq!(partition.write_state(), WriteState::SealedAt(Offset(2)));
        assert!(is_sealed(&append(&partition, batch(1, 1, b"new"))));
        let repeated = append(&partition, sent(0)).unwrap();
        assert!(matches!(repeated, Append::Duplicate(_)));
        // New, and behind one that was refused: the same answer, whatever the sequence.
        assert!(is_sealed(&append(&partition, sent(2))));
        assert!(is_sealed(&append(&partition, sent(4))));
        assert_eq!(end(&partition), 2);
        assert!(partition.seal(ANY_EPOCH).is_ok(), "again");
        engine = crash(&mut world, engine);
    }
    let partition = log(&engine, 0);
    partition.unseal().unwrap().unwrap().wait().unwrap();
    engine = crash(&mut world, engine);
    assert_eq!(append_durably(&log(&engine, 0), sent(2)), Offset(2));
}

#[test]
fn a_sealed_log_ends_when_its_transactions_do_and_then_never_moves() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    for producer in [1, 2] {
        let header = transactional_header(&partition, producer, 2);
        append_transactional(&partition, header, b"open").unwrap();
    }
    seal(&partition);
    assert_eq!(partition.write_state(), WriteState::SealedAt(Offset(4)));
    let more = transactional_header(&partition, 1, 1);
    assert!(is_sealed(&append_transactional(&partition, more, b"more")));
    let end_of = |producer| {
        let marked = partition.append_marker(marker(producer, 0, TransactionOutcome::Commit), TimestampMs(9));
        marked.map(|place| place.ticket.unwrap().wait().unwrap())
    };
    end_of(1).unwrap();
    assert_eq!(partition.offsets().last_stable_offset, Offset(2));
    let engine = crash(&mut world, engine);
    let partition = log(&engine, 0);
    let end_of =
        |producer| partition.append_marker(marker(producer, 0, TransactionOutcome::Abort), TimestampMs(9));
    assert!(end_of(1).is_err(), "its transaction ended");
    assert!(end_of(3).is_err(), "it had none");
    end_of(2).unwrap().ticket.unwrap().wait().unwrap();
    assert!(end_of(2).is_err());
    let offsets = partition.offsets();
    assert_eq!(
        (offsets.last_stable_offset, offsets.log_end_offset),
        (Offset(6), Offset(6))
    );
}

#[test]
fn a_log_that_was_given_to_clients_later_is_not_sealed_and_a_links_neither() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let epoch = partition.offsets().leader_epoch;
    assert!(matches!(
        partition.seal(epoch),
        Err(MirrorRefusal::Newer { current, .. }) if current == epoch
    ));
    assert!(partition.seal(LeaderEpoch(epoch.0 + 1)).is_ok());
    partition.give_to_link().unwrap();
    assert!(matches!(partition.seal(ANY_EPOCH), Err(MirrorRefusal::LinksOwn)));
    assert!(matches!(partition.unseal(), Err(MirrorRefusal::LinksOwn)));
}

/// A failback at one partition: open, given to a link, cut back, written by the link, promoted, over crashes.
#[test]
fn a_log_of_clients_becomes_a_mirror_is_cut_back_and_promoted_again() {
    let mut world = World::new(1);
    let (mut engine, _) = world.open().unwrap();
    for _ in 0..4 {
        append_durably(&log(&engine, 0), batch(5, 1, b"ours"));
    }
    seal(&log(&engine, 0));
    log(&engine, 0).give_to_link().unwrap().unwrap().wait().unwrap();
    engine = crash(&mut world, engine);
    let partition = log(&engine, 0);
    assert_eq!(partition.write_state(), WriteState::OwnedByLink);
    assert_eq!(end(&partition), 20, "it keeps what it has");
    assert!(append(&partition, batch(1, 1, b"no")).is_err());
    let lease = Duration::from_secs(30);
    let (session, ticket) = partition.claim(0, lease, Instant::now()).unwrap();
    ticket.unwrap().wait().unwrap();
    let fence = |end: i64| MirrorFence {
        session,
        expected_end: Offset(end),
    };
    let cut = partition.begin_truncation(Offset(10), fence(20), Instant::now());
    cut.unwrap().run().unwrap();
    let now = MirrorTime {
        wall: TimestampMs(1_000_000),
        monotonic: Instant::now(),
    };
    // What the other side wrote since, in an epoch above all of ours.
    let mut bytes = batch(3, 2, b"theirs");
    patch_base_offset_and_epoch(&mut bytes, Offset(10), LeaderEpoch(1_000_002)).unwrap();
    let run = MirroredRun::check(bytes).unwrap();
    let ticket = partition
        .append_mirrored(&run, Offset(13), fence(10), now)
        .unwrap();
    ticket.unwrap().wait().unwrap();
    engine = crash(&mut world, engine);
    let partition = log(&engine, 0);
    assert_eq!(end(&partition), 13);
    assert!(partition.offsets().leader_epoch >= LeaderEpoch(1_000_002));
    let ticket = partition
        .promote(LeaderEpoch(1_000_002), fence(13), TimestampMs(1))
        .unwrap();
    ticket.unwrap().wait().unwrap();
    assert_eq!(append_durably(&partition, batch(1, 3, b"ours again")), Offset(13));
    drop(partition);
    engine = crash(&mut world, engine);
    let partition = log(&engine, 0);
    assert_eq!(partition.write_state(), WriteState::Open);
    let bases: Vec<i64> = read_all(&partition).into_iter().map(|(base, _)| base).collect();
    assert_eq!(bases, [0, 5, 10, 13]);
}
