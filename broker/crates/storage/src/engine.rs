//! All partition logs of a broker over one write-ahead log: opening, creating, deleting; draining to segments,
//! recovery points and trimming in the background; memory limits; the clean stop.
//!
//! Background work has one owner, the `drain` thread, which takes one job at a time. A failure that puts
//! durability in doubt is reported to the [`OnFatal`] callback; a full disk is not one.

mod background;
mod cleaning;
mod late_sink;
mod opening;
mod parallel;

pub use cleaning::{CleanTurn, CleanerStatus};

use crate::clock::Clock;
use crate::commit::{CommitCounters, CommitError, Committer, OnFatal, Ticket};
use crate::disk::{BLOCK, BufferPool, CrashPoint, Disk, UncachedReader};
use crate::log::cleaning_row::cleaning_key;
use crate::log::rows::{RecoveryStore, RecoveryStoreError, RowChange, WalRow, encode_wal, wal_key};
use crate::log::rows::{WriteState, partition_key, segment_key};
use crate::log::{AppendError, NewLog, PartitionLog};
use crate::log_config::LogConfig;
use crate::recovery;
use crate::segment::names;
use crate::segment::transaction_index_cache::TransactionIndexCache;
use crate::wal::group::RUN_LEN;
use crate::wal::ring::{InventoryState, RingConfig};
use crate::wal::{Incarnation, Slot, WalEnd, WalOpenError, WalOpener, WalSink, WalUsage, group};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartitionId};
use thiserror::Error;

/// More than there are processors: they wait for the disk.
const START_THREADS: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");

/// Sizes of the engine, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Sizes of the write-ahead log.
    pub ring: RingConfig,
    /// Bytes of the tail kept in memory (`wal.tail.memory.bytes`).
    pub tail_memory_bytes: usize,
    /// A partition's tail is written to its segment from this many bytes on (`segment.write.bytes`).
    pub segment_write_bytes: usize,
    /// Writes to a segment whose whole blocks are this many bytes pass by the page cache; 0 = none
    /// (`segment.write.direct.bytes`).
    pub segment_write_direct_bytes: usize,
    /// Reads of a segment of this many bytes pass by the page cache, the first time; 0 = none
    /// (`segment.read.direct.bytes`).
    pub segment_read_direct_bytes: usize,
    /// Threads that look at partitions' files at the start; opening by hand uses one.
    pub start_threads: NonZeroUsize,
    /// Bytes that may gather in the commit queue before producers wait.
    pub queue_bytes_max: usize,
    /// Bytes of the write-ahead log that only internal topics, events and metadata may use.
    pub reserve_bytes: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ring: RingConfig {
                file_bytes: 64 << 20,
                max_bytes: 1 << 30,
                group_bytes_max: 4 << 20,
                disk_free_bytes_min: 0,
            },
            tail_memory_bytes: 128 << 20,
            segment_write_bytes: 1 << 20,
            segment_write_direct_bytes: 64 << 10,
            segment_read_direct_bytes: 256 << 10,
            start_threads: START_THREADS,
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
    /// Whose its partitions are from their start.
    pub role: TopicRole,
}

/// Leader epochs of a mirror topic lie this much above the others: batches keep the epochs of their source, and a client
/// that sees one above the leader's asks for metadata without end.
pub const MIRROR_EPOCH_BIAS: i32 = 1_000_000;

/// Who writes a topic that nobody has written yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopicRole {
    /// Clients.
    #[default]
    Ordinary,
    /// A mirror link, from a partition's first moment on and over every crash: it follows from the topic's settings.
    /// What the log says of a partition later (it was promoted) counts more.
    Mirror,
    /// Clients; it was a mirror, and its leader epochs stay above what it has announced.
    FormerMirror,
}

impl TopicRole {
    pub(crate) fn first_write_state(self) -> WriteState {
        match self {
            Self::Mirror => WriteState::OwnedByLink,
            Self::Ordinary | Self::FormerMirror => WriteState::Open,
        }
    }

    /// The leader epoch of its partitions, given that of the start.
    pub(crate) fn leader_epoch(self, of_start: LeaderEpoch) -> LeaderEpoch {
        match self {
            Self::Ordinary => of_start,
            Self::Mirror | Self::FormerMirror => LeaderEpoch(of_start.0.saturating_add(MIRROR_EPOCH_BIAS)),
        }
    }
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
    /// Finds the write-ahead log; `None` for the ring of files in `wal` below the directory.
    pub find_wal: Option<FindWal>,
}

/// Finds a write-ahead log of an identity.
pub type FindWal = Box<dyn FnOnce(Incarnation) -> Result<Box<dyn WalOpener>, WalOpenError> + Send>;

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
    /// Next slot of the write-ahead log.
    pub next_slot: Slot,
}

