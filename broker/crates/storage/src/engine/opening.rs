//! Opening: recovery points, segment files cut at their durable end, the write-ahead log replayed, threads started.

use super::background::run_background;
use super::late_sink::LateSink;
use super::parallel;
use super::{EngineConfig, EngineCounters, EngineParts, LiveTopic, LogEngine, OpenReport, Shared};
use crate::commit::{CommitStart, Committer, OnFatal};
use crate::disk::{BufferPool, CrashPoint, UncachedReader};
use crate::log::cleaning_row::{CleaningRow, cleaning_key};
use crate::log::rows::{
    PartitionRow, RowChange, WalRow, encode_partition, encode_wal, partition_key, segment_key, wal_key,
};
use crate::log::{NewLog, PartitionLog, ReplayedRun};
use crate::recovery::{self, OpenError};
use crate::segment::transaction_index_cache::TransactionIndexCache;
use crate::segment::{Segment, names, render};
use crate::wal::group::RunContent;
use crate::wal::ring::{InventoryState, RingOpener};
use crate::wal::{Incarnation, ReplayEnd, ReplayRange, ReplayedGroup, Slot, WalOpener, WalSink};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use thalweg_types::{PartitionIndex, TopicId, TopicPartitionId};

type Logs = HashMap<TopicPartitionId, Arc<PartitionLog>>;

impl LogEngine {
    /// Opens the logs: reads recovery points, cuts segments, replays the write-ahead log, starts the threads.
    ///
    /// The caller holds the data directory's lock, and has raised the leader epoch durably.
    ///
    /// # Errors
    /// [`OpenError`]: damage and disagreement are named, nothing is changed then but segment bytes beyond their
    /// recovery point.
    pub fn open(parts: EngineParts, config: EngineConfig) -> Result<(Arc<Self>, OpenReport), OpenError> {
        let (engine, report) = Self::open_with(parts, config, |sink, start, on_fatal| {
            Committer::start(sink, start, on_fatal).map_err(OpenError::Thread)
        })?;
        let (shared, worker) = (engine.shared.clone(), Arc::downgrade(&engine));
        let thread = std::thread::Builder::new()
            .name("drain".into())
            .spawn(move || run_background(&shared, &worker))
            .map_err(OpenError::Thread)?;
        *engine.drainer.lock() = Some(thread);
        Ok((engine, report))
    }

    /// Opens the logs without threads: [`LogEngine::step_commit`] and [`LogEngine::step_background`] do their work
    /// when they are called. For simulations, where the order of everything is given by a seed.
    ///
    /// # Errors
    /// As [`LogEngine::open`].
    pub fn open_by_hand(
        parts: EngineParts,
        config: EngineConfig,
    ) -> Result<(Arc<Self>, OpenReport), OpenError> {
        let config = EngineConfig {
            start_threads: NonZeroUsize::MIN,
            ..config
        };
        Self::open_with(parts, config, |sink, start, on_fatal| {
            Ok(Committer::by_hand(sink, start, on_fatal))
        })
    }

