//! Offsets that open transactions have committed and that nobody sees before they are decided (KIP-98, KIP-447).
//!
//! A transaction's offset counts from where it stands in the log, not from when it is decided: a plain commit that came
//! after it, and the offset of a transaction that was decided before it but came after it, are newer. Removing an
//! offset removes what is pending on it as well.

use std::collections::BTreeMap;

use thalweg_types::{PartitionIndex, ProducerId};

use super::ids::TopicName;
use super::offsets::CommittedOffset;

/// One pending offset.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    producer_id: ProducerId,
    offset: CommittedOffset,
    /// Something newer is committed already.
    is_superseded: bool,
}

/// The pending offsets of one group. No partition in it is without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingOffsets {
    /// In the order of the log.
    partitions: BTreeMap<(TopicName, PartitionIndex), Vec<Pending>>,
}

impl PendingOffsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub(crate) fn contains(&self, topic: &str, partition: PartitionIndex) -> bool {
        // A topic's name is cheap to make and the map is small: mostly there is nothing in it.
        !self.partitions.is_empty() && self.partitions.contains_key(&(TopicName::from(topic), partition))
    }

    /// Adds a producer's offset in place of an older one of the same producer.
    pub(crate) fn insert(
        &mut self,
        producer_id: ProducerId,
        (topic, partition): (&TopicName, PartitionIndex),
        offset: CommittedOffset,
    ) {
        let pending = self.partitions.entry((topic.clone(), partition)).or_default();
        pending.retain(|older| older.producer_id != producer_id);
        pending.push(Pending {
            producer_id,
            offset,
            is_superseded: false,
        });
    }

    /// Takes note of a plain commit.
    pub(crate) fn supersede(&mut self, topic: &TopicName, partition: PartitionIndex) {
        if self.partitions.is_empty() {
            return;
        }
        for pending in self
            .partitions
            .get_mut(&(topic.clone(), partition))
            .into_iter()
            .flatten()
        {
            pending.is_superseded = true;
        }
    }

    pub(crate) fn remove(&mut self, topic: &str, partition: PartitionIndex) -> bool {
        !self.partitions.is_empty()
            && self
                .partitions
                .remove(&(TopicName::from(topic), partition))
                .is_some()
    }

    /// Returns the partitions of a topic that have a pending offset.
    pub(crate) fn of_topic(&self, topic: &str) -> Vec<PartitionIndex> {
        let keys = self.partitions.keys();
        keys.filter(|(name, _)| name.as_str() == topic)
            .map(|(_, partition)| *partition)
            .collect()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex)> {
        self.partitions
            .keys()
            .map(|(topic, partition)| (topic, *partition))
    }

    /// Removes the producer's offsets; returns those that are newer than what is committed, in the order of their keys.
    pub(crate) fn take(
        &mut self,
        producer_id: ProducerId,
    ) -> Vec<(TopicName, PartitionIndex, CommittedOffset)> {
        let mut taken = Vec::new();
        self.partitions.retain(|(topic, partition), pending| {
            if let Some(place) = pending.iter().position(|one| one.producer_id == producer_id) {
                let own = pending.remove(place);
                if !own.is_superseded {
                    taken.push((topic.clone(), *partition, own.offset));
                }
            }
            !pending.is_empty()
        });
        taken
    }

    /// Takes note that the offset of a producer is committed: what stands before it in the log is older.
    pub(crate) fn supersede_before(&mut self, producer_id: ProducerId) {
        for pending in self.partitions.values_mut() {
            if let Some(place) = pending.iter().position(|one| one.producer_id == producer_id) {
                for older in pending.iter_mut().take(place) {
                    older.is_superseded = true;
                }
            }
        }
    }
}
