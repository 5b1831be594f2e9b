//! The logs against a simple model, over a simulated disk that forgets what was not synced.

#[path = "engine_cleaner_test.rs"]
mod cleaner;
#[path = "engine_cleaner_simulation_test.rs"]
mod cleaner_simulation;
#[path = "engine_cleaner_transactions_test.rs"]
mod cleaner_transactions;
#[path = "engine_faults_test.rs"]
mod faults;
#[path = "engine_memory_test.rs"]
mod memory;
#[path = "engine_mirror_test.rs"]
mod mirror;
#[path = "engine_model_test.rs"]
mod model;
#[path = "engine_race_test.rs"]
mod race;
#[path = "engine_seal_test.rs"]
mod seal;
#[path = "engine_simulation_test.rs"]
mod simulation;
#[path = "engine_transactions_test.rs"]
mod transactions;

use super::*;
use crate::clock::ManualClock;
use crate::disk::{CrashPoint, Fault, OpenMode, SimulatedDisk, read_file, replace_file};
use crate::log::{Append, CheckedBatch, MinOne, Origin, ReadLimit, ReadRequest};
use crate::recovery::OpenError;
use crate::test_batches::{batch, idempotent_header, with_header};
use crate::wal::memory::MemorySink;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use thalweg_types::TimestampMs;
use thalweg_wire::batch::split_batches;

/// Recovery points in one file of the simulated disk, replaced as a whole.
#[derive(Debug)]
struct FileStore {
    disk: SimulatedDisk,
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

const ROWS: &str = "/data/rows";

impl FileStore {
    fn open(disk: &SimulatedDisk) -> Arc<Self> {
        let mut rows = BTreeMap::new();
        if let Ok(content) = read_file(disk, Path::new(ROWS), u64::MAX) {
            let mut rest = &content[..];
            while let Some((len, tail)) = rest.split_first_chunk::<8>() {
                let key_len = u32::from_be_bytes(len[..4].try_into().unwrap()) as usize;
                let value_len = u32::from_be_bytes(len[4..].try_into().unwrap()) as usize;
                rows.insert(
                    tail[..key_len].to_vec(),
                    tail[key_len..key_len + value_len].to_vec(),
                );
                rest = &tail[key_len + value_len..];
            }
        }
        Arc::new(Self {
            disk: disk.clone(),
            rows: Mutex::new(rows),
        })
    }
}

impl RecoveryStore for FileStore {
    fn load(&self, visit: &mut crate::log::rows::RowVisitor<'_>) -> Result<(), String> {
        self.rows
            .lock()
            .iter()
            .try_for_each(|(key, value)| visit(key, value))
    }

    fn commit(&self, changes: Vec<RowChange>) -> Result<(), RecoveryStoreError> {
        let mut rows = self.rows.lock();
        let mut next = rows.clone();
        for change in changes {
            match change.value {
                Some(value) => next.insert(change.key, value),
                None => next.remove(&change.key),
            };
        }
        let mut content = Vec::new();
        for (key, value) in &next {
            content.extend_from_slice(&(key.len() as u32).to_be_bytes());
            content.extend_from_slice(&(value.len() as u32).to_be_bytes());
            content.extend_from_slice(key);
            content.extend_from_slice(value);
        }
        replace_file(&self.disk, Path::new(ROWS), &content).map_err(|error| {
            if crate::disk::is_disk_full(&error) {
                RecoveryStoreError::Full(error.to_string())
            } else {
                RecoveryStoreError::Failed(error.to_string())
            }
        })?;
        *rows = next;
        Ok(())
    }
}

struct World {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    topic: LiveTopic,
    starts: i32,
    fatal: Arc<Mutex<Vec<String>>>,
    /// The write-ahead log, when it is not on the disk.
    memory: Option<MemorySink>,
}

const TOPIC: TopicId = TopicId([5; 16]);

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 8 << 10,
        index_interval_bytes: 512,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

impl World {
    fn new(partitions: i32) -> Self {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("/data")).unwrap();
        Self {
            disk,
            clock: Arc::new(ManualClock::new(TimestampMs(1_000_000))),
            topic: LiveTopic {
                id: TOPIC,
                name: "events".into(),
                partitions,
                config: Arc::new(config()),
                role: TopicRole::Ordinary,
            },
            starts: 0,
            fatal: Arc::default(),
            memory: memory::in_force(),
        }
    }

