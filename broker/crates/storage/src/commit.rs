//! The commit path: entries of all partitions gather in an open group; a dedicated thread seals it, writes it
//! to the [`WalSink`] and completes it.
//!
//! There is no timer: while one group is being written the next one gathers, and an idle log writes at once.
//! Entries of one partition keep the order in which they were pushed (a partition pushes under its own lock).
//! Groups complete in slot order: first every partition in the group learns of it, then tickets resolve, then
//! waiting readers wake.

mod frame;
mod gather;

pub use frame::SharedFrame;

use gather::gather;

use crate::histogram::{GROUP_BOUNDS_BYTES, Histogram, LATENCY_BOUNDS_NANOS};
use crate::planted::{Bug, is_planted};
use crate::wal::group::{EncodeRun, GroupHeader, LogEvent, Run, RunContent, encode, encoded_len};
use crate::wal::{Incarnation, SealedGroup, SinkError, Slot, WalLocation, WalSink};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use thalweg_types::{LeaderEpoch, Offset, TimestampMs, TopicPartitionId};
use thiserror::Error;
use tokio::sync::Notify;

/// Why an append will never be acknowledged.
#[derive(Clone, Debug, Error)]
pub enum CommitError {
    /// The write-ahead log failed; the process must end.
    #[error("{0}")]
    Log(SinkError),
    /// The broker is stopping.
    #[error("the log is closing")]
    Closed,
}

/// What a partition appends.
#[derive(Debug)]
pub enum EntryContent {
    /// One record batch with its final bytes.
    Batch(PendingBatch),
    /// An event.
    Event(LogEvent),
}

/// One record batch on its way to the log.
#[derive(Clone, Debug)]
pub struct PendingBatch {
    /// The frame that the bytes are a part of, if they are.
    pub frame: Option<Arc<SharedFrame>>,
    /// Final bytes; referenced, not copied, until the group is sealed.
    pub bytes: Bytes,
    /// Leader epoch of the log.
    pub leader_epoch: LeaderEpoch,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// Largest timestamp.
    pub max_timestamp: TimestampMs,
}

/// A run that became durable.
#[derive(Debug)]
pub struct CommittedRun {
    /// Its group.
    pub slot: Slot,
    /// Where the group lies.
    pub location: WalLocation,
    /// Content, with its position in the group.
    pub content: RunContent,
    /// The batches, one element each.
    pub parts: Vec<Bytes>,
    /// Memory that the batches keep, in bytes: theirs, or more of the frames they are parts of.
    pub memory: usize,
}

/// A partition log as the commit thread sees it.
pub trait GroupMember: Send + Sync {
    /// Returns the key of the log.
    fn id(&self) -> TopicPartitionId;
    /// Takes note of runs that are durable now. Must not block on I/O.
    fn committed(self: Arc<Self>, runs: Vec<CommittedRun>);
    /// Wakes readers that wait for new records.
    fn wake(&self);
}

struct Entry {
    member: Arc<dyn GroupMember>,
    id: TopicPartitionId,
    content: EntryContent,
}

struct OpenGroup {
    entries: Vec<Entry>,
    encoded_len: usize,
    done: Arc<GroupDone>,
    /// When its first entry came: a group is made for one.
    opened: std::time::Instant,
}

impl OpenGroup {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            encoded_len: encoded_len(0, 0),
            done: Arc::default(),
            opened: std::time::Instant::now(),
        }
    }
}

/// State that the waiters of one group share.
#[derive(Default)]
struct GroupDone {
    outcome: Mutex<Option<Result<(), CommitError>>>,
    /// Set after `outcome`, so that the common check takes no lock.
    finished: AtomicBool,
    waiting: Condvar,
    notify: Notify,
}

impl GroupDone {
    /// Settles the outcome; the first one stays.
    fn complete(&self, outcome: Result<(), CommitError>) {
        self.outcome.lock().get_or_insert(outcome);
        self.finished.store(true, Ordering::Release);
        self.waiting.notify_all();
        self.notify.notify_waiters();
    }

    fn outcome(&self) -> Option<Result<(), CommitError>> {
        if self.finished.load(Ordering::Acquire) {
            self.outcome.lock().clone()
        } else {
            None
        }
    }
}

/// A promise that an append, and all before it, will be durable or the process will end.
#[derive(Clone)]
pub struct Ticket(Arc<GroupDone>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.0.outcome())
    }
}

