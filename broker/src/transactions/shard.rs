//! One shard with its log: step, append, answer, under one lock.
//!
//! A shard whose append fails has a memory that its log does not know. It drops it, refuses the request and, unless the
//! log itself is gone, is loaded again. Markers that the lost memory asked for must not be written after that: each
//! load counts a new term, and whoever writes markers holds `writing` and looks at the term first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use thalweg_coordinator::transaction::{
    MarkerWork, NeedsProducerId, TransactionError, TransactionReply, TransactionRequest, TransactionShard,
    TransactionShardStats, TransactionStep,
};
use thalweg_storage::commit::Ticket;
use thalweg_storage::log::PartitionLog;
use thalweg_types::{PartitionIndex, ProducerId, TimestampMs};
use thalweg_wire::records::BatchOptions;
use tokio::sync::{Notify, RwLock};

use super::asked::Answer;
use super::events::log_event;
use super::load::Loaded;
use super::markers::Work;
use super::shared::Shared;
use crate::coordinator_log::{LoadShard, NEVER, Record, RecordsError, append_records};

/// One shard and its log.
pub(super) struct ShardRunner {
    partition: PartitionIndex,
    log: Arc<PartitionLog>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// The shard's next deadline, for the timer task to read without the lock.
    deadline: AtomicI64,
    /// Told whenever a transaction has ended.
    pub(super) ended: Notify,
    /// Held for reading while markers are written, for writing while the shard is loaded.
    pub(super) writing: Arc<RwLock<()>>,
}

struct State {
    shard: TransactionShard,
    phase: Phase,
    /// Counts the loads.
    term: u64,
    /// Counters of the shards that were here before a failed append.
    past_stats: TransactionShardStats,
}

/// As the shard's own, with what this side must know.
enum Phase {
    Loading {
        problem: Option<String>,
    },
    Serving,
    /// The log is gone; so is the process, soon.
    Gone,
}

impl fmt::Debug for ShardRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardRunner({})", self.partition)
    }
}

impl LoadShard for ShardRunner {
    const TOPIC: &'static str = super::TRANSACTION_TOPIC;

    fn partition(&self) -> PartitionIndex {
        self.partition
    }

    fn note_load_problem(&self, what: String) {
        if let Phase::Loading { problem } = &mut self.state.lock().phase {
            *problem = Some(what);
        }
    }
}

impl ShardRunner {
    /// Returns a shard that waits to be loaded.
    pub(super) fn new(partition: PartitionIndex, log: Arc<PartitionLog>, shared: Arc<Shared>) -> Self {
        let state = State {
            shard: TransactionShard::new(shared.config.clone()),
            phase: Phase::Loading { problem: None },
            term: 0,
            past_stats: TransactionShardStats::default(),
        };
        Self {
            partition,
            log,
            shared,
            state: Mutex::new(state),
            deadline: AtomicI64::new(NEVER),
            ended: Notify::new(),
            writing: Arc::default(),
        }
    }

    /// Serves at once if there is nothing to load; else queues for it.
    pub(super) fn start(self: &Arc<Self>) {
        let offsets = self.log.offsets();
        if offsets.log_start_offset == offsets.log_end_offset {
            self.install(Loaded::empty(self.shared.config.clone()));
        } else {
            self.shared.load(Arc::clone(self));
        }
    }

    pub(super) fn log(&self) -> &Arc<PartitionLog> {
        &self.log
    }

    /// The term of this coordinator in its markers: the leader epoch, which every start raises.
    pub(super) fn coordinator_epoch(&self) -> i32 {
        self.log.offsets().leader_epoch.0
    }

    /// Returns `None` if the shard serves, else what kept it from being loaded, if anything.
    pub(super) fn load_problem(&self) -> Option<Option<String>> {
        match &self.state.lock().phase {
            Phase::Serving => None,
            Phase::Loading { problem } => Some(problem.clone()),
            Phase::Gone => Some(Some("its log is closed".into())),
        }
    }

    /// Reads the shard. Must be short: requests wait.
    pub(super) fn read<T>(&self, read: impl FnOnce(&TransactionShard) -> T) -> T {
        read(&self.state.lock().shard)
    }

    /// Returns the counters since the start of the broker.
    pub(super) fn stats(&self) -> TransactionShardStats {
        let state = self.state.lock();
        let mut stats = state.past_stats.clone();
        stats.add(state.shard.stats());
        stats
    }

    /// Puts a request to the shard.
    pub(super) fn ask(
        self: &Arc<Self>,
        request: &TransactionRequest,
        spare: &mut Option<ProducerId>,
    ) -> Result<Answer, NeedsProducerId> {
        let mut state = self.state.lock();
        let now = self.shared.clock.now();
        let mut step = state.shard.step(now, request, spare)?;
        let reply = step.reply.take();
        let outcome = self.settle(&mut state, step, now);
        // Nothing later can be in the reply.
        let ticket = self.log.last_ticket();
        drop(state);
        let reply = match (outcome, reply) {
            (Ok(()), Some(reply)) => reply,
            (Err(error), _) => refused(request, error),
            (Ok(()), None) => refused(request, TransactionError::CoordinatorNotAvailable),
        };
        Ok(Answer { reply, ticket })
    }

