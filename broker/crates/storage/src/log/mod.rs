//! One partition log: appends through the commit path, reads from memory, the write-ahead log or segments.
//!
//! Owns offsets, leader epochs, producer state, the tail and the segments of one partition. Knows nothing of
//! topic names beyond the directory's, of clients or of requests. Invariant, restarts included:
//! `log_start_offset ≤ last_stable_offset ≤ high_watermark ≤ log_end_offset`, and none goes back except by a
//! mirror truncation, which raises the leader epoch. Offsets may have gaps everywhere.
//!
//! Locks, outer to inner: the engine's over rows → `io` (segment files of this log) → `files` (their names) → `state`
//! → the commit queue or the engine's lists. `state` is never held over I/O.

mod aborted;
mod append;
pub(crate) mod cleaning;
pub mod cleaning_row;
mod drain;
pub mod epochs;
#[cfg(feature = "planted-faults")]
mod faults;
mod markers;
mod mirror;
mod mirrored_run;
pub(crate) mod place;
pub mod producers;
mod read;
mod replay;
mod retention;
pub mod rows;
mod seal;
mod search;
mod tail;
mod transaction_scan;
pub mod transactions;
mod truncate;
mod verification;
mod waiters;
mod witness;

pub use append::{Append, AppendError, Appended, CheckedBatch, Origin};
pub(crate) use drain::DrainError;
pub use markers::{ProducerState, TransactionMarker, TransactionOutcome};
pub use mirror::{Advanced, MirrorFence, MirrorRefusal, MirrorStatus, MirrorTime, Truncation};
pub use mirrored_run::{MIRRORED_BATCHES_MAX, MirroredRun, MirroredRunError};
pub use read::{MinOne, ReadError, ReadLimit, ReadRequest, ReadResult};
pub(crate) use replay::ReplayedRun;
pub use retention::RetentionReport;
pub use search::{FoundOffset, SearchError};
pub use truncate::TruncateError;
pub use verification::{TransactionStart, TransactionVersion, VerificationGuard};
pub use waiters::Waiter;

use crate::commit::{CommitError, CommittedRun, EntryContent, GroupMember, Ticket};
use crate::engine::Shared;
use crate::log_config::LogConfig;
use crate::planted::{Bug, is_planted};
use crate::segment::{Segment, names};
use crate::wal::Slot;
use crate::wal::group::{LogEvent, RunContent};
use cleaning::Cleaning;
use drain::SegmentWriter;
use epochs::Epochs;
use mirror::MirrorState;
use parking_lot::{Mutex, RwLock};
use producers::{ProducerEntry, Producers};
use rows::WriteState;
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tail::Tail;
use thalweg_types::{LeaderEpoch, Offset, ProducerId, TimestampMs, TopicPartitionId};
use transactions::Transactions;
use verification::Verifications;
use waiters::Waiters;

/// One partition log.
pub struct PartitionLog {
    id: TopicPartitionId,
    topic: Arc<str>,
    shared: Arc<Shared>,
    state: Mutex<LogState>,
    io: Mutex<SegmentWriter>,
    /// Held by who changes a segment and its files' names at once, and by who plans a read and opens them.
    files: RwLock<()>,
    waiters: Waiters,
}

pub(crate) struct LogState {
    config: Arc<LogConfig>,
    status: Status,
    write_state: WriteState,
    /// What a crash would bring back of it.
    durable_write_state: WriteState,
    /// Current leader epoch, stamped on new batches.
    leader_epoch: LeaderEpoch,
    log_start: Offset,
    log_end: Offset,
    high_watermark: Offset,
    tail: Tail,
    /// Oldest first; the last one is open for writes.
    segments: Vec<Segment>,
    epochs: Epochs,
    producers: Producers,
    /// The producers that each reset which is not durable yet forgets, oldest first.
    producers_before_resets: VecDeque<Producers>,
    transactions: Transactions,
    verifications: Verifications,
    /// Of the newest append: what every reply that depends on this log's state waits for.
    last_ticket: Option<Ticket>,
    /// Slots with entries of this log that no committed recovery point covers.
    uncovered: VecDeque<Slot>,
    /// Newest slot whose entries all are in segments and in a committed row.
    covered: Option<Slot>,
    drain_queued: bool,
    /// Truncations of segments that a recovery point contains.
    truncations_committed: u64,
    /// Times that compaction put segments in the place of others, since the start.
    swaps: u64,
    /// How far compaction got; only logs that were compacted have it.
    cleaning: Option<Box<Cleaning>>,
    /// What mirror links do here.
    mirror: MirrorState,
}

