//! What is known of one transactional id, and its way through a transaction's end.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_types::{PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use super::error::TransactionError;
use super::id::{ProducerIdAndEpoch, TransactionalId, is_exhausted, next_epoch};
use super::request::producer;
use super::state::{Outcome, TransactionState, TransactionVersion};
use super::step::{MarkerWork, TransactionRecord};
use crate::names::TopicName;
use crate::record::{TransactionLogKey, TransactionLogValue, TransactionPartitions};

/// The partitions of a transaction. No topic in it is without partitions.
pub(crate) type Partitions = BTreeMap<TopicName, BTreeSet<PartitionIndex>>;

/// One transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TransactionMetadata {
    pub(crate) producer_id: ProducerId,
    /// The id before the last change, so that a client which never heard of the change can be told again.
    pub(crate) previous_producer_id: ProducerId,
    /// The id after the markers, if the epochs of this one are used up (version 2).
    pub(crate) next_producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    /// The epoch before the last bump that this very producer asked for. Not stored, as in Kafka.
    pub(crate) last_epoch: ProducerEpoch,
    pub(crate) timeout_ms: i32,
    pub(crate) state: TransactionState,
    pub(crate) partitions: Partitions,
    pub(crate) started_at: TimestampMs,
    pub(crate) updated_at: TimestampMs,
    /// The protocol of whoever wrote last.
    pub(crate) version: TransactionVersion,
}

/// Whether a request changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision<T> {
    /// It does not.
    Unchanged(T),
    /// The id becomes this, and is stored.
    Become(Box<TransactionMetadata>, T),
}

/// How the epoch rises when a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochRise {
    /// Not at all (before version 2).
    None,
    /// By the client's own wish (version 2); the id after the markers, if one is needed.
    ByClient { next_producer_id: ProducerId },
    /// Against a producer that must not write any more.
    Fence,
}

impl TransactionMetadata {
    /// An id that nobody has used yet; its first initialization raises the epoch to 0.
    pub(crate) fn new(producer_id: ProducerId, timeout_ms: i32, now: TimestampMs) -> Self {
        Self {
            producer_id,
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            last_epoch: ProducerEpoch::NONE,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: Partitions::new(),
            started_at: TimestampMs::NONE,
            updated_at: now,
            version: TransactionVersion::V0,
        }
    }

    /// Who may write.
    pub(crate) fn producer(&self) -> ProducerIdAndEpoch {
        producer(self.producer_id, self.epoch)
    }

    /// Reports whether clients have seen all epochs of this producer id.
    pub(crate) fn is_exhausted(&self) -> bool {
        is_exhausted(self.epoch)
    }

    /// Refuses whoever is not the newest producer, and everybody while markers are being written. The state comes
    /// first: in version 2 the client may use an identity already that only the end of the markers brings.
    pub(crate) fn check_writer(&self, writer: ProducerIdAndEpoch) -> Result<(), TransactionError> {
        if self.state.prepared().is_some() {
            Err(TransactionError::ConcurrentTransactions)
        } else {
            self.check_identity(writer)
        }
    }

    /// Refuses whoever is not the newest producer.
    pub(crate) fn check_identity(&self, writer: ProducerIdAndEpoch) -> Result<(), TransactionError> {
        if self.producer_id != writer.id {
            Err(TransactionError::InvalidProducerIdMapping)
        } else if self.epoch != writer.epoch {
            Err(TransactionError::ProducerFenced)
        } else {
            Ok(())
        }
    }

    /// Returns this id with a decided end.
    pub(crate) fn prepare(
        &self,
        outcome: Outcome,
        version: TransactionVersion,
        rise: EpochRise,
        now: TimestampMs,
    ) -> Self {
        let mut next = self.clone();
        next.state = outcome.prepare();
        next.updated_at = now;
        next.version = version;
        match rise {
            EpochRise::None => {}
            EpochRise::ByClient { next_producer_id } => {
                next.last_epoch = self.epoch;
                next.epoch = next_epoch(self.epoch);
                next.next_producer_id = next_producer_id;
            }
            EpochRise::Fence => {
                next.last_epoch = ProducerEpoch::NONE;
                next.epoch = next_epoch(self.epoch);
            }
        }
        if self.state != TransactionState::Ongoing {
            // Nothing was written: it begins and ends now.
            next.started_at = now;
        }
        next
    }

