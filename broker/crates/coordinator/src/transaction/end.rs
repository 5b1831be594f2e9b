//! EndTxn: a transaction is decided. In version 2 every end raises the epoch, so that nothing that was sent before it
//! can join the next transaction, and an end that is asked for again is told from the next one by its epoch (KIP-890).

use thalweg_types::{ProducerId, TimestampMs};

use super::error::TransactionError;
use super::id::{ProducerIdAndEpoch, is_exhausted, next_epoch};
use super::metadata::{Decision, EpochRise, TransactionMetadata};
use super::request::{EndTransaction, NeedsProducerId};
use super::state::{Outcome, TransactionState, TransactionVersion};

/// What an end comes to, or why it is refused.
type Ended = Result<Decision<ProducerIdAndEpoch>, TransactionError>;

impl TransactionMetadata {
    /// Decides an end. Takes `spare` if the next transaction needs a new producer id.
    pub(crate) fn end(
        &self,
        request: &EndTransaction,
        now: TimestampMs,
        spare: &mut Option<ProducerId>,
    ) -> Result<Ended, NeedsProducerId> {
        if !request.version.bumps_epoch() {
            return Ok(self.end_in_version_0(request, now));
        }
        let is_retry = match self.check_end(request.producer) {
            Ok(is_retry) => is_retry,
            Err(error) => return Ok(Err(error)),
        };
        use Outcome::{Abort, Commit};
        use TransactionState as State;
        match (self.state, request.outcome) {
            (State::Ongoing, _) | (State::Empty, Abort) => self.prepare_in_version_2(request, now, spare),
            // Nothing was written since the last end, and the client wants a fresh epoch.
            (State::CompleteCommit | State::CompleteAbort, Abort) if !is_retry => {
                self.prepare_in_version_2(request, now, spare)
            }
            (State::CompleteCommit, Commit) | (State::CompleteAbort, Abort) if is_retry => {
                Ok(Ok(Decision::Unchanged(self.producer())))
            }
            (State::Empty | State::CompleteCommit | State::CompleteAbort, _) => {
                Ok(Err(TransactionError::InvalidTxnState))
            }
            (State::PrepareCommit | State::PrepareAbort, _) => {
                Ok(Err(TransactionError::ConcurrentTransactions))
            }
        }
    }

    fn prepare_in_version_2(
        &self,
        request: &EndTransaction,
        now: TimestampMs,
        spare: &mut Option<ProducerId>,
    ) -> Result<Ended, NeedsProducerId> {
        let next_producer_id = if self.is_exhausted() {
            spare.take().ok_or(NeedsProducerId)?
        } else {
            ProducerId::NONE
        };
        let rise = EpochRise::ByClient { next_producer_id };
        let next = self.prepare(request.outcome, TransactionVersion::V2, rise, now);
        let producer = next.producer_after_end();
        Ok(Ok(Decision::Become(Box::new(next), producer)))
    }

    /// Judges who asks for an end in version 2, and whether he has asked before: then he does not know the epoch that
    /// the first time brought.
    fn check_end(&self, who: ProducerIdAndEpoch) -> Result<bool, TransactionError> {
        if self.state.prepared().is_some() {
            // Before anything else: the client may use an identity already that only the end of the markers brings.
            return Err(TransactionError::ConcurrentTransactions);
        }
        let epoch_rose = who.id == self.producer_id && self.epoch == next_epoch(who.epoch);
        let id_changed =
            who.id == self.previous_producer_id && is_exhausted(who.epoch) && self.epoch.get() == 0;
        if who.id != self.producer_id && !id_changed {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        let is_current = who.id == self.producer_id && who.epoch == self.epoch;
        let has_ended = matches!(
            self.state,
            TransactionState::CompleteCommit | TransactionState::CompleteAbort
        );
        let is_retry = has_ended && (epoch_rose || id_changed);
        (is_current || is_retry)
            .then_some(is_retry)
            .ok_or(TransactionError::ProducerFenced)
    }

    /// Without a new epoch a retry cannot be told from another end of the same kind, and is answered as done.
    fn end_in_version_0(&self, request: &EndTransaction, now: TimestampMs) -> Ended {
        self.check_identity(request.producer)?;
        use Outcome::{Abort, Commit};
        use TransactionState as State;
        match (self.state, request.outcome) {
            (State::Ongoing, outcome) => {
                let next = self.prepare(outcome, request.version, EpochRise::None, now);
                let producer = next.producer();
                Ok(Decision::Become(Box::new(next), producer))
            }
            (State::CompleteCommit, Commit) | (State::CompleteAbort, Abort) => {
                Ok(Decision::Unchanged(self.producer()))
            }
            (State::PrepareCommit | State::PrepareAbort, _) => Err(TransactionError::ConcurrentTransactions),
            (State::Empty, _) | (State::CompleteCommit, Abort) | (State::CompleteAbort, Commit) => {
                Err(TransactionError::InvalidTxnState)
            }
        }
    }
}
