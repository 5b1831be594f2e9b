//! All partition logs of a broker over one write-ahead log: opening, creating, deleting; draining to segments,
//! recovery points and trimming in the background; memory limits; the clean stop.
//!
//! Background work has one owner, the `drain` thread, which takes one job at a time. A failure that puts
//! durability in doubt is reported to the [`OnFatal`] callback; a full disk is not one.

use crate::clock::Clock;
use crate::commit::{CommitCounters, CommitError, CommitStart, Committer, OnFatal};
use crate::disk::{BLOCK, Disk};
use crate::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, WalRow, encode_wal, wal_key};
use crate::log::rows::{partition_key, segment_key};
use crate::log::{AppendError, NewLog, PartitionLog};
use crate::log_config::LogConfig;
use crate::recovery::{self, OpenError};
use crate::segment::{names, render};
use crate::wal::group::{RUN_LEN, RunContent};
use crate::wal::ring::{ReplayRange, RingConfig, RingOpener};
use crate::wal::{Incarnation, Slot, WalSink, WalUsage, group};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartitionId};

/// Sizes of the engine, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Sizes of the write-ahead log.
    pub ring: RingConfig,
    /// Bytes of the tail kept in memory (`wal.tail.memory.bytes`).
    pub tail_memory_bytes: usize,
    /// A partition's tail is written to its segment from this many bytes on (`segment.write.bytes`).
    pub segment_write_bytes: usize,
    /// Bytes that may gather in the commit queue before producers wait.
    pub queue_bytes_max: usize,
    /// Bytes of the write-ahead log that only internal topics, events and metadata may use.
    pub reserve_bytes: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ring: RingConfig { file_bytes: 64 << 20, max_bytes: 1 << 30, group_bytes_max: 4 << 20 },
            tail_memory_bytes: 256 << 20,
            segment_write_bytes: 256 << 10,
            queue_bytes_max: 64 << 20,
            reserve_bytes: 64 << 20,
        }
    }
}

/// A topic that lives, as the metadata says.
#[derive(Clone, Debug)]
pub struct LiveTopic {
    /// Id.
    pub id: TopicId,
    /// Name.
    pub name: Arc<str>,
    /// Number of partitions.
    pub partitions: i32,
    /// Settings.
    pub config: Arc<LogConfig>,
}

/// What the engine is opened with.
pub struct EngineParts {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The data directory; the write-ahead log is in `wal` below it.
    pub directory: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Recovery points.
    pub recovery: Arc<dyn RecoveryStore>,
    /// A fresh random number, for a new log's identity and for put ids.
    pub random: u128,
    /// Current leader epoch of every partition (the start counter, raised durably before).
    pub leader_epoch: LeaderEpoch,
    /// Live topics.
    pub topics: Vec<LiveTopic>,
    /// Ids of deleted topics whose runs may still be in the log.
    pub tombstones: BTreeSet<TopicId>,
    /// What to do when the log fails.
    pub on_fatal: Arc<OnFatal>,
}

/// How a start went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Groups replayed.
    pub groups: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Runs of deleted topics that were passed over.
    pub tombstoned_runs: u64,
    /// Whether the last stop was clean.
    pub clean: bool,
    /// Partitions opened.
    pub partitions: usize,
}

/// State that logs and threads share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn WalSink>,
    pub(crate) recovery: Arc<dyn RecoveryStore>,
    pub(crate) config: EngineConfig,
    committer: OnceLock<Committer>,
    dirty: Mutex<HashMap<TopicPartitionId, Arc<PartitionLog>>>,
    memory: Mutex<VecDeque<(Weak<PartitionLog>, Slot, usize)>>,
    memory_bytes: AtomicUsize,
    jobs: Mutex<Jobs>,
    wake: Condvar,
    problems: Mutex<BTreeMap<String, String>>,
    counters: EngineCounters,
    on_fatal: Arc<OnFatal>,
}

#[derive(Default)]
struct Jobs {
    drains: VecDeque<Arc<PartitionLog>>,
    damaged: BTreeSet<(TopicPartitionId, Offset)>,
    checkpoint: bool,
    stop: bool,
}