/// State that logs and threads share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) directory: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Arc<dyn WalSink>,
    pub(crate) recovery: Arc<dyn RecoveryStore>,
    pub(crate) config: EngineConfig,
    /// Memory for writes past the page cache.
    pub(crate) buffers: Arc<BufferPool>,
    pub(crate) segment_reader: UncachedReader,
    /// Held from the preparation of rows to their commit: an older row must never follow a newer one. Taken before
    /// any lock of a log.
    pub(crate) rows: Mutex<()>,
    /// One log is cleaned at a time. Taken before any other lock.
    pub(crate) cleaner: Mutex<()>,
    committer: OnceLock<Committer>,
    /// Sorted, so that a simulation replays.
    dirty: Mutex<BTreeMap<TopicPartitionId, Arc<PartitionLog>>>,
    memory: Mutex<VecDeque<(Weak<PartitionLog>, Slot, usize)>>,
    memory_bytes: AtomicUsize,
    jobs: Mutex<Jobs>,
    pub(crate) transaction_indexes: TransactionIndexCache,
    wake: Condvar,
    problems: Mutex<BTreeMap<String, String>>,
    /// Newest appends of closed logs that were not durable when they were closed.
    retiring: Mutex<HashMap<TopicId, Vec<Ticket>>>,
    counters: EngineCounters,
    on_fatal: Arc<OnFatal>,
}

#[derive(Default)]
struct Jobs {
    drains: VecDeque<Arc<PartitionLog>>,
    damaged: BTreeSet<(TopicPartitionId, Offset)>,
    /// Segments whose indexes could not be built; bounded by the number of segments.
    beyond_repair: BTreeSet<(TopicPartitionId, Offset)>,
    stop: bool,
}

/// Counters of the background work; read by metrics.
#[derive(Debug, Default)]
pub struct EngineCounters {
    /// Bytes written to segment files.
    pub drained_bytes: AtomicU64,
    /// Recovery points committed.
    pub checkpoints: AtomicU64,
    /// Times that write-ahead log files were set free.
    pub trims: AtomicU64,
    /// Segments that were full and closed.
    pub segment_rolls: AtomicU64,
    /// Segments deleted by retention or below the log start.
    pub segments_deleted: AtomicU64,
    /// Times a write to a segment or a recovery point found the disk full.
    pub disk_full: AtomicU64,
    /// Indexes rebuilt.
    pub index_rebuilds: AtomicU64,
    /// Cleanings that were begun.
    pub cleaner_runs: AtomicU64,
    /// Bytes that cleanings read.
    pub cleaner_read_bytes: AtomicU64,
    /// Bytes of cleaned segments.
    pub cleaner_written_bytes: AtomicU64,
    /// Bytes that segments lost by being cleaned.
    pub cleaner_freed_bytes: AtomicU64,
    /// Records that cleanings removed.
    pub cleaner_removed_records: AtomicU64,
    /// When a log to clean was looked for last, in ms since 1970; 0 before the first time.
    pub cleaner_looked_at_ms: AtomicI64,
    /// How full the map of keys was in the last cleaning, in thousandths.
    pub cleaner_map_per_mille: AtomicU64,
    /// Whether a write found the disk full, and [`LogEngine::note_disk_has_room`] was not called since.
    pub is_disk_full: AtomicBool,
}

