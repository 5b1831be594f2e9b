//! Segment files and their indexes, damaged: opening the log, reads, searches by time, index repair.

use crate::edits;
use crate::input::Input;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thalweg_storage::clock::ManualClock;
use thalweg_storage::disk::{Disk, OpenMode, SimulatedDisk};
use thalweg_storage::engine::{EngineConfig, EngineParts, LiveTopic, LogEngine, TopicRole};
use thalweg_storage::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, RowVisitor};
use thalweg_storage::log::{CheckedBatch, MinOne, Origin, PartitionLog, ReadLimit, ReadRequest};
use thalweg_storage::log_config::LogConfig;
use thalweg_storage::recovery::{OpenError, Scan, scan_batches};
use thalweg_storage::wal::ring::RingConfig;
use thalweg_types::{LeaderEpoch, PartitionIndex, TimestampMs, TopicId, TopicPartitionId};
use thalweg_wire::batch::{crc32c, split_batches, verify_crc};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{BatchBuilder, BatchOptions};

const TOPIC: TopicId = TopicId([5; 16]);
const BATCHES: i64 = 40;
const RECORDS: i64 = 3;
const NOW: TimestampMs = TimestampMs(1_000_000);
/// Base offset and leader epoch, which no checksum covers, lie before.
const COVERED_FROM: usize = 16;

/// Byte 0: unused; then edits ([`edits`]) of the files of a partition with several segments.
///
/// Beyond "no panic": opening is refused, or every read ends in an error or in batches that were written, unless the
/// damage could choose its own checksum. Reads end, searches by time too, and the indexes are built again.
pub fn segment(data: &[u8]) {
    let mut input = Input::new(data);
    input.u8();
    let written = written();
    let disk = written.disk.fork();
    let mut forged = false;
    for edit in edits::read(input) {
        let path = &written.files[usize::from(edit.file) % written.files.len()];
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        disk.corrupt(path, |bytes| {
            let chosen = edit.apply(bytes);
            // Where a checksum lies is known as long as nothing was moved.
            forged |= is_log && (!edit.keeps_positions() || chosen.len() >= 4);
        });
    }
    for path in &written.files {
        scan(&disk, path);
    }
    let Ok(engine) = open(&disk, &Arc::new(written.rows.copy())) else {
        return;
    };
    let log = partition(&engine);
    for repair in 0..2 {
        let read = read_all(&log);
        if !forged {
            let strange = read.iter().find(|batch| !written.batches.contains(*batch));
            assert!(strange.is_none(), "served what nobody wrote: {strange:02x?}");
        }
        for target in [0, 1000 + RECORDS * BATCHES / 2, i64::MAX] {
            let found = log.find_by_timestamp(TimestampMs(target), ReadLimit::HighWatermark, &inflate());
            if let (Ok(Some(found)), false) = (found, forged) {
                assert!(found.timestamp.get() >= target);
            }
        }
        let _ = log.find_max_timestamp(ReadLimit::HighWatermark, &inflate());
        // Damaged indexes were noted and are built again here.
        if repair == 0 {
            engine.step_background();
        }
    }
}

fn inflate() -> CompressionLimits {
    CompressionLimits {
        output_bytes_max: 1 << 20,
        ratio_max: 64,
    }
}

/// Reads from the log's start; goes on behind what cannot be read. The bytes of each batch that a checksum covers.
fn read_all(log: &PartitionLog) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let offsets = log.offsets();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        let request = ReadRequest {
            offset,
            max_bytes: 1500,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        let mut next = offset.next();
        for bytes in log.read(request).iter().flat_map(|result| &result.batches) {
            for batch in split_batches(bytes) {
                let batch = batch.unwrap_or_else(|error| panic!("at {offset}: served {error}"));
                assert_eq!(verify_crc(batch.bytes), Ok(()), "at {offset}");
                next = next.max(batch.header.next_offset());
                found.push(batch.bytes[COVERED_FROM..].to_vec());
            }
        }
        offset = next;
    }
    found
}

/// Any file as a segment.
fn scan(disk: &SimulatedDisk, path: &Path) {
    let Ok(file) = disk.open(path, OpenMode::Read) else {
        return;
    };
    let Ok(len) = file.len() else { return };
    let mut batches = 0;
    let end = scan_batches(&*file, len, |position, _| {
        assert!(position < len);
        batches += 1;
        Scan::Continue
    });
    assert!(
        end.is_err() || end.is_ok_and(|end| end == len),
        "a scan ends at the end"
    );
    assert!(batches <= len / 61);
}

