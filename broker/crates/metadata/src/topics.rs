//! Topics: create, delete, more partitions, other configs and labels. Each call is one transaction.
//!
//! Invariants: a live topic has exactly one row under its id and one under its name; a deleted one has a
//! tombstone and neither of the two; an id is never used twice as long as its tombstone stands.

use std::collections::BTreeMap;

use thalweg_types::{TimestampMs, TopicId};

use crate::config_history::{ConfigEdit, apply_edit, note_changes};
use crate::error::{CommitError, KeyText, MetadataError};
use crate::image::Topic;
use crate::keys;
use crate::store::{MetadataStore, Revision, Transaction};
use crate::topic_record::{TopicRecord, TopicTombstone};

/// How often a change is tried against others who change the same topic.
const ATTEMPTS_MAX: u32 = 16;

/// Creates a topic, durably. Blocks. Nothing may be appended to it before this returns.
///
/// # Errors
/// [`MetadataError::TopicExists`], [`MetadataError::TopicIdUsed`], [`MetadataError::Invalid`] for a record that
/// breaks its rules; failures of the store.
pub fn create_topic(store: &dyn MetadataStore, record: &TopicRecord) -> Result<Revision, MetadataError> {
    record.validate()?;
    let (name_key, id_key) = (keys::topic_name(&record.name), keys::topic(record.id));
    let transaction = Transaction::new()
        .require_absent(name_key.clone())
        .require_absent(id_key.clone())
        .require_absent(keys::tombstone(record.id))
        .put(name_key.clone(), record.id.0)
        .put(id_key, record.encode());
    match store.commit(transaction) {
        Ok(revision) => Ok(revision),
        Err(CommitError::Conflict { key, .. }) if key == KeyText(name_key) => {
            Err(MetadataError::TopicExists {
                name: record.name.clone(),
            })
        }
        Err(CommitError::Conflict { .. }) => Err(MetadataError::TopicIdUsed { id: record.id }),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a topic, durably: its rows become a tombstone in one transaction. Blocks.
///
/// # Errors
/// [`MetadataError::UnknownTopic`]; failures of the store.
pub fn delete_topic(
    store: &dyn MetadataStore,
    id: TopicId,
    at: TimestampMs,
) -> Result<TopicTombstone, MetadataError> {
    change(store, id, |topic, transaction| {
        let TopicRecord { name, partitions, .. } = &topic.record;
        let tombstone = TopicTombstone {
            id,
            name: name.clone(),
            partitions: *partitions,
            deleted: at,
        };
        let transaction = transaction
            .delete(keys::topic(id))
            .delete(keys::topic_name(name))
            .delete(keys::topic_history(id))
            .put(keys::tombstone(id), tombstone.encode());
        Ok((transaction, tombstone))
    })
}

/// Raises a topic's partition count to `wanted`, durably. Blocks.
///
/// # Errors
/// [`MetadataError::UnknownTopic`], [`MetadataError::PartitionsNotMore`]; failures of the store.
pub fn add_partitions(
    store: &dyn MetadataStore,
    id: TopicId,
    wanted: i32,
) -> Result<TopicRecord, MetadataError> {
    change(store, id, |topic, transaction| {
        let current = topic.record.partitions;
        if wanted <= current {
            return Err(MetadataError::PartitionsNotMore { id, current, wanted });
        }
        let record = TopicRecord {
            partitions: wanted,
            ..topic.record
        };
        Ok((transaction.put(keys::topic(id), record.encode()), record))
    })
}

/// Changes a topic's configs and notes the change in its history, durably. Blocks.
///
/// `expected` is the version of the topic against which the caller has checked the new configs. An edit that
/// changes nothing writes nothing.
///
/// # Errors
/// [`MetadataError::UnknownTopic`]; a conflict in [`MetadataError::Commit`] if the topic has changed since
/// (look again, check again); failures of the store.
pub fn alter_topic_configs(
    store: &dyn MetadataStore,
    id: TopicId,
    expected: Revision,
    edit: &ConfigEdit,
) -> Result<TopicRecord, MetadataError> {
    let mut record = read_topic(store, id)?.record;
    let changes = apply_edit(&mut record.configs, edit);
    let transaction = Transaction::new().require_version(keys::topic(id), expected);
    let transaction = if changes.is_empty() {
        transaction
    } else {
        note_changes(store, transaction, keys::topic_history(id), changes)?
            .put(keys::topic(id), record.encode())
    };
    store.commit(transaction)?;
    Ok(record)
}

/// Replaces a topic's labels, durably. Blocks.
///
/// # Errors
/// As [`alter_topic_configs`].
pub fn alter_topic_labels(
    store: &dyn MetadataStore,
    id: TopicId,
    expected: Revision,
    labels: BTreeMap<String, String>,
) -> Result<TopicRecord, MetadataError> {
    let record = TopicRecord {
        labels,
        ..read_topic(store, id)?.record
    };
    let transaction = Transaction::new().require_version(keys::topic(id), expected);
    store.commit(transaction.put(keys::topic(id), record.encode()))?;
    Ok(record)
}

/// Forgets deleted topics, durably, in one transaction. Blocks. Only for ids that no log file and no directory
/// names any more; ids without a tombstone are passed over.
///
/// # Errors
/// Failures of the store.
pub fn remove_tombstones(
    store: &dyn MetadataStore,
    ids: impl IntoIterator<Item = TopicId>,
) -> Result<Revision, MetadataError> {
    let unique: std::collections::BTreeSet<TopicId> = ids.into_iter().collect();
    let transaction = unique
        .into_iter()
        .fold(Transaction::new(), |all, id| all.delete(keys::tombstone(id)));
    Ok(store.commit(transaction)?)
}

fn read_topic(store: &dyn MetadataStore, id: TopicId) -> Result<Topic, MetadataError> {
    let key = keys::topic(id);
    let row = store.get(&key)?.ok_or(MetadataError::UnknownTopic { id })?;
    let record = TopicRecord::decode(&row.value).map_err(|source| MetadataError::record(&key, source))?;
    if record.id != id {
        let detail = format!("it holds topic {}", record.id);
        return Err(MetadataError::Inconsistent {
            key: KeyText(key),
            detail,
        });
    }
    Ok(Topic {
        record,
        version: row.version,
    })
}

/// Changes a topic by compare-and-set: reads it, lets `decide` build the transaction, tries again on conflict.
fn change<T>(
    store: &dyn MetadataStore,
    id: TopicId,
    decide: impl Fn(Topic, Transaction) -> Result<(Transaction, T), MetadataError>,
) -> Result<T, MetadataError> {
    let key = keys::topic(id);
    for _ in 0..ATTEMPTS_MAX {
        let topic = read_topic(store, id)?;
        let transaction = Transaction::new().require_version(key.clone(), topic.version);
        let (transaction, answer) = decide(topic, transaction)?;
        match store.commit(transaction) {
            Ok(_) => return Ok(answer),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(MetadataError::Contended {
        key: KeyText(key),
        attempts: ATTEMPTS_MAX,
    })
}

#[cfg(test)]
#[path = "topics_test.rs"]
mod tests;