    /// Returns this id after its markers.
    pub(crate) fn complete(&self, outcome: Outcome, now: TimestampMs) -> Self {
        let mut next = self.clone();
        next.state = outcome.complete();
        next.partitions = Partitions::new();
        next.updated_at = now;
        if self.next_producer_id != ProducerId::NONE {
            next.previous_producer_id = self.producer_id;
            next.producer_id = self.next_producer_id;
            next.next_producer_id = ProducerId::NONE;
            next.epoch = ProducerEpoch(0);
        }
        next
    }

    /// Who the client is once the decided end is done.
    pub(crate) fn producer_after_end(&self) -> ProducerIdAndEpoch {
        if self.next_producer_id == ProducerId::NONE {
            self.producer()
        } else {
            producer(self.next_producer_id, ProducerEpoch(0))
        }
    }

    /// Returns the markers of a decided end, under this number; `None` if none is decided.
    pub(crate) fn marker_work(
        &self,
        transactional_id: &TransactionalId,
        decision: u64,
    ) -> Option<MarkerWork> {
        let outcome = self.state.prepared()?;
        Some(MarkerWork {
            transactional_id: transactional_id.clone(),
            producer: self.producer(),
            outcome,
            decision,
            version: self.version,
            partitions: self.partition_list(),
        })
    }

    pub(crate) fn partition_list(&self) -> Vec<(TopicName, Vec<PartitionIndex>)> {
        self.partitions
            .iter()
            .map(|(topic, partitions)| (topic.clone(), partitions.iter().copied().collect()))
            .collect()
    }

    pub(crate) fn has_partition(&self, topic: &TopicName, partition: PartitionIndex) -> bool {
        self.partitions
            .get(topic)
            .is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Returns the record that stores this.
    pub(crate) fn record(&self, transactional_id: &TransactionalId) -> TransactionRecord {
        TransactionRecord {
            key: TransactionLogKey::encode(transactional_id),
            value: Some(self.value().encode()),
        }
    }

    /// Returns a bound of the size of the record.
    pub(crate) fn record_bytes_max(&self, transactional_id: &TransactionalId) -> usize {
        let partitions: usize = self
            .partitions
            .iter()
            .map(|(topic, partitions)| topic.len() + partitions.len() * 4 + 11)
            .sum();
        transactional_id.len() + 4 + 80 + partitions
    }

    fn value(&self) -> TransactionLogValue {
        let partitions = self
            .partitions
            .iter()
            .map(|(topic, partitions)| TransactionPartitions {
                topic: topic.as_str().to_owned(),
                partitions: partitions.iter().copied().collect(),
            });
        TransactionLogValue {
            producer_id: self.producer_id,
            previous_producer_id: self.previous_producer_id,
            next_producer_id: self.next_producer_id,
            producer_epoch: self.epoch,
            timeout_ms: self.timeout_ms,
            status: self.state.number(),
            partitions: (self.state != TransactionState::Empty).then(|| partitions.collect()),
            last_update: self.updated_at,
            start: self.started_at,
            client_version: self.version.level(),
        }
    }

    /// Takes over what a record says in this state.
    pub(crate) fn from_value(value: TransactionLogValue, state: TransactionState) -> Self {
        let mut partitions = Partitions::new();
        for topic in value.partitions.into_iter().flatten() {
            if !topic.partitions.is_empty() {
                let all: &mut BTreeSet<_> = partitions.entry(TopicName::from(topic.topic)).or_default();
                all.extend(topic.partitions);
            }
        }
        Self {
            producer_id: value.producer_id,
            previous_producer_id: value.previous_producer_id,
            next_producer_id: value.next_producer_id,
            epoch: value.producer_epoch,
            last_epoch: ProducerEpoch::NONE,
            timeout_ms: value.timeout_ms,
            state,
            partitions,
            started_at: value.start,
            updated_at: value.last_update,
            version: TransactionVersion::from_level(value.client_version),
        }
    }
}
