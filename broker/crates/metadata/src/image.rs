//! All topics, tombstones and broker configs in memory, as of one commit.
//!
//! Pure: made from rows and batches of changes, knows no store. Invariant: topics by name and by id are the
//! same topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thalweg_types::TopicId;

use crate::broker_configs::{self, BrokerConfigs, ConfigScope};
use crate::error::{KeyText, MetadataError};
use crate::keys;
use crate::store::{Revision, Row};
use crate::topic_record::{TopicRecord, TopicTombstone};
use crate::watch::{WatchBatch, WatchChange};

/// A live topic and the commit that last changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic.
    pub record: TopicRecord,
    /// The commit, to compare with when it is changed.
    pub version: Revision,
}

/// The metadata as of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    revision: Revision,
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    tombstones: BTreeMap<TopicId, Arc<TopicTombstone>>,
    broker_configs: BTreeMap<ConfigScope, Arc<BrokerConfigs>>,
}

/// One difference between two images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataChange {
    /// A topic is gone.
    TopicDeleted(Arc<Topic>),
    /// A topic is new.
    TopicCreated(Arc<Topic>),
    /// A topic has more partitions, other configs or other labels.
    TopicChanged {
        /// As it was.
        before: Arc<Topic>,
        /// As it is.
        after: Arc<Topic>,
    },
    /// A tombstone was removed.
    TombstoneRemoved(TopicId),
    /// Broker configs of this scope are new, different or gone.
    BrokerConfigsChanged(ConfigScope),
}

impl MetadataImage {
    /// Returns the commit up to which the image is complete.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns the live topic of this name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// Returns the live topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// Returns all live topics, by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Returns the tombstone of a deleted topic.
    #[must_use]
    pub fn tombstone(&self, id: TopicId) -> Option<&Arc<TopicTombstone>> {
        self.tombstones.get(&id)
    }

    /// Returns all tombstones, by id.
    pub fn tombstones(&self) -> impl ExactSizeIterator<Item = &Arc<TopicTombstone>> {
        self.tombstones.values()
    }

    /// Returns the broker configs of a scope, if any were ever set.
    #[must_use]
    pub fn broker_configs(&self, scope: ConfigScope) -> Option<&Arc<BrokerConfigs>> {
        self.broker_configs.get(&scope)
    }

    /// Returns what has changed since `older`, deletions first, so that a name is free before it is taken again.
    ///
    /// Costs one comparison of pointers per row.
    #[must_use]
    pub fn changes_since(&self, older: &Self) -> Vec<MetadataChange> {
        let gone = older
            .by_name
            .values()
            .filter(|topic| !self.by_id.contains_key(&topic.record.id));
        let mut changes: Vec<_> = gone.cloned().map(MetadataChange::TopicDeleted).collect();
        for after in self.by_name.values() {
            match older.by_id.get(&after.record.id) {
                None => changes.push(MetadataChange::TopicCreated(Arc::clone(after))),
                Some(before) if Arc::ptr_eq(before, after) || before == after => {}
                Some(before) => changes.push(MetadataChange::TopicChanged {
                    before: Arc::clone(before),
                    after: Arc::clone(after),
                }),
            }
        }
        let removed = older
            .tombstones
            .keys()
            .filter(|id| !self.tombstones.contains_key(id));
        changes.extend(removed.copied().map(MetadataChange::TombstoneRemoved));
        for (scope, configs) in &self.broker_configs {
            if older.broker_configs.get(scope) != Some(configs) {
                changes.push(MetadataChange::BrokerConfigsChanged(*scope));
            }
        }
        let unset = older
            .broker_configs
            .keys()
            .filter(|scope| !self.broker_configs.contains_key(scope));
        changes.extend(unset.copied().map(MetadataChange::BrokerConfigsChanged));
        changes
    }

