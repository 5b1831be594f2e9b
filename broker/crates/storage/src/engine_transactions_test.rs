//! Transactions in a partition log against what its records say: last stable offset, aborted transactions, markers,
//! guards, the transaction index and its damage.

use super::*;
use crate::log::producers::SequenceError;
use crate::log::{TransactionMarker, TransactionOutcome, TransactionStart, TransactionVersion};
use crate::segment::transaction_index::AbortedTransaction;
use thalweg_types::{ProducerEpoch, ProducerId};
use thalweg_wire::batch::BatchHeader;
use thalweg_wire::records::EndTransactionMarker;

#[path = "engine_verification_test.rs"]
mod verification;

/// Attribute bit of a batch that belongs to a transaction.
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

/// A batch as the model keeps it: first and last offset, and the bytes behind base offset and epoch.
pub(super) type Stored = (i64, i64, Bytes);

/// What a log must say of the transactions in its records, worked out in the plainest way.
pub(super) struct Expected {
    pub(super) first_open: Option<i64>,
    pub(super) aborted: Vec<AbortedTransaction>,
}

/// Walks all batches that a log ever held, oldest first.
pub(super) fn expected(batches: &[Stored]) -> Expected {
    let mut open: Vec<(i64, i64)> = Vec::new();
    let mut aborted = Vec::new();
    for (base, last, content) in batches {
        let attributes = i16::from_be_bytes(content[..2].try_into().unwrap());
        let producer = i64::from_be_bytes(content[22..30].try_into().unwrap());
        if attributes & TRANSACTIONAL == 0 {
            continue;
        }
        let known = open.iter().position(|(id, _)| *id == producer);
        if attributes & CONTROL == 0 {
            if known.is_none() {
                open.push((producer, *base));
            }
            continue;
        }
        let Some(known) = known else { continue };
        let (_, first) = open.remove(known);
        // Header 40 bytes from here, record: length, attributes, two deltas, key length, version, type.
        let is_abort = content[47..49] == [0, 0];
        if is_abort {
            let oldest = open.iter().map(|(_, first)| *first).min();
            aborted.push(AbortedTransaction {
                producer_id: ProducerId(producer),
                first_offset: Offset(first),
                last_offset: Offset(*last),
                last_stable_offset: Offset(oldest.unwrap_or(last + 1)),
            });
        }
    }
    Expected {
        first_open: open.iter().map(|(_, first)| *first).min(),
        aborted,
    }
}

/// Compares a log's last stable offset, and what read-committed readers get of it, with its batches below the high
/// watermark, all that it ever held.
///
/// Of a transaction that began below the log start, what lies there may be forgotten or not: nobody can tell.
///
/// # Errors
/// What differs, or the read's error.
pub(super) fn check(log: &PartitionLog, batches: &[Stored]) -> Result<(), String> {
    let offsets = log.offsets();
    let (start, hw) = (offsets.log_start_offset.0, offsets.high_watermark.0);
    let all = expected(batches);
    let visible: Vec<Stored> = batches.iter().filter(|batch| batch.1 >= start).cloned().collect();
    let visible = expected(&visible);
    let stable = |one: &Expected| one.first_open.map_or(hw, |first| first.clamp(start, hw));
    let (least, most) = (stable(&all), stable(&visible));
    let stable = offsets.last_stable_offset.0;
    if stable < least || stable > most {
        return Err(format!(
            "{offsets:?}, expected last stable offset {least} to {most}"
        ));
    }
    let mut offset = start;
    while offset < stable {
        let request = committed_request(offset);
        let memory = log.read_memory(request).map_err(|error| error.to_string())?;
        let result = log.read(request).map_err(|error| error.to_string())?;
        let Some(last) = result.batches.last() else { break };
        let ends = split_batches(last).map(|batch| batch.unwrap().header.next_offset().0);
        let end = ends.last().unwrap();
        for read in memory.iter().chain([&result]) {
            check_read(read, offset, (&all, &visible), (start, stable))?;
        }
        offset = end;
    }
    Ok(())
}

