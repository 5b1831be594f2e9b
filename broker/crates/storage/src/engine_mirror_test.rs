//! Mirror links against a source that is a list of batches: sessions, verbatim appends, jumps, log starts, truncation and
//! promotion, with crashes at every named point.

use super::transactions::{Stored, check as check_transactions, committed_request};
use super::*;
use crate::log::{MirrorFence, MirrorRefusal, MirrorTime, MirroredRun, TransactionOutcome};
use std::time::Instant;
use thalweg_types::{ProducerEpoch, ProducerId};
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::records::EndTransactionMarker;

const TRANSACTIONAL: i16 = 0x10;
const LEASE: Duration = Duration::from_secs(30);

fn mirror_world() -> World {
    let mut world = World::new(1);
    world.topic.role = TopicRole::Mirror;
    world
}

fn now() -> MirrorTime {
    MirrorTime {
        wall: TimestampMs(1_000_000),
        monotonic: Instant::now(),
    }
}

fn fence(session: i64, end: i64) -> MirrorFence {
    MirrorFence {
        session,
        expected_end: Offset(end),
    }
}

/// A batch as a source's log has it.
fn source_batch(base: i64, count: i32, epoch: i32, fill: usize) -> bytes::BytesMut {
    let mut header = idempotent_header(-1, -1, -1, count);
    (header.base_offset, header.leader_epoch) = (Offset(base), LeaderEpoch(epoch));
    with_header(header, &vec![base as u8; fill])
}

fn source_data(producer: i64, base: i64, count: i32, epoch: i32, fill: usize) -> bytes::BytesMut {
    let mut header = idempotent_header(producer, 0, 0, count);
    (header.base_offset, header.leader_epoch) = (Offset(base), LeaderEpoch(epoch));
    header.attributes |= TRANSACTIONAL;
    with_header(header, &vec![base as u8; fill])
}

fn source_marker(producer: i64, outcome: TransactionOutcome, base: i64, epoch: i32) -> bytes::BytesMut {
    let marker = EndTransactionMarker {
        outcome,
        coordinator_epoch: 3,
    };
    let mut bytes = marker
        .build((ProducerId(producer), ProducerEpoch(0)), TimestampMs(9))
        .unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base), LeaderEpoch(epoch)).unwrap();
    bytes
}

fn run(batches: &[bytes::BytesMut]) -> MirroredRun {
    MirroredRun::check(batches.concat()[..].into()).unwrap()
}

fn mirror(
    log: &Arc<PartitionLog>,
    session: i64,
    end: i64,
    batches: &[bytes::BytesMut],
) -> Result<(), MirrorRefusal> {
    let ticket = log.append_mirrored(&run(batches), Offset::UNKNOWN, fence(session, end), now())?;
    ticket.unwrap().wait().unwrap();
    Ok(())
}

fn claim(log: &Arc<PartitionLog>, held: i64) -> Result<i64, MirrorRefusal> {
    let (session, ticket) = log.claim(held, LEASE, Instant::now())?;
    ticket.unwrap().wait().unwrap();
    Ok(session)
}

fn offsets(log: &PartitionLog) -> (i64, i64) {
    let offsets = log.offsets();
    (offsets.log_start_offset.0, offsets.log_end_offset.0)
}

#[test]
fn a_mirror_topic_is_the_links_from_its_first_moment_and_over_a_crash() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let refused = append(&log(&engine, 0), batch(1, 0, b"no"));
    assert!(matches!(refused, Err(AppendError::WriteState { .. })));
    let epoch = log(&engine, 0).offsets().leader_epoch;
    assert_eq!(epoch.0, world.starts + MIRROR_EPOCH_BIAS);
    // Nothing was written: a crash now leaves the settings alone to say it.
    drop(engine);
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    assert!(append(&partition, batch(1, 0, b"no")).is_err());
    assert_eq!(claim(&partition, 0).unwrap(), 1);
    // A partition that is added later, too.
    world.topic.partitions = 2;
    engine.create(&world.topic, 1);
    assert!(append(&log(&engine, 1), batch(1, 0, b"no")).is_err());
}