/// Whether the log works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    /// Deleted, or led elsewhere.
    Closed,
}

/// The numbers of a log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that may be read.
    pub log_start_offset: Offset,
    /// First offset of the oldest transaction whose marker is not below the high watermark, else the high watermark:
    /// all below it is decided.
    pub last_stable_offset: Offset,
    /// First offset that is not durable.
    pub high_watermark: Offset,
    /// Offset of the next record.
    pub log_end_offset: Offset,
    /// Current leader epoch.
    pub leader_epoch: LeaderEpoch,
}

impl fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PartitionLog({}-{} {})",
            self.topic, self.id.partition, self.id
        )
    }
}

/// Keeps a [`Waiter`] registered with a log until dropped.
#[derive(Debug)]
pub struct Waiting {
    log: Arc<PartitionLog>,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.log.waiters.remove(self.id);
    }
}

impl PartitionLog {
    pub(crate) fn new(shared: Arc<Shared>, new: NewLog) -> Arc<Self> {
        let row = new.row;
        let log_end = row
            .log_end
            .max(new.segments.last().map_or(Offset::ZERO, |s| s.next_offset));
        let mut producers = Producers::default();
        for (id, entry) in row.producers {
            producers.restore(id, entry);
        }
        let transactions = Transactions::restore(row.transactions, row.log_end, row.settled);
        let state = LogState {
            config: new.config,
            status: Status::Open,
            write_state: row.write_state,
            durable_write_state: row.write_state,
            // A truncation, or a mirror's source, may have been ahead of the start counter: an epoch never goes back.
            leader_epoch: row
                .epochs
                .latest()
                .map_or(new.leader_epoch, |known| known.max(new.leader_epoch))
                .max(row.mirror.leader_epoch),
            log_start: row.log_start,
            log_end,
            high_watermark: log_end,
            tail: Tail::default(),
            segments: new.segments,
            epochs: row.epochs,
            producers,
            producers_before_resets: VecDeque::new(),
            transactions,
            verifications: Verifications::default(),
            last_ticket: None,
            uncovered: VecDeque::new(),
            covered: row.covered,
            drain_queued: false,
            truncations_committed: 0,
            swaps: 0,
            cleaning: new.cleaning.map(|row| Box::new(Cleaning::restore(row))),
            mirror: MirrorState::restore(row.mirror),
        };
        Arc::new(Self {
            id: new.id,
            topic: new.topic,
            shared,
            state: Mutex::new(state),
            io: Mutex::new(SegmentWriter::default()),
            files: RwLock::default(),
            waiters: Waiters::default(),
        })
    }

    /// Returns the key of the log.
    #[must_use]
    pub fn id(&self) -> TopicPartitionId {
        self.id
    }