/// Counters of the background work; read by metrics.
#[derive(Debug, Default)]
pub struct EngineCounters {
    /// Bytes written to segment files.
    pub drained_bytes: AtomicU64,
    /// Recovery points committed.
    pub checkpoints: AtomicU64,
    /// Times a write to a segment or a recovery point found the disk full.
    pub disk_full: AtomicU64,
    /// Indexes rebuilt.
    pub index_rebuilds: AtomicU64,
    /// Whether the last write of the background work found the disk full.
    pub is_disk_full: AtomicBool,
}

/// All partition logs of a broker.
pub struct LogEngine {
    shared: Arc<Shared>,
    logs: RwLock<HashMap<TopicPartitionId, Arc<PartitionLog>>>,
    incarnation: Incarnation,
    leader_epoch: LeaderEpoch,
    replay_from: Mutex<Slot>,
    drainer: Mutex<Option<std::thread::JoinHandle<()>>>,
    closed: AtomicBool,
}

impl fmt::Debug for LogEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogEngine({}, {} logs)", self.shared.directory.display(), self.logs.read().len())
    }
}

impl Shared {
    pub(crate) fn committer(&self) -> Option<&Committer> {
        self.committer.get()
    }

    pub(crate) fn check_batch_len(&self, len: usize) -> Result<(), AppendError> {
        let room = self.sink.limits().group_bytes_hard_max;
        if len + group::HEADER_LEN + RUN_LEN + BLOCK > room {
            return Err(AppendError::TooLarge { len });
        }
        Ok(())
    }

    pub(crate) fn note_dirty(&self, log: &Arc<PartitionLog>) {
        self.dirty.lock().insert(log.id(), log.clone());
    }

    pub(crate) fn forget_dirty(&self, id: TopicPartitionId) {
        self.dirty.lock().remove(&id);
    }

    pub(crate) fn note_in_memory(&self, log: &Arc<PartitionLog>, slot: Slot, bytes: usize) {
        let mut queue = self.memory.lock();
        queue.push_back((Arc::downgrade(log), slot, bytes));
        let mut used = self.memory_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut evicted = Vec::new();
        while used > self.config.tail_memory_bytes {
            let Some((log, slot, bytes)) = queue.pop_front() else { break };
            used = self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
            evicted.push((log, slot));
        }
        drop(queue);
        for (log, slot) in evicted {
            if let Some(log) = log.upgrade() {
                log.evict_through(slot);
            }
        }
    }

    pub(crate) fn queue_drain(&self, log: Arc<PartitionLog>) {
        self.jobs.lock().drains.push_back(log);
        self.wake.notify_one();
    }

    pub(crate) fn note_index_damage(&self, id: TopicPartitionId, base_offset: Offset) {
        self.jobs.lock().damaged.insert((id, base_offset));
        self.wake.notify_one();
    }