#[test]
fn a_session_is_one_above_the_last_over_crashes_and_a_live_holder_is_not_displaced() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    assert!(matches!(
        mirror(&partition, 0, 0, &[source_batch(0, 1, 1, 10)]),
        Err(MirrorRefusal::Fenced { .. })
    ));
    assert_eq!(claim(&partition, 0).unwrap(), 1);
    assert!(matches!(
        claim(&partition, 0),
        Err(MirrorRefusal::Claimed { session: 1, .. })
    ));
    // The holder may, and so may anyone when it gave up or its lease is over.
    assert_eq!(claim(&partition, 1).unwrap(), 2);
    partition.release(fence(2, -1)).unwrap();
    assert_eq!(claim(&partition, 0).unwrap(), 3);
    let later = Instant::now() + LEASE + LEASE;
    assert_eq!(partition.claim(0, LEASE, later).unwrap().0, 4);
    assert!(matches!(
        mirror(&partition, 3, 0, &[source_batch(0, 1, 1, 10)]),
        Err(MirrorRefusal::Fenced { found: 3, current: 4 })
    ));
    partition.last_ticket().unwrap().wait().unwrap();
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    // The lease is forgotten, the session is not; who has it goes on.
    mirror(&partition, 4, 0, &[source_batch(0, 1, 1, 10)]).unwrap();
    engine.close(Duration::from_secs(5));
    drop((engine, partition));
    let (engine, _) = world.open().unwrap();
    assert_eq!(claim(&log(&engine, 0), 0).unwrap(), 5);
}

#[test]
fn batches_keep_offsets_epochs_and_bytes_and_the_end_fences() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let session = claim(&partition, 0).unwrap();
    let first = [source_batch(100, 5, 3, 40), source_batch(120, 1, 4, 40)];
    mirror(&partition, session, 0, &first).unwrap();
    assert_eq!(offsets(&partition), (100, 121), "the first append sets the start");
    let again = mirror(&partition, session, 0, &first);
    let Err(MirrorRefusal::End { log_end, .. }) = again else {
        panic!("{again:?}")
    };
    assert_eq!(log_end, Offset(121), "the answer to a lost one: it was done");
    assert!(matches!(
        mirror(&partition, session, 121, &[source_batch(120, 1, 4, 40)]),
        Err(MirrorRefusal::End { .. })
    ));
    assert!(matches!(
        mirror(&partition, session, 121, &[source_batch(121, 1, 3, 40)]),
        Err(MirrorRefusal::EpochFell { .. })
    ));
    mirror(&partition, session, 121, &[source_batch(130, 2, 4, 40)]).unwrap();
    let read: Vec<_> = read_all(&partition).into_iter().map(|(base, _)| base).collect();
    assert_eq!(read, [100, 120, 130]);
    let status = partition.mirror_status(Instant::now());
    assert_eq!(
        (status.session, status.last_epoch),
        (session, Some(LeaderEpoch(4)))
    );
    assert_eq!(
        partition.end_offset_for_epoch(LeaderEpoch(3)),
        Some((LeaderEpoch(3), Offset(120)))
    );
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    assert_eq!(offsets(&partition), (100, 132));
    let read = partition.read(committed_request(100)).unwrap();
    let whole: Vec<_> = read.batches.concat();
    assert_eq!(
        whole[..first.concat().len()],
        first.concat()[..],
        "every byte, the epoch too"
    );
}