/// Why a client's records are not taken now.
#[derive(Clone, Debug, Error)]
pub enum NoRoom {
    /// The disk is full; later they may be.
    #[error("the disk is full: free some space")]
    DiskFull,
    /// The log failed.
    #[error(transparent)]
    Failed(#[from] CommitError),
}

/// All partition logs of a broker.
pub struct LogEngine {
    shared: Arc<Shared>,
    logs: RwLock<HashMap<TopicPartitionId, Arc<PartitionLog>>>,
    incarnation: Incarnation,
    leader_epoch: LeaderEpoch,
    replay_from: Mutex<Slot>,
    /// Logs that were drained and may have files open.
    held: Mutex<BTreeMap<TopicPartitionId, Arc<PartitionLog>>>,
    drainer: Mutex<Option<std::thread::JoinHandle<()>>>,
    closed: AtomicBool,
}

impl fmt::Debug for LogEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LogEngine({}, {} logs)",
            self.shared.directory.display(),
            self.logs.read().len()
        )
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

    fn note_retiring(&self, topic_id: TopicId, last: Option<Ticket>) {
        if let Some(ticket) = last.filter(|ticket| !ticket.is_done()) {
            self.retiring.lock().entry(topic_id).or_default().push(ticket);
        }
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
            let Some((log, slot, bytes)) = queue.pop_front() else {
                break;
            };
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

    /// Asks for a segment's indexes to be built again, unless that was tried in vain.
    pub(crate) fn note_index_damage(&self, id: TopicPartitionId, base_offset: Offset) {
        let mut jobs = self.jobs.lock();
        if !jobs.beyond_repair.contains(&(id, base_offset)) {
            jobs.damaged.insert((id, base_offset));
            self.wake.notify_one();
        }
    }

    /// Takes note that a segment's indexes cannot be built, or only up to damage in it.
    pub(crate) fn note_beyond_repair(&self, id: TopicPartitionId, base_offset: Offset) {
        self.jobs.lock().beyond_repair.insert((id, base_offset));
    }

    /// Reports a failure after which nothing may be acknowledged.
    pub(crate) fn fatal(&self, place: &str, what: &str) {
        let error = crate::wal::SinkError::Fatal {
            file: place.to_owned(),
            what: what.to_owned(),
        };
        (self.on_fatal)(&CommitError::Log(error));
    }

    pub(crate) fn note_index_rebuilt(&self) {
        self.counters.index_rebuilds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_segment_rolled(&self) {
        self.counters.segment_rolls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn note_segments_deleted(&self, count: usize) {
        self.counters
            .segments_deleted
            .fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn note_problem(&self, place: String, what: String) {
        if self.problems.lock().insert(place, what.clone()).is_none() {
            tracing::error!("{what}");
        }
    }
}

impl LogEngine {
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
            let id = TopicPartitionId {
                topic_id: topic.id,
                partition: PartitionIndex(partition),
            };
            logs.entry(id).or_insert_with(|| {
                let new = NewLog {
                    id,
                    topic: topic.name.clone(),
                    config: topic.config.clone(),
                    leader_epoch: topic.role.leader_epoch(self.leader_epoch),
                    row: recovery::empty_row(topic.role.first_write_state()),
                    segments: Vec::new(),
                    cleaning: None,
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
            let ids: Vec<_> = logs
                .keys()
                .filter(|id| id.topic_id == topic_id)
                .copied()
                .collect();
            ids.iter().filter_map(|id| logs.remove(id)).collect()
        };
        let mut doomed = Vec::new();
        let mut changes = Vec::new();
        for log in closed {
            let last = log.close();
            self.shared.note_retiring(topic_id, last);
            let (bases, directory) = log.close_files();
            changes.push(RowChange {
                key: partition_key(log.id()),
                value: None,
            });
            let keys = bases.into_iter().map(|base| segment_key(log.id(), base));
            let keys = keys.chain([cleaning_key(log.id())]);
            changes.extend(keys.map(|key| RowChange { key, value: None }));
            let unique = log.id().topic_id.to_string();
            let target = names::doomed_directory(name, log.id().partition, &unique);
            let target = self.shared.directory.join(target);
            match self.shared.disk.rename(&directory, &target) {
                Ok(()) => doomed.push(target),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                // Another topic of the name would write into what is left.
                Err(error) => return Err(self.delete_failed(&directory, error)),
            }
        }
        self.shared.disk.reached(CrashPoint::DirectoryDoomed);
        if !doomed.is_empty()
            && let Err(error) = self.shared.disk.sync_dir(&self.shared.directory)
        {
            return Err(self.delete_failed(&self.shared.directory, error));
        }
        let _rows = self.shared.rows.lock();
        match self.shared.recovery.commit(changes) {
            Ok(()) => Ok(doomed),
            // The rows of a tombstoned topic are removed by the next start; its files free space now.
            Err(error @ RecoveryStoreError::Full(_)) => {
                tracing::warn!(%error, "rows of a deleted topic stay until the next start");
                self.shared.note_full(&error.to_string());
                Ok(doomed)
            }
            Err(error) => Err(self.delete_failed(&self.shared.directory, std::io::Error::other(error))),
        }
    }

    fn delete_failed(&self, path: &Path, error: std::io::Error) -> std::io::Error {
        self.shared.fatal(&path.display().to_string(), &error.to_string());
        error
    }

    /// Reports whether runs of a deleted topic may still be on their way into the write-ahead log.
    #[must_use]
    pub fn is_retiring(&self, topic_id: TopicId) -> bool {
        let mut retiring = self.shared.retiring.lock();
        let Some(tickets) = retiring.get_mut(&topic_id) else {
            return false;
        };
        tickets.retain(|ticket| !ticket.is_done());
        let pending = !tickets.is_empty();
        if !pending {
            retiring.remove(&topic_id);
        }
        pending
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

    /// The row of the write-ahead log while it is open.
    fn wal_row(&self) -> WalRow {
        WalRow {
            incarnation: self.incarnation,
            replay_from: self.replay_from(),
            clean_end: None,
            list: InventoryState::Written,
        }
    }

    /// The first slot that a recovery point does not cover, or the next one to write.
    fn first_needed(&self) -> Slot {
        let next = self.next_slot();
        let dirty: Vec<_> = self.shared.dirty.lock().values().cloned().collect();
        let first = dirty.iter().filter_map(|log| log.first_uncovered()).min();
        first.map_or(next, |slot| slot.min(next))
    }

    /// Returns the slot from which a start would replay: all groups before are covered by recovery points.
    #[must_use]
    pub fn replay_from(&self) -> Slot {
        *self.replay_from.lock()
    }

    /// Waits until the log has room for a client's records. Internal topics and events have a reserve and do not
    /// call this.
    ///
    /// # Errors
    /// [`NoRoom::DiskFull`] at once, or as soon as the disk fills up while this waits: only somebody who frees
    /// space helps then. [`NoRoom::Failed`] when the log failed.
    pub async fn client_room(&self) -> Result<(), NoRoom> {
        let committer = self.shared.committer().ok_or(CommitError::Closed)?;
        loop {
            let notified = committer.room().notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(error) = committer.failure() {
                return Err(error.into());
            }
            if self.is_disk_full() {
                return Err(NoRoom::DiskFull);
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

    /// Returns the slot after the last durable group.
    #[must_use]
    pub fn next_slot(&self) -> Slot {
        self.shared
            .committer()
            .map(Committer::next_slot)
            .unwrap_or_default()
    }

    /// Returns the counters of the commit path.
    #[must_use]
    pub fn commit_counters(&self) -> Option<&CommitCounters> {
        self.shared.committer().map(Committer::counters)
    }

    /// Reports that a place in the life of a log is reached that lies outside this crate, see [`CrashPoint`].
    pub fn reached(&self, point: CrashPoint) {
        self.shared.disk.reached(point);
    }

    /// Returns the counters of the background work.
    #[must_use]
    pub fn counters(&self) -> &EngineCounters {
        &self.shared.counters
    }

    /// Reports whether clients' records are refused because the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.shared.counters.is_disk_full.load(Ordering::Relaxed)
    }

    /// Takes note that a write elsewhere in the data directory found the disk full.
    pub fn note_disk_full(&self, what: &str) {
        self.shared.note_full(what);
    }

    /// Takes note that the disk has room again, as seen from outside: until then nothing but the reserve was left,
    /// and a write that succeeds from it is no sign of room.
    pub fn note_disk_has_room(&self) {
        if self.shared.counters.is_disk_full.swap(false, Ordering::Relaxed) {
            tracing::warn!("the disk has room again");
        }
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
        self.cover(&logs, Slot(u64::MAX))?;
        self.trim()
    }

    /// Stops: no append is taken any more, all that was is durable, the marker of a clean stop is written.
    /// Blocks; bounded by `budget` for draining, which a clean stop does not need.
    pub fn close(&self, budget: Duration) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let deadline = std::time::Instant::now() + budget;
        let Some(committer) = self.shared.committer() else {
            return;
        };
        // No push may come after the drainer is gone: nobody would make room for it, and the stop would wait for ever.
        committer.refuse();
        // What was pushed is written; the drainer still makes room for it.
        while committer.counters().queued_bytes.load(Ordering::Relaxed) > 0 && committer.failure().is_none() {
            if std::time::Instant::now() >= deadline {
                tracing::warn!("records wait for room in the write-ahead log: the stop is not a clean one");
                self.shared.sink.close();
                break;
            }
            if !committer.step() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.stop_drainer();
        committer.close();
        if committer.failure().is_some() {
            return;
        }
        let logs: Vec<_> = self.shared.dirty.lock().values().cloned().collect();
        for some in logs.chunks(background::COVERED_AT_ONCE) {
            if std::time::Instant::now() >= deadline || self.cover(some, Slot(u64::MAX)).is_err() {
                break;
            }
        }
        if let Err(error) = self.trim() {
            tracing::warn!(%error, "the stop leaves work to the next start");
        }
        for log in self.logs() {
            log.render_at_stop();
        }
        self.shared.disk.reached(CrashPoint::StopUnmarked);
        let next_slot = committer.next_slot();
        let clean_end = self.shared.sink.end().map(|location| WalEnd {
            next_slot,
            location,
            last_crc: committer.last_crc(),
        });
        let row = WalRow {
            replay_from: self.first_needed(),
            clean_end,
            ..self.wal_row()
        };
        let change = RowChange {
            key: wal_key(),
            value: Some(encode_wal(&row)),
        };
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
        self.held.lock().clear();
        for log in self.logs.get_mut().values() {
            log.close();
        }
    }
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;