    /// Runs what is due and returns the next deadline.
    pub(super) fn tick(self: &Arc<Self>, now: TimestampMs) -> Option<TimestampMs> {
        if self.deadline.load(Ordering::SeqCst) <= now.get() {
            let mut state = self.state.lock();
            let step = state.shard.tick(now);
            let _ = self.settle(&mut state, step, now);
        }
        Some(self.deadline.load(Ordering::SeqCst))
            .filter(|at| *at != NEVER)
            .map(TimestampMs)
    }

    /// Reports whether the shard that asked for markers in this term is the one that serves.
    pub(super) fn is_in_term(&self, term: u64) -> bool {
        let state = self.state.lock();
        state.term == term && matches!(state.phase, Phase::Serving)
    }

    /// Takes note that all markers of a transaction are durable.
    pub(super) fn markers_written(self: &Arc<Self>, term: u64, work: &MarkerWork) {
        let mut state = self.state.lock();
        if state.term == term && matches!(state.phase, Phase::Serving) {
            let now = self.shared.clock.now();
            let step = state.shard.markers_written(now, work);
            let _ = self.settle(&mut state, step, now);
        }
        drop(state);
        self.ended.notify_waiters();
    }

    /// Puts a loaded shard in place and starts to serve.
    pub(super) fn install(self: &Arc<Self>, loaded: Loaded) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Loading { .. }) {
            return;
        }
        state.shard = loaded.shard;
        state.phase = Phase::Serving;
        state.term += 1;
        let now = self.shared.clock.now();
        let step = state.shard.loaded(now);
        let _ = self.settle(&mut state, step, now);
    }

    /// Does what a step asks for, but for its reply.
    fn settle(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        step: TransactionStep,
        now: TimestampMs,
    ) -> Result<(), TransactionError> {
        for event in &step.events {
            log_event(event);
        }
        let records = step.records.iter().map(|record| Record {
            key: &record.key,
            value: record.value.as_ref(),
        });
        if let Err(error) = append_records(&self.log, records, (BatchOptions::default(), None), now) {
            return Err(self.abandon(state, &error));
        }
        if !step.markers.is_empty() {
            let (term, prepared) = (state.term, self.log.last_ticket());
            for markers in step.markers {
                self.write_markers(term, &prepared, markers);
            }
        }
        self.set_deadline(state);
        Ok(())
    }

    fn write_markers(self: &Arc<Self>, term: u64, prepared: &Option<Ticket>, markers: MarkerWork) {
        self.shared.write_markers(Work::new(
            (Arc::clone(self), term),
            prepared.clone(),
            markers,
            Arc::clone(&self.shared),
        ));
    }

    fn set_deadline(&self, state: &State) {
        let deadline = state.shard.next_deadline().map_or(NEVER, TimestampMs::get);
        if self.deadline.swap(deadline, Ordering::SeqCst) > deadline {
            self.shared.alarm.wake_by(deadline);
        }
    }

    /// Drops a memory that the log does not know.
    fn abandon(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        error: &RecordsError,
    ) -> TransactionError {
        let stats = state.shard.stats().clone();
        state.past_stats.add(&stats);
        state.shard = TransactionShard::new(self.shared.config.clone());
        state.term += 1;
        let refusal = if error.is_gone() {
            tracing::warn!(partition = self.partition.0, %error, "transactions stop: their log is closed");
            state.shard.unload();
            state.phase = Phase::Gone;
            TransactionError::NotCoordinator
        } else {
            tracing::error!(
                partition = self.partition.0,
                %error,
                "a record of __transaction_state could not be appended; its transactional ids are loaded again"
            );
            state.phase = Phase::Loading {
                problem: Some(error.to_string()),
            };
            self.shared.load(Arc::clone(self));
            TransactionError::CoordinatorNotAvailable
        };
        self.set_deadline(state);
        refusal
    }
}

/// Answers a request whose records are not in the log.
fn refused(request: &TransactionRequest, error: TransactionError) -> TransactionReply {
    match request {
        TransactionRequest::Init(_) => TransactionReply::Init(Err(error)),
        TransactionRequest::Add(_) => TransactionReply::Add(Err(error)),
        TransactionRequest::Verify(_) => TransactionReply::Verify(Err(error)),
        TransactionRequest::End(_) => TransactionReply::End(Err(error)),
        TransactionRequest::Describe(_) => TransactionReply::Describe(Err(error)),
        TransactionRequest::List(_) => TransactionReply::List(Err(error)),
    }
}