#[test]
fn a_run_with_damage_or_offsets_that_do_not_rise_is_refused_by_position() {
    let check = |batches: &[bytes::BytesMut]| {
        MirroredRun::check(batches.concat()[..].into()).map(|run| run.batch_count())
    };
    let (a, b) = (source_batch(5, 2, 1, 30), source_batch(7, 2, 2, 30));
    assert_eq!(check(&[a.clone(), b.clone()]), Ok(2));
    assert_eq!(check(&[]), Ok(0));
    let text = |batches: &[bytes::BytesMut]| check(batches).unwrap_err().to_string();
    assert!(text(&[a.clone(), a.clone()]).contains("base offset 5 follows offset 6"));
    assert!(text(&[b.clone(), source_batch(9, 1, 1, 30)]).contains("leader epoch 1 follows 2"));
    let mut damaged = b.clone();
    damaged[70] ^= 1;
    assert!(text(&[a.clone(), damaged]).starts_with(&format!("byte {}", a.len())));
    assert!(text(&[a, b[..40].into()]).contains("byte "));
}

#[test]
fn a_jump_aborts_what_was_open_at_the_gap_and_no_later_transaction_of_the_producer() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let session = claim(&partition, 0).unwrap();
    let first = [source_data(7, 0, 2, 1, 30), source_data(8, 2, 2, 1, 30)];
    mirror(&partition, session, 0, &first).unwrap();
    assert_eq!(partition.offsets().last_stable_offset, Offset(0));
    let narrow = partition.advance_end(Offset(5), fence(session, 4), now());
    assert!(matches!(
        narrow,
        Err(MirrorRefusal::GapTooNarrow { open: 2, gap: 1, .. })
    ));
    let advanced = partition
        .advance_end(Offset(50), fence(session, 4), now())
        .unwrap();
    advanced.ticket.unwrap().wait().unwrap();
    assert_eq!(advanced.unknown_transactions, 2);
    assert_eq!(partition.offsets().last_stable_offset, Offset(50));
    mirror(
        &partition,
        session,
        50,
        &[
            source_data(7, 50, 2, 1, 30),
            source_marker(7, TransactionOutcome::Commit, 52, 1),
        ],
    )
    .unwrap();
    for life in 0..2 {
        let partition = log(&engine, 0);
        let aborted = partition.read(committed_request(0)).unwrap().aborted;
        let ids: Vec<_> = aborted
            .iter()
            .map(|one| (one.producer_id.0, one.first_offset.0, one.last_offset.0))
            .collect();
        assert_eq!(ids, [(7, 0, 48), (8, 2, 49)], "life {life}");
        assert_eq!(partition.offsets().last_stable_offset, Offset(53));
        engine.checkpoint().unwrap();
    }
    // An idle jump has no records.
    let advanced = partition
        .advance_end(Offset(60), fence(session, 53), now())
        .unwrap();
    advanced.ticket.unwrap().wait().unwrap();
    assert_eq!((advanced.unknown_transactions, offsets(&partition).1), (0, 60));
    let start = partition.set_mirror_start(Offset(60), fence(session, 60), Instant::now());
    start.unwrap().unwrap().wait().unwrap();
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    assert_eq!(offsets(&log(&engine, 0)), (60, 60));
}

#[test]
fn a_reader_ahead_waits_up_to_the_sources_end_and_while_it_is_unknown() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let session = claim(&partition, 0).unwrap();
    mirror(&partition, session, 0, &[source_batch(0, 5, 2, 30)]).unwrap();
    let read = |offset: i64| {
        partition
            .read(committed_request(offset))
            .map(|read| read.batches.len())
    };
    assert_eq!(read(1_000).unwrap(), 0, "the end is not known yet");
    let told = |end: i64| partition.set_source_end(Offset(end), fence(session, 5), Instant::now());
    told(10).unwrap();
    assert_eq!(read(10).unwrap(), 0);
    assert!(read(11).is_err());
    assert_eq!(
        partition.end_offset_for_epoch(LeaderEpoch(2)).unwrap().1,
        Offset(10)
    );
    let ticket = partition
        .promote(LeaderEpoch(5), fence(session, 5), TimestampMs(1))
        .unwrap();
    ticket.unwrap().wait().unwrap();
    assert!(read(10).is_err(), "nobody waits any more");
    assert_eq!(
        partition.end_offset_for_epoch(LeaderEpoch(2)).unwrap().1,
        Offset(5)
    );
}