    /// Takes in one row of a scan.
    pub(crate) fn insert(&mut self, row: Row<'_>) -> Result<(), MetadataError> {
        let Row { key, value, version } = row;
        let malformed = |source| MetadataError::record(key, source);
        if let Some(rest) = key.strip_prefix(keys::TOPICS) {
            let record = TopicRecord::decode(value).map_err(malformed)?;
            if keys::topic_id_of(rest) != Some(record.id) {
                return Err(inconsistent(key, format!("it holds topic {}", record.id)));
            }
            return self.insert_topic(key, Topic { record, version });
        }
        if let Some(rest) = key.strip_prefix(keys::TOMBSTONES) {
            let tombstone = TopicTombstone::decode(value).map_err(malformed)?;
            if keys::topic_id_of(rest) != Some(tombstone.id) {
                return Err(inconsistent(key, format!("it holds topic {}", tombstone.id)));
            }
            self.tombstones.insert(tombstone.id, Arc::new(tombstone));
            return Ok(());
        }
        if let Some(rest) = key.strip_prefix(keys::BROKER_CONFIGS) {
            let scope =
                keys::scope_of(rest).ok_or_else(|| inconsistent(key, "its scope is unknown".to_owned()))?;
            let configs = broker_configs::decode(value).map_err(malformed)?;
            self.broker_configs
                .insert(scope, Arc::new(BrokerConfigs { configs, version }));
            return Ok(());
        }
        if key.starts_with(keys::TOPIC_NAMES) {
            return Ok(());
        }
        // A release that knows it would have to be asked what it means for the rest.
        Err(inconsistent(
            key,
            "this release does not know such rows; a newer one wrote it".to_owned(),
        ))
    }

    fn insert_topic(&mut self, key: &[u8], topic: Topic) -> Result<(), MetadataError> {
        let (id, name) = (topic.record.id, topic.record.name.clone());
        let topic = Arc::new(topic);
        if let Some(other) = self.by_name.insert(name.clone(), Arc::clone(&topic))
            && other.record.id != id
        {
            return Err(inconsistent(
                key,
                format!("topic {} has the name {name}, too", other.record.id),
            ));
        }
        self.by_id.insert(id, topic);
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(rest) = key.strip_prefix(keys::TOPICS) {
            let removed = keys::topic_id_of(rest).and_then(|id| self.by_id.remove(&id));
            if let Some(topic) = removed {
                self.by_name.remove(&topic.record.name);
            }
        } else if let Some(rest) = key.strip_prefix(keys::TOMBSTONES) {
            keys::topic_id_of(rest).map(|id| self.tombstones.remove(&id));
        } else if let Some(rest) = key.strip_prefix(keys::BROKER_CONFIGS) {
            keys::scope_of(rest).map(|scope| self.broker_configs.remove(&scope));
        }
    }

    /// Takes in one commit. Commits the image has already are passed over.
    pub(crate) fn apply(&mut self, batch: &WatchBatch) -> Result<(), MetadataError> {
        if batch.revision <= self.revision {
            return Ok(());
        }
        // Deletions first: one transaction may free a name and give it away again.
        for event in &batch.events {
            if event.change == WatchChange::Delete {
                self.remove(&event.key);
            }
        }
        for event in &batch.events {
            if let WatchChange::Put(value) = &event.change {
                self.insert(Row {
                    key: &event.key,
                    value,
                    version: batch.revision,
                })?;
            }
        }
        self.revision = batch.revision;
        Ok(())
    }

    /// Ends the loading of a scan: checks names against ids, and notes the scan's commit.
    pub(crate) fn finish(
        &mut self,
        names: &BTreeMap<String, Vec<u8>>,
        revision: Revision,
    ) -> Result<(), MetadataError> {
        for (name, id) in names {
            match self.by_name.get(name) {
                Some(topic) if topic.record.id.0 == **id => {}
                _ => {
                    let key = keys::topic_name(name);
                    return Err(inconsistent(&key, "no topic has this name and id".to_owned()));
                }
            }
        }
        for topic in self.by_name.values() {
            let (id, key) = (topic.record.id, keys::topic(topic.record.id));
            if !names.contains_key(&topic.record.name) {
                return Err(inconsistent(&key, "its name has no row".to_owned()));
            }
            if self.tombstones.contains_key(&id) {
                return Err(inconsistent(&key, "it is deleted and alive".to_owned()));
            }
        }
        self.revision = revision;
        Ok(())
    }
}

fn inconsistent(key: &[u8], detail: String) -> MetadataError {
    MetadataError::Inconsistent {
        key: KeyText::from(key),
        detail,
    }
}

#[cfg(test)]
#[path = "image_test.rs"]
mod tests;