fn check_read(
    read: &crate::log::ReadResult,
    offset: i64,
    (all, visible): (&Expected, &Expected),
    (start, stable): (i64, i64),
) -> Result<(), String> {
    let Some(last) = read.batches.last() else {
        return Ok(());
    };
    let last = split_batches(last).last().unwrap().unwrap();
    let end = last.header.next_offset();
    if last.header.base_offset.0 >= stable {
        return Err(format!(
            "read at {offset} gave a batch at {}",
            last.header.base_offset
        ));
    }
    let concerned = |one: &&AbortedTransaction| one.concerns(Offset(offset), end);
    let key = |one: &AbortedTransaction| (one.producer_id.0, one.last_offset.0);
    let first = |one: &AbortedTransaction| one.first_offset.0.max(start);
    let needed: Vec<_> = visible.aborted.iter().filter(concerned).collect();
    let missing = needed
        .iter()
        .find(|one| !read.aborted.iter().any(|other| key(other) == key(one)));
    let wrong = read.aborted.iter().find(|one| {
        let same = |other: &&AbortedTransaction| key(other) == key(one) && first(other) == first(one);
        !concerned(one)
            || (!all.aborted.iter().any(|o| same(&o)) && !visible.aborted.iter().any(|o| same(&o)))
    });
    if missing.is_none() && wrong.is_none() {
        return Ok(());
    }
    Err(format!(
        "read {offset}..{end} from {start} on: aborted {:?}, missing {missing:?}, wrong {wrong:?}",
        read.aborted
    ))
}

/// What a reader can tell: nothing lies below the log start.
fn visible(one: &AbortedTransaction, start: i64) -> (i64, i64, i64) {
    (
        one.producer_id.0,
        one.first_offset.0.max(start),
        one.last_offset.0,
    )
}

pub(super) fn committed_request(offset: i64) -> ReadRequest {
    ReadRequest {
        offset: Offset(offset),
        max_bytes: 2000,
        limit: ReadLimit::LastStable,
        min_one: MinOne::Yes,
    }
}

/// Header of a transactional batch that follows what the log knows of its producer.
pub(super) fn transactional_header(log: &PartitionLog, producer: i64, count: i32) -> BatchHeader {
    let known = log.transactions();
    let known = known.iter().find(|known| known.producer_id.0 == producer);
    let (epoch, sequence) = known.map_or((0, 0), |known| (known.epoch.0, known.last_sequence + 1));
    let mut header = idempotent_header(producer, epoch, sequence, count);
    header.attributes |= TRANSACTIONAL;
    header
}

/// Appends as a client does whose coordinator agrees.
pub(super) fn append_transactional(
    log: &Arc<PartitionLog>,
    header: BatchHeader,
    filler: &[u8],
) -> Result<Append, AppendError> {
    let start = TransactionStart {
        producer_id: header.producer_id,
        epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        version: TransactionVersion::V1,
    };
    let guard = log.begin_verification(start, TimestampMs(1));
    let batch = CheckedBatch::check(with_header(header, filler))
        .unwrap()
        .verified(guard);
    log.append(batch, Origin::Client, TimestampMs(1))
}

pub(super) fn marker(producer: i64, epoch: i16, outcome: TransactionOutcome) -> TransactionMarker {
    TransactionMarker {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        coordinator_epoch: 1,
        outcome,
        version: TransactionVersion::V1,
    }
}

/// The bytes of a marker that a log appended, as the model keeps them.
pub(super) fn marker_content(marker: &TransactionMarker, now: TimestampMs) -> Bytes {
    let content = EndTransactionMarker {
        outcome: marker.outcome,
        coordinator_epoch: marker.coordinator_epoch,
    };
    let bytes = content
        .build((marker.producer_id, marker.producer_epoch), now)
        .unwrap();
    Bytes::copy_from_slice(&bytes[21..])
}

struct Log {
    world: World,
    engine: Arc<LogEngine>,
    log: Arc<PartitionLog>,
    batches: Vec<Stored>,
}

impl Log {
    fn new() -> Self {
        let mut world = World::new(1);
        let (engine, _) = world.open().unwrap();
        let log = log(&engine, 0);
        Self {
            world,
            engine,
            log,
            batches: Vec::new(),
        }
    }

