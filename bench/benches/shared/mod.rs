//! A log on a real disk for the benches, with its recovery points in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use tempfile::TempDir;
use thalweg_storage::clock::SystemClock;
use thalweg_storage::disk::RealDisk;
use thalweg_storage::engine::{EngineConfig, EngineParts, LiveTopic, LogEngine, TopicRole};
use thalweg_storage::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, RowVisitor};
use thalweg_storage::log::{CheckedBatch, Origin, PartitionLog};
use thalweg_storage::log_config::LogConfig;
use thalweg_types::{LeaderEpoch, PartitionIndex, TimestampMs, TopicId, TopicPartitionId};

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

pub struct Log {
    pub engine: Arc<LogEngine>,
    pub partitions: Vec<Arc<PartitionLog>>,
    _directory: TempDir,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.engine.close(std::time::Duration::from_secs(5));
    }
}

impl Log {
    /// Opens a new log of so many partitions that keeps so many bytes of its tail in memory.
    pub fn open(partitions: i32, tail_memory_bytes: usize, topic: LogConfig) -> Log {
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
                partitions,
                config: Arc::new(topic),
                role: TopicRole::Ordinary,
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
            partitions: (0..partitions).map(partition).collect(),
            engine,
            _directory: directory,
        }
    }

    /// Appends one copy of `batch` to each partition and waits until all are durable: one commit group or a few.
    pub fn append_durably(&self, batch: &BytesMut) {
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