impl Ticket {
    /// Reports whether the outcome is known.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.finished.load(Ordering::Acquire)
    }

    /// Reports whether two tickets are of one commit group.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Waits until the append is durable. May be dropped and called again at any time.
    ///
    /// # Errors
    /// When it will never be.
    pub async fn durable(&self) -> Result<(), CommitError> {
        loop {
            let notified = self.0.notify.notified();
            tokio::pin!(notified);
            // Registered before the check, or a completion in between would be missed.
            notified.as_mut().enable();
            if let Some(outcome) = self.0.outcome() {
                return outcome;
            }
            notified.await;
        }
    }

    /// As [`Ticket::durable`], blocking the thread.
    ///
    /// # Errors
    /// When the append will never be durable.
    pub fn wait(&self) -> Result<(), CommitError> {
        let mut outcome = self.0.outcome.lock();
        loop {
            if let Some(outcome) = outcome.clone() {
                return outcome;
            }
            self.0.waiting.wait(&mut outcome);
        }
    }
}

/// Counters of the commit path; read by metrics.
#[derive(Debug)]
pub struct CommitCounters {
    /// Groups made durable.
    pub groups: AtomicU64,
    /// Bytes of those groups as written, padding included.
    pub bytes: AtomicU64,
    /// Record batches in them.
    pub batches: AtomicU64,
    /// Bytes gathered or under way, not durable yet.
    pub queued_bytes: AtomicUsize,
    /// From a group's first entry to the start of its write, in nanoseconds: the flush before, and the encoding.
    pub wait_nanos: Histogram,
    /// From the start of a group's write to its being durable, in nanoseconds.
    pub flush_nanos: Histogram,
    /// Sizes of the groups as written, padding included.
    pub group_bytes: Histogram,
}

impl Default for CommitCounters {
    fn default() -> Self {
        Self {
            groups: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            queued_bytes: AtomicUsize::new(0),
            wait_nanos: Histogram::new(LATENCY_BOUNDS_NANOS),
            flush_nanos: Histogram::new(LATENCY_BOUNDS_NANOS),
            group_bytes: Histogram::new(GROUP_BOUNDS_BYTES),
        }
    }
}

/// What to call when the log failed for good: the policy (exit, or reopen) belongs to the caller.
pub type OnFatal = Box<dyn Fn(&CommitError) + Send + Sync>;

struct Queue {
    groups: VecDeque<OpenGroup>,
    failed: Option<CommitError>,
    closing: bool,
}

struct Shared {
    sink: Arc<dyn WalSink>,
    incarnation: Incarnation,
    group_bytes_max: usize,
    queue: Mutex<Queue>,
    work: Condvar,
    room: Notify,
    /// Slot after the last durable group.
    next_slot: AtomicU64,
    /// Header CRC of that group.
    last_crc: AtomicU32,
    counters: CommitCounters,
    on_fatal: OnFatal,
}

/// The commit path of one log.
pub struct Committer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    /// Without threads: what [`Committer::step`] goes on from.
    by_hand: Option<Mutex<Chain>>,
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Committer({:?})", self.shared.counters)
    }
}

struct InFlight {
    slot: Slot,
    crc: u32,
    location: WalLocation,
    members: Vec<(Arc<dyn GroupMember>, Vec<CommittedRun>)>,
    done: Arc<GroupDone>,
    queued_bytes: usize,
    encoded_bytes: u64,
    batches: u64,
    write_began: std::time::Instant,
}

struct Chain {
    next_slot: Slot,
    last_crc: u32,
    put_id: u64,
}

/// Where the log goes on.
#[derive(Clone, Copy, Debug)]
pub struct CommitStart {
    /// Identity of the log.
    pub incarnation: Incarnation,
    /// Next slot to write.
    pub next_slot: Slot,
    /// Header CRC of the group before.
    pub last_crc: u32,
    /// A random number; put ids count up from it.
    pub put_id_base: u64,
}

