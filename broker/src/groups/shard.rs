//! One shard with its log: step, append, answer, under one lock.
//!
//! A shard whose append fails has a memory that its log does not know. It drops it, sends everybody away and, unless
//! the log itself is gone, is loaded again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use thalweg_coordinator::group::{
    GroupError, GroupReply, GroupShard, GroupShardStats, ReplyToken, Step, TopicName, TxnOffsetCommit,
};
use thalweg_coordinator::transaction::Outcome;
use thalweg_storage::commit::Ticket;
use thalweg_storage::log::{
    AppendError, Appended, PartitionLog, TransactionMarker, TransactionStart, VerificationGuard,
};
use thalweg_types::{PartitionIndex, ProducerId, TimestampMs};
use thalweg_wire::records::{BatchOptions, ProducerStamp, Transactionality};
use tokio::sync::oneshot;

use super::asked::{Ask, Asked, Delivered};
use super::events::log_event;
use super::load::Loaded;
use super::markers::{OffsetsVerification, outcome_of};
use super::shared::{RandomIds, Shared};
use super::view::add_stats;
use crate::coordinator_log::{LoadShard, NEVER, Record, RecordsError, append_records};
use crate::topics::Topics;

/// One shard, its log, and who waits for it.
pub(super) struct ShardRunner {
    partition: PartitionIndex,
    log: Arc<PartitionLog>,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// The shard's next deadline, for the timer task to read without the lock.
    deadline: AtomicI64,
}