    /// Returns the name of the topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Returns the directory of the segments; it exists once the first one does.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.shared
            .directory
            .join(names::partition_directory(&self.topic, self.id.partition))
    }

    /// Returns the offsets now.
    #[must_use]
    pub fn offsets(&self) -> LogOffsets {
        self.state.lock().offsets()
    }

    /// Returns the ticket of the newest append, for replies that must not overtake it.
    #[must_use]
    pub fn last_ticket(&self) -> Option<Ticket> {
        self.state.lock().last_ticket.clone()
    }

    /// Returns the topic settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        self.state.lock().config.clone()
    }

    /// Puts other topic settings in force.
    pub fn set_config(&self, config: Arc<LogConfig>) {
        self.state.lock().config = config;
    }

    /// Returns the write state.
    #[must_use]
    pub fn write_state(&self) -> WriteState {
        self.state.lock().write_state
    }

    /// Returns the bytes of all records: segments, and what is on its way there.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.lock().size()
    }

    /// Returns how many segments there are.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.state.lock().segments.len()
    }

    /// Returns how many producers' sequences are kept.
    #[must_use]
    pub fn producer_count(&self) -> usize {
        self.state.lock().producers.len()
    }

    /// Answers OffsetForLeaderEpoch (KIP-101, KIP-320): the largest epoch at or below `epoch` and the offset after its
    /// last durable record; `None` for an epoch that has not begun.
    ///
    /// An epoch without records is known too. A consumer that has read nothing since a start has its position, and the
    /// epoch with it, from ListOffsets: told that the epoch is unknown, it would take the log for one that was cut off.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.state.lock();
        if epoch < LeaderEpoch(0) || epoch > state.leader_epoch {
            return None;
        }
        let end = state.awaited_end();
        if epoch == state.leader_epoch {
            return Some((epoch, end));
        }
        Some(state.epochs.end_offset(epoch, end))
    }

    /// Returns the leader epoch of the record at an offset.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.lock().epochs.epoch_at(offset)
    }

    /// Returns the sequences and the first offset of a producer's remembered batches, oldest first.
    #[cfg(test)]
    pub(crate) fn remembered(&self, id: ProducerId) -> VecDeque<((i32, i32), i64)> {
        let state = self.state.lock();
        let entries = state.producers.entries();
        let entry = entries.iter().find(|(other, _)| *other == id);
        let batches = entry.into_iter().flat_map(|(_, entry)| &entry.batches);
        batches
            .map(|batch| ((batch.base_sequence, batch.last_sequence), batch.base_offset.0))
            .collect()
    }

    /// Registers a waiter that fires when records become durable here.
    #[must_use]
    pub fn wait(self: &Arc<Self>, waiter: &Arc<Waiter>) -> Waiting {
        Waiting {
            log: self.clone(),
            id: self.waiters.add(waiter.clone()),
        }
    }

    /// Deletes the records below `offset` (DeleteRecords, KIP-107): the new log start is readable once the
    /// ticket completes. [`Offset::UNKNOWN`] means the high watermark.
    ///
    /// # Errors
    /// [`AppendError::OffsetOutOfRange`] above the high watermark; [`AppendError::Closed`]; the log's.
    pub fn delete_records(self: &Arc<Self>, offset: Offset) -> Result<(Offset, Option<Ticket>), AppendError> {
        self.delete_records_locked(&mut self.state.lock(), offset)
    }

    fn delete_records_locked(
        self: &Arc<Self>,
        state: &mut LogState,
        offset: Offset,
    ) -> Result<(Offset, Option<Ticket>), AppendError> {
        state.check_open()?;
        let target = if offset == Offset::UNKNOWN {
            state.high_watermark
        } else {
            offset
        };
        if target > state.high_watermark || target < Offset::ZERO {
            let high_watermark = state.high_watermark;
            return Err(AppendError::OffsetOutOfRange {
                offset: target,
                high_watermark,
            });
        }
        if target <= state.log_start {
            return Ok((state.log_start, state.last_ticket.clone()));
        }
        let ticket = self.push(state, EntryContent::Event(LogEvent::LogStart(target)))?;
        Ok((target, Some(ticket)))
    }

    /// Changes who may append. Takes effect at once; durable with the ticket.
    ///
    /// # Errors
    /// [`AppendError::Closed`], the log's.
    pub fn set_write_state(self: &Arc<Self>, write_state: WriteState) -> Result<Ticket, AppendError> {
        let mut state = self.state.lock();
        state.check_open()?;
        let event = match write_state {
            WriteState::SealedAt(_) => LogEvent::SealedAt(state.log_end),
            WriteState::Open => LogEvent::Unsealed,
            WriteState::OwnedByLink => LogEvent::OwnedByLink,
        };
        let ticket = self.push(&mut state, EntryContent::Event(event))?;
        state.write_state = match write_state {
            WriteState::SealedAt(_) => WriteState::SealedAt(state.log_end),
            other => other,
        };
        Ok(ticket)
    }

    /// Forgets all producers' sequences. Durable with the ticket.
    ///
    /// # Errors
    /// [`AppendError::Closed`], the log's.
    pub fn reset_producers(self: &Arc<Self>) -> Result<Ticket, AppendError> {
        let mut state = self.state.lock();
        state.check_open()?;
        let ticket = self.push(&mut state, EntryContent::Event(LogEvent::ProducerReset))?;
        state.forget_producers();
        Ok(ticket)
    }

    /// Refuses appends and reads from here on, and forgets what is in memory: the topic is deleted or led
    /// elsewhere. Readers that wait are woken. Returns the ticket of the newest append.
    pub fn close(&self) -> Option<Ticket> {
        let last = {
            let mut state = self.state.lock();
            state.status = Status::Closed;
            state.tail.clear();
            state.uncovered.clear();
            state.producers.clear();
            state.producers_before_resets = VecDeque::new();
            state.transactions.clear();
            state.verifications = Verifications::default();
            self.shared.forget_dirty(self.id);
            state.last_ticket.clone()
        };
        self.waiters.fire();
        last
    }

    /// Pushes an entry while the state is locked, so that entries keep their order.
    fn push(self: &Arc<Self>, state: &mut LogState, content: EntryContent) -> Result<Ticket, AppendError> {
        let committer = self.shared.committer().ok_or(CommitError::Closed)?;
        let ticket = committer.push(self.clone(), content)?;
        state.last_ticket = Some(ticket.clone());
        Ok(ticket)
    }

    /// As [`PartitionLog::push`], for many entries that nothing may come between.
    fn push_all(
        self: &Arc<Self>,
        state: &mut LogState,
        contents: impl IntoIterator<Item = EntryContent>,
    ) -> Result<(), AppendError> {
        let committer = self.shared.committer().ok_or(CommitError::Closed)?;
        let member: Arc<dyn GroupMember> = self.clone();
        if let Some(ticket) = committer.push_all(&member, contents)? {
            state.last_ticket = Some(ticket);
        }
        Ok(())
    }
}