    fn data(&mut self, producer: i64, count: i32, filler: &[u8]) -> i64 {
        let header = transactional_header(&self.log, producer, count);
        let content = Bytes::copy_from_slice(&with_header(header, filler)[21..]);
        let place = append_transactional(&self.log, header, filler).unwrap().place();
        place.ticket.unwrap().wait().unwrap();
        self.batches
            .push((place.base_offset.0, place.last_offset.0, content));
        place.base_offset.0
    }

    fn plain(&mut self, filler: &[u8]) -> i64 {
        let bytes = batch(1, 5, filler);
        let content = Bytes::copy_from_slice(&bytes[21..]);
        let base = append_durably(&self.log, bytes).0;
        self.batches.push((base, base, content));
        base
    }

    fn end(&mut self, producer: i64, outcome: TransactionOutcome) -> i64 {
        let known = self.log.transactions();
        let epoch = known.iter().find(|known| known.producer_id.0 == producer);
        let marker = marker(producer, epoch.map_or(0, |known| known.epoch.0), outcome);
        let place = self.log.append_marker(marker, TimestampMs(9)).unwrap();
        place.ticket.unwrap().wait().unwrap();
        let content = marker_content(&marker, TimestampMs(9));
        self.batches
            .push((place.base_offset.0, place.last_offset.0, content));
        place.base_offset.0
    }

    fn check(&self) {
        check(&self.log, &self.batches).unwrap();
    }

    fn stop_and_open(&mut self) {
        self.engine.close(Duration::from_secs(5));
        self.open();
    }

    fn crash_and_open(&mut self) {
        self.world.disk.crash(&mut |_| 0);
        self.open();
    }

    fn open(&mut self) {
        self.engine = self.world.open().unwrap().0;
        self.log = log(&self.engine, 0);
    }

    /// A log with aborts in several segments, all drained.
    fn with_segments() -> Self {
        let mut this = Self::new();
        for round in 0..60 {
            this.data(1 + round % 3, 2, &[7; 300]);
            this.plain(&[8; 200]);
            if round % 4 == 3 {
                this.end(1 + round % 3, TransactionOutcome::Abort);
            }
            if round % 7 == 6 {
                this.end(1 + (round + 1) % 3, TransactionOutcome::Commit);
            }
        }
        this.engine.checkpoint().unwrap();
        assert!(this.log.segment_count() > 3);
        this.check();
        this
    }

    fn index_files(&self) -> Vec<std::path::PathBuf> {
        let directory = self.log.directory();
        let entries = self.world.disk.list(&directory).unwrap();
        let names = entries.into_iter().map(|entry| entry.name);
        names
            .filter(|name| name.ends_with(".txnindex"))
            .map(|name| directory.join(name))
            .collect()
    }
}

#[test]
fn the_last_stable_offset_passes_a_transaction_when_its_marker_is_durable_and_not_before() {
    let mut world = World::new(1);
    let (engine, _) = world.open_by_hand().unwrap();
    let log = log(&engine, 0);
    append(&log, batch(2, 1, b"before")).unwrap();
    append_transactional(&log, transactional_header(&log, 7, 3), b"in it").unwrap();
    append(&log, batch(1, 1, b"behind")).unwrap();
    while engine.step_commit() {}
    let numbers = |log: &PartitionLog| {
        let offsets = log.offsets();
        (offsets.last_stable_offset.0, offsets.high_watermark.0)
    };
    assert_eq!(numbers(&log), (2, 6));
    log.append_marker(marker(7, 0, TransactionOutcome::Commit), TimestampMs(1))
        .unwrap();
    assert_eq!(numbers(&log), (2, 6));
    // One group holds all: the reader gets what lies before the transaction, and no more.
    let read = log.read(committed_request(0)).unwrap();
    assert_eq!(read.batches.len(), 1);
    assert!(log.read(committed_request(2)).unwrap().batches.is_empty());
    assert!(engine.step_commit());
    assert_eq!(numbers(&log), (7, 7));
    assert!(log.read(committed_request(0)).unwrap().aborted.is_empty());
}

