//! The last changes of a topic's or a broker's configs: what, when, by whom.
//!
//! Bounded; meant for people who ask "who changed the retention?", not for replay.

use std::collections::{BTreeMap, VecDeque};

use thalweg_types::{TimestampMs, TopicId};

use crate::broker_configs::ConfigScope;
use crate::codec::{Decoder, Encoder};
use crate::error::{MetadataError, RecordError};
use crate::keys;
use crate::store::{MetadataStore, Transaction};

const HISTORY_FORMAT: u8 = 1;
/// How many changes are kept per topic or broker; one change is one key.
pub const CONFIG_HISTORY_LIMIT: usize = 64;
/// Longest text kept of a value or principal, in bytes; longer ones end in an ellipsis.
const TEXT_BYTES_MAX: usize = 1024;

/// Who changes configs to what, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEdit {
    /// The new values; `None` removes a key, so that its default counts again.
    pub changes: BTreeMap<String, Option<String>>,
    /// The time to note.
    pub at: TimestampMs,
    /// Who asked for it, as `User:name`; `None` if nobody is known.
    pub principal: Option<String>,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// When.
    pub at: TimestampMs,
    /// By whom, if known.
    pub principal: Option<String>,
    /// Which key.
    pub key: String,
    /// Its value before; `None` if it was not set.
    pub before: Option<String>,
    /// Its value after; `None` if it was removed.
    pub after: Option<String>,
}

/// Applies an edit to configs; returns the changes that were really made.
pub(crate) fn apply_edit(configs: &mut BTreeMap<String, String>, edit: &ConfigEdit) -> Vec<ConfigChange> {
    let mut made = Vec::new();
    for (key, after) in &edit.changes {
        let before = match after {
            Some(value) => configs.insert(key.clone(), value.clone()),
            None => configs.remove(key),
        };
        if before != *after {
            made.push(ConfigChange {
                at: edit.at,
                principal: edit.principal.as_deref().map(shortened),
                key: shortened(key),
                before: before.as_deref().map(shortened),
                after: after.as_deref().map(shortened),
            });
        }
    }
    made
}

/// Adds changes to a history's bytes (none if there is no history yet), and drops the oldest beyond the limit.
fn append_history(history: Option<&[u8]>, changes: Vec<ConfigChange>) -> Result<Vec<u8>, RecordError> {
    let mut all: VecDeque<ConfigChange> = history.map_or(Ok(Vec::new()), decode_history)?.into();
    all.extend(changes);
    while all.len() > CONFIG_HISTORY_LIMIT {
        all.pop_front();
    }
    Ok(encode_history(all.make_contiguous()))
}

/// Reads the last config changes of a live topic, oldest first, at most [`CONFIG_HISTORY_LIMIT`]. Blocks.
///
/// # Errors
/// Failures of the store; [`MetadataError::Record`].
pub fn topic_config_history(
    store: &dyn MetadataStore,
    id: TopicId,
) -> Result<Vec<ConfigChange>, MetadataError> {
    read_history(store, &keys::topic_history(id))
}

/// Reads the last changes of broker configs, as [`topic_config_history`]. Blocks.
///
/// # Errors
/// As [`topic_config_history`].
pub fn broker_config_history(
    store: &dyn MetadataStore,
    scope: ConfigScope,
) -> Result<Vec<ConfigChange>, MetadataError> {
    read_history(store, &keys::broker_history(scope))
}

fn read_history(store: &dyn MetadataStore, key: &[u8]) -> Result<Vec<ConfigChange>, MetadataError> {
    match store.get(key)? {
        None => Ok(Vec::new()),
        Some(row) => decode_history(&row.value).map_err(|source| MetadataError::record(key, source)),
    }
}

/// Adds to a transaction that `changes` are noted under `key`.
pub(crate) fn note_changes(
    store: &dyn MetadataStore,
    transaction: Transaction,
    key: Vec<u8>,
    changes: Vec<ConfigChange>,
) -> Result<Transaction, MetadataError> {
    // No compare: whoever changes the history changes the configs' row too, which is compared.
    let history = store.get(&key)?.map(|row| row.value);
    let history =
        append_history(history.as_deref(), changes).map_err(|source| MetadataError::record(&key, source))?;
    Ok(transaction.put(key, history))
}

fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let fits = text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= TEXT_BYTES_MAX)
        .last();
    format!("{}…", text.get(..fits.unwrap_or(0)).unwrap_or_default())
}

fn encode_history(changes: &[ConfigChange]) -> Vec<u8> {
    let counted = Encoder::new(HISTORY_FORMAT).u32(u32::try_from(changes.len()).unwrap_or(u32::MAX));
    let encoder = changes.iter().fold(counted, |encoder, change| {
        encoder
            .i64(change.at.get())
            .optional_text(change.principal.as_deref())
            .text(&change.key)
            .optional_text(change.before.as_deref())
            .optional_text(change.after.as_deref())
    });
    encoder.finish()
}

fn decode_history(bytes: &[u8]) -> Result<Vec<ConfigChange>, RecordError> {
    let mut decoder = Decoder::new("config history", bytes, HISTORY_FORMAT)?;
    let count = decoder.u32()?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(ConfigChange {
            at: TimestampMs(decoder.i64()?),
            principal: decoder.optional_text()?,
            key: decoder.text()?,
            before: decoder.optional_text()?,
            after: decoder.optional_text()?,
        });
    }
    decoder.finish()?;
    Ok(changes)
}

#[cfg(test)]
#[path = "config_history_test.rs"]
mod tests;