    pub(crate) fn note_index_rebuilt(&self) {
        self.counters.index_rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_problem(&self, place: String, what: String) {
        if self.problems.lock().insert(place, what.clone()).is_none() {
            tracing::error!("{what}");
        }
    }
}

impl LogEngine {
    /// Opens the logs: reads recovery points, cuts segments, replays the write-ahead log, starts the threads.
    ///
    /// The caller holds the data directory's lock, and has raised the leader epoch durably.
    ///
    /// # Errors
    /// [`OpenError`]: damage and disagreement are named, nothing is changed then but segment bytes beyond their
    /// recovery point.
    pub fn open(parts: EngineParts, config: EngineConfig) -> Result<(Arc<Self>, OpenReport), OpenError> {
        let mut rows = recovery::load_rows(&*parts.recovery)?;
        let (wal_row, fresh) = match rows.wal {
            Some(row) => (row, false),
            None => {
                let incarnation = Incarnation(parts.random.to_be_bytes());
                (WalRow { incarnation, replay_from: Slot(0), clean_end: None }, true)
            }
        };
        let opener = RingOpener::open(
            parts.disk.clone(),
            &parts.directory.join("wal"),
            wal_row.incarnation,
            config.ring,
        )?;
        if !fresh && opener.is_empty() && wal_row.replay_from == Slot(0) && wal_row.clean_end.is_none() {
            tracing::info!("the write-ahead log was never written: it starts empty");
        }
        if fresh {
            let change = RowChange { key: wal_key(), value: Some(encode_wal(&wal_row)) };
            parts.recovery.commit(vec![change]).map_err(|error| OpenError::Rows(error.to_string()))?;
        }
        let replayed = Replayed::new(&parts, &mut rows)?;
        let range = ReplayRange { from: wal_row.replay_from, durable_before: wal_row.clean_end };
        // Logs need the sink and the sink needs the replay: runs are gathered per group and applied in a second
        // pass over what the sink can read again would cost a read; instead the sink comes last and the logs
        // hold a slot for it.
        let slot = Arc::new(LateSink::default());
        let shared = Arc::new(Shared {
            disk: parts.disk.clone(),
            directory: parts.directory.clone(),
            clock: parts.clock.clone(),
            sink: slot.clone(),
            recovery: parts.recovery.clone(),
            config,
            committer: OnceLock::new(),
            dirty: Mutex::default(),
            memory: Mutex::default(),
            memory_bytes: AtomicUsize::new(0),
            jobs: Mutex::default(),
            wake: Condvar::new(),
            problems: Mutex::default(),
            counters: EngineCounters::default(),
            on_fatal: parts.on_fatal.clone(),
        });
        let logs = replayed.build(&shared, &parts)?;
        let mut report = OpenReport { partitions: logs.len(), clean: wal_row.clean_end.is_some(), ..OpenReport::default() };
        let mut tombstoned = 0;
        let (sink, end) = opener.replay(range, &mut |replayed| {
            for run in &replayed.group.runs {
                let Some(log) = logs.get(&run.id) else {
                    if parts.tombstones.contains(&run.id.topic_id) {
                        tombstoned += 1;
                        continue;
                    }
                    let (what, id) = ("a run of the write-ahead log".to_owned(), run.id);
                    return Err(OpenError::UnknownTopic { what, id }.to_string());
                };
                let bytes = match &run.content {
                    RunContent::Batches(batches) => replayed.group.batches(batches),
                    RunContent::Event(_) => &[],
                };
                log.replay(&crate::log::ReplayedRun {
                    slot: replayed.slot,
                    location: replayed.location,
                    content: run.content,
                    bytes,
                })?;
            }
            Ok(())
        })?;
        report.groups = end.groups;
        report.bytes = end.bytes;
        report.tombstoned_runs = tombstoned;
        slot.0.set(Box::new(sink)).ok();
        if wal_row.clean_end.is_some() {
            // From here on the end is open again: a marker that stayed would refuse the next start after a crash.
            let row = WalRow { clean_end: None, ..wal_row };
            let change = RowChange { key: wal_key(), value: Some(encode_wal(&row)) };
            parts.recovery.commit(vec![change]).map_err(|error| OpenError::Rows(error.to_string()))?;
        }
        let start = CommitStart {
            incarnation: wal_row.incarnation,
            next_slot: end.next_slot,
            last_crc: end.last_crc,
            put_id_base: parts.random as u64,
        };
        let callback = shared.on_fatal.clone();
        let committer = Committer::start(slot, start, Box::new(move |error| callback(error)))
            .map_err(OpenError::Thread)?;
        shared.committer.set(committer).map_err(|_| OpenError::Disagreement("opened twice".into()))?;
        let engine = Arc::new(Self {
            shared: shared.clone(),
            logs: RwLock::new(logs),
            incarnation: wal_row.incarnation,
            leader_epoch: parts.leader_epoch,
            replay_from: Mutex::new(wal_row.replay_from),
            drainer: Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        let worker = Arc::downgrade(&engine);
        let thread = std::thread::Builder::new()
            .name("drain".into())
            .spawn(move || run_background(&shared, &worker))
            .map_err(OpenError::Thread)?;
        *engine.drainer.lock() = Some(thread);
        Ok((engine, report))
    }

    /// Returns a log.
    #[must_use]
    pub fn get(&self, id: TopicPartitionId) -> Option<Arc<PartitionLog>> {
        self.logs.read().get(&id).cloned()
    }

    /// Returns all logs, in no order.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<PartitionLog>> {
        self.logs.read().values().cloned().collect()
    }

    /// Adds logs for partitions `from..to` of a topic that is durable in the metadata. No file is made.
    pub fn create(&self, topic: &LiveTopic, from: i32) {
        let mut logs = self.logs.write();
        for partition in from..topic.partitions {
            let id = TopicPartitionId { topic_id: topic.id, partition: PartitionIndex(partition) };
            logs.entry(id).or_insert_with(|| {
                let new = NewLog {
                    id,
                    topic: topic.name.clone(),
                    config: topic.config.clone(),
                    leader_epoch: self.leader_epoch,
                    row: recovery::empty_row(),
                    segments: Vec::new(),
                };
                PartitionLog::new(self.shared.clone(), new)
            });
        }
    }

    /// Closes the logs of a topic whose deletion is durable in the metadata, and renames their directories.
    /// Returns the directories to remove after the delay. Blocks on the disk.
    ///
    /// # Errors
    /// As the disk says; a directory that was not renamed is swept at the next start.
    pub fn delete(&self, topic_id: TopicId, name: &str) -> std::io::Result<Vec<PathBuf>> {
        let closed: Vec<Arc<PartitionLog>> = {
            let mut logs = self.logs.write();
            let ids: Vec<_> = logs.keys().filter(|id| id.topic_id == topic_id).copied().collect();
            ids.iter().filter_map(|id| logs.remove(id)).collect()
        };
        let mut doomed = Vec::new();
        let mut changes = Vec::new();
        for log in closed {
            log.close();
            let (bases, directory) = log.close_files();
            changes.push(RowChange { key: partition_key(log.id()), value: None });
            let keys = bases.into_iter().map(|base| segment_key(log.id(), base));
            changes.extend(keys.map(|key| RowChange { key, value: None }));
            let unique = log.id().topic_id.to_string();
            let target = names::doomed_directory(name, log.id().partition, &unique);
            let target = self.shared.directory.join(target);
            match self.shared.disk.rename(&directory, &target) {
                Ok(()) => doomed.push(target),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if !doomed.is_empty() {
            self.shared.disk.sync_dir(&self.shared.directory)?;
        }
        self.shared.recovery.commit(changes).map_err(std::io::Error::other)?;
        Ok(doomed)
    }

    /// Removes a directory or file that deletion or retention put aside. Blocks on the disk.
    ///
    /// # Errors
    /// As the disk says.
    pub fn remove_doomed(&self, path: &Path) -> std::io::Result<()> {
        let removed = if path.to_string_lossy().ends_with(names::DELETED_FILE_SUFFIX) {
            self.shared.disk.remove_file(path)
        } else {
            self.shared.disk.remove_dir_all(path)
        };
        match removed {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Reports whether the log can no longer contain a run from before `slot`: a deleted topic's tombstone may go.
    #[must_use]
    pub fn is_trimmed_past(&self, slot: Slot) -> bool {
        *self.replay_from.lock() > slot
    }

    /// Returns a slot at or above every entry that was pushed so far and is durable.
    #[must_use]
    pub fn replay_from(&self) -> Slot {
        *self.replay_from.lock()
    }

    /// Waits until the log has room for a client's records. Internal topics and events have a reserve and do not
    /// call this.
    ///
    /// # Errors
    /// When the log failed.
    pub async fn client_room(&self) -> Result<(), CommitError> {
        let committer = self.shared.committer().ok_or(CommitError::Closed)?;
        loop {
            let notified = committer.room().notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(error) = committer.failure() {
                return Err(error);
            }
            let queued = committer.counters().queued_bytes.load(Ordering::Relaxed);
            let needed = self.shared.config.reserve_bytes + 2 * queued as u64;
            if queued < self.shared.config.queue_bytes_max && self.shared.sink.usage().free > needed {
                return Ok(());
            }
            self.shared.wake.notify_one();
            // A trim makes room too, and does not pass through the committer.
            let _ = tokio::time::timeout(Duration::from_millis(20), notified).await;
        }
    }

    /// Returns the counters of the commit path.
    #[must_use]
    pub fn commit_counters(&self) -> Option<&CommitCounters> {
        self.shared.committer().map(Committer::counters)
    }

    /// Returns the counters of the background work.
    #[must_use]
    pub fn counters(&self) -> &EngineCounters {
        &self.shared.counters
    }

    /// Tells how full the write-ahead log is.
    #[must_use]
    pub fn wal_usage(&self) -> WalUsage {
        self.shared.sink.usage()
    }

    /// Returns the bytes of the tail in memory.
    #[must_use]
    pub fn tail_memory_bytes(&self) -> usize {
        self.shared.memory_bytes.load(Ordering::Relaxed)
    }

    /// Returns damage that was found since the start, by place.
    #[must_use]
    pub fn problems(&self) -> BTreeMap<String, String> {
        self.shared.problems.lock().clone()
    }

    /// Returns the leader epoch of this start.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// Writes all that can be covered to segments and recovery points now, and trims. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure, in words; a full disk is one here.
    pub fn checkpoint(&self) -> Result<(), String> {
        let logs: Vec<_> = self.shared.dirty.lock().values().cloned().collect();
        for log in &logs {
            log.drain_counted(usize::MAX, Slot(u64::MAX))?;
        }
        self.commit_rows(logs)?;
        self.trim()
    }

    /// Stops: no append is taken any more, all that was is durable, the marker of a clean stop is written.
    /// Blocks; bounded by `budget` for draining, which a clean stop does not need.
    pub fn close(&self, budget: Duration) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let deadline = std::time::Instant::now() + budget;
        self.stop_drainer();
        let Some(committer) = self.shared.committer() else { return };
        // The sink stays open for reads; what was pushed is written.
        committer.close();
        if committer.failure().is_some() {
            return;
        }
        let logs: Vec<_> = self.shared.dirty.lock().values().cloned().collect();
        for log in &logs {
            if std::time::Instant::now() >= deadline || log.drain_counted(usize::MAX, Slot(u64::MAX)).is_err() {
                break;
            }
        }
        if let Err(error) = self.commit_rows(logs).and_then(|()| self.trim()) {
            tracing::warn!(%error, "the stop leaves work to the next start");
        }
        for log in self.logs() {
            log.render_at_stop();
        }
        let next = self.shared.committer().map(Committer::next_slot).unwrap_or_default();
        let row = WalRow {
            incarnation: self.incarnation,
            replay_from: *self.replay_from.lock(),
            clean_end: Some(next),
        };
        let change = RowChange { key: wal_key(), value: Some(encode_wal(&row)) };
        if let Err(error) = self.shared.recovery.commit(vec![change]) {
            tracing::warn!(%error, "no marker of a clean stop: the next start replays as after a crash");
        }
    }

    fn stop_drainer(&self) {
        self.shared.jobs.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.drainer.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }

    fn commit_rows(&self, logs: Vec<Arc<PartitionLog>>) -> Result<(), String> {
        let mut prepared = Vec::new();
        for log in logs {
            let rows = log.prepare_rows().map_err(|error| {
                self.fatal(&error.to_string());
                error.to_string()
            })?;
            if let Some(rows) = rows {
                prepared.push((log, rows));
            }
        }
        let changes: Vec<RowChange> = prepared.iter().flat_map(|(_, rows)| rows.changes.clone()).collect();
        if changes.is_empty() {
            return Ok(());
        }
        match self.shared.recovery.commit(changes) {
            Ok(()) => {
                for (log, rows) in prepared {
                    log.rows_committed(&rows);
                }
                self.shared.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                for (log, rows) in prepared {
                    log.rows_refused(rows);
                }
                match &error {
                    RecoveryStoreError::Full(_) => self.shared.note_full(&error.to_string()),
                    RecoveryStoreError::Failed(_) => self.fatal(&error.to_string()),
                }
                Err(error.to_string())
            }
        }
    }

    /// Frees what all committed recovery points cover.
    fn trim(&self) -> Result<(), String> {
        let next = self.shared.committer().map(Committer::next_slot).unwrap_or_default();
        let dirty: Vec<_> = self.shared.dirty.lock().values().cloned().collect();
        let first = dirty.iter().filter_map(|log| log.first_uncovered()).min().unwrap_or(next).min(next);
        let Some(through) = first.0.checked_sub(1).map(Slot) else { return Ok(()) };
        let frees = self.shared.sink.usage().oldest_file_last_slot.is_some_and(|last| last <= through);
        if !frees {
            return Ok(());
        }
        let row = WalRow { incarnation: self.incarnation, replay_from: first, clean_end: None };
        let change = RowChange { key: wal_key(), value: Some(encode_wal(&row)) };
        match self.shared.recovery.commit(vec![change]) {
            Ok(()) => {
                *self.replay_from.lock() = first;
                self.shared.sink.trim(through);
                Ok(())
            }
            Err(error @ RecoveryStoreError::Full(_)) => {
                self.shared.note_full(&error.to_string());
                Err(error.to_string())
            }
            Err(error) => {
                self.fatal(&error.to_string());
                Err(error.to_string())
            }
        }
    }

    fn fatal(&self, what: &str) {
        let error = crate::wal::SinkError::Fatal {
            file: self.shared.directory.display().to_string(),
            what: what.to_owned(),
        };
        (self.shared.on_fatal)(&CommitError::Log(error));
    }

    /// One round of background work. Returns whether there may be more at once.
    fn work(&self, jobs: Work) {
        for log in jobs.drains {
            // Errors were noted; the data stays in the write-ahead log.
            let _ = log.drain_counted(usize::MAX, Slot(u64::MAX));
        }
        for (id, base_offset) in jobs.damaged {
            if let Some(log) = self.get(id) {
                log.rebuild_index(base_offset);
            }
        }
        if let Err(error) = self.shared.sink.prepare() {
            self.fatal(&error.to_string());
        }
        let usage = self.shared.sink.usage();
        let Some(last) = usage.oldest_file_last_slot else { return };
        if usage.used > usage.capacity / 2 || jobs.checkpoint {
            let old: Vec<_> = self
                .shared
                .dirty
                .lock()
                .values()
                .cloned()
                .collect::<Vec<_>>()
                .into_iter()
                .filter(|log| log.first_uncovered().is_some_and(|slot| slot <= last))
                .collect();
            let drained = old.iter().try_for_each(|log| log.drain_counted(usize::MAX, last).map(drop));
            // What was drained before a full disk stopped it is covered all the same.
            let committed = self.commit_rows(old).and_then(|()| self.trim());
            if let Err(error) = drained.and(committed) {
                tracing::debug!(%error, "the oldest write-ahead log file stays");
            }
        }
    }
}

impl Drop for LogEngine {
    /// Without [`LogEngine::close`] this is as good as a crash, but for the threads, which end.
    fn drop(&mut self) {
        self.shared.jobs.lock().stop = true;
        self.shared.wake.notify_all();
        self.shared.sink.close();
        // Logs and shared state hold each other.
        self.shared.dirty.lock().clear();
        self.shared.jobs.lock().drains.clear();
        for log in self.logs.get_mut().values() {
            log.close();
        }
    }
}

struct Work {
    drains: Vec<Arc<PartitionLog>>,
    damaged: Vec<(TopicPartitionId, Offset)>,
    checkpoint: bool,
}

fn run_background(shared: &Arc<Shared>, engine: &Weak<LogEngine>) {
    loop {
        let work = {
            let mut jobs = shared.jobs.lock();
            if jobs.drains.is_empty() && jobs.damaged.is_empty() && !jobs.checkpoint && !jobs.stop {
                shared.wake.wait_for(&mut jobs, Duration::from_millis(50));
            }
            if jobs.stop {
                return;
            }
            Work {
                drains: jobs.drains.drain(..).collect(),
                damaged: std::mem::take(&mut jobs.damaged).into_iter().collect(),
                checkpoint: std::mem::take(&mut jobs.checkpoint),
            }
        };
        let Some(engine) = engine.upgrade() else { return };
        engine.work(work);
    }
}

impl Shared {
    fn note_full(&self, what: &str) {
        self.counters.disk_full.fetch_add(1, Ordering::Relaxed);
        if !self.counters.is_disk_full.swap(true, Ordering::Relaxed) {
            tracing::error!("{what}; records stay in the write-ahead log, free some space");
        }
    }

    fn note_not_full(&self) {
        if self.counters.is_disk_full.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk takes writes again");
        }
    }
}

impl PartitionLog {
    /// Drains, counts, and reports a failure that puts durability in doubt.
    fn drain_counted(&self, bytes: usize, through: Slot) -> Result<usize, String> {
        let shared = self.shared();
        match self.drain(bytes, through) {
            Ok(count) => {
                shared.counters.drained_bytes.fetch_add(count as u64, Ordering::Relaxed);
                if count > 0 {
                    shared.note_not_full();
                }
                Ok(count)
            }
            Err(error @ crate::log::DrainError::Full { .. }) => {
                shared.note_full(&error.to_string());
                Err(error.to_string())
            }
            Err(error) => {
                let fatal = crate::wal::SinkError::Fatal {
                    file: self.directory().display().to_string(),
                    what: error.to_string(),
                };
                (shared.on_fatal)(&CommitError::Log(fatal));
                Err(error.to_string())
            }
        }
    }
}

/// Rows turned into logs.
struct Replayed {
    partitions: Vec<(LiveTopic, PartitionIndex, crate::log::rows::PartitionRow, Vec<crate::segment::Segment>)>,
}

impl Replayed {
    fn new(parts: &EngineParts, rows: &mut recovery::LoadedRows) -> Result<Self, OpenError> {
        let mut partitions = Vec::new();
        for topic in &parts.topics {
            for partition in 0..topic.partitions {
                let partition = PartitionIndex(partition);
                let id = TopicPartitionId { topic_id: topic.id, partition };
                let row = rows.partitions.remove(&id).unwrap_or_else(recovery::empty_row);
                let segments = rows.segments.remove(&id).unwrap_or_default();
                partitions.push((topic.clone(), partition, row, segments));
            }
        }
        let unknown = rows.partitions.keys().chain(rows.segments.keys());
        if let Some(id) = unknown.copied().find(|id| !parts.tombstones.contains(&id.topic_id)) {
            return Err(OpenError::UnknownTopic { what: "a recovery point".into(), id });
        }
        // Left by a crash in the middle of a deletion.
        let partition_keys = rows.partitions.keys().map(|id| partition_key(*id));
        let segments = rows.segments.iter();
        let segment_keys = segments.flat_map(|(id, all)| all.iter().map(|s| segment_key(*id, s.base_offset)));
        let changes: Vec<RowChange> =
            partition_keys.chain(segment_keys).map(|key| RowChange { key, value: None }).collect();
        if !changes.is_empty() {
            parts.recovery.commit(changes).map_err(|error| OpenError::Rows(error.to_string()))?;
        }
        Ok(Self { partitions })
    }

    fn build(
        self,
        shared: &Arc<Shared>,
        parts: &EngineParts,
    ) -> Result<HashMap<TopicPartitionId, Arc<PartitionLog>>, OpenError> {
        let present = sweep(parts)?;
        let mut logs = HashMap::with_capacity(self.partitions.len());
        for (topic, partition, row, segments) in self.partitions {
            let id = TopicPartitionId { topic_id: topic.id, partition };
            let name = names::partition_directory(&topic.name, partition);
            let directory = parts.directory.join(&name);
            if present.contains(&name) {
                recovery::cut_partition(&*parts.disk, &directory, id, &segments)?;
            } else if let Some(segment) = segments.iter().find(|segment| segment.size > 0) {
                let path = names::segment_file(&directory, segment.base_offset, names::FileKind::Log);
                return Err(OpenError::SegmentShort { path, found: 0, expected: segment.size });
            }
            let new = NewLog {
                id,
                topic: topic.name.clone(),
                config: topic.config.clone(),
                leader_epoch: parts.leader_epoch,
                row,
                segments,
            };
            logs.insert(id, PartitionLog::new(shared.clone(), new));
        }
        Ok(logs)
    }
}

/// Removes directories of deleted topics; returns the names of the others.
fn sweep(parts: &EngineParts) -> Result<BTreeSet<String>, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    parts.disk.create_dir_all(&parts.directory).map_err(failed(&parts.directory))?;
    let live: HashMap<&str, TopicId> = parts.topics.iter().map(|t| (&*t.name, t.id)).collect();
    let mut present = BTreeSet::new();
    for entry in parts.disk.list(&parts.directory).map_err(failed(&parts.directory))? {
        let path = parts.directory.join(&entry.name);
        if entry.kind != crate::disk::EntryKind::Directory || entry.name == "wal" {
            continue;
        }
        if entry.name.ends_with(names::DELETED_DIRECTORY_SUFFIX) {
            parts.disk.remove_dir_all(&path).map_err(failed(&path))?;
            continue;
        }
        let found = render::read_partition_metadata(&*parts.disk, &path).map_err(failed(&path))?;
        let Some(found) = found else {
            present.insert(entry.name);
            continue;
        };
        let topic = entry.name.rsplit_once('-').map_or("", |(topic, _)| topic);
        if live.get(topic) != Some(&found) && parts.tombstones.contains(&found) {
            // Deleted, but the crash came before the directory was renamed.
            parts.disk.remove_dir_all(&path).map_err(failed(&path))?;
            continue;
        }
        if !live.contains_key(topic) {
            let what = format!("the directory {}", path.display());
            let id = TopicPartitionId { topic_id: found, partition: PartitionIndex(0) };
            return Err(OpenError::UnknownTopic { what, id });
        }
        present.insert(entry.name);
    }
    Ok(present)
}

/// The sink that logs hold before the replay has made it.
#[derive(Default)]
struct LateSink(OnceLock<Box<dyn WalSink>>);

impl fmt::Debug for LateSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.get())
    }
}

