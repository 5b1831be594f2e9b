//! The transactional ids of one `__transaction_state` partition, and the door to them.
//!
//! A shard is made empty, fed its log ([`TransactionShard::replay`]), started ([`TransactionShard::loaded`]), driven by
//! requests ([`TransactionShard::step`]), time ([`TransactionShard::tick`]) and finished markers
//! ([`TransactionShard::markers_written`]), and stopped ([`TransactionShard::unload`]).
//! Invariant: an id in a prepared state has marker work on its way, given out by the step that prepared it or by the
//! load that found it; only the answer to that work ends the state.

use std::collections::BTreeMap;
use std::ops::Bound;

use thalweg_types::{Offset, ProducerId, TimestampMs};

use super::config::TransactionConfig;
use super::error::{TransactionError, TransactionReplayError};
use super::id::{ProducerIdAndEpoch, TransactionalId};
use super::init::Init;
use super::metadata::{Decision, EpochRise, TransactionMetadata};
use super::replay::{TransactionReplayed, replay};
use super::request::{
    AddPartitions, EndTransaction, InitProducerId, ListTransactions, ListedTransaction, NeedsProducerId,
    TransactionReply, TransactionRequest, VerifiedPartition, VerifyPartitions,
};
use super::state::{Outcome, TransactionState, TransactionVersion};
use super::step::{AbortCause, MarkerWork, TransactionEvent, TransactionRecord, TransactionStep};
use super::summary::{TransactionShardStats, TransactionSummary};
use crate::record::{STRING_BYTES_MAX, TransactionLogKey};
use crate::timers::Timers;

/// What happens when a deadline passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum TimerKey {
    /// A transaction is open for too long.
    Timeout(TransactionalId),
    /// Ids may have expired.
    Expiry,
}

/// What a shard does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Asks to come back: its log is being replayed.
    Loading,
    /// Serves.
    Active,
    /// Sends away: somebody else has the partition, or nobody.
    Unloaded,
}

/// The transactional ids of one `__transaction_state` partition.
///
/// `now` is the time of the caller's clock. A jump ahead aborts open transactions, a jump back prolongs them; nothing
/// worse happens.
#[derive(Clone, Debug)]
pub struct TransactionShard {
    config: TransactionConfig,
    phase: Phase,
    transactions: BTreeMap<TransactionalId, TransactionMetadata>,
    timers: Timers<TimerKey>,
    stats: TransactionShardStats,
    /// The id after which the running look for expired ones goes on.
    expiry_cursor: Option<TransactionalId>,
    /// Numbers of the decisions whose markers are due.
    due: BTreeMap<TransactionalId, u64>,
    /// Decisions that got a number.
    decisions: u64,
}

impl TransactionShard {
    /// Returns a shard without ids that waits to be loaded. The settings must be valid
    /// ([`TransactionConfig::validate`]).
    #[must_use]
    pub fn new(config: TransactionConfig) -> Self {
        Self {
            config,
            phase: Phase::Loading,
            transactions: BTreeMap::new(),
            timers: Timers::default(),
            stats: TransactionShardStats::default(),
            expiry_cursor: None,
            due: BTreeMap::new(),
            decisions: 0,
        }
    }