impl Committer {
    /// Starts the commit thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(sink: Arc<dyn WalSink>, start: CommitStart, on_fatal: OnFatal) -> std::io::Result<Self> {
        let limits = sink.limits();
        let (shared, chain) = Shared::new(sink, start, on_fatal);
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let mut threads = Vec::new();
        if limits.groups_in_flight_max <= 1 {
            let worker = shared.clone();
            threads.push(spawn("wal", Box::new(move || worker.run_one_at_a_time(chain)))?);
        } else {
            let (sender, receiver) = std::sync::mpsc::sync_channel(limits.groups_in_flight_max - 1);
            let worker = shared.clone();
            threads.push(spawn(
                "wal-write",
                Box::new(move || worker.run_submitting(chain, &sender)),
            )?);
            let worker = shared.clone();
            threads.push(spawn(
                "wal-done",
                Box::new(move || worker.run_completing(&receiver)),
            )?);
        }
        Ok(Self {
            shared,
            threads: Mutex::new(threads),
            by_hand: None,
        })
    }

    /// Makes a commit path without threads: groups are written by [`Committer::step`] alone. For simulations, where
    /// the order of everything is given by a seed.
    #[must_use]
    pub fn by_hand(sink: Arc<dyn WalSink>, start: CommitStart, on_fatal: OnFatal) -> Self {
        let (shared, chain) = Shared::new(sink, start, on_fatal);
        Self {
            shared,
            threads: Mutex::default(),
            by_hand: Some(Mutex::new(chain)),
        }
    }

    /// Writes the next group, when there are no threads that do; `false` when none waits or the log failed.
    pub fn step(&self) -> bool {
        let Some(chain) = &self.by_hand else { return false };
        let group = {
            let mut queue = self.shared.queue.lock();
            match &queue.failed {
                Some(_) => None,
                None => queue.groups.pop_front(),
            }
        };
        group.is_some_and(|group| match self.shared.commit_one(&mut chain.lock(), group) {
            Ok(()) => true,
            Err(error) => {
                self.shared.fail(error);
                false
            }
        })
    }

    /// Waits for a ticket of this log, blocking the thread; without threads, by writing what is before it.
    ///
    /// # Errors
    /// When the append will never be durable.
    pub fn wait_for(&self, ticket: &Ticket) -> Result<(), CommitError> {
        while !ticket.is_done() && self.step() {}
        ticket.wait()
    }

    /// Adds an entry to the open group. Never blocks; the caller bounds what it pushes (see [`Committer::room`]).
    ///
    /// # Errors
    /// When the log failed or is closing.
    pub fn push(&self, member: Arc<dyn GroupMember>, content: EntryContent) -> Result<Ticket, CommitError> {
        self.push_all(&member, [content])?.ok_or(CommitError::Closed)
    }

    /// Adds entries of one log at once: nothing comes in between, and what fits into one group is in one, all or
    /// nothing after a crash. Returns the ticket of the last, `None` for no entries. Never blocks.
    ///
    /// # Errors
    /// As [`Committer::push`]; nothing was added then.
    pub fn push_all(
        &self,
        member: &Arc<dyn GroupMember>,
        contents: impl IntoIterator<Item = EntryContent>,
    ) -> Result<Option<Ticket>, CommitError> {
        let id = member.id();
        let mut queue = self.shared.queue.lock();
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.closing {
            return Err(CommitError::Closed);
        }
        let group_bytes_max = self.shared.group_bytes_max;
        let was_idle = queue.groups.is_empty();
        let (mut added, mut last) = (0, None);
        for content in contents {
            let len = entry_len(&content);
            let full = queue
                .groups
                .back()
                .is_none_or(|group| !group.entries.is_empty() && group.encoded_len + len > group_bytes_max);
            if full {
                queue.groups.push_back(OpenGroup::new());
            }
            let group = queue
                .groups
                .back_mut()
                .expect("a group was pushed when there was none");
            group.entries.push(Entry {
                member: Arc::clone(member),
                id,
                content,
            });
            group.encoded_len += len;
            added += len;
            last = Some(Arc::clone(&group.done));
        }
        self.shared
            .counters
            .queued_bytes
            .fetch_add(added, Ordering::Relaxed);
        drop(queue);
        if was_idle && last.is_some() {
            self.shared.work.notify_one();
        }
        Ok(last.map(Ticket))
    }

    /// Returns the notifier that fires after each completed group: waits for room hang on it.
    #[must_use]
    pub fn room(&self) -> &Notify {
        &self.shared.room
    }

    /// Returns the counters.
    #[must_use]
    pub fn counters(&self) -> &CommitCounters {
        &self.shared.counters
    }

    /// Returns the slot after the last durable group that all its partitions took note of.
    #[must_use]
    pub fn next_slot(&self) -> Slot {
        Slot(self.shared.next_slot.load(Ordering::Acquire))
    }

    /// Returns the header CRC of the last durable group. Belongs to [`Committer::next_slot`] once the log is closed.
    #[must_use]
    pub fn last_crc(&self) -> u32 {
        self.shared.last_crc.load(Ordering::Acquire)
    }

    /// Returns why the log failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<CommitError> {
        self.shared.queue.lock().failed.clone()
    }

    /// Refuses later pushes; what was pushed goes on.
    pub fn refuse(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.work.notify_all();
    }

    /// Commits what was pushed, then stops the thread. Later pushes are refused.
    pub fn close(&self) {
        while self.step() {}
        self.refuse();
        for thread in self.threads.lock().drain(..) {
            // The thread itself may hold the last reference. A panic there was reported when it happened and
            // failed the waiters.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        self.shared.sink.close();
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.sink.close();
        self.close();
    }
}