#[test]
fn a_promotion_opens_the_log_above_every_epoch_and_forgets_producers() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let session = claim(&partition, 0).unwrap();
    mirror(&partition, session, 0, &[source_data(7, 0, 2, 3, 30)]).unwrap();
    let before = partition.offsets().leader_epoch;
    let promote = |log: &Arc<PartitionLog>, above: i32| {
        let ticket = log.promote(LeaderEpoch(above), fence(session, -1), TimestampMs(1));
        ticket.map(|ticket| ticket.map(|ticket| ticket.wait().unwrap()))
    };
    promote(&partition, 2_000_000).unwrap();
    promote(&partition, 2_000_000).unwrap();
    let after = partition.offsets();
    assert!(after.leader_epoch.0 > 2_000_000 && after.leader_epoch > before);
    assert_eq!(
        (after.last_stable_offset, after.log_end_offset),
        (Offset(3), Offset(3))
    );
    assert!(
        partition.transactions().is_empty(),
        "an old producer id is nobody's"
    );
    assert_eq!(
        partition.end_offset_for_epoch(LeaderEpoch(3)),
        Some((LeaderEpoch(3), Offset(2))),
        "the cut"
    );
    assert!(matches!(
        mirror(&partition, session, 3, &[source_batch(3, 1, 3, 10)]),
        Err(MirrorRefusal::NotOwned(_))
    ));
    append_durably(&partition, with_header(idempotent_header(7, 0, 0, 1), b"new"));
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    assert!(partition.offsets().leader_epoch >= after.leader_epoch);
    append_durably(&partition, with_header(idempotent_header(7, 0, 1, 1), b"next"));
    promote(&partition, 2_000_000).unwrap();
}

#[test]
fn a_truncation_announces_an_epoch_and_the_sources_epochs_stay_the_logs() {
    let mut world = mirror_world();
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let session = claim(&partition, 0).unwrap();
    mirror(
        &partition,
        session,
        0,
        &[source_batch(0, 5, 2, 30), source_batch(5, 5, 2, 30)],
    )
    .unwrap();
    let before = partition.offsets().leader_epoch;
    let truncation = partition
        .begin_truncation(Offset(5), fence(session, 10), Instant::now())
        .unwrap();
    assert!(matches!(
        mirror(&partition, session, 10, &[source_batch(10, 1, 2, 10)]),
        Err(MirrorRefusal::Busy(_))
    ));
    truncation.run().unwrap();
    mirror(&partition, session, 5, &[source_batch(5, 2, 3, 30)]).unwrap();
    let check = |partition: &PartitionLog| {
        assert!(partition.offsets().leader_epoch > before);
        assert_eq!(partition.epoch_at(Offset(5)), Some(LeaderEpoch(3)));
        assert_eq!(offsets(partition), (0, 7));
        assert_eq!(
            partition.end_offset_for_epoch(LeaderEpoch(2)),
            Some((LeaderEpoch(2), Offset(5)))
        );
    };
    check(&partition);
    engine.checkpoint().unwrap();
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    check(&log(&engine, 0));
}

/// The source and what of it was acknowledged.
#[derive(Default)]
struct Link {
    session: i64,
    batches: Vec<Stored>,
    /// Where the source goes on, and its epoch.
    next: i64,
    epoch: i32,
    acknowledged_end: i64,
    start: i64,
    promoted: bool,
}

