//! Dynamic broker configs: one set for the whole cluster, one per broker (KIP-226).
//!
//! Which value wins, and which keys may be changed while a broker runs, is the settings' business.

use std::collections::BTreeMap;

use thalweg_types::BrokerId;

use crate::codec::{Decoder, Encoder};
use crate::config_history::{ConfigEdit, apply_edit, note_changes};
use crate::error::{MetadataError, RecordError};
use crate::keys;
use crate::store::{MetadataStore, Revision, Transaction};

const BROKER_CONFIG_FORMAT: u8 = 1;

/// For whom a set of broker configs counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigScope {
    /// Every broker that has no value of its own.
    Default,
    /// One broker.
    Broker(BrokerId),
}

/// One set of broker configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfigs {
    /// Keys and their texts; may be empty after removals.
    pub configs: BTreeMap<String, String>,
    /// The commit that wrote them.
    pub version: Revision,
}

/// Changes broker configs and notes the change in their history, durably. Blocks.
///
/// `expected` is the version against which the caller has checked the new configs, `None` if there were none.
/// An edit that changes nothing writes nothing. Returns the configs after it.
///
/// # Errors
/// [`MetadataError::InvalidBroker`]; a conflict in [`MetadataError::Commit`] if the configs have changed since
/// (look again, check again); failures of the store.
pub fn alter_broker_configs(
    store: &dyn MetadataStore,
    scope: ConfigScope,
    expected: Option<Revision>,
    edit: &ConfigEdit,
) -> Result<BTreeMap<String, String>, MetadataError> {
    if let ConfigScope::Broker(id) = scope
        && id.get() < 0
    {
        return Err(MetadataError::InvalidBroker { id });
    }
    let key = keys::broker_config(scope);
    let mut configs = match store.get(&key)? {
        None => BTreeMap::new(),
        Some(row) => decode(&row.value).map_err(|source| MetadataError::record(&key, source))?,
    };
    let changes = apply_edit(&mut configs, edit);
    let transaction = match expected {
        None => Transaction::new().require_absent(key.clone()),
        Some(version) => Transaction::new().require_version(key.clone(), version),
    };
    let transaction = if changes.is_empty() {
        transaction
    } else {
        note_changes(store, transaction, keys::broker_history(scope), changes)?.put(key, encode(&configs))
    };
    store.commit(transaction)?;
    Ok(configs)
}

fn encode(configs: &BTreeMap<String, String>) -> Vec<u8> {
    Encoder::new(BROKER_CONFIG_FORMAT).text_map(configs).finish()
}

/// Reads a set's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<BTreeMap<String, String>, RecordError> {
    let mut decoder = Decoder::new("broker configs", bytes, BROKER_CONFIG_FORMAT)?;
    let configs = decoder.text_map()?;
    decoder.finish()?;
    Ok(configs)
}

#[cfg(test)]
#[path = "broker_configs_test.rs"]
mod tests;
