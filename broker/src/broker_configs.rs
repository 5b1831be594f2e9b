//! Broker settings changed while the broker runs (KIP-226): checked, made durable, put in force, in that order.
//!
//! Owns the order of such changes and nothing else: what a key may be is the settings' business, where a set is
//! stored the metadata's. Invariant: the snapshot in [`LiveSettings`] holds exactly the stored sets, but for what
//! was left out with a warning at start. One config change runs at a time, topics' included, so that appending to
//! a list and taking from it see the newest list.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_metadata::{CommitError, ConfigEdit, ConfigScope, Metadata, MetadataError, Revision};
use thalweg_settings::{DynamicScope, SettingError, Settings};
use thiserror::Error;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::clock::Clock;
use crate::live_settings::LiveSettings;
use crate::storage::is_no_space;
use crate::topics::Topics;

/// Why broker settings were not changed.
#[derive(Clone, Debug, Error)]
pub enum BrokerConfigError {
    /// A key or its value; the message names the key.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Somebody else changed the same set at the same time.
    #[error("the broker's settings were changed at the same time; try again")]
    Conflict,
    /// No space for the change.
    #[error("{0}")]
    DiskFull(String),
    /// The metadata failed.
    #[error("{0}")]
    Failed(String),
}

impl From<MetadataError> for BrokerConfigError {
    fn from(error: MetadataError) -> Self {
        if is_no_space(&error) {
            return Self::DiskFull(error.to_string());
        }
        match error {
            MetadataError::Commit(CommitError::Conflict { .. }) => Self::Conflict,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Changes of broker settings; one for the broker.
pub struct BrokerConfigs {
    metadata: Arc<Metadata>,
    topics: Arc<Topics>,
    settings: LiveSettings,
    clock: Clock,
    changing: Arc<Mutex<()>>,
}

impl BrokerConfigs {
    /// Takes the handles. `settings` already holds the stored sets, see [`apply_stored`].
    #[must_use]
    pub fn new(metadata: Arc<Metadata>, settings: LiveSettings, topics: Arc<Topics>, clock: Clock) -> Self {
        Self {
            metadata,
            topics,
            settings,
            clock,
            changing: Arc::default(),
        }
    }

    /// Waits until no other config change runs, and keeps others out until the result is dropped or used.
    pub async fn begin(&self) -> ConfigChange<'_> {
        let turn = Arc::clone(&self.changing).lock_owned().await;
        ConfigChange { configs: self, turn }
    }

    /// Returns the stored set of a scope with its version; empty if none was ever stored.
    fn stored(&self, scope: DynamicScope) -> (BTreeMap<String, String>, Option<Revision>) {
        let scope = self.stored_scope(scope);
        match self.metadata.image().broker_configs(scope) {
            Some(set) => (set.configs.clone(), Some(set.version)),
            None => (BTreeMap::new(), None),
        }
    }

    fn stored_scope(&self, scope: DynamicScope) -> ConfigScope {
        match scope {
            DynamicScope::ClusterDefault => ConfigScope::Default,
            DynamicScope::Broker => ConfigScope::Broker(self.settings.current().node_id()),
        }
    }
}

/// The right to change configs, one at a time.
pub struct ConfigChange<'a> {
    configs: &'a BrokerConfigs,
    turn: OwnedMutexGuard<()>,
}

impl ConfigChange<'_> {
    /// Returns the texts stored for a scope.
    #[must_use]
    pub fn stored(&self, scope: DynamicScope) -> BTreeMap<String, String> {
        self.configs.stored(scope).0
    }

    /// Checks changes (`None` removes a key) against everything else that is set, and returns the snapshot they
    /// would make.
    ///
    /// # Errors
    /// The first key that is unknown, read-only, of another scope or invalid, or a broken rule that spans keys.
    pub fn check(
        &self,
        scope: DynamicScope,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Settings, SettingError> {
        let mut texts = self.stored(scope);
        for (key, value) in changes {
            match value {
                Some(value) => texts.insert(key.clone(), value.clone()),
                None => match texts.remove(key) {
                    // Even one that this release does not know can be removed if it is stored.
                    Some(gone) => Some(gone),
                    None => {
                        Settings::check_dynamic_removal(key)?;
                        None
                    }
                },
            };
        }
        self.configs.settings.current().with_dynamic(scope, &texts)
    }

    /// Changes a scope's settings: durable and in force on return, for topics that take their defaults from them
    /// too. Once started it runs to its end, whether or not the caller waits.
    ///
    /// # Errors
    /// [`BrokerConfigError`]; nothing was changed then.
    pub async fn alter(
        self,
        scope: DynamicScope,
        changes: BTreeMap<String, Option<String>>,
        principal: String,
    ) -> Result<(), BrokerConfigError> {
        let next = self.check(scope, &changes)?;
        let (_, expected) = self.configs.stored(scope);
        let stored_scope = self.configs.stored_scope(scope);
        let edit = ConfigEdit {
            changes,
            at: self.configs.clock.now(),
            principal: Some(principal),
        };
        let (metadata, topics) = (
            Arc::clone(&self.configs.metadata),
            Arc::clone(&self.configs.topics),
        );
        let settings = self.configs.settings.clone();
        let turn = self.turn;
        let work = tokio::task::spawn_blocking(move || {
            // The next change waits for this one even if nobody waits for its answer.
            let _turn = turn;
            metadata.alter_broker_configs(stored_scope, expected, &edit)?;
            settings.replace(next);
            topics.refresh_all();
            Ok(())
        });
        match work.await {
            Ok(outcome) => outcome,
            Err(error) => Err(BrokerConfigError::Failed(format!("the change stopped: {error}"))),
        }
    }
}

/// Applies the stored sets to the settings of a start. What is no longer valid, after an upgrade or because the
/// file says something else now, is left out and logged: a broker must not refuse to start over a setting that can
/// only be changed while it runs.
#[must_use]
pub fn apply_stored(metadata: &Metadata, settings: Settings) -> Settings {
    let image = metadata.image();
    let stored = |scope| {
        image
            .broker_configs(scope)
            .map(|set| set.configs.clone())
            .unwrap_or_default()
    };
    let cluster = stored(ConfigScope::Default);
    let broker = stored(ConfigScope::Broker(settings.node_id()));
    let (applied, left_out) = settings.with_stored_dynamic(&cluster, &broker);
    for error in left_out {
        tracing::warn!(%error, "a stored broker setting is ignored; remove it, or set it to something valid");
    }
    applied
}

#[cfg(test)]
#[path = "broker_configs_test.rs"]
mod tests;