impl Link {
    fn source(&mut self, rng: &mut StdRng) -> Vec<bytes::BytesMut> {
        let mut out = Vec::new();
        for _ in 0..rng.random_range(1..8) {
            self.epoch += i32::from(rng.random_bool(0.05));
            self.next += if rng.random_bool(0.1) {
                rng.random_range(1..20)
            } else {
                0
            };
            let (base, epoch, fill) = (self.next, self.epoch, rng.random_range(1..700));
            let (producer, count) = (rng.random_range(1..4), rng.random_range(1..6));
            let bytes = match rng.random_range(0..10) {
                0..4 => source_batch(base, count, epoch, fill),
                4..8 => source_data(producer, base, count, epoch, fill),
                8 => source_marker(producer, TransactionOutcome::Commit, base, epoch),
                _ => source_marker(producer, TransactionOutcome::Abort, base, epoch),
            };
            self.next = self.note(&bytes);
            out.push(bytes);
        }
        out
    }

    /// Notes a batch that is under way; returns the offset behind it.
    fn note(&mut self, bytes: &[u8]) -> i64 {
        let header = thalweg_wire::batch::BatchHeader::parse(bytes).unwrap();
        let (base, last) = (header.base_offset.0, header.last_offset().0);
        self.batches
            .push((base, last, Bytes::copy_from_slice(&bytes[21..])));
        last + 1
    }

    /// Compares the log with what was sent, of which what is acknowledged must be there.
    fn check(&self, log: &PartitionLog, place: &str) {
        let expected: Vec<(i64, Bytes)> = self
            .batches
            .iter()
            .filter(|batch| batch.1 >= self.start)
            .map(|batch| (batch.0, batch.2.clone()))
            .collect();
        assert!(read_all(log) == expected, "{place}: records differ");
        if let Err(what) = check_transactions(log, &self.batches) {
            panic!("{place}: {what}");
        }
    }

    /// After a crash the link asks where the log ends and goes on there.
    fn settle(&mut self, log: &Arc<PartitionLog>, place: &str) {
        let status = log.mirror_status(Instant::now());
        let (start, end) = offsets(log);
        assert!(
            end >= self.acknowledged_end,
            "{place}: {end} < {}",
            self.acknowledged_end
        );
        assert!(status.session >= self.session, "{place}: the session went back");
        assert!(start >= self.start, "{place}: the start went back");
        if self.promoted {
            assert_eq!(status.write_state, WriteState::Open, "{place}");
        }
        self.batches.retain(|batch| batch.1 < end);
        let known = self.batches.last().map_or(0, |batch| batch.1 + 1);
        self.note_local(log, known);
        (self.next, self.acknowledged_end, self.start) = (end, end, start);
        self.check(log, place);
        self.session = status.session;
    }

    /// Takes over the markers that the log wrote itself from an offset on.
    fn note_local(&mut self, log: &PartitionLog, from: i64) {
        for (base, content) in read_all(log).into_iter().filter(|(base, _)| *base >= from) {
            self.batches.push((base, base, content));
        }
    }
}

