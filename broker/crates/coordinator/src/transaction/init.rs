//! InitProducerId: a producer takes a transactional id over, or goes on after an error (KIP-360).

use thalweg_types::{ProducerEpoch, ProducerId, TimestampMs};

use super::error::TransactionError;
use super::id::{ProducerIdAndEpoch, is_exhausted, next_epoch};
use super::metadata::{Decision, EpochRise, Partitions, TransactionMetadata};
use super::request::{InitProducerId, NeedsProducerId};
use super::state::{Outcome, TransactionState, TransactionVersion};

/// What an initialization comes to.
pub(crate) enum Init {
    /// The producer has an identity.
    Producer(Decision<ProducerIdAndEpoch>),
    /// A transaction is open: it is aborted first, and the client comes again. The epoch that this raises is never
    /// told to anybody.
    AbortFirst(Box<TransactionMetadata>),
}

impl TransactionMetadata {
    /// Decides an initialization. Takes `spare` if a new producer id is needed.
    pub(crate) fn initialize(
        &self,
        request: &InitProducerId,
        now: TimestampMs,
        spare: &mut Option<ProducerId>,
    ) -> Result<Result<Init, TransactionError>, NeedsProducerId> {
        if request.expected.is_some_and(|expected| !self.knows(expected)) {
            return Ok(Err(TransactionError::ProducerFenced));
        }
        match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => {
                Ok(Err(TransactionError::ConcurrentTransactions))
            }
            TransactionState::Ongoing => {
                let fenced = self.prepare(Outcome::Abort, TransactionVersion::V2, EpochRise::Fence, now);
                Ok(Ok(Init::AbortFirst(Box::new(fenced))))
            }
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                let own = |expected: ProducerIdAndEpoch| expected.epoch == self.epoch;
                if self.is_exhausted() && request.expected.is_none_or(own) {
                    let producer_id = spare.take().ok_or(NeedsProducerId)?;
                    return Ok(Ok(self.rotated(request, producer_id, now)));
                }
                Ok(self.raised(request, now))
            }
        }
    }

    /// Reports whether a producer that says who it was can be told who it is. One that the coordinator has no epoch for
    /// lost its state; one of the previous id may not have heard of the change of ids.
    fn knows(&self, expected: ProducerIdAndEpoch) -> bool {
        self.epoch == ProducerEpoch::NONE
            || expected.id == self.producer_id
            || (expected.id == self.previous_producer_id && is_exhausted(expected.epoch))
    }

    fn rotated(&self, request: &InitProducerId, producer_id: ProducerId, now: TimestampMs) -> Init {
        let mut next = self.initialized(request, now);
        next.previous_producer_id = self.producer_id;
        next.producer_id = producer_id;
        next.epoch = ProducerEpoch(0);
        next.last_epoch = match request.expected {
            Some(_) => self.epoch,
            None => ProducerEpoch::NONE,
        };
        let producer = next.producer();
        Init::Producer(Decision::Become(Box::new(next), producer))
    }

    fn raised(&self, request: &InitProducerId, now: TimestampMs) -> Result<Init, TransactionError> {
        let last_epoch = match request.expected {
            None => ProducerEpoch::NONE,
            // It goes on after an error, and nobody came in between; or it is new here.
            Some(expected) if self.epoch == ProducerEpoch::NONE || expected.epoch == self.epoch => self.epoch,
            // It asks again for what it was given before. Another producer would have cleared the last epoch.
            Some(expected) if expected.epoch == self.last_epoch => {
                return Ok(Init::Producer(Decision::Unchanged(self.producer())));
            }
            Some(_) => return Err(TransactionError::ProducerFenced),
        };
        if self.epoch.get() == i16::MAX {
            // Only who is fenced gets here: the last epoch was never told to a client.
            return Err(TransactionError::ProducerFenced);
        }
        let mut next = self.initialized(request, now);
        next.epoch = next_epoch(self.epoch);
        next.last_epoch = last_epoch;
        let producer = next.producer();
        Ok(Init::Producer(Decision::Become(Box::new(next), producer)))
    }

    fn initialized(&self, request: &InitProducerId, now: TimestampMs) -> Self {
        let mut next = self.clone();
        next.state = TransactionState::Empty;
        next.timeout_ms = request.timeout_ms;
        next.partitions = Partitions::new();
        next.started_at = TimestampMs::NONE;
        next.updated_at = now;
        next
    }
}