    fn open(&mut self) -> Result<(Arc<LogEngine>, OpenReport), OpenError> {
        let (parts, config) = self.parts();
        LogEngine::open(parts, config)
    }

    fn open_by_hand(&mut self) -> Result<(Arc<LogEngine>, OpenReport), OpenError> {
        let (parts, config) = self.parts();
        LogEngine::open_by_hand(parts, config)
    }

    fn parts(&mut self) -> (EngineParts, EngineConfig) {
        self.starts += 1;
        let fatal = self.fatal.clone();
        let parts = EngineParts {
            disk: Arc::new(self.disk.until_crash()),
            directory: "/data".into(),
            clock: self.clock.clone(),
            recovery: FileStore::open(&self.disk.until_crash()),
            random: 77,
            leader_epoch: LeaderEpoch(self.starts),
            topics: vec![self.topic.clone()],
            tombstones: BTreeSet::new(),
            on_fatal: Arc::new(Box::new(move |error| fatal.lock().push(error.to_string()))),
            find_wal: self.memory.as_mut().map(memory::next_session),
        };
        let engine_config = EngineConfig {
            ring: RingConfig {
                file_bytes: 64 << 10,
                max_bytes: 256 << 10,
                group_bytes_max: 16 << 10,
                disk_free_bytes_min: 0,
            },
            tail_memory_bytes: 20 << 10,
            segment_write_bytes: 4 << 10,
            segment_write_direct_bytes: 4 << 10,
            segment_read_direct_bytes: 4 << 10,
            queue_bytes_max: 1 << 20,
            reserve_bytes: 16 << 10,
            ..EngineConfig::default()
        };
        (parts, engine_config)
    }
}

fn log(engine: &LogEngine, partition: i32) -> Arc<PartitionLog> {
    engine
        .get(TopicPartitionId {
            topic_id: TOPIC,
            partition: PartitionIndex(partition),
        })
        .unwrap()
}

fn append(log: &Arc<PartitionLog>, bytes: bytes::BytesMut) -> Result<Append, AppendError> {
    log.append(
        CheckedBatch::check(bytes).unwrap(),
        Origin::Client,
        TimestampMs(1_000_000),
    )
}

fn append_durably(log: &Arc<PartitionLog>, bytes: bytes::BytesMut) -> Offset {
    let place = append(log, bytes).unwrap().place();
    place.ticket.unwrap().wait().unwrap();
    place.base_offset
}

fn read_all(log: &PartitionLog) -> Vec<(i64, Bytes)> {
    try_read_all(log).unwrap()
}

fn try_read_all(log: &PartitionLog) -> Result<Vec<(i64, Bytes)>, crate::log::ReadError> {
    let mut out = Vec::new();
    let offsets = log.offsets();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        let request = ReadRequest {
            offset,
            max_bytes: 3000,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        let result = log.read(request)?;
        let before = offset;
        for bytes in &result.batches {
            for batch in split_batches(bytes) {
                let batch = batch.unwrap();
                assert!(
                    batch.header.last_offset() >= offset,
                    "{:?} at {offset}",
                    batch.header
                );
                out.push((
                    batch.header.base_offset.0,
                    Bytes::copy_from_slice(&batch.bytes[21..]),
                ));
                offset = batch.header.next_offset();
            }
        }
        if offset == before {
            break;
        }
    }
    Ok(out)
}

#[test]
fn an_append_is_readable_when_its_ticket_completes_and_not_before() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let log = log(&engine, 0);
    assert_eq!(append_durably(&log, batch(3, 10, b"abc")), Offset(0));
    assert_eq!(append_durably(&log, batch(2, 11, b"de")), Offset(3));
    let offsets = log.offsets();
    assert_eq!(
        (offsets.high_watermark, offsets.log_end_offset),
        (Offset(5), Offset(5))
    );
    let all = read_all(&log);
    assert_eq!(all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 3]);
    assert!(all[1].1.ends_with(b"de"));
}