    fn open_with(
        mut parts: EngineParts,
        config: EngineConfig,
        start_committer: impl FnOnce(Arc<dyn WalSink>, CommitStart, OnFatal) -> Result<Committer, OpenError>,
    ) -> Result<(Arc<Self>, OpenReport), OpenError> {
        let mut rows = recovery::load_rows(&*parts.recovery)?;
        let wal_row = wal_row(&parts, rows.wal)?;
        let opener: Box<dyn WalOpener> = match parts.find_wal.take() {
            Some(find) => find(wal_row.incarnation)?,
            None => Box::new(RingOpener::open(
                parts.disk.clone(),
                &parts.directory.join("wal"),
                (wal_row.incarnation, wal_row.list),
                config.ring,
            )?),
        };
        let covered = rows.partitions.values().filter_map(|row| row.covered).max();
        let replayed = Replayed::new(&parts, &mut rows)?;
        // Logs need the sink and the sink needs the replay: the logs hold a place for it, which meanwhile reads
        // through the opener.
        let late = Arc::new(LateSink::reading(opener.reader()));
        let shared = Arc::new(new_shared(&parts, config, late.clone()));
        let logs = replayed.build(&shared, &parts)?;
        parts.disk.reached(CrashPoint::RecoverySegmentsCut);
        let mut report = OpenReport {
            partitions: logs.len(),
            clean: wal_row.clean_end.is_some(),
            ..OpenReport::default()
        };
        let (sink, end) = replay(opener, (&wal_row, covered), &logs, (&parts, &mut report))?;
        late.set(sink);
        parts.disk.reached(CrashPoint::RecoveryReplayed);
        let wal_row = reopened_row(&parts, wal_row)?;
        let start = CommitStart {
            incarnation: wal_row.incarnation,
            next_slot: end.next_slot,
            last_crc: end.last_crc,
            put_id_base: parts.random as u64,
        };
        let callback = shared.on_fatal.clone();
        let committer = start_committer(late, start, Box::new(move |error| callback(error)))?;
        shared
            .committer
            .set(committer)
            .map_err(|_| OpenError::Disagreement("opened twice".into()))?;
        let engine = Arc::new(Self {
            shared: shared.clone(),
            logs: RwLock::new(logs),
            incarnation: wal_row.incarnation,
            leader_epoch: parts.leader_epoch,
            replay_from: Mutex::new(wal_row.replay_from),
            held: Mutex::default(),
            drainer: Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        Ok((engine, report))
    }
}

/// Returns the row of the write-ahead log; a new data directory gets one before the first file.
fn wal_row(parts: &EngineParts, found: Option<WalRow>) -> Result<WalRow, OpenError> {
    if let Some(row) = found {
        return Ok(row);
    }
    let incarnation = Incarnation(parts.random.to_be_bytes());
    let row = WalRow {
        incarnation,
        replay_from: Slot(0),
        clean_end: None,
        list: InventoryState::NotYet,
    };
    commit_wal_row(parts, &row)?;
    Ok(row)
}

/// From here on the end is open again: a marker that stayed would refuse the next start after a crash. And the list
/// of files was written, so its absence means something from now on.
fn reopened_row(parts: &EngineParts, row: WalRow) -> Result<WalRow, OpenError> {
    let open = WalRow {
        clean_end: None,
        list: InventoryState::Written,
        ..row
    };
    if open != row {
        commit_wal_row(parts, &open)?;
    }
    Ok(open)
}

fn commit_wal_row(parts: &EngineParts, row: &WalRow) -> Result<(), OpenError> {
    let change = RowChange {
        key: wal_key(),
        value: Some(encode_wal(row)),
    };
    parts
        .recovery
        .commit(vec![change])
        .map_err(|error| OpenError::Rows(error.to_string()))
}

fn new_shared(parts: &EngineParts, config: EngineConfig, sink: Arc<LateSink>) -> Shared {
    let buffers = Arc::new(BufferPool::default());
    Shared {
        disk: parts.disk.clone(),
        directory: parts.directory.clone(),
        clock: parts.clock.clone(),
        sink,
        recovery: parts.recovery.clone(),
        config,
        segment_reader: UncachedReader::new(
            parts.disk.clone(),
            buffers.clone(),
            config.segment_read_direct_bytes,
        ),
        buffers,
        rows: Mutex::new(()),
        cleaner: Mutex::new(()),
        committer: OnceLock::new(),
        dirty: Mutex::default(),
        memory: Mutex::default(),
        memory_bytes: AtomicUsize::new(0),
        jobs: Mutex::default(),
        transaction_indexes: TransactionIndexCache::default(),
        wake: Condvar::new(),
        problems: Mutex::default(),
        retiring: Mutex::default(),
        counters: EngineCounters::default(),
        on_fatal: parts.on_fatal.clone(),
    }
}

fn replay(
    opener: Box<dyn WalOpener>,
    (wal_row, covered): (&WalRow, Option<Slot>),
    logs: &Logs,
    (parts, report): (&EngineParts, &mut OpenReport),
) -> Result<(Arc<dyn WalSink>, ReplayEnd), OpenError> {
    // A recovery point covers durable slots only: a log that ends below one has lost groups, and would give their
    // slots to others.
    let range = ReplayRange {
        from: wal_row.replay_from,
        durable_before: wal_row
            .clean_end
            .map(|end| end.next_slot)
            .max(covered.map(Slot::next)),
        clean_end: wal_row.clean_end,
    };
    let mut tombstoned = 0;
    let (sink, end) = opener.replay(range, &mut |group| {
        parts.disk.reached(CrashPoint::RecoveryReplaying);
        replay_group(&group, logs, (parts, &mut tombstoned))
    })?;
    report.groups = end.groups;
    report.bytes = end.bytes;
    report.tombstoned_runs = tombstoned;
    report.next_slot = end.next_slot;
    Ok((sink, end))
}

fn replay_group(
    replayed: &ReplayedGroup<'_>,
    logs: &Logs,
    (parts, tombstoned): (&EngineParts, &mut u64),
) -> Result<(), String> {
    for run in &replayed.group.runs {
        let Some(log) = logs.get(&run.id) else {
            if parts.tombstones.contains(&run.id.topic_id) {
                *tombstoned += 1;
                continue;
            }
            let (what, id) = ("a run of the write-ahead log".to_owned(), run.id);
            return Err(OpenError::UnknownTopic { what, id }.to_string());
        };
        let bytes = match &run.content {
            RunContent::Batches(batches) => replayed.group.batches(batches),
            RunContent::Event(_) => &[],
        };
        let (slot, location, content) = (replayed.slot, replayed.location, run.content);
        log.replay(&ReplayedRun {
            slot,
            location,
            content,
            bytes,
        })?;
    }
    Ok(())
}

/// Rows turned into logs.
struct Replayed {
    partitions: Vec<(LiveTopic, PartitionIndex, PartitionRow, Vec<Segment>)>,
    cleanings: HashMap<TopicPartitionId, CleaningRow>,
}

impl Replayed {
    fn new(parts: &EngineParts, rows: &mut recovery::LoadedRows) -> Result<Self, OpenError> {
        let mut partitions = Vec::new();
        let mut cleanings = HashMap::new();
        for topic in &parts.topics {
            for partition in 0..topic.partitions {
                let partition = PartitionIndex(partition);
                let id = TopicPartitionId {
                    topic_id: topic.id,
                    partition,
                };
                let row = rows.partitions.remove(&id);
                let row = row.unwrap_or_else(|| recovery::empty_row(topic.role.first_write_state()));
                let segments = rows.segments.remove(&id).unwrap_or_default();
                if let Some(row) = rows.cleanings.remove(&id) {
                    cleanings.insert(id, row);
                }
                partitions.push((topic.clone(), partition, row, segments));
            }
        }
        let unknown = rows.partitions.keys().chain(rows.segments.keys());
        let unknown = unknown.chain(rows.cleanings.keys());
        if let Some(id) = unknown
            .copied()
            .find(|id| !parts.tombstones.contains(&id.topic_id))
        {
            return Err(OpenError::UnknownTopic {
                what: "a recovery point".into(),
                id,
            });
        }
        // Left by a crash in the middle of a deletion.
        let partition_keys = rows.partitions.keys().map(|id| partition_key(*id));
        let segments = rows.segments.iter();
        let segment_keys = segments.flat_map(|(id, all)| all.iter().map(|s| segment_key(*id, s.base_offset)));
        let changes: Vec<RowChange> = partition_keys
            .chain(segment_keys)
            .chain(rows.cleanings.keys().map(|id| cleaning_key(*id)))
            .map(|key| RowChange { key, value: None })
            .collect();
        if !changes.is_empty() {
            parts
                .recovery
                .commit(changes)
                .map_err(|error| OpenError::Rows(error.to_string()))?;
        }
        Ok(Self {
            partitions,
            cleanings,
        })
    }

    fn build(mut self, shared: &Arc<Shared>, parts: &EngineParts) -> Result<Logs, OpenError> {
        let threads = shared.config.start_threads;
        let present = sweep(parts, threads)?;
        let (disk, root, cleanings) = (&*parts.disk, &parts.directory, &self.cleanings);
        let cuts = parallel::map(&self.partitions, threads, |(topic, partition, _, segments)| {
            let id = TopicPartitionId {
                topic_id: topic.id,
                partition: *partition,
            };
            let name = names::partition_directory(&topic.name, *partition);
            let holder = present.get(&name)?;
            let directory = root.join(&name);
            let swapping = cleanings.get(&id).map_or(&[][..], |row| &row.swapping);
            let finished = recovery::finish_swaps(disk, &directory, swapping);
            Some(finished.and_then(|()| recovery::cut_partition(disk, (&directory, *holder), id, segments)))
        });
        let mut logs = HashMap::with_capacity(self.partitions.len());
        for ((topic, partition, mut row, segments), cut) in self.partitions.into_iter().zip(cuts) {
            let id = TopicPartitionId {
                topic_id: topic.id,
                partition,
            };
            let name = names::partition_directory(&topic.name, partition);
            let directory = parts.directory.join(&name);
            let mut segments = segments;
            let cleaning = self.cleanings.remove(&id);
            if let Some(gone) = cut.transpose()? {
                for segment in segments.iter().filter(|s| gone.contains(&s.base_offset)) {
                    let kept = recovery::aborts_of_quarantined(&*parts.disk, &directory, segment)?;
                    row.transactions.aborted.extend(kept);
                }
                segments.retain(|segment| !gone.contains(&segment.base_offset));
                let keys = gone.iter().map(|base| segment_key(id, *base));
                let mut changes: Vec<RowChange> = keys.map(|key| RowChange { key, value: None }).collect();
                if !changes.is_empty() {
                    row.transactions.aborted.sort_by_key(|abort| abort.last_offset);
                    changes.push(RowChange {
                        key: partition_key(id),
                        value: Some(encode_partition(&row)),
                    });
                    parts
                        .recovery
                        .commit(changes)
                        .map_err(|error| OpenError::Rows(error.to_string()))?;
                }
            } else if let Some(segment) = segments.iter().find(|segment| segment.size > 0) {
                let path = names::segment_file(&directory, segment.base_offset, names::FileKind::Log);
                return Err(OpenError::SegmentShort {
                    path,
                    found: 0,
                    expected: segment.size,
                });
            }
            let new = NewLog {
                id,
                topic: topic.name.clone(),
                config: topic.config.clone(),
                leader_epoch: topic.role.leader_epoch(parts.leader_epoch),
                row,
                segments,
                cleaning,
            };
            logs.insert(id, PartitionLog::new(shared.clone(), new));
        }
        Ok(logs)
    }
}

/// Removes directories of deleted topics; returns the names of the others, each with the topic that it says is its.
fn sweep(parts: &EngineParts, threads: NonZeroUsize) -> Result<BTreeMap<String, Option<TopicId>>, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Io { path, source }
    };
    parts
        .disk
        .create_dir_all(&parts.directory)
        .map_err(failed(&parts.directory))?;
    let live: HashMap<&str, TopicId> = parts.topics.iter().map(|t| (&*t.name, t.id)).collect();
    let mut present = BTreeMap::new();
    let listed = parts.disk.list(&parts.directory);
    let mut entries = listed.map_err(failed(&parts.directory))?;
    entries.retain(|entry| entry.kind == crate::disk::EntryKind::Directory && entry.name != "wal");
    let (disk, root) = (&*parts.disk, &parts.directory);
    let holders = parallel::map(&entries, threads, |entry| {
        if entry.name.ends_with(names::DELETED_DIRECTORY_SUFFIX) {
            return Ok(None);
        }
        let path = root.join(&entry.name);
        render::read_partition_metadata(disk, &path).map_err(failed(&path))
    });
    for (entry, found) in entries.into_iter().zip(holders) {
        let path = parts.directory.join(&entry.name);
        if entry.name.ends_with(names::DELETED_DIRECTORY_SUFFIX) {
            parts.disk.remove_dir_all(&path).map_err(failed(&path))?;
            continue;
        }
        let Some(found) = found? else {
            present.insert(entry.name, None);
            continue;
        };
        let topic = entry.name.rsplit_once('-').map_or("", |(topic, _)| topic);
        if live.get(topic) != Some(&found) && parts.tombstones.contains(&found) {
            // Deleted, but the crash came before the directory was renamed.
            parts.disk.remove_dir_all(&path).map_err(failed(&path))?;
            continue;
        }
        if !live.contains_key(topic) {
            let what = path.join(render::PARTITION_METADATA).display().to_string();
            let id = TopicPartitionId {
                topic_id: found,
                partition: PartitionIndex(0),
            };
            return Err(OpenError::UnknownTopic { what, id });
        }
        present.insert(entry.name, Some(found));
    }
    Ok(present)
}
