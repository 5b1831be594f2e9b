//! Changes while the broker runs: dynamic broker settings, and append and subtract on lists.
//!
//! The metadata store keeps the texts (one map for all brokers, one per broker); this module checks a change
//! before it is stored and turns what is stored into a new snapshot.

use std::collections::BTreeMap;

use crate::broker_keys::BROKER_SETTINGS;
use crate::checks;
use crate::error::SettingError;
use crate::lookup::{broker_index, lookup_broker};
use crate::setting::{Kind, Setting, Update};
use crate::settings::{Layer, Origin, Settings};
use crate::topic_config;

/// For whom a dynamic setting is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicScope {
    /// All brokers (the broker resource with an empty name).
    ClusterDefault,
    /// This broker.
    Broker,
}

impl DynamicScope {
    fn origin(self) -> Origin {
        match self {
            Self::ClusterDefault => Origin::DynamicDefault,
            Self::Broker => Origin::DynamicBroker,
        }
    }
}

impl Settings {
    /// Checks the whole set of dynamic values of one scope that a request would leave behind, against the present
    /// values of everything else, and returns the snapshot they make. Values of the other scope stay.
    ///
    /// # Errors
    /// The first key that is unknown, read-only, of the wrong scope or invalid, or a broken rule that spans keys.
    /// Apache Kafka 4.3 answers INVALID_REQUEST for broker keys (INVALID_CONFIG is for topics).
    pub fn with_dynamic(
        &self,
        scope: DynamicScope,
        texts: &BTreeMap<String, String>,
    ) -> Result<Self, SettingError> {
        let mut next = self.clone();
        next.clear(scope);
        for (name, text) in texts {
            next.put_dynamic(scope, name, text)?;
        }
        next.finish();
        match checks::check(&next) {
            Ok(_) => Ok(next),
            Err(mut errors) => Err(errors.swap_remove(0)),
        }
    }

    /// Applies what the metadata store holds at start. What is no longer valid (after an upgrade or a changed file) is
    /// left out and returned, because a broker must not refuse to start over a setting it cannot be asked to change.
    #[must_use]
    pub fn with_stored_dynamic(
        &self,
        cluster: &BTreeMap<String, String>,
        broker: &BTreeMap<String, String>,
    ) -> (Self, Vec<SettingError>) {
        let mut current = self.clone();
        current.clear(DynamicScope::ClusterDefault);
        current.clear(DynamicScope::Broker);
        current.finish();
        let mut left_out = Vec::new();
        for (scope, texts) in [
            (DynamicScope::ClusterDefault, cluster),
            (DynamicScope::Broker, broker),
        ] {
            let mut all = current.clone();
            let mut invalid = Vec::new();
            for (name, text) in texts {
                if let Err(error) = all.put_dynamic(scope, name, text) {
                    invalid.push(error);
                }
            }
            all.finish();
            left_out.append(&mut invalid);
            if checks::check(&all).is_ok() {
                current = all;
                continue;
            }
            // Together they break a rule: take them one by one, in the order of their names.
            for (name, text) in texts {
                let mut next = current.clone();
                if next.put_dynamic(scope, name, text).is_err() {
                    continue;
                }
                next.finish();
                match checks::check(&next) {
                    Ok(_) => current = next,
                    Err(errors) => left_out.extend(errors),
                }
            }
        }
        (current, left_out)
    }

    fn clear(&mut self, scope: DynamicScope) {
        let origin = scope.origin();
        for slot in self.slots_mut() {
            slot.layers.retain(|layer| layer.origin != origin);
        }
    }

    fn put_dynamic(&mut self, scope: DynamicScope, name: &str, text: &str) -> Result<(), SettingError> {
        let origin = scope.origin();
        let index = broker_index(name).ok_or_else(|| SettingError::unknown(name, &origin))?;
        let setting: &'static Setting = &BROKER_SETTINGS[index];
        match (setting.update, scope) {
            (Update::ReadOnly | Update::Topic, _) => {
                return Err(SettingError::ReadOnly { name: setting.name });
            }
            (Update::PerBroker, DynamicScope::ClusterDefault) => {
                return Err(SettingError::PerBrokerOnly { name: setting.name });
            }
            (Update::PerBroker | Update::ClusterWide, _) => {}
        }
        let value = topic_config::parse(setting, text, &origin)?;
        self.slots_mut()[index].put(Layer { origin, value });
        Ok(())
    }

    fn finish(&mut self) {
        for (slot, setting) in self.slots_mut().iter_mut().zip(BROKER_SETTINGS) {
            slot.settle(setting);
        }
    }

    /// Checks that a dynamic value of `name` may be removed: the key exists and is dynamic.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] or [`SettingError::ReadOnly`].
    pub fn check_dynamic_removal(name: &str) -> Result<(), SettingError> {
        match lookup_broker(name) {
            None => Err(SettingError::unknown(name, &Origin::Request)),
            Some(setting) if setting.update == Update::ReadOnly => {
                Err(SettingError::ReadOnly { name: setting.name })
            }
            Some(_) => Ok(()),
        }
    }
}

/// A change of a list-typed key by IncrementalAlterConfigs (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// Adds the entries that are not there yet.
    Append,
    /// Takes the entries away that are there.
    Subtract,
}

/// Returns the new text of a list after appending or subtracting `text`.
///
/// `current` is the text stored for the resource; without one, the key's default is changed, as in Kafka. The
/// result still has to pass the checks of its resource.
///
/// # Errors
/// [`SettingError::NotAList`].
pub fn alter_list(
    setting: &Setting,
    current: Option<&str>,
    change: ListChange,
    text: &str,
) -> Result<String, SettingError> {
    if setting.kind != Kind::List {
        return Err(SettingError::NotAList {
            name: setting.name,
            kind: setting.kind.name(),
        });
    }
    let entries = |text: &str| -> Vec<String> {
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let named = entries(text);
    let mut list = entries(current.or(setting.default).unwrap_or_default());
    match change {
        ListChange::Append => {
            let mut seen: std::collections::HashSet<String> = list.iter().cloned().collect();
            list.extend(named.into_iter().filter(|entry| seen.insert(entry.clone())));
        }
        ListChange::Subtract => {
            let gone: std::collections::HashSet<String> = named.into_iter().collect();
            list.retain(|entry| !gone.contains(entry));
        }
    }
    Ok(list.join(","))
}

#[cfg(test)]
#[path = "dynamic_test.rs"]
mod tests;