/// What a log is made of when the engine opens or creates it.
pub(crate) struct NewLog {
    pub id: TopicPartitionId,
    pub topic: Arc<str>,
    pub config: Arc<LogConfig>,
    pub leader_epoch: LeaderEpoch,
    pub row: rows::PartitionRow,
    pub segments: Vec<Segment>,
    pub cleaning: Option<cleaning_row::CleaningRow>,
}

impl LogState {
    /// What a reader of disks compares batches with.
    pub(super) fn known_epochs(&self) -> place::KnownEpochs {
        place::KnownEpochs {
            epochs: self.epochs.clone(),
            write_state: self.write_state,
        }
    }

    fn offsets(&self) -> LogOffsets {
        LogOffsets {
            log_start_offset: self.log_start,
            last_stable_offset: self.last_stable(),
            high_watermark: self.high_watermark,
            log_end_offset: self.log_end,
            leader_epoch: self.leader_epoch,
        }
    }

    fn last_stable(&self) -> Offset {
        let first = self.transactions.first_unstable();
        match first.filter(|_| !is_planted(Bug::OpenTransactionsPassed)) {
            // What began below the log start cannot be read there.
            Some(first) => first.max(self.log_start).min(self.high_watermark),
            None => self.high_watermark,
        }
    }

    fn check_open(&self) -> Result<(), AppendError> {
        match self.status {
            Status::Open => Ok(()),
            Status::Closed => Err(AppendError::Closed),
        }
    }

    fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum::<u64>() + self.tail.undrained_bytes() as u64
    }

    /// Forgets the producers, with a reset that was pushed. A recovery point speaks of what is durable: until the
    /// reset is, of what it forgets.
    fn forget_producers(&mut self) {
        let before = std::mem::take(&mut self.producers);
        self.producers_before_resets.push_back(before);
    }

    /// The producers that a crash would bring back.
    fn durable_producers(&self) -> Vec<(ProducerId, ProducerEntry)> {
        let producers = self.producers_before_resets.front().unwrap_or(&self.producers);
        producers.durable_entries(self.high_watermark)
    }

    /// The epochs without one whose first record a crash may still lose.
    fn durable_epochs(&self) -> Epochs {
        let mut epochs = self.epochs.clone();
        if self.log_end > self.high_watermark {
            epochs.truncate_to(self.high_watermark);
        }
        epochs
    }

    /// Applies an event when it is durable (live) or replayed.
    fn apply(&mut self, event: LogEvent) {
        match event {
            LogEvent::LogStart(offset) => {
                self.log_start = self.log_start.max(offset);
                self.epochs.advance_start(self.log_start);
                self.transactions.advance_start(self.log_start);
            }
            LogEvent::JumpTo(offset) => {
                self.log_end = self.log_end.max(offset);
                self.high_watermark = self.high_watermark.max(offset);
            }
            LogEvent::EpochStart(epoch, offset) => {
                self.epochs.note(epoch, offset);
                self.leader_epoch = self.leader_epoch.max(epoch);
                self.mirror.note_announced(epoch);
            }
            LogEvent::SealedAt(offset) => self.durable_write_state = WriteState::SealedAt(offset),
            LogEvent::Unsealed => {
                self.durable_write_state = WriteState::Open;
                if self.mirror.end_promotion() {
                    self.write_state = WriteState::Open;
                }
            }
            LogEvent::OwnedByLink => self.durable_write_state = WriteState::OwnedByLink,
            LogEvent::Session(session) => self.mirror.note_session(session),
            LogEvent::ProducerReset => drop(self.producers_before_resets.pop_front()),
            // In force since it was durable; see `replay` for what a restart does.
            LogEvent::TruncateTo(..) => {}
        }
    }

    fn note_uncovered(&mut self, slot: Slot) {
        if self.uncovered.back() != Some(&slot) {
            self.uncovered.push_back(slot);
        }
    }
}

impl GroupMember for PartitionLog {
    fn id(&self) -> TopicPartitionId {
        self.id
    }

