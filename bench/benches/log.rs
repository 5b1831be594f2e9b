//! The log on a real disk: appends to the commit queue, a durable commit group, reads of the tail and of segments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::Mutex;
use tempfile::TempDir;
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::RealDisk;
use thalweg_storage::engine::{EngineConfig, EngineParts, LiveTopic, LogEngine};
use thalweg_storage::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, RowVisitor};
use thalweg_storage::log::{CheckedBatch, MinOne, Origin, PartitionLog, ReadLimit, ReadRequest};
use thalweg_storage::log_config::LogConfig;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartitionId};
use thalweg_wire::records::{BatchBuilder, BatchOptions};

const PARTITIONS: i32 = 8;
/// More than any of these benches appends: the tail stays in memory.
const TAIL_BYTES: usize = 256 << 20;

/// Recovery points in memory: what the metadata store costs is not the question here.
#[derive(Debug, Default)]
struct Rows(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

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

struct Log {
    engine: Arc<LogEngine>,
    partitions: Vec<Arc<PartitionLog>>,
    _directory: TempDir,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.engine.close(std::time::Duration::from_secs(5));
    }
}

impl Log {
    /// Opens a new log that keeps so many bytes of its tail in memory.
    fn open(tail_memory_bytes: usize) -> Log {
        let directory = tempfile::tempdir_in(thalweg_tests::places::runs()).expect("a directory for the run");
        let topic_id = TopicId([3; 16]);
        let parts = EngineParts {
            disk: Arc::new(RealDisk),
            directory: directory.path().to_path_buf(),
            clock: Arc::new(SystemClock),
            recovery: Arc::new(Rows::default()),
            random: 1,
            leader_epoch: LeaderEpoch(1),
            topics: vec![LiveTopic {
                id: topic_id,
                name: "bench".into(),
                partitions: PARTITIONS,
                config: Arc::new(LogConfig::default()),
            }],
            tombstones: BTreeSet::new(),
            on_fatal: Arc::new(Box::new(|error| panic!("the log failed: {error}"))),
            find_wal: None,
        };
        let config = EngineConfig {
            tail_memory_bytes,
            ..EngineConfig::default()
        };
        let (engine, _) = LogEngine::open(parts, config).expect("a new log opens");
        let partition = |index| {
            let id = TopicPartitionId {
                topic_id,
                partition: PartitionIndex(index),
            };
            engine.get(id).expect("the partition is there")
        };
        Log {
            partitions: (0..PARTITIONS).map(partition).collect(),
            engine,
            _directory: directory,
        }
    }

    /// Appends one copy of `batch` to each partition and waits until all are durable: one commit group or a few.
    fn append_durably(&self, batch: &BytesMut) {
        let tickets: Vec<_> = self
            .partitions
            .iter()
            .filter_map(|log| {
                let checked = CheckedBatch::check(batch.clone()).expect("the batch is whole");
                let appended = log.append(checked, Origin::Client, TimestampMs(1_000));
                appended.expect("the log takes it").place().ticket
            })
            .collect();
        for ticket in tickets {
            ticket.wait().expect("the log flushes");
        }
    }
}

fn batch(bytes: usize) -> BytesMut {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    while builder.records_bytes() < bytes {
        let pushed = builder.push(TimestampMs(1_000), None, Some(&[b'x'; 1_000]), &[]);
        pushed.expect("a record of a kilobyte fits");
    }
    builder.build().expect("a batch of some kilobytes fits")
}

fn appends(criterion: &mut Criterion) {
    let log = Log::open(TAIL_BYTES);
    let mut group = criterion.benchmark_group("append");
    for bytes in [16 << 10, 128 << 10] {
        let batch = batch(bytes);
        group.throughput(Throughput::Bytes(batch.len() as u64 * PARTITIONS as u64));
        group.bench_function(BenchmarkId::new("one durable group", bytes), |bencher| {
            bencher.iter(|| log.append_durably(&batch));
        });
        group.bench_function(BenchmarkId::new("check only", bytes), |bencher| {
            bencher.iter(|| CheckedBatch::check(batch.clone()));
        });
    }
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let batch = batch(128 << 10);
    let read = |log: &PartitionLog| {
        let request = ReadRequest {
            offset: Offset(0),
            max_bytes: 1 << 20,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        log.read(request).expect("there are records").bytes
    };
    let mut group = criterion.benchmark_group("read 1 MiB");
    for (name, tail_bytes) in [("tail", TAIL_BYTES), ("segment", 1 << 20)] {
        let log = Log::open(tail_bytes);
        for _ in 0..64 {
            log.append_durably(&batch);
        }
        log.engine.checkpoint().expect("the tail goes to segments");
        let partition = &log.partitions[0];
        assert!(partition.segment_count() > 0, "nothing is in segments");
        group.throughput(Throughput::Bytes(read(partition) as u64));
        group.bench_function(name, |bencher| bencher.iter(|| read(partition)));
    }
    group.finish();
}

criterion_group!(benches, appends, reads);
criterion_main!(benches);