#[test]
fn the_same_records_come_from_memory_the_write_ahead_log_and_segments() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let log = log(&engine, 0);
    let mut expected = Vec::new();
    for index in 0..200i64 {
        let filler = vec![index as u8; 300];
        let offset = append_durably(&log, batch(4, index, &filler));
        expected.push(offset.0);
    }
    let offsets = |all: Vec<(i64, Bytes)>| all.into_iter().map(|(o, _)| o).collect::<Vec<_>>();
    assert_eq!(offsets(read_all(&log)), expected);
    engine.checkpoint().unwrap();
    assert_eq!(offsets(read_all(&log)), expected);
    assert!(log.segment_count() > 5, "{}", log.segment_count());
    drop(engine);
    world.disk.crash(&mut |_| 0);
    let (engine, report) = world.open().unwrap();
    assert!(!report.clean);
    let log = super::tests::log(&engine, 0);
    assert_eq!(offsets(read_all(&log)), expected);
    // From the middle of a batch the whole batch is returned.
    let request = ReadRequest {
        offset: Offset(401),
        max_bytes: 1,
        limit: ReadLimit::HighWatermark,
        min_one: MinOne::Yes,
    };
    let result = log.read(request).unwrap();
    assert_eq!(
        split_batches(&result.batches[0])
            .next()
            .unwrap()
            .unwrap()
            .header
            .base_offset,
        Offset(400)
    );
    assert_eq!(
        log.read(ReadRequest {
            min_one: MinOne::No,
            ..request
        })
        .unwrap()
        .bytes,
        0
    );
}

#[test]
fn a_clean_stop_leaves_nothing_to_replay() {
    let mut world = World::new(2);
    let (engine, _) = world.open().unwrap();
    for index in 0..20 {
        append_durably(&log(&engine, index % 2), batch(1, 5, b"x"));
    }
    engine.close(Duration::from_secs(5));
    drop(engine);
    world.disk.crash(&mut |_| 0);
    let (engine, report) = world.open().unwrap();
    assert!(report.clean);
    assert_eq!(read_all(&log(&engine, 0)).len(), 10);
    assert_eq!(append_durably(&log(&engine, 0), batch(1, 5, b"y")), Offset(10));
}

#[test]
fn rule_11_all_five_batches_of_a_producer_are_repeats_after_a_crash() {
    for checkpoint in [0, 3, 7] {
        let mut world = World::new(1);
        let (engine, _) = world.open().unwrap();
        let partition = log(&engine, 0);
        let send = |log: &Arc<PartitionLog>, index: i32| {
            append(log, with_header(idempotent_header(9, 0, index * 2, 2), b"zz"))
        };
        for index in 0..7 {
            send(&partition, index)
                .unwrap()
                .place()
                .ticket
                .unwrap()
                .wait()
                .unwrap();
            if index == checkpoint {
                engine.checkpoint().unwrap();
            }
        }
        drop((engine, partition));
        world.disk.crash(&mut |_| 0);
        let (engine, _) = world.open().unwrap();
        let partition = log(&engine, 0);
        for index in 2..7 {
            let found = send(&partition, index).unwrap();
            assert!(matches!(found, Append::Duplicate(_)), "{index}: {found:?}");
            assert_eq!(found.place().base_offset, Offset(i64::from(index) * 2));
        }
        assert!(matches!(send(&partition, 1), Err(AppendError::Sequence(_))));
        assert!(matches!(send(&partition, 7), Ok(Append::Written(_))));
    }
}

#[test]
fn deleted_records_stay_deleted_after_a_crash() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    for _ in 0..10 {
        append_durably(&partition, batch(5, 1, b"old"));
    }
    let (start, ticket) = partition.delete_records(Offset(23)).unwrap();
    ticket.unwrap().wait().unwrap();
    assert_eq!(
        (start, partition.offsets().log_start_offset),
        (Offset(23), Offset(23))
    );
    assert!(partition.delete_records(Offset(51)).is_err());
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    assert_eq!(log(&engine, 0).offsets().log_start_offset, Offset(23));
    assert_eq!(read_all(&log(&engine, 0)).len(), 6);
}