    fn committed(self: Arc<Self>, runs: Vec<CommittedRun>) {
        let mut in_memory = 0;
        let mut last_slot = Slot(0);
        let mut queue_drain = false;
        {
            let mut state = self.state.lock();
            if state.status == Status::Closed {
                return;
            }
            if state.uncovered.is_empty() {
                self.shared.note_dirty(&self);
            }
            for run in runs {
                last_slot = run.slot;
                state.note_uncovered(run.slot);
                match run.content {
                    RunContent::Batches(batches) => {
                        in_memory += tail::memory_of_run(run.memory, run.parts.len());
                        let settled = state.transactions.settled(state.high_watermark);
                        state.high_watermark = state.high_watermark.max(batches.last_offset.next());
                        state.tail.push(run, batches, settled);
                    }
                    RunContent::Event(event) => state.apply(event),
                }
            }
            let high_watermark = state.high_watermark;
            state.transactions.advance(high_watermark);
            if !state.drain_queued && state.tail.undrained_bytes() >= self.shared.config.segment_write_bytes {
                state.drain_queued = true;
                queue_drain = true;
            }
        }
        if in_memory > 0 {
            self.shared.note_in_memory(&self, last_slot, in_memory);
        }
        if queue_drain {
            self.shared.queue_drain(self.clone());
        }
    }

    fn wake(&self) {
        self.waiters.fire();
    }
}

impl PartitionLog {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Forgets open files of a closed log; returns its segments' base offsets and its directory.
    pub(crate) fn close_files(&self) -> (Vec<Offset>, PathBuf) {
        let mut io = self.io.lock();
        io.forget_files();
        let segments = std::mem::take(&mut self.state.lock().segments);
        (
            segments.into_iter().map(|segment| segment.base_offset).collect(),
            self.directory(),
        )
    }

    /// Writes the renderings for Kafka's tools when the log has files; failing to is no loss.
    pub(crate) fn render_at_stop(&self) {
        let end = {
            let state = self.state.lock();
            state.segments.last().map(|segment| segment.next_offset)
        };
        if let Some(end) = end
            && let Err(error) = self.render(end)
        {
            tracing::debug!(%error, log = ?self, "no rendering for Kafka's tools");
        }
    }

    /// Builds the indexes of a segment again after damage was seen.
    pub(crate) fn rebuild_index(&self, base_offset: Offset) {
        let mut io = self.io.lock();
        let (segment, interval) = {
            let state = self.state.lock();
            let found = state
                .segments
                .iter()
                .find(|segment| segment.base_offset == base_offset)
                .copied();
            (found, state.config.index_interval_bytes)
        };
        let Some(segment) = segment else { return };
        io.close_open_segment();
        let rebuilt =
            crate::recovery::rebuild_indexes(&*self.shared.disk, &self.directory(), &segment, interval);
        let rebuilt = match rebuilt {
            Ok(rebuilt) => rebuilt,
            Err(error) => return self.note_unrepaired(base_offset, &error),
        };
        // Damaged records may hide a marker: what is left of the index then stays as it is, and its damage is told.
        let transaction_index = match &rebuilt.damage {
            Some(_) => segment.transaction_index,
            None => match self.rebuilt_transaction_index(&segment) {
                Ok(stamp) => stamp,
                Err(error) => return self.note_unrepaired(base_offset, &error),
            },
        };
        {
            let mut state = self.state.lock();
            let found = state
                .segments
                .iter_mut()
                .find(|segment| segment.base_offset == base_offset);
            if let Some(segment) = found {
                segment.offset_index = rebuilt.offset_index;
                segment.time_index = rebuilt.time_index;
                segment.transaction_index = transaction_index;
                io.note_changed(base_offset);
            }
        }
        match rebuilt.damage {
            Some(error) => self.note_unrepaired(base_offset, &error),
            None => self.shared.note_index_rebuilt(),
        }
    }

    fn note_unrepaired(&self, base_offset: Offset, error: &std::io::Error) {
        let path = names::segment_file(&self.directory(), base_offset, names::FileKind::Log);
        let path = path.display().to_string();
        self.shared.note_beyond_repair(self.id, base_offset);
        self.shared.note_problem(path.clone(), format!("{path}: {error}"));
    }

    /// Takes runs up to a slot out of memory.
    pub(crate) fn evict_through(&self, slot: Slot) {
        self.state.lock().tail.evict_through(slot);
    }

    /// Forgets producers that were idle for longer than the setting says; returns how many.
    pub fn expire_producers(&self, now: TimestampMs) -> usize {
        let mut state = self.state.lock();
        let before = TimestampMs(now.0.saturating_sub(state.config.producer_id_expiration_ms));
        let state = &mut *state;
        state.verifications.expire(before);
        state.producers.expire(before, &state.transactions)
    }
}