/// Recovery points in memory.
#[derive(Debug, Default)]
struct Rows(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Rows {
    fn copy(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }
}

impl RecoveryStore for Rows {
    fn load(&self, visit: &mut RowVisitor<'_>) -> Result<(), String> {
        self.0
            .lock()
            .iter()
            .try_for_each(|(key, value)| visit(key, value))
    }

    fn commit(&self, changes: Vec<RowChange>) -> Result<(), RecoveryStoreError> {
        let mut rows = self.0.lock();
        for change in changes {
            match change.value {
                Some(value) => rows.insert(change.key, value),
                None => rows.remove(&change.key),
            };
        }
        Ok(())
    }
}

/// A partition after a clean stop: everything is in segments.
struct Written {
    disk: SimulatedDisk,
    rows: Arc<Rows>,
    files: Vec<std::path::PathBuf>,
    batches: BTreeSet<Vec<u8>>,
}

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let disk = SimulatedDisk::new();
        disk.create_dir_all(Path::new("/data")).expect("an empty disk");
        let rows = Arc::new(Rows::default());
        let engine = open(&disk, &rows).expect("a new log opens");
        let log = partition(&engine);
        for index in 0..BATCHES {
            let batch = CheckedBatch::check(batch(index)).expect("a valid batch");
            log.append(batch, Origin::Client, NOW).expect("the log takes it");
            while engine.step_commit() {}
            engine.step_background();
        }
        engine.checkpoint().expect("the disk has room");
        engine.close(Duration::from_secs(10));
        let batches = read_all(&log).into_iter().collect();
        let files = disk.files().into_iter().map(|(path, _)| path);
        let files: Vec<_> = files.filter(|path| path.starts_with("/data/events-0")).collect();
        assert!(log.segment_count() > 2 && files.len() > 6, "{files:?}");
        Written {
            disk,
            rows,
            files,
            batches,
        }
    })
}

fn batch(index: i64) -> bytes::BytesMut {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for record in 0..RECORDS {
        let number = RECORDS * index + record;
        let value = crc32c(&number.to_be_bytes()).to_be_bytes().repeat(8);
        builder
            .push(
                TimestampMs(1000 + number),
                Some(&number.to_be_bytes()),
                Some(&value),
                &[],
            )
            .expect("a small record");
    }
    builder.build().expect("a small batch")
}

fn partition(engine: &LogEngine) -> Arc<PartitionLog> {
    let id = TopicPartitionId {
        topic_id: TOPIC,
        partition: PartitionIndex(0),
    };
    engine.get(id).expect("the topic lives")
}

fn open(disk: &SimulatedDisk, rows: &Arc<Rows>) -> Result<Arc<LogEngine>, OpenError> {
    let config = LogConfig {
        segment_bytes: 2 << 10,
        index_interval_bytes: 256,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let parts = EngineParts {
        disk: Arc::new(disk.clone()),
        directory: "/data".into(),
        clock: Arc::new(ManualClock::new(NOW)),
        recovery: rows.clone(),
        random: 77,
        leader_epoch: LeaderEpoch(1),
        topics: vec![LiveTopic {
            id: TOPIC,
            name: "events".into(),
            partitions: 1,
            config: Arc::new(config),
            role: TopicRole::Ordinary,
        }],
        tombstones: BTreeSet::new(),
        on_fatal: Arc::new(Box::new(|_| {})),
        find_wal: None,
    };
    let sizes = EngineConfig {
        ring: RingConfig {
            file_bytes: 32 << 10,
            max_bytes: 64 << 10,
            group_bytes_max: 16 << 10,
            disk_free_bytes_min: 0,
        },
        tail_memory_bytes: 8 << 10,
        segment_write_bytes: 512,
        segment_write_direct_bytes: 4 << 10,
        segment_read_direct_bytes: 4 << 10,
        queue_bytes_max: 1 << 20,
        reserve_bytes: 4 << 10,
        ..EngineConfig::default()
    };
    LogEngine::open_by_hand(parts, sizes).map(|(engine, _)| engine)
}