fn entry_len(content: &EntryContent) -> usize {
    match content {
        EntryContent::Batch(batch) => batch.bytes.len() + encoded_len(0, 1) - encoded_len(0, 0),
        EntryContent::Event(_) => encoded_len(0, 1) - encoded_len(0, 0),
    }
}

impl Shared {
    fn new(sink: Arc<dyn WalSink>, start: CommitStart, on_fatal: OnFatal) -> (Arc<Self>, Chain) {
        let group_bytes_max = sink.limits().group_bytes_max;
        let shared = Arc::new(Self {
            sink,
            incarnation: start.incarnation,
            group_bytes_max,
            queue: Mutex::new(Queue {
                groups: VecDeque::new(),
                failed: None,
                closing: false,
            }),
            work: Condvar::new(),
            room: Notify::new(),
            next_slot: AtomicU64::new(start.next_slot.0),
            last_crc: AtomicU32::new(start.last_crc),
            counters: CommitCounters::default(),
            on_fatal,
        });
        let chain = Chain {
            next_slot: start.next_slot,
            last_crc: start.last_crc,
            put_id: start.put_id_base,
        };
        (shared, chain)
    }

    fn run_one_at_a_time(&self, mut chain: Chain) {
        let _guard = FailOnPanic(self);
        while let Some(group) = self.next_group() {
            if let Err(error) = self.commit_one(&mut chain, group) {
                return self.fail(error);
            }
        }
    }

    fn commit_one(&self, chain: &mut Chain, group: OpenGroup) -> Result<(), SinkError> {
        let sealed = self.submit(chain, group)?;
        match self.sink.wait_durable() {
            Ok(slot) => {
                debug_assert_eq!(slot, sealed.slot);
                self.complete(sealed);
                Ok(())
            }
            Err(error) => {
                sealed.done.complete(Err(CommitError::Log(error.clone())));
                Err(error)
            }
        }
    }

    fn run_submitting(&self, mut chain: Chain, sender: &std::sync::mpsc::SyncSender<InFlight>) {
        let _guard = FailOnPanic(self);
        while let Some(group) = self.next_group() {
            match self.submit(&mut chain, group) {
                Ok(sealed) => {
                    if let Err(refused) = sender.send(sealed) {
                        let error = self.queue.lock().failed.clone().unwrap_or(CommitError::Closed);
                        refused.0.done.complete(Err(error));
                        return;
                    }
                }
                Err(error) => return self.fail(error),
            }
        }
    }

    fn run_completing(&self, receiver: &std::sync::mpsc::Receiver<InFlight>) {
        let _guard = FailOnPanic(self);
        while let Ok(sealed) = receiver.recv() {
            match self.sink.wait_durable() {
                Ok(slot) => {
                    debug_assert_eq!(slot, sealed.slot);
                    self.complete(sealed);
                }
                Err(error) => {
                    self.fail(error.clone());
                    sealed.done.complete(Err(CommitError::Log(error.clone())));
                    for pending in receiver.try_iter() {
                        pending.done.complete(Err(CommitError::Log(error.clone())));
                    }
                    return;
                }
            }
        }
    }

    /// Waits for a group with entries; `None` when closing and all is written.
    fn next_group(&self) -> Option<OpenGroup> {
        let mut queue = self.queue.lock();
        loop {
            if queue.failed.is_some() {
                return None;
            }
            if let Some(group) = queue.groups.pop_front() {
                return Some(group);
            }
            if queue.closing {
                return None;
            }
            self.work.wait(&mut queue);
        }
    }

