//! A broker without a network for tests: data in a temporary directory, topics, groups, records.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use thalweg_settings::{Profile, Settings};
use thalweg_storage::clock::SystemClock;
use thalweg_storage::commit::{CommitError, OnFatal};
use thalweg_storage::disk::{Disk, RealDisk};
use thalweg_storage::log::PartitionLog;
use thalweg_telemetry::{Metrics, Shutdown, ShutdownTrigger, shutdown_channel};
use thalweg_types::{PartitionIndex, TimestampMs};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{BatchBuilder, BatchOptions};

use crate::admin::{AdminParts, AdminState};
use crate::clock::Clock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, FetchSessions, ProducerIds, append_from_client};
use crate::storage::{DataDirectory, OpenedData, RecoveryProgress};
use crate::topics::{NewTopic, ReplicationFactor, TopicView, Topics};
use crate::transactions::{TransactionParts, Transactions};

/// Parts of a broker; closed when dropped.
pub(crate) struct TestBroker {
    pub(crate) settings: LiveSettings,
    pub(crate) topics: Arc<Topics>,
    pub(crate) groups: Arc<Groups>,
    transactions: Arc<Transactions>,
    pub(crate) trigger: ShutdownTrigger,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: Metrics,
    data: OpenedData,
    directory: TempDir,
}

impl TestBroker {
    pub(crate) fn start(overrides: &[(&str, &str)]) -> Self {
        let fatal = Box::new(|error: &CommitError| panic!("{error}"));
        Self::start_on(Arc::new(RealDisk), fatal, overrides)
    }

    pub(crate) fn start_on(disk: Arc<dyn Disk>, fatal: OnFatal, overrides: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let small = [
            ("wal.file.bytes", "4194304"),
            ("wal.max.bytes", "33554432"),
            ("wal.group.max.bytes", "1048576"),
        ];
        let builder = small
            .iter()
            .chain(overrides)
            .fold(Settings::builder(Profile::Dev), |all, (key, value)| {
                all.set(key, value)
            });
        let settings = builder.build().expect("settings");
        let path = directory.path().join("data");
        let data = DataDirectory::lock(disk, &path).expect("the lock");
        let data = data
            .open(&settings, Arc::new(SystemClock), fatal)
            .expect("the data");
        let settings = LiveSettings::new(settings);
        let topics = Arc::new(Topics::new(
            data.metadata.clone(),
            data.engine.clone(),
            settings.clone(),
            Clock::System,
        ));
        let (trigger, shutdown) = shutdown_channel();
        let groups = Groups::start(topics.clone(), settings.clone(), Clock::System, shutdown.clone());
        let transactions = Transactions::start(TransactionParts {
            topics: topics.clone(),
            groups: groups.clone(),
            producer_ids: Arc::new(ProducerIds::new(data.metadata.clone())),
            settings: settings.clone(),
            clock: Clock::System,
            shutdown: shutdown.clone(),
        });
        Self {
            settings,
            topics,
            groups,
            transactions,
            trigger,
            shutdown,
            metrics: Metrics::new().expect("a registry"),
            data,
            directory,
        }
    }

    pub(crate) fn admin_parts(&self) -> AdminParts {
        AdminParts {
            mirrors: Arc::default(),
            topics: self.topics.clone(),
            groups: self.groups.clone(),
            transactions: self.transactions.clone(),
            settings: self.settings.clone(),
            gate: Arc::new(DiskGate::default()),
            expiry: Arc::default(),
            fetch_sessions: Arc::new(FetchSessions::new(10)),
            stamp: self.data.stamp,
            data_directory: self.directory.path().to_owned(),
            address: "127.0.0.1:9092".to_owned(),
        }
    }

    /// What HTTP shares before the broker serves. Once for a broker: names are registered.
    pub(crate) fn admin_starting(&self) -> (AdminState, Arc<RecoveryProgress>) {
        let progress = Arc::new(RecoveryProgress::default());
        let (metrics, shutdown) = (self.metrics.clone(), self.shutdown.clone());
        let state = AdminState::starting(metrics, progress.clone(), shutdown, 0);
        (state.expect("free names"), progress)
    }

    /// What HTTP shares once it serves.
    pub(crate) fn admin_state(&self) -> AdminState {
        let (state, progress) = self.admin_starting();
        progress.finish();
        state.serving(self.admin_parts()).expect("free names");
        state
    }

    pub(crate) async fn create(&self, name: &str, partitions: i32) -> Arc<TopicView> {
        let new = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: ReplicationFactor::Default,
            configs: [("message.timestamp.after.max.ms".to_owned(), i64::MAX.to_string())].into(),
        };
        self.topics.create(&new).await.expect("a new topic")
    }

    pub(crate) fn log(&self, topic: &TopicView, partition: i32) -> Arc<PartitionLog> {
        self.topics.log(topic, PartitionIndex(partition)).expect("a log")
    }

    /// Appends one batch of records with these timestamps, and waits until it is durable.
    pub(crate) async fn append(&self, topic: &TopicView, partition: i32, timestamps: &[i64]) {
        let appended = self.try_append(topic, partition, timestamps).await;
        appended.expect("durable");
    }

    /// The same, where the log may fail.
    pub(crate) async fn try_append(
        &self,
        topic: &TopicView,
        partition: i32,
        timestamps: &[i64],
    ) -> Result<(), CommitError> {
        let mut batch = BatchBuilder::new(BatchOptions::default());
        for timestamp in timestamps {
            batch
                .push(TimestampMs(*timestamp), None, Some(b"value"), &[])
                .expect("a record");
        }
        let bytes = batch.build().expect("a batch");
        let log = self.log(topic, partition);
        let limits = CompressionLimits::default();
        let now = Clock::System.now();
        let produced = append_from_client(&log, topic, bytes.into(), now, &limits).expect("an append");
        match produced.place.ticket {
            Some(ticket) => ticket.durable().await,
            None => Ok(()),
        }
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        self.trigger.force();
        self.data.engine.close(Duration::from_secs(1));
    }
}