#[test]
fn a_waiting_reader_wakes_when_a_marker_is_durable() {
    let mut log = Log::new();
    log.data(7, 1, b"x");
    let waiter = Arc::new(crate::log::Waiter::default());
    let _waiting = log.log.wait(&waiter);
    log.end(7, TransactionOutcome::Commit);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), waiter.fired())
            .await
            .expect("a wake");
    });
}

#[test]
fn aborted_transactions_come_from_memory_and_indexes_and_survive_stops_and_crashes() {
    let mut log = Log::new();
    for round in 0..5 {
        let other = log.data(100, 1, &[1; 400]);
        for inner in 0..12 {
            log.data(inner % 3, 2, &[3; 250]);
            log.plain(&[4; 100]);
            match inner % 5 {
                0 => drop(log.end(inner % 3, TransactionOutcome::Abort)),
                3 => drop(log.end(inner % 3, TransactionOutcome::Commit)),
                _ => {}
            }
            log.check();
        }
        assert!(log.log.offsets().last_stable_offset.0 <= other);
        log.engine.checkpoint().unwrap();
        log.check();
        match round % 2 {
            0 => log.crash_and_open(),
            _ => log.stop_and_open(),
        }
        log.check();
        log.end(100, TransactionOutcome::Abort);
        log.check();
    }
    assert!(log.log.segment_count() > 3);
    assert!(!log.index_files().is_empty());
}

#[test]
fn the_transaction_index_has_the_bytes_that_kafka_writes() {
    let mut log = Log::new();
    let first = log.data(0x0102_0304, 2, b"x");
    let last = log.end(0x0102_0304, TransactionOutcome::Abort);
    log.engine.checkpoint().unwrap();
    let bytes = read_file(&log.world.disk, &log.index_files()[0], 1000).unwrap();
    let mut expected = vec![0, 0];
    for number in [0x0102_0304, first, last, last + 1] {
        expected.extend_from_slice(&i64::to_be_bytes(number));
    }
    assert_eq!(bytes, expected);
}