    fn submit(&self, chain: &mut Chain, group: OpenGroup) -> Result<InFlight, SinkError> {
        if is_planted(Bug::AcknowledgedEarly) {
            group.done.complete(Ok(()));
            // Long enough for a kill to come in between.
            #[cfg(all(not(test), feature = "planted-faults"))]
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let queued_bytes = group.entries.iter().map(|entry| entry_len(&entry.content)).sum();
        let batches = group
            .entries
            .iter()
            .filter(|e| matches!(e.content, EntryContent::Batch(_)))
            .count() as u64;
        let (done, opened) = (group.done, group.opened);
        let mut members = gather(group.entries);
        let flat: Vec<EncodeRun<'_>> = members
            .iter()
            .flat_map(|(member, runs)| {
                let id = member.id();
                runs.iter().map(move |run| EncodeRun {
                    run: Run {
                        id,
                        content: run.content,
                    },
                    parts: &run.parts,
                })
            })
            .collect();
        let payload: usize = flat.iter().flat_map(|run| run.parts).map(Bytes::len).sum();
        let len = encoded_len(payload, flat.len());
        let slot = chain.next_slot;
        let header = GroupHeader {
            incarnation: self.incarnation,
            slot,
            put_id: chain.put_id,
            previous_crc: chain.last_crc,
        };
        let mut buffer = self.sink.buffer();
        buffer.resize(len.next_multiple_of(crate::disk::BLOCK));
        let (placed, crc) = encode(&header, &flat, buffer.as_mut_slice());
        drop(flat);
        let encoded_bytes = buffer.as_slice().len() as u64;
        let write_began = std::time::Instant::now();
        self.counters.wait_nanos.observe_duration(write_began - opened);
        let submitted = self.sink.submit(SealedGroup { slot, buffer });
        let location = match submitted {
            Ok(location) => location,
            Err(error) => {
                done.complete(Err(CommitError::Log(error.clone())));
                return Err(error);
            }
        };
        chain.next_slot = slot.next();
        chain.last_crc = crc;
        chain.put_id = chain.put_id.wrapping_add(1);
        for (run, placed) in members.iter_mut().flat_map(|(_, runs)| runs).zip(placed) {
            run.slot = slot;
            run.location = location;
            run.content = placed.content;
        }
        Ok(InFlight {
            slot,
            crc,
            location,
            members,
            done,
            queued_bytes,
            encoded_bytes,
            batches,
            write_began,
        })
    }

    fn complete(&self, group: InFlight) {
        tracing::trace!(
            slot = group.slot.0,
            position = group.location.position,
            "group durable"
        );
        // First of all, or the time would include what the partitions do with the group.
        self.counters
            .flush_nanos
            .observe_duration(group.write_began.elapsed());
        self.counters.group_bytes.observe(group.encoded_bytes);
        let mut woken = Vec::with_capacity(group.members.len());
        for (member, runs) in group.members {
            member.clone().committed(runs);
            woken.push(member);
        }
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        self.counters
            .bytes
            .fetch_add(group.encoded_bytes, Ordering::Relaxed);
        self.counters.batches.fetch_add(group.batches, Ordering::Relaxed);
        self.counters
            .queued_bytes
            .fetch_sub(group.queued_bytes, Ordering::Relaxed);
        self.last_crc.store(group.crc, Ordering::Release);
        // After the partitions know: a trim that sees this slot sees their uncovered entries too.
        self.next_slot.store(group.slot.next().0, Ordering::Release);
        group.done.complete(Ok(()));
        for member in woken {
            member.wake();
        }
        self.room.notify_waiters();
    }

    fn fail(&self, error: SinkError) {
        let error = match error {
            SinkError::Closed => CommitError::Closed,
            other => CommitError::Log(other),
        };
        let groups = {
            let mut queue = self.queue.lock();
            if queue.failed.is_none() {
                queue.failed = Some(error.clone());
            }
            std::mem::take(&mut queue.groups)
        };
        for group in groups {
            group.done.complete(Err(error.clone()));
        }
        self.work.notify_all();
        self.room.notify_waiters();
        if let CommitError::Log(_) = error {
            (self.on_fatal)(&error);
        }
    }
}

/// Fails the log when its thread panics: waiters must not hang, and nothing may be acknowledged after.
struct FailOnPanic<'a>(&'a Shared);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(SinkError::Fatal {
                file: "-".into(),
                what: "the commit thread panicked".into(),
            });
        }
    }
}

#[cfg(test)]
#[path = "commit_test.rs"]
mod tests;