impl LateSink {
    fn get(&self) -> Result<&dyn WalSink, crate::wal::SinkError> {
        self.0.get().map(|sink| &**sink).ok_or(crate::wal::SinkError::Closed)
    }
}

impl WalSink for LateSink {
    fn limits(&self) -> crate::wal::SinkLimits {
        let unknown = crate::wal::SinkLimits {
            group_bytes_max: 0,
            group_bytes_hard_max: 0,
            groups_in_flight_max: 1,
        };
        self.get().map_or(unknown, WalSink::limits)
    }
    fn buffer(&self) -> crate::disk::AlignedBuffer {
        self.get().map(WalSink::buffer).unwrap_or_default()
    }
    fn submit(&self, group: crate::wal::SealedGroup) -> Result<crate::wal::WalLocation, crate::wal::SinkError> {
        self.get()?.submit(group)
    }
    fn wait_durable(&self) -> Result<Slot, crate::wal::SinkError> {
        self.get()?.wait_durable()
    }
    fn read(&self, location: crate::wal::WalLocation, len: usize) -> std::io::Result<bytes::Bytes> {
        self.get().map_err(std::io::Error::other)?.read(location, len)
    }
    fn trim(&self, through: Slot) {
        if let Ok(sink) = self.get() {
            sink.trim(through);
        }
    }
    fn usage(&self) -> WalUsage {
        self.get().map(WalSink::usage).unwrap_or_default()
    }
    fn prepare(&self) -> Result<(), crate::wal::SinkError> {
        self.get()?.prepare()
    }
    fn close(&self) {
        if let Ok(sink) = self.get() {
            sink.close();
        }
    }
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;