#[test]
fn retention_by_size_and_time_deletes_whole_old_segments_for_ever() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    for index in 0..100 {
        append_durably(&partition, batch(1, 1_000_000 + index, &[1; 500]));
    }
    engine.checkpoint().unwrap();
    let now = TimestampMs(1_000_100);
    assert_eq!(
        partition.apply_retention(now).unwrap().segments,
        0,
        "−1 keeps for ever"
    );
    partition.set_config(Arc::new(LogConfig {
        retention_bytes: 30_000,
        ..config()
    }));
    let report = partition.apply_retention(now).unwrap();
    assert!(report.segments > 0 && !report.doomed.is_empty(), "{report:?}");
    assert!(partition.size() >= 30_000);
    let start = partition.offsets().log_start_offset;
    partition.set_config(Arc::new(LogConfig {
        retention_ms: 20,
        ..config()
    }));
    partition.apply_retention(now).unwrap();
    assert!(partition.offsets().log_start_offset > start);
    let start = partition.offsets().log_start_offset;
    let left = read_all(&partition);
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    assert_eq!(log(&engine, 0).offsets().log_start_offset, start);
    assert_eq!(read_all(&log(&engine, 0)), left);
    // All of it expires, what no segment holds too.
    let partition = log(&engine, 0);
    partition.set_config(Arc::new(LogConfig {
        retention_ms: 20,
        ..config()
    }));
    partition.apply_retention(TimestampMs(9_000_000)).unwrap();
    let offsets = partition.offsets();
    assert_eq!(offsets.log_start_offset, offsets.high_watermark);
    assert_eq!(
        append_durably(&partition, batch(1, 9_000_000, b"new")),
        Offset(100)
    );
    assert_eq!(read_all(&partition).len(), 1);
}

#[test]
fn a_damaged_index_is_rebuilt_and_damaged_records_are_named_not_served() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    for index in 0..40 {
        append_durably(&partition, batch(1, index, &[7; 400]));
    }
    engine.checkpoint().unwrap();
    engine.close(Duration::from_secs(5));
    drop((engine, partition));
    let file = |name: &str| Path::new("/data/events-0").join(name);
    world.disk.corrupt(&file("00000000000000000000.index"), |bytes| {
        bytes.iter_mut().for_each(|b| *b ^= 0x15)
    });
    world
        .disk
        .corrupt(&file("00000000000000000000.log"), |bytes| bytes[3000] ^= 1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    let read = |offset| {
        partition.read(ReadRequest {
            offset: Offset(offset),
            max_bytes: 100,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        })
    };
    assert!(read(0).is_ok());
    assert!(read(12).is_ok(), "found without the index");
    let error = read(6).unwrap_err();
    assert!(
        matches!(&error, crate::log::ReadError::Corrupt { position: 2766, .. }),
        "{error:?}"
    );
    assert_eq!(engine.problems().len(), 1);
}

#[test]
fn a_segment_shorter_than_its_recovery_point_refuses_the_start_by_name() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for index in 0..10 {
        append_durably(&log(&engine, 0), batch(1, index, &[7; 400]));
    }
    engine.close(Duration::from_secs(5));
    drop(engine);
    let path = Path::new("/data/events-0/00000000000000000000.log");
    let whole = world.disk.fork();
    world.disk.corrupt(path, |bytes| bytes.truncate(100));
    assert!(matches!(
        world.open(),
        Err(OpenError::SegmentShort { found: 100, .. })
    ));
    world.disk = whole;
    world.disk.remove_file(path).unwrap();
    assert!(matches!(
        world.open(),
        Err(OpenError::SegmentShort { found: 0, .. })
    ));
}

#[test]
fn a_full_disk_keeps_records_in_the_write_ahead_log_and_recovers() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    append_durably(&partition, batch(1, 0, &[1; 100]));
    // Room for nothing but what is preallocated.
    while engine.wal_usage().used < 100 << 10 {
        append_durably(&partition, batch(1, 0, &[1; 1000]));
    }
    world.disk.set_capacity(world.disk.used());
    // What is left of the file being written takes them.
    for index in 0..4 {
        append_durably(&partition, batch(1, index, &[1; 1000]));
    }
    assert!(engine.checkpoint().is_err());
    assert!(
        world.fatal.lock().is_empty(),
        "a full disk is not fatal: {:?}",
        world.fatal.lock()
    );
    let before = read_all(&partition).len();
    assert!(engine.counters().disk_full.load(Ordering::Relaxed) > 0);
    world.disk.set_capacity(1 << 30);
    engine.checkpoint().unwrap();
    assert_eq!(read_all(&partition).len(), before);
}