    /// Applies one record of the log. For use before [`TransactionShard::loaded`].
    ///
    /// # Errors
    /// [`TransactionReplayError`] if a record of a known kind cannot be read. Nothing has changed then; whether to go
    /// on without it is the caller's decision.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        offset: Offset,
    ) -> Result<TransactionReplayed, TransactionReplayError> {
        debug_assert_eq!(
            self.phase,
            Phase::Loading,
            "records are replayed before the shard serves"
        );
        let replayed = replay(&mut self.transactions, key, value, offset)?;
        self.stats.records_skipped += u64::from(replayed == TransactionReplayed::Skipped);
        Ok(replayed)
    }

    /// Starts to serve: what was decided before the crash is carried out, what was open has the rest of its time.
    pub fn loaded(&mut self, now: TimestampMs) -> TransactionStep {
        self.phase = Phase::Active;
        let mut step = TransactionStep::default();
        self.timers
            .schedule(TimerKey::Expiry, now, self.config.expiration_interval_ms);
        for (id, metadata) in &self.transactions {
            if let Some(work) = metadata.marker_work(id, self.decisions + 1) {
                self.decisions += 1;
                self.due.insert(id.clone(), work.decision);
                step.markers.push(work);
            }
            if metadata.state == TransactionState::Ongoing {
                let key = TimerKey::Timeout(id.clone());
                self.timers.schedule(key, now, time_left(metadata, now));
            }
        }
        step
    }

    /// Stops to serve and forgets everything.
    pub fn unload(&mut self) {
        self.phase = Phase::Unloaded;
        self.transactions.clear();
        self.due.clear();
        self.timers.clear();
    }

    /// Handles one request; its reply is in the step. `spare` is taken when a new producer id is needed.
    ///
    /// # Errors
    /// [`NeedsProducerId`] when one is needed and there is none. Nothing has changed then.
    pub fn step(
        &mut self,
        now: TimestampMs,
        request: &TransactionRequest,
        spare: &mut Option<ProducerId>,
    ) -> Result<TransactionStep, NeedsProducerId> {
        let mut step = TransactionStep::default();
        let refused = match self.phase {
            Phase::Active => check_id(request).err(),
            Phase::Loading => Some(TransactionError::CoordinatorLoadInProgress),
            Phase::Unloaded => Some(TransactionError::NotCoordinator),
        };
        step.reply = Some(match refused {
            Some(error) => refuse(request, error),
            None => match request {
                TransactionRequest::Init(request) => {
                    TransactionReply::Init(self.init(now, request, spare, &mut step)?)
                }
                TransactionRequest::Add(request) => TransactionReply::Add(self.add(now, request, &mut step)),
                TransactionRequest::Verify(request) => TransactionReply::Verify(self.verify(request)),
                TransactionRequest::End(request) => {
                    TransactionReply::End(self.end(now, request, spare, &mut step)?)
                }
                TransactionRequest::Describe(request) => TransactionReply::Describe(
                    self.transactions
                        .get(&request.transactional_id)
                        .map(TransactionMetadata::describe)
                        .ok_or(TransactionError::TransactionalIdNotFound),
                ),
                TransactionRequest::List(request) => TransactionReply::List(Ok(self.list(request, now))),
            },
        });
        Ok(step)
    }

    /// Takes note that every marker of `work` is durable. Work that was done twice, or whose id has gone on, changes
    /// nothing.
    pub fn markers_written(&mut self, now: TimestampMs, work: &MarkerWork) -> TransactionStep {
        let mut step = TransactionStep::default();
        if self.phase != Phase::Active {
            return step;
        }
        let waiting = self.transactions.get(&work.transactional_id).filter(|metadata| {
            metadata.producer() == work.producer
                && metadata.state.prepared() == Some(work.outcome)
                && self.due.get(&work.transactional_id) == Some(&work.decision)
        });
        if let Some(metadata) = waiting {
            let next = metadata.complete(work.outcome, now);
            self.become_stored(now, &work.transactional_id, next, &mut step);
        }
        step
    }

    /// Runs what is due. Calling it too early or too often does no harm.
    pub fn tick(&mut self, now: TimestampMs) -> TransactionStep {
        let mut step = TransactionStep::default();
        let mark = self.timers.mark();
        while let Some(key) = self.timers.pop_due(now, mark) {
            match key {
                TimerKey::Timeout(id) => self.time_out(now, &id, &mut step),
                TimerKey::Expiry => self.expire(now, &mut step),
            }
        }
        step
    }

    /// Returns when [`TransactionShard::tick`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<TimestampMs> {
        self.timers.next_deadline()
    }

    /// Returns the counters of the shard.
    #[must_use]
    pub fn stats(&self) -> &TransactionShardStats {
        &self.stats
    }

    /// Returns a view of every id, in order.
    pub fn transactions(&self) -> impl Iterator<Item = TransactionSummary<'_>> {
        self.transactions
            .iter()
            .map(|(transactional_id, metadata)| TransactionSummary {
                transactional_id,
                metadata,
            })
    }

    fn init(
        &mut self,
        now: TimestampMs,
        request: &InitProducerId,
        spare: &mut Option<ProducerId>,
        step: &mut TransactionStep,
    ) -> Result<Result<ProducerIdAndEpoch, TransactionError>, NeedsProducerId> {
        if !(1..=self.config.timeout_ms_max).contains(&request.timeout_ms) {
            return Ok(Err(TransactionError::InvalidTransactionTimeout));
        }
        let id = &request.transactional_id;
        let init = match self.transactions.get(id) {
            Some(metadata) => metadata.initialize(request, now, spare)?,
            None if self.transactions.len() >= self.config.ids_max => {
                return Ok(Err(TransactionError::TransactionalIdsMaxReached));
            }
            None => {
                let producer_id = spare.take().ok_or(NeedsProducerId)?;
                TransactionMetadata::new(producer_id, request.timeout_ms, now)
                    .initialize(request, now, &mut None)?
            }
        };
        Ok(match init {
            Err(error) => Err(error),
            Ok(Init::Producer(decision)) => {
                let producer = self.settle(now, id, decision, step);
                step.events.push(TransactionEvent::ProducerInitialized {
                    transactional_id: id.clone(),
                    producer,
                });
                Ok(producer)
            }
            Ok(Init::AbortFirst(next)) => {
                self.note_fenced(id, AbortCause::TakenOver, step);
                self.stats.taken_over += 1;
                self.become_stored(now, id, *next, step);
                Err(TransactionError::ConcurrentTransactions)
            }
        })
    }

    fn add(
        &mut self,
        now: TimestampMs,
        request: &AddPartitions,
        step: &mut TransactionStep,
    ) -> Result<(), TransactionError> {
        let id = &request.transactional_id;
        let metadata = self.known(id)?;
        let decision = metadata.add_partitions(request, now)?;
        if let Decision::Become(next, ()) = &decision
            && next.record_bytes_max(id) > self.config.record_bytes_max
        {
            return Err(TransactionError::TransactionTooLarge);
        }
        self.settle(now, id, decision, step);
        Ok(())
    }

    fn verify(&self, request: &VerifyPartitions) -> Result<Vec<VerifiedPartition>, TransactionError> {
        self.known(&request.transactional_id)?.verify_partitions(request)
    }

    fn end(
        &mut self,
        now: TimestampMs,
        request: &EndTransaction,
        spare: &mut Option<ProducerId>,
        step: &mut TransactionStep,
    ) -> Result<Result<ProducerIdAndEpoch, TransactionError>, NeedsProducerId> {
        let metadata = match self.known(&request.transactional_id) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error)),
        };
        match metadata.end(request, now, spare)? {
            Err(error) => Ok(Err(error)),
            Ok(decision) => Ok(Ok(self.settle(now, &request.transactional_id, decision, step))),
        }
    }

    fn known(&self, id: &TransactionalId) -> Result<&TransactionMetadata, TransactionError> {
        self.transactions
            .get(id)
            .ok_or(TransactionError::InvalidProducerIdMapping)
    }

    fn list(&self, request: &ListTransactions, now: TimestampMs) -> Vec<ListedTransaction> {
        self.transactions
            .iter()
            .filter(|(_, metadata)| request.wants(metadata, now))
            .map(|(id, metadata)| ListedTransaction {
                transactional_id: id.clone(),
                producer_id: metadata.producer_id,
                state: metadata.state,
            })
            .collect()
    }

    fn time_out(&mut self, now: TimestampMs, id: &TransactionalId, step: &mut TransactionStep) {
        let Some(metadata) = self.transactions.get(id) else {
            return;
        };
        if metadata.state != TransactionState::Ongoing {
            return;
        }
        let left = time_left(metadata, now);
        if left > 0 {
            self.timers.schedule(TimerKey::Timeout(id.clone()), now, left);
            return;
        }
        let next = metadata.prepare(Outcome::Abort, TransactionVersion::V2, EpochRise::Fence, now);
        self.note_fenced(id, AbortCause::TimedOut, step);
        self.stats.timed_out += 1;
        self.become_stored(now, id, next, step);
    }

    fn note_fenced(&self, id: &TransactionalId, cause: AbortCause, step: &mut TransactionStep) {
        if let Some(metadata) = self.transactions.get(id) {
            step.events.push(TransactionEvent::Fenced {
                transactional_id: id.clone(),
                producer: metadata.producer(),
                cause,
            });
        }
    }

    /// Removes ids that were not used for long, a bounded number at a time.
    fn expire(&mut self, now: TimestampMs, step: &mut TransactionStep) {
        let after = self.expiry_cursor.take();
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let oldest = now.get().saturating_sub(self.config.id_expiration_ms);
        let expired: Vec<TransactionalId> = self
            .transactions
            .range::<TransactionalId, _>((start, Bound::Unbounded))
            .filter(|(_, metadata)| is_idle(metadata) && metadata.updated_at.get() <= oldest)
            .map(|(id, _)| id.clone())
            .take(self.config.expiry_records_max)
            .collect();
        for id in &expired {
            self.transactions.remove(id);
            step.records.push(TransactionRecord {
                key: TransactionLogKey::encode(id),
                value: None,
            });
        }
        let delay_ms = if expired.len() == self.config.expiry_records_max {
            self.expiry_cursor = expired.last().cloned();
            1
        } else {
            self.config.expiration_interval_ms
        };
        self.timers.schedule(TimerKey::Expiry, now, delay_ms);
        let count = expired.len();
        self.stats.ids_expired += count as u64;
        if count > 0 {
            step.events.push(TransactionEvent::IdsExpired { count });
        }
    }

    fn settle<T>(
        &mut self,
        now: TimestampMs,
        id: &TransactionalId,
        decision: Decision<T>,
        step: &mut TransactionStep,
    ) -> T {
        match decision {
            Decision::Unchanged(reply) => reply,
            Decision::Become(next, reply) => {
                self.become_stored(now, id, *next, step);
                reply
            }
        }
    }

    /// Moves an id on: memory, record, timer, counters, markers.
    fn become_stored(
        &mut self,
        now: TimestampMs,
        id: &TransactionalId,
        next: TransactionMetadata,
        step: &mut TransactionStep,
    ) {
        let from = self
            .transactions
            .get(id)
            .map_or(TransactionState::Empty, |metadata| metadata.state);
        if !from.may_become(next.state) {
            debug_assert!(false, "{id}: {from} may not become {}", next.state);
            self.stats.impossible_moves += 1;
        }
        step.records.push(next.record(id));
        self.due.remove(id);
        if let Some(work) = next.marker_work(id, self.decisions + 1) {
            self.decisions += 1;
            self.due.insert(id.clone(), work.decision);
            step.markers.push(work);
        }
        let key = TimerKey::Timeout(id.clone());
        match (from, next.state) {
            (TransactionState::Ongoing, TransactionState::Ongoing) => {}
            (_, TransactionState::Ongoing) => {
                self.stats.started += 1;
                self.timers.schedule(key, now, i64::from(next.timeout_ms));
            }
            (_, TransactionState::PrepareCommit) => {
                self.stats.committed += 1;
                self.timers.cancel(&key);
            }
            (_, TransactionState::PrepareAbort) => {
                self.stats.aborted += 1;
                self.timers.cancel(&key);
            }
            _ => {}
        }
        self.transactions.insert(id.clone(), next);
    }
}