struct State {
    shard: GroupShard,
    phase: Phase,
    waiting: HashMap<ReplyToken, oneshot::Sender<Delivered>>,
    /// Topics that were deleted while the shard was not loaded; their names may belong to new ones.
    deleted_while_loading: HashSet<TopicName>,
    /// Transactions that were decided while the shard was not loaded. Later markers of a producer decide nothing.
    decided_while_loading: BTreeMap<ProducerId, Outcome>,
    /// Counters of the shards that were here before a failed append.
    past_stats: GroupShardStats,
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
    const TOPIC: &'static str = super::OFFSETS_TOPIC;

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
            shard: GroupShard::new(shared.config.clone()),
            phase: Phase::Loading { problem: None },
            waiting: HashMap::new(),
            deleted_while_loading: HashSet::new(),
            decided_while_loading: BTreeMap::new(),
            past_stats: GroupShardStats::default(),
        };
        Self {
            partition,
            log,
            shared,
            state: Mutex::new(state),
            deadline: AtomicI64::new(NEVER),
        }
    }

    /// Serves at once if there is nothing to load; else queues for it.
    pub(super) fn start(self: &Arc<Self>) {
        let offsets = self.log.offsets();
        if offsets.log_start_offset == offsets.log_end_offset {
            self.install(Loaded::empty(self.shared.config.clone()), &HashSet::new());
        } else {
            self.shared.load(Arc::clone(self));
        }
    }

    pub(super) fn log(&self) -> &Arc<PartitionLog> {
        &self.log
    }

    pub(super) fn commit_timeout(&self) -> Duration {
        self.shared.commit_timeout
    }

    /// Returns the shard's next deadline, or [`NEVER`].
    pub(super) fn deadline(&self) -> i64 {
        self.deadline.load(Ordering::SeqCst)
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
    pub(super) fn read<T>(&self, read: impl FnOnce(&GroupShard) -> T) -> T {
        read(&self.state.lock().shard)
    }

    /// Returns the counters since the start of the broker.
    pub(super) fn stats(&self) -> GroupShardStats {
        let state = self.state.lock();
        let mut stats = state.past_stats.clone();
        add_stats(&mut stats, state.shard.stats());
        stats
    }

    /// Puts a request to the shard.
    pub(super) fn ask<R: Ask>(self: &Arc<Self>, request: R) -> Asked<R> {
        let (sender, receiver) = oneshot::channel();
        let token = self.shared.next_token();
        let mut state = self.state.lock();
        let now = self.shared.clock.now();
        state.waiting.insert(token, sender);
        let step = state
            .shard
            .step(now, &mut RandomIds, request.into_request(), token);
        self.settle(&mut state, step, now);
        if self.shared.is_stopping() {
            state.send_away(token, GroupError::NotCoordinator);
        }
        drop(state);
        Asked::new(Arc::clone(self), token, receiver)
    }

    /// Begins the verification of a producer that commits offsets here; `None` if its transaction is open here.
    pub(super) fn begin_verification(&self, start: TransactionStart) -> Option<VerificationGuard> {
        self.log.begin_verification(start, self.shared.clock.now())
    }

    /// Puts a verified transactional commit to the shard. Markers come under the same lock, so that none can pass
    /// between the look at the verification and the append.
    pub(super) fn ask_transactional(
        self: &Arc<Self>,
        request: TxnOffsetCommit,
        verified: &OffsetsVerification,
    ) -> Result<Asked<TxnOffsetCommit>, GroupError> {
        let (sender, receiver) = oneshot::channel();
        let token = self.shared.next_token();
        let mut state = self.state.lock();
        let now = self.shared.clock.now();
        let valid = self.log.begin_verification(verified.start, now);
        if valid.is_some() && valid != verified.guard {
            return Err(GroupError::TransactionEnded);
        }
        state.waiting.insert(token, sender);
        let step = state
            .shard
            .step(now, &mut RandomIds, request.into_request(), token);
        self.settle_verified(&mut state, (step, valid), now);
        if self.shared.is_stopping() {
            state.send_away(token, GroupError::NotCoordinator);
        }
        drop(state);
        Ok(Asked::new(Arc::clone(self), token, receiver))
    }

    /// Appends the marker of a producer's transaction, and decides what the transaction has pending here. A shard that
    /// is being loaded decides it when it is there: no later transaction can commit to it before.
    pub(super) fn append_marker(&self, marker: TransactionMarker) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        let appended = self.log.append_marker(marker, self.shared.clock.now())?;
        let outcome = outcome_of(marker.outcome);
        #[cfg(feature = "planted-faults")]
        let outcome = crate::planted::group_outcome(outcome);
        match state.phase {
            Phase::Loading { .. } => {
                let decided = &mut state.decided_while_loading;
                decided.entry(marker.producer_id).or_insert(outcome);
            }
            Phase::Serving => state.shard.complete_transaction(marker.producer_id, outcome),
            Phase::Gone => {}
        }
        Ok(appended)
    }

    /// Takes back a request that nobody waits for any more.
    pub(super) fn forget(self: &Arc<Self>, token: ReplyToken) {
        let mut state = self.state.lock();
        // A broker that stops closes all connections: that is no news of the members.
        if state.waiting.remove(&token).is_none() || self.shared.is_stopping() {
            return;
        }
        let now = self.shared.clock.now();
        let step = state.shard.forget(now, token);
        self.settle(&mut state, step, now);
    }

    /// Runs what is due and returns the next deadline.
    pub(super) fn tick(self: &Arc<Self>, now: TimestampMs) -> Option<TimestampMs> {
        if self.deadline() <= now.get() {
            let mut state = self.state.lock();
            let step = state.shard.tick(now);
            self.settle(&mut state, step, now);
        }
        Some(self.deadline()).filter(|at| *at != NEVER).map(TimestampMs)
    }

    /// Removes the offsets of deleted topics; the ticket says when that is durable. A shard that is not loaded removes
    /// them when it is: what it holds then was committed before, whatever topic has the name by that time.
    pub(super) fn topics_deleted(self: &Arc<Self>, topics: &[TopicName]) -> Option<Ticket> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Loading { .. } => {
                state.deleted_while_loading.extend(topics.iter().cloned());
                None
            }
            Phase::Serving => {
                let now = self.shared.clock.now();
                let step = state.shard.topics_deleted(now, topics);
                let wrote = !step.records.is_empty();
                self.settle(&mut state, step, now);
                wrote.then(|| self.log.last_ticket()).flatten()
            }
            Phase::Gone => None,
        }
    }

    /// Removes the offsets of all topics that no longer exist.
    pub(super) fn remove_lost_topics(self: &Arc<Self>, topics: &Topics) {
        let mut state = self.state.lock();
        self.remove_lost(&mut state, &|name| topics.by_name(name).is_some());
    }

    /// Puts a loaded shard in place and starts to serve. Offsets of topics that were not there when the broker started
    /// are lost: a crash came before their removal, and a topic that has the name by now is another one. No commit was
    /// taken before this.
    pub(super) fn install(self: &Arc<Self>, loaded: Loaded, at_start: &HashSet<TopicName>) {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Loading { .. }) {
            return;
        }
        state.shard = loaded.shard;
        state.phase = Phase::Serving;
        for (producer_id, outcome) in std::mem::take(&mut state.decided_while_loading) {
            state.shard.complete_transaction(producer_id, outcome);
        }
        let now = self.shared.clock.now();
        let step = state.shard.loaded(now);
        self.settle(&mut state, step, now);
        self.remove_lost(&mut state, &|name| at_start.contains(name));
    }

    /// Answers everybody who waits for other members: the broker stops, the client finds the next coordinator.
    /// Commits and heartbeats are served on.
    pub(super) fn release_parked(&self) {
        let mut state = self.state.lock();
        for (_, sender) in state.waiting.drain() {
            let _ = sender.send(Err(GroupError::NotCoordinator));
        }
    }

    fn remove_lost(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        is_live: &dyn Fn(&TopicName) -> bool,
    ) {
        if !matches!(state.phase, Phase::Serving) {
            return;
        }
        let deleted = std::mem::take(&mut state.deleted_while_loading);
        let names: HashSet<&TopicName> = state
            .shard
            .groups()
            .flat_map(|group| group.offsets().map(|(topic, _, _)| topic))
            .collect();
        let mut lost: Vec<TopicName> = names
            .into_iter()
            .filter(|name| deleted.contains(*name) || !is_live(name))
            .cloned()
            .collect();
        if lost.is_empty() {
            return;
        }
        lost.sort_unstable();
        let now = self.shared.clock.now();
        let step = state.shard.topics_deleted(now, &lost);
        self.settle(state, step, now);
    }

    /// Does what a step asks for.
    fn settle(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, step: Step, now: TimestampMs) {
        self.settle_verified(state, (step, None), now);
    }

    fn settle_verified(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        (step, guard): (Step, Option<VerificationGuard>),
        now: TimestampMs,
    ) {
        for event in &step.events {
            log_event(event);
        }
        match self.append(&step, guard, now) {
            Ok(()) => state.answer(step.replies, &self.log),
            Err(error) => self.abandon(state, &error),
        }
        let deadline = state.shard.next_deadline().map_or(NEVER, TimestampMs::get);
        if self.deadline.swap(deadline, Ordering::SeqCst) > deadline {
            self.shared.alarm.wake_by(deadline);
        }
    }

    fn append(
        &self,
        step: &Step,
        guard: Option<VerificationGuard>,
        now: TimestampMs,
    ) -> Result<(), RecordsError> {
        let mut options = BatchOptions::default();
        if let Some(producer) = step.producer {
            options.transactionality = Transactionality::Transactional;
            options.producer = Some(ProducerStamp {
                id: producer.id,
                epoch: producer.epoch,
                base_sequence: -1,
            });
        }
        let records = step.records.iter().map(|record| Record {
            key: &record.key,
            value: record.value.as_ref(),
        });
        append_records(&self.log, records, (options, guard), now)
    }

    /// Drops a memory that the log does not know, and whoever waits for it.
    fn abandon(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, error: &RecordsError) {
        let is_gone = error.is_gone();
        let refusal = if is_gone {
            GroupError::NotCoordinator
        } else {
            GroupError::CoordinatorNotAvailable
        };
        for (_, sender) in state.waiting.drain() {
            let _ = sender.send(Err(refusal));
        }
        let stats = state.shard.stats().clone();
        add_stats(&mut state.past_stats, &stats);
        state.shard = GroupShard::new(self.shared.config.clone());
        if is_gone {
            tracing::warn!(partition = self.partition.0, %error, "consumer groups stop: their log is closed");
            let _ = state.shard.unload();
            state.phase = Phase::Gone;
        } else {
            tracing::error!(
                partition = self.partition.0,
                %error,
                "a record of __consumer_offsets could not be appended; its groups are loaded again"
            );
            state.phase = Phase::Loading {
                problem: Some(error.to_string()),
            };
            self.shared.load(Arc::clone(self));
        }
    }
}

impl State {
    /// Hands replies to those who wait, with the newest ticket of the log: nothing later can be in them.
    fn answer(&mut self, replies: Vec<(ReplyToken, GroupReply)>, log: &PartitionLog) {
        if replies.is_empty() {
            return;
        }
        let ticket = log.last_ticket();
        for (token, reply) in replies {
            if let Some(sender) = self.waiting.remove(&token) {
                // Nobody listens if the connection closed a moment ago.
                let _ = sender.send(Ok((reply, ticket.clone())));
            }
        }
    }

    fn send_away(&mut self, token: ReplyToken, error: GroupError) {
        if let Some(sender) = self.waiting.remove(&token) {
            let _ = sender.send(Err(error));
        }
    }
}