#[test]
fn a_mirror_keeps_offsets_epochs_and_gaps_and_its_truncation_is_never_undone() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    partition
        .set_write_state(WriteState::OwnedByLink)
        .unwrap()
        .wait()
        .unwrap();
    assert!(matches!(
        append(&partition, batch(1, 0, b"no")),
        Err(AppendError::WriteState { .. })
    ));
    let mirrored = |base: i64, count: i32, epoch: i32, end: i64| {
        let mut header = idempotent_header(-1, -1, -1, count);
        header.base_offset = Offset(base);
        header.leader_epoch = LeaderEpoch(epoch);
        let batch = CheckedBatch::check(with_header(header, &[base as u8; 300])).unwrap();
        let appended = partition.append(
            batch,
            Origin::Mirror {
                expected_end: Offset(end),
            },
            TimestampMs(0),
        )?;
        appended.place().ticket.unwrap().wait().unwrap();
        Ok::<(), AppendError>(())
    };
    mirrored(100, 10, 3, 0).unwrap();
    mirrored(110, 5, 4, 110).unwrap();
    assert!(matches!(
        mirrored(110, 5, 4, 110),
        Err(AppendError::MirrorEnd { .. })
    ));
    partition.jump_to(Offset(500)).unwrap().wait().unwrap();
    mirrored(500, 5, 6, 500).unwrap();
    assert_eq!(
        read_all(&partition).iter().map(|(o, _)| *o).collect::<Vec<_>>(),
        [100, 110, 500]
    );
    engine.checkpoint().unwrap();
    mirrored(505, 5, 6, 505).unwrap();
    assert!(
        partition.truncate_to(Offset(503), LeaderEpoch(7)).is_err(),
        "inside a batch"
    );
    partition.truncate_to(Offset(500), LeaderEpoch(7)).unwrap();
    let check = |partition: &Arc<PartitionLog>| {
        assert_eq!(
            read_all(partition).iter().map(|(o, _)| *o).collect::<Vec<_>>(),
            [100, 110]
        );
        assert_eq!(partition.offsets().log_end_offset, Offset(500));
        assert_eq!(
            partition.end_offset_for_epoch(LeaderEpoch(3)),
            Some((LeaderEpoch(3), Offset(110)))
        );
    };
    check(&partition);
    drop((engine, partition));
    world.disk.crash(&mut |_| 0);
    let (engine, _) = world.open().unwrap();
    check(&log(&engine, 0));
}

#[test]
fn a_truncation_inside_a_run_keeps_its_first_batches_after_a_crash() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    let partition = log(&engine, 0);
    partition
        .set_write_state(WriteState::OwnedByLink)
        .unwrap()
        .wait()
        .unwrap();
    let mut last = None;
    for index in 0..20i64 {
        let mut header = idempotent_header(-1, -1, -1, 1);
        header.base_offset = Offset(index);
        header.leader_epoch = LeaderEpoch(0);
        let batch = CheckedBatch::check(with_header(header, &[1; 10])).unwrap();
        let origin = Origin::Mirror {
            expected_end: Offset(index),
        };
        last = partition
            .append(batch, origin, TimestampMs(0))
            .unwrap()
            .place()
            .ticket;
    }
    last.unwrap().wait().unwrap();
    // Wherever the groups ended, some truncation cuts a run in two.
    for cut in [19, 18, 17, 9, 5] {
        partition.truncate_to(Offset(cut), LeaderEpoch(7)).unwrap();
        let numbers = |log: &PartitionLog| read_all(log).iter().map(|(o, _)| *o).collect::<Vec<_>>();
        assert_eq!(numbers(&partition), (0..cut).collect::<Vec<_>>());
        let mut copy = World::new(1);
        copy.disk = world.disk.fork();
        copy.starts = 50;
        copy.disk.crash(&mut |_| 0);
        let (engine, _) = copy.open().unwrap();
        assert_eq!(
            numbers(&super::tests::log(&engine, 0)),
            (0..cut).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_run_for_an_unknown_topic_refuses_the_start_and_a_tombstone_passes() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    append_durably(&log(&engine, 0), batch(1, 0, b"x"));
    drop(engine);
    world.disk.crash(&mut |_| 0);
    world.topic.id = TopicId([6; 16]);
    let error = world.open().unwrap_err().to_string();
    assert!(error.contains(&TOPIC.to_string()), "{error}");
}

#[test]
fn a_deleted_topic_is_gone_and_its_name_can_be_used_again() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for index in 0..30 {
        append_durably(&log(&engine, 0), batch(1, index, &[1; 400]));
    }
    engine.checkpoint().unwrap();
    let closed = log(&engine, 0);
    let doomed = engine.delete(TOPIC, "events").unwrap();
    assert_eq!(doomed.len(), 1);
    assert!(matches!(
        append(&closed, batch(1, 0, b"x")),
        Err(AppendError::Closed)
    ));
    let again = LiveTopic {
        id: TopicId([8; 16]),
        ..world.topic.clone()
    };
    engine.create(&again, 0);
    let id = TopicPartitionId {
        topic_id: again.id,
        partition: PartitionIndex(0),
    };
    assert_eq!(
        append_durably(&engine.get(id).unwrap(), batch(1, 0, b"new")),
        Offset(0)
    );
    engine.checkpoint().unwrap();
    engine.remove_doomed(&doomed[0]).unwrap();
    assert!(
        world
            .disk
            .open(
                Path::new("/data/events-0/00000000000000000000.log"),
                OpenMode::Read
            )
            .is_ok()
    );
}