/// Waits until a read works again: an index is rebuilt in the background.
fn until_rebuilt(log: &Log) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(what) = check(&log.log, &log.batches) {
        assert!(what.contains("will be rebuilt"), "{what}");
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_damaged_transaction_index_fails_reads_by_name_until_it_is_rebuilt() {
    let mut log = Log::with_segments();
    for damage in 0..3 {
        log.stop_and_open();
        let files = log.index_files();
        let path = &files[damage];
        match damage {
            0 => log.world.disk.remove_file(path).unwrap(),
            1 => {
                let file = log.world.disk.open(path, OpenMode::ReadWrite).unwrap();
                file.write_all_at(&[0xff], 12).unwrap();
            }
            _ => {
                let file = log.world.disk.open(path, OpenMode::ReadWrite).unwrap();
                file.set_len(5).unwrap();
            }
        }
        let first = check(&log.log, &log.batches).unwrap_err();
        assert!(
            first.contains(".txnindex") && first.contains("will be rebuilt"),
            "{first}"
        );
        until_rebuilt(&log);
        log.crash_and_open();
        log.check();
    }
}

/// A marker that is not seen would let the next one end the transaction: committed records would be taken for aborted.
/// And what lies behind a base offset that seems to be past the end would be left out.
#[test]
fn an_index_is_not_built_again_from_a_damaged_batch_in_an_earlier_segment() {
    for damage in ["control bit", "base offset"] {
        let mut log = Log::new();
        // Open all the time, so that the index is worked out from here on.
        let opening = log.data(9, 1, &[1; 100]);
        let committed = log.data(5, 1, &[1; 300]);
        let marker = log.end(5, TransactionOutcome::Commit);
        let aborted = log.data(5, 1, &[1; 300]);
        while log.log.segment_count() < 2 {
            log.plain(&[2; 300]);
            log.engine.checkpoint().unwrap();
        }
        log.end(5, TransactionOutcome::Abort);
        log.end(9, TransactionOutcome::Commit);
        log.engine.checkpoint().unwrap();
        log.check();
        log.engine.close(Duration::from_secs(5));
        let index = log.index_files().remove(0);
        log.world.disk.remove_file(&index).unwrap();
        let first = log.log.directory().join("00000000000000000000.log");
        let (damaged, byte, mask) = match damage {
            "control bit" => (marker, 22, CONTROL as u8),
            _ => (opening, 1, 4),
        };
        log.world.disk.corrupt(&first, |bytes| {
            let position = split_batches(bytes)
                .map(Result::unwrap)
                .find(|batch| batch.header.base_offset == Offset(damaged))
                .map(|batch| batch.position)
                .unwrap();
            bytes[position + byte] ^= mask;
        });
        let (engine, _) = log.world.open_by_hand().unwrap();
        let log = super::log(&engine, 0);
        let read = |offset| {
            log.read(ReadRequest {
                max_bytes: 1,
                ..committed_request(offset)
            })
        };
        assert!(read(committed).is_err() && read(aborted).is_err());
        engine.step_background();
        for offset in [committed, aborted] {
            match read(offset) {
                Ok(read) => panic!("{damage}: at {offset} these are aborted: {:?}", read.aborted),
                Err(error) => assert!(error.to_string().contains("damaged"), "{damage}: {error}"),
            }
        }
    }
}

#[test]
fn a_quarantined_segment_leaves_what_it_said_of_earlier_records() {
    let mut log = Log::new();
    let before = log.data(5, 1, &[1; 300]);
    while log.log.segment_count() < 2 {
        log.plain(&[2; 300]);
        log.engine.checkpoint().unwrap();
    }
    let marker = log.end(5, TransactionOutcome::Abort);
    while log.log.segment_count() < 3 {
        log.plain(&[2; 300]);
        log.engine.checkpoint().unwrap();
    }
    log.check();
    let index = log.index_files().remove(0);
    log.engine.close(Duration::from_secs(5));
    let renamed = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".quarantined-1");
        std::path::PathBuf::from(name)
    };
    let disk = log.world.disk.clone();
    let segment = index.with_extension("log");
    disk.rename(&segment, &renamed(&segment)).unwrap();
    disk.rename(&index, &renamed(&index)).unwrap();
    for _ in 0..2 {
        log.open();
        let read = log.log.read(committed_request(before)).unwrap();
        let visible: Vec<_> = read.aborted.iter().map(|one| visible(one, 0)).collect();
        assert_eq!(visible, [(5, before, marker)]);
        log.engine.close(Duration::from_secs(5));
    }
}

#[test]
fn a_quarantined_segment_whose_aborts_are_lost_refuses_the_start_by_name() {
    let mut log = Log::with_segments();
    let index = log.index_files().remove(0);
    let segment = index.with_extension("log");
    log.engine.close(Duration::from_secs(5));
    let mut aside = segment.as_os_str().to_owned();
    aside.push(".quarantined-1");
    log.world.disk.rename(&segment, Path::new(&aside)).unwrap();
    log.world.disk.remove_file(&index).unwrap();
    let error = log.world.open().unwrap_err();
    assert!(
        matches!(&error, OpenError::AbortsLost { path } if *path == index),
        "{error}"
    );
    let mut accepted = index.into_os_string();
    accepted.push(".quarantined-lost");
    log.world
        .disk
        .open(Path::new(&accepted), OpenMode::Create)
        .unwrap();
    log.open();
}