/// Reports whether nothing of the id is open or being ended.
fn is_idle(metadata: &TransactionMetadata) -> bool {
    match metadata.state {
        TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => true,
        TransactionState::Ongoing | TransactionState::PrepareCommit | TransactionState::PrepareAbort => false,
    }
}

/// Milliseconds until the open transaction is too old.
fn time_left(metadata: &TransactionMetadata, now: TimestampMs) -> i64 {
    let end = metadata
        .started_at
        .get()
        .saturating_add(i64::from(metadata.timeout_ms));
    end.saturating_sub(now.get())
}

/// Checks the name that a request is about.
fn check_id(request: &TransactionRequest) -> Result<(), TransactionError> {
    let id = match request {
        TransactionRequest::Init(request) => &request.transactional_id,
        TransactionRequest::Add(request) => &request.transactional_id,
        TransactionRequest::Verify(request) => &request.transactional_id,
        TransactionRequest::End(request) => &request.transactional_id,
        TransactionRequest::Describe(_) | TransactionRequest::List(_) => return Ok(()),
    };
    if id.is_empty() || id.len() > STRING_BYTES_MAX {
        Err(TransactionError::InvalidRequest)
    } else {
        Ok(())
    }
}

/// Answers a request without looking at it.
fn refuse(request: &TransactionRequest, error: TransactionError) -> TransactionReply {
    match request {
        TransactionRequest::Init(_) => TransactionReply::Init(Err(error)),
        TransactionRequest::Add(_) => TransactionReply::Add(Err(error)),
        TransactionRequest::Verify(_) => TransactionReply::Verify(Err(error)),
        TransactionRequest::End(_) => TransactionReply::End(Err(error)),
        TransactionRequest::Describe(_) => TransactionReply::Describe(Err(error)),
        TransactionRequest::List(_) => TransactionReply::List(Err(error)),
    }
}

#[cfg(test)]
#[path = "shard_test.rs"]
mod tests;