/// A stopped world with several small segments and nothing left to replay.
fn stopped_with_segments() -> World {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for index in 0..60 {
        append_durably(&log(&engine, 0), batch(1, index, &[7; 400]));
    }
    engine.close(Duration::from_secs(5));
    world
}

fn read_at(log: &PartitionLog, offset: i64) -> Result<crate::log::ReadResult, crate::log::ReadError> {
    log.read(ReadRequest {
        offset: Offset(offset),
        max_bytes: 100,
        limit: ReadLimit::HighWatermark,
        min_one: MinOne::Yes,
    })
}

#[test]
fn a_damaged_base_offset_which_no_checksum_covers_is_not_served() {
    for (byte, value) in [(0, 0x5a), (7, 0xf0), (6, 1)] {
        let mut world = stopped_with_segments();
        let first = Path::new("/data/events-0/00000000000000000000.log");
        world.disk.corrupt(first, |bytes| bytes[461 + byte] ^= value);
        let (engine, _) = world.open().unwrap();
        let partition = log(&engine, 0);
        assert!(read_at(&partition, 0).is_ok());
        let damaged = read_at(&partition, 1);
        assert!(
            matches!(damaged, Err(crate::log::ReadError::Corrupt { position: 461, .. })),
            "{damaged:?}"
        );
    }
}

#[test]
fn a_quarantined_segment_is_a_named_gap_and_the_rest_is_served() {
    let mut world = stopped_with_segments();
    let first = Path::new("/data/events-0/00000000000000000000.log");
    let aside = Path::new("/data/events-0/00000000000000000000.log.quarantined-1");
    world.disk.rename(first, aside).unwrap();
    world.disk.sync_dir(Path::new("/data/events-0")).unwrap();
    for _ in 0..2 {
        let (engine, _) = world.open().unwrap();
        let all = read_all(&log(&engine, 0));
        assert!(all[0].0 > 0 && all.len() > 20, "{}", all[0].0);
        assert_eq!(all.last().unwrap().0, 59);
        engine.close(Duration::from_secs(5));
    }
    assert!(
        world.disk.file_len(aside).unwrap().is_some(),
        "what is left stays for the operator"
    );
}

#[test]
fn a_write_ahead_log_that_ends_below_a_recovery_point_is_refused() {
    let mut world = World::new(1);
    let (engine, _) = world.open().unwrap();
    for index in 0..5 {
        append_durably(&log(&engine, 0), batch(1, index, &[7; 400]));
    }
    engine.checkpoint().unwrap();
    drop(engine);
    world.disk.crash(&mut |_| 0);
    // The last group is gone: what follows would get its slot and be taken for covered.
    world
        .disk
        .corrupt(Path::new("/data/wal/0000000001.wal"), |bytes| {
            let last = bytes
                .chunks(4096)
                .rposition(|block| block.iter().any(|byte| *byte != 0))
                .unwrap();
            bytes[last * 4096..].fill(0);
        });
    let refused = world.open();
    assert!(
        matches!(
            refused,
            Err(OpenError::Wal(crate::wal::WalOpenError::Short { .. }))
        ),
        "{:?}",
        refused.err()
    );
}
