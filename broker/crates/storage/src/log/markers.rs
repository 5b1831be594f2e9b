//! Appends of transaction markers, and what a log tells of its producers' transactions (KIP-98, KIP-664, KIP-890).
//!
//! A marker is a control batch as any other record: it takes an offset and is durable with its ticket. Only then the
//! last stable offset passes the transaction. A marker for a producer without an open transaction is appended too, as
//! Kafka does, and changes nothing but what is known of the producer's epoch.

use super::append::{AppendError, Appended, CheckedBatch, Origin};
use super::producers::SequenceError;
use super::verification::{TransactionStart, TransactionVersion, VerificationGuard};
use super::{LogState, PartitionLog};
use std::sync::Arc;
use thalweg_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::records::EndTransactionMarker;
pub use thalweg_wire::records::TransactionOutcome;

/// The end of a producer's transaction, as its coordinator decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionMarker {
    /// The producer.
    pub producer_id: ProducerId,
    /// Epoch with which the transaction ends: the producer's, or a newer one (a fenced producer's transaction, and
    /// every one of [`TransactionVersion::V2`]).
    pub producer_epoch: ProducerEpoch,
    /// Term of the coordinator; markers of an older one are refused.
    pub coordinator_epoch: i32,
    /// How it ends.
    pub outcome: TransactionOutcome,
    /// How the producer ends transactions.
    pub version: TransactionVersion,
}

/// What a log knows of one producer (DescribeProducers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its id.
    pub producer_id: ProducerId,
    /// Newest epoch seen.
    pub epoch: ProducerEpoch,
    /// Sequence of its newest record; −1 when none of this epoch is known.
    pub last_sequence: i32,
    /// Largest timestamp of its newest batch, else when it was last seen.
    pub last_timestamp: TimestampMs,
    /// Newest term of a coordinator that ended a transaction of it; −1 before the first.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<Offset>,
}

impl PartitionLog {
    /// Appends a marker, which ends the producer's transaction here if one is open. Durable, and in force for
    /// read-committed readers, when the ticket completes; on a crash before that it may or may not be there, and the
    /// coordinator appends it again.
    ///
    /// # Errors
    /// [`SequenceError::StaleEpoch`] for an epoch that is too old, [`AppendError::TransactionCoordinatorFenced`]; the
    /// log's. Nothing was appended then.
    pub fn append_marker(
        self: &Arc<Self>,
        marker: TransactionMarker,
        now: TimestampMs,
    ) -> Result<Appended, AppendError> {
        #[cfg(feature = "planted-faults")]
        let marker = super::faults::turn(marker);
        let content = EndTransactionMarker {
            outcome: marker.outcome,
            coordinator_epoch: marker.coordinator_epoch,
        };
        let bytes = content.build((marker.producer_id, marker.producer_epoch), now)?;
        let batch = CheckedBatch::check(bytes)?;
        let mut state = self.state.lock();
        state.check_open()?;
        state.check_origin(Origin::Coordinator)?;
        state.check_marker(&marker)?;
        self.append_locked(&mut state, batch, Origin::Coordinator, now)
    }

    /// Begins the verification of a batch that would begin a transaction; `None` when the producer's transaction is
    /// open here, so that there is nothing to ask its coordinator. The guard is void as soon as a marker of this
    /// producer arrives, but for one that ends the transaction before.
    #[must_use]
    pub fn begin_verification(&self, start: TransactionStart, now: TimestampMs) -> Option<VerificationGuard> {
        let mut state = self.state.lock();
        if state.has_open_transaction(start.producer_id, start.epoch) {
            return None;
        }
        let producers_max = state.config.producers_max;
        Some(state.verifications.begin(start, now, producers_max))
    }

    /// Returns what is known of the producers, sorted by id (DescribeProducers, KIP-664).
    #[must_use]
    pub fn transactions(&self) -> Vec<ProducerState> {
        let state = self.state.lock();
        let entries = state.producers.entries();
        let known = entries.into_iter().map(|(producer_id, entry)| ProducerState {
            producer_id,
            epoch: entry.epoch,
            last_sequence: entry.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: entry
                .batches
                .back()
                .map_or(entry.last_seen, |batch| batch.timestamp),
            coordinator_epoch: entry.coordinator_epoch,
            transaction_start: state
                .transactions
                .of_producer(producer_id)
                .map(|transaction| transaction.first_offset),
        });
        known.collect()
    }
}

impl LogState {
    pub(super) fn has_open_transaction(&self, producer_id: ProducerId, epoch: ProducerEpoch) -> bool {
        let open = self.transactions.of_producer(producer_id);
        open.is_some_and(|transaction| transaction.epoch == epoch)
    }

    fn check_marker(&self, marker: &TransactionMarker) -> Result<(), AppendError> {
        let producer_id = marker.producer_id;
        let found = marker.producer_epoch;
        let stale = |current| {
            AppendError::Sequence(SequenceError::StaleEpoch {
                producer_id,
                found,
                current,
            })
        };
        let entry = self.producers.get(producer_id);
        if let Some(entry) = entry
            && found < entry.epoch
        {
            return Err(stale(entry.epoch));
        }
        // A marker of version 2 carries the raised epoch. One that does not is late: the transaction it is about has
        // ended, and the one that is open must not be ended by it.
        if let Some(open) = self.transactions.of_producer(producer_id)
            && marker.version == TransactionVersion::V2
            && found <= open.epoch
        {
            return Err(stale(open.epoch));
        }
        if let Some(entry) = entry
            && marker.coordinator_epoch < entry.coordinator_epoch
        {
            return Err(AppendError::TransactionCoordinatorFenced {
                producer_id,
                found: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// Judges a batch of records by what is known of its producer's transaction.
    pub(super) fn check_transaction(&self, batch: &CheckedBatch) -> Result<(), AppendError> {
        let header = &batch.header;
        let refuse = |what| AppendError::TransactionState {
            producer_id: header.producer_id,
            what,
        };
        if !header.is_transactional() {
            if self.transactions.is_open(header.producer_id) {
                return Err(refuse("its transaction is open, and the batch is not part of it"));
            }
            return Ok(());
        }
        if !header.has_producer_id() {
            return Err(refuse("a transactional batch needs a producer id"));
        }
        if self.has_open_transaction(header.producer_id, header.producer_epoch) {
            return Ok(());
        }
        let producer_id = header.producer_id;
        // What it would add to is decided already; its marker comes.
        if self.transactions.is_open(producer_id) {
            return Err(AppendError::TransactionEnding { producer_id });
        }
        if !self.verifications.holds(header, batch.guard) {
            if batch.guard.is_some() {
                return Err(AppendError::TransactionEnding { producer_id });
            }
            return Err(refuse(
                "the batch would begin a transaction that its coordinator does not know of",
            ));
        }
        if header.base_sequence >= 0 && self.producers.get(header.producer_id).is_none() {
            self.verifications.check_first(header)?;
        }
        Ok(())
    }
}