fn run_links(seed: u64, steps: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = mirror_world();
    let (mut engine, _) = world.open().unwrap();
    let mut link = Link {
        epoch: 1,
        ..Link::default()
    };
    link.session = claim(&log(&engine, 0), 0).unwrap();
    for step in 0..steps {
        let place = format!("seed {seed} step {step}");
        let partition = log(&engine, 0);
        let end = offsets(&partition).1;
        let at_end = fence(link.session, end);
        match rng.random_range(0..100) {
            0..60 => {
                let (before, next, epoch) = (link.batches.len(), link.next, link.epoch);
                let batches = link.source(&mut rng);
                let ticket = partition.append_mirrored(&run(&batches), Offset::UNKNOWN, at_end, now());
                let Ok(ticket) = ticket else {
                    // Markers of a source that knows nothing of ours, or the log goes down.
                    link.batches.truncate(before);
                    (link.next, link.epoch) = (next, epoch);
                    continue;
                };
                if end == 0 {
                    link.start = link.batches[0].0;
                }
                if rng.random_bool(0.5) {
                    ticket.unwrap().wait().unwrap();
                    link.acknowledged_end = link.next;
                }
            }
            60..68 => {
                let to = end + rng.random_range(0..30);
                if let Ok(advanced) = partition.advance_end(Offset(to), at_end, now()) {
                    if let Some(ticket) = advanced.ticket {
                        ticket.wait().unwrap();
                    }
                    link.note_local(&partition, end);
                    (link.next, link.acknowledged_end) = (to, to);
                }
            }
            68..72 => {
                let to = rng.random_range(link.start..=link.acknowledged_end.max(link.start));
                let start = partition.set_mirror_start(Offset(to), at_end, Instant::now());
                if let Some(ticket) = start.unwrap() {
                    ticket.wait().unwrap();
                }
                link.start = link.start.max(to);
                link.acknowledged_end = end;
            }
            72..76 => {
                let kept = rng.random_range(0..=link.batches.len());
                let to = link.batches.get(kept).map_or(end, |batch| batch.0);
                if to >= link.start {
                    let cut = partition.begin_truncation(Offset(to), at_end, Instant::now());
                    cut.unwrap()
                        .run()
                        .unwrap_or_else(|error| panic!("{place}: {error}"));
                    link.batches.truncate(kept);
                    (link.next, link.acknowledged_end) = (to, to);
                }
            }
            76..80 => {
                link.session = claim(&partition, link.session).unwrap();
                link.acknowledged_end = end;
            }
            80..86 => engine.checkpoint().unwrap(),
            86..92 => {
                if let Some(ticket) = partition.last_ticket() {
                    ticket.wait().unwrap();
                }
                link.check(&partition, &place);
            }
            _ => {
                if rng.random_bool(0.5) {
                    let point = CrashPoint::OF_LOGS[rng.random_range(0..CrashPoint::OF_LOGS.len())];
                    world.disk.crash_at(point, rng.random_range(1..3));
                    let _ = engine.checkpoint();
                }
                drop((partition, engine));
                world.disk.crash(&mut |n| rng.random_range(0..n));
                engine = world.open().unwrap_or_else(|error| panic!("{place}: {error}")).0;
                link.settle(&log(&engine, 0), &place);
            }
        }
    }
    promote_and_crash((&mut world, engine), &mut link, &mut rng, seed);
}

/// A promotion that a crash may undo as a whole, never in part; then it is done again.
fn promote_and_crash(
    (world, engine): (&mut World, Arc<LogEngine>),
    link: &mut Link,
    rng: &mut StdRng,
    seed: u64,
) {
    let place = format!("seed {seed}, promotion");
    let partition = log(&engine, 0);
    let above = LeaderEpoch(2_000_000);
    let any_end = fence(link.session, -1);
    let ticket = partition.promote(above, any_end, TimestampMs(1)).unwrap();
    if rng.random_bool(0.5) {
        ticket.unwrap().wait().unwrap();
        link.promoted = true;
        link.acknowledged_end = offsets(&partition).1;
    }
    drop((partition, engine));
    world.disk.crash(&mut |n| rng.random_range(0..n));
    let (engine, _) = world.open().unwrap_or_else(|error| panic!("{place}: {error}"));
    let partition = log(&engine, 0);
    link.settle(&partition, &place);
    let again = partition.promote(above, any_end, TimestampMs(1)).unwrap();
    if let Some(ticket) = again {
        ticket.wait().unwrap();
    }
    let offsets = partition.offsets();
    assert!(offsets.leader_epoch > above, "{place}: {offsets:?}");
    assert_eq!(offsets.last_stable_offset, offsets.log_end_offset, "{place}");
    append_durably(&partition, batch(1, 0, b"open"));
}

#[test]
fn random_histories_of_links_with_crashes_agree_with_the_source() {
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let first = number("THALWEG_SEED", 1);
    for seed in first..first + number("THALWEG_SEEDS", 25) {
        println!("THALWEG_SEED={seed}");
        run_links(seed, 150);
    }
}
