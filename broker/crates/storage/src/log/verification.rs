//! Whether a producer may begin a transaction here (KIP-890): its coordinator must have this partition among the
//! transaction's, else no marker would ever come and the transaction would hang.
//!
//! Who asks the coordinator holds a [`VerificationGuard`] meanwhile. A marker that arrives in between makes the guard
//! void, unless it is of the next transaction for certain: the coordinator's answer may be of the one that just ended.
//! In memory only: after a restart everyone asks again.

use super::producers::SequenceError;
use std::collections::HashMap;
use thalweg_types::{ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::BatchHeader;

/// The sign of one verification; hand it to the append with [`super::CheckedBatch::verified`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// How a producer's clients end transactions (`transaction.version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionVersion {
    /// The first protocol and its flexible encoding (Kafka's versions 0 and 1): the epoch stays from one transaction
    /// to the next.
    V1,
    /// KIP-890: every end raises the epoch, partitions are added by Produce itself.
    V2,
}

/// A batch that would begin a transaction.
#[derive(Clone, Copy, Debug)]
pub struct TransactionStart {
    /// Its producer.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record; −1 if the batch has none.
    pub base_sequence: i32,
    /// How the producer ends transactions.
    pub version: TransactionVersion,
}

#[derive(Clone, Debug)]
struct UnderWay {
    guard: VerificationGuard,
    epoch: ProducerEpoch,
    /// Smallest sequence that was seen: with it the producer's records begin here.
    lowest_sequence: i32,
    version: TransactionVersion,
    since: TimestampMs,
}

/// The verifications of one partition that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verifications {
    under_way: HashMap<ProducerId, UnderWay>,
    /// Numbers guards; none is given twice.
    given: u64,
}

impl Verifications {
    /// Returns the guard of a producer's verification, a new one if none is under way for this epoch. Beyond
    /// `producers_max` the oldest one is given up: its producer asks again.
    pub(crate) fn begin(
        &mut self,
        start: TransactionStart,
        now: TimestampMs,
        producers_max: usize,
    ) -> VerificationGuard {
        let known = self.under_way.get_mut(&start.producer_id);
        if let Some(known) = known.filter(|known| known.epoch == start.epoch) {
            known.lowest_sequence = known.lowest_sequence.min(start.base_sequence);
            known.since = now;
            return known.guard;
        }
        if self.under_way.len() >= producers_max {
            let oldest = self.under_way.iter().min_by_key(|(id, one)| (one.since, **id));
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.under_way.remove(&id);
            }
        }
        self.given += 1;
        let guard = VerificationGuard(self.given);
        let under_way = UnderWay {
            guard,
            epoch: start.epoch,
            lowest_sequence: start.base_sequence,
            version: start.version,
            since: now,
        };
        self.under_way.insert(start.producer_id, under_way);
        guard
    }

    /// Reports whether a batch's guard is that of the verification under way.
    pub(crate) fn holds(&self, header: &BatchHeader, guard: Option<VerificationGuard>) -> bool {
        let known = self.under_way.get(&header.producer_id);
        known.is_some_and(|known| known.epoch == header.producer_epoch && Some(known.guard) == guard)
    }

    /// Judges the first sequence of a producer of which nothing is known here: requests of one producer may be
    /// verified in another order than they were sent.
    ///
    /// # Errors
    /// [`SequenceError::OutOfOrder`].
    pub(crate) fn check_first(&self, header: &BatchHeader) -> Result<(), SequenceError> {
        let Some(known) = self.under_way.get(&header.producer_id) else {
            return Ok(());
        };
        let expected = match known.version {
            TransactionVersion::V2 => 0,
            TransactionVersion::V1 => known.lowest_sequence,
        };
        if header.base_sequence > expected {
            return Err(SequenceError::OutOfOrder {
                producer_id: header.producer_id,
                found: header.base_sequence,
                expected,
            });
        }
        Ok(())
    }

    /// Ends a producer's verification: its batch is there.
    pub(crate) fn end(&mut self, producer_id: ProducerId) {
        self.under_way.remove(&producer_id);
        if self.under_way.is_empty() {
            self.under_way = HashMap::new();
        }
    }

    /// Ends a producer's verification since a marker of this epoch came, unless what is verified is the next
    /// transaction: where every end raises the epoch (KIP-890), the marker has the epoch of that one already, and the
    /// client may have sent its first batch before all markers were written.
    pub(crate) fn end_by_marker(&mut self, producer_id: ProducerId, epoch: ProducerEpoch) {
        let is_next = |one: &UnderWay| one.version == TransactionVersion::V2 && one.epoch == epoch;
        if !self.under_way.get(&producer_id).is_some_and(is_next) {
            self.end(producer_id);
        }
    }

    /// Gives up verifications that began before `before`.
    pub(crate) fn expire(&mut self, before: TimestampMs) {
        self.under_way.retain(|_, one| one.since >= before);
        if self.under_way.is_empty() {
            self.under_way = HashMap::new();
        }
    }
}

#[cfg(test)]
#[path = "verification_test.rs"]
mod tests;