#[test]
fn a_mirror_keeps_transactions_and_its_truncation_opens_them_again() {
    for drained in [false, true] {
        let mut log = Log::new();
        log.log.set_write_state(WriteState::OwnedByLink).unwrap();
        let mut next = 0;
        let mut mirror = |log: &mut Log, producer: i64, end: Option<TransactionOutcome>| {
            let bytes = match end {
                Some(outcome) => EndTransactionMarker {
                    outcome,
                    coordinator_epoch: 0,
                }
                .build((ProducerId(producer), ProducerEpoch(0)), TimestampMs(1))
                .unwrap(),
                None => {
                    let mut header = idempotent_header(producer, 0, next as i32, 1);
                    header.attributes |= TRANSACTIONAL;
                    with_header(header, &[5; 300])
                }
            };
            let mut bytes = bytes;
            thalweg_wire::batch::patch_base_offset_and_epoch(&mut bytes, Offset(next), LeaderEpoch(1))
                .unwrap();
            let content = Bytes::copy_from_slice(&bytes[21..]);
            let origin = Origin::Mirror {
                expected_end: Offset(next),
            };
            let batch = CheckedBatch::check(bytes).unwrap();
            let place = log.log.append(batch, origin, TimestampMs(1)).unwrap().place();
            place.ticket.unwrap().wait().unwrap();
            log.batches.push((next, next, content));
            next += 1;
            next - 1
        };
        let first = mirror(&mut log, 1, None);
        for other in 0..40 {
            mirror(&mut log, 2, None);
            let outcome = match other % 2 {
                0 => TransactionOutcome::Abort,
                _ => TransactionOutcome::Commit,
            };
            mirror(&mut log, 2, Some(outcome));
        }
        let cut = mirror(&mut log, 3, None);
        mirror(&mut log, 1, Some(TransactionOutcome::Abort));
        mirror(&mut log, 3, Some(TransactionOutcome::Commit));
        log.check();
        assert_eq!(
            log.log.offsets().last_stable_offset,
            log.log.offsets().high_watermark
        );
        if drained {
            log.engine.checkpoint().unwrap();
        }
        log.log.truncate_to(Offset(cut), LeaderEpoch(3)).unwrap();
        log.batches.retain(|(base, _, _)| *base < cut);
        assert_eq!(log.log.offsets().last_stable_offset.0, first);
        log.check();
        log.crash_and_open();
        assert_eq!(log.log.offsets().last_stable_offset.0, first);
        log.check();
        // What is open goes on as before.
        log.log.set_write_state(WriteState::Open).unwrap();
        log.end(1, TransactionOutcome::Abort);
        log.check();
        log.engine.checkpoint().unwrap();
        log.check();
    }
}

#[test]
fn retention_and_deleted_records_take_their_transactions_along() {
    let mut log = Log::with_segments();
    let middle = log.batches[log.batches.len() / 2].0;
    let (_, ticket) = log.log.delete_records(Offset(middle)).unwrap();
    ticket.unwrap().wait().unwrap();
    log.check();
    log.log.apply_retention(TimestampMs(0)).unwrap();
    log.check();
    log.crash_and_open();
    log.check();
}

#[test]
fn a_read_that_may_return_nothing_never_passes_over_a_batch_that_does_not_fit() {
    let mut log = Log::new();
    log.plain(&[1; 4000]);
    while log.log.segment_count() < 2 {
        log.plain(&[2; 300]);
        log.engine.checkpoint().unwrap();
    }
    log.stop_and_open();
    let request = ReadRequest {
        offset: Offset(0),
        max_bytes: 1000,
        limit: ReadLimit::HighWatermark,
        min_one: MinOne::No,
    };
    let read = log.log.read(request).unwrap();
    assert!(
        read.batches.is_empty(),
        "{:?}",
        BatchHeader::parse(&read.batches[0])
    );
}

#[test]
fn random_transactions_agree_with_what_the_records_say() {
    for seed in 1..30 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut log = Log::new();
        for _ in 0..150 {
            let producer = rng.random_range(1..6);
            let filler = vec![9; rng.random_range(1..500)];
            match rng.random_range(0..100) {
                0..45 => drop(log.data(producer, rng.random_range(1..4), &filler)),
                45..60 => drop(log.plain(&filler)),
                60..75 => drop(log.end(producer, TransactionOutcome::Abort)),
                75..85 => drop(log.end(producer, TransactionOutcome::Commit)),
                85..91 => log.engine.checkpoint().unwrap(),
                91..93 => {
                    let start = log.log.offsets().log_start_offset.0;
                    let to = rng.random_range(start..=log.log.offsets().high_watermark.0);
                    if let (_, Some(ticket)) = log.log.delete_records(Offset(to)).unwrap() {
                        ticket.wait().unwrap();
                    }
                    log.log.apply_retention(TimestampMs(0)).unwrap();
                }
                93..96 => log.check(),
                96..98 => log.stop_and_open(),
                _ => log.crash_and_open(),
            }
        }
        log.check();
    }
}
