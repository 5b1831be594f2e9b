//! From a topic's own keys and the broker's settings to the values in force, and the checks in between.

use std::collections::BTreeMap;

use crate::error::SettingError;
use crate::lookup::{lookup_topic, nearest_topic};
use crate::setting::{Effect, Setting};
use crate::settings::{Origin, Settings};
use crate::topic_keys::{TOPIC_SETTINGS, TopicConfig};
use crate::value::Value;

/// Checks `text` as a value of the key `name`, a broker's or a topic's (the broker's if both have the name).
///
/// # Errors
/// [`SettingError::Unknown`] with the nearest key, [`SettingError::Invalid`] with the reason, or
/// [`SettingError::Refused`].
pub fn validate(name: &str, text: &str) -> Result<Value, SettingError> {
    match crate::lookup::lookup(name) {
        Some(setting) => parse(setting, text, &Origin::Request),
        None => Err(SettingError::unknown(name, &Origin::Request)),
    }
}

/// Reads a text as a value of `setting` and names key and origin if it cannot be one.
pub(crate) fn parse(setting: &'static Setting, text: &str, origin: &Origin) -> Result<Value, SettingError> {
    let value = setting
        .parse(text)
        .map_err(|reason| SettingError::invalid(setting, text, reason, origin))?;
    if setting.effect == Effect::Refused && value != setting.default_value(setting.default) {
        return Err(SettingError::Refused {
            name: setting.name,
            value: if setting.is_sensitive() {
                "(hidden)".to_owned()
            } else {
                value.to_string()
            },
            default: setting.default,
            origin: origin.clone(),
        });
    }
    Ok(value)
}

/// Checks a topic's own keys against each other and against the broker's settings.
///
/// # Errors
/// The first thing wrong, naming the key (and for an unknown one the nearest); answer it as INVALID_CONFIG.
pub fn validate_topic_overrides(
    overrides: &BTreeMap<String, String>,
    settings: &Settings,
) -> Result<(), SettingError> {
    TopicConfig::resolve(overrides, settings).map(|_| ())
}

impl TopicConfig {
    /// Computes the values in force for a topic that has set `overrides` itself.
    ///
    /// # Errors
    /// An unknown key, a value that breaks its bounds, or keys that contradict each other.
    pub fn resolve(overrides: &BTreeMap<String, String>, settings: &Settings) -> Result<Self, SettingError> {
        for name in overrides.keys() {
            if lookup_topic(name).is_none() {
                return Err(unknown(name));
            }
        }
        let mut own = BTreeMap::new();
        for setting in TOPIC_SETTINGS {
            if let Some(text) = overrides.get(setting.name) {
                own.insert(setting.name, parse(setting, text, &Origin::Topic)?);
            }
        }
        let config = Self::from_own(own, settings);
        config.check(settings)?;
        Ok(config)
    }

    /// Computes the values in force for a stored topic. Its keys were valid when they were stored; what no longer is
    /// (another version, a smaller write-ahead log) is left out and returned for the log, because the topic's data
    /// must stay reachable. A topic's batches are never larger than the write-ahead log can hold.
    #[must_use]
    pub fn resolve_stored(
        overrides: &BTreeMap<String, String>,
        settings: &Settings,
    ) -> (Self, Vec<SettingError>) {
        let mut left_out = Vec::new();
        let mut own = BTreeMap::new();
        for (name, text) in overrides {
            let parsed = match lookup_topic(name) {
                Some(setting) => parse(setting, text, &Origin::Topic).map(|value| (setting.name, value)),
                None => Err(unknown(name)),
            };
            match parsed {
                Ok((name, value)) => {
                    own.insert(name, value);
                }
                Err(error) => left_out.push(error),
            }
        }
        let mut config = Self::from_own(own, settings);
        if let Err(error) = config.check(settings) {
            left_out.push(error);
            let limit = u32::try_from(settings.batch_bytes_max()).unwrap_or(u32::MAX);
            config.max_message_bytes = config.max_message_bytes.min(limit);
            config.min_compaction_lag_ms = config.min_compaction_lag_ms.min(config.max_compaction_lag_ms);
            config.remote_storage_enable &= settings.remote_log_storage_system_enable();
        }
        (config, left_out)
    }

    fn from_own(mut own: BTreeMap<&'static str, Value>, settings: &Settings) -> Self {
        Self::from_values(|name| own.remove(name).unwrap_or_else(|| broker_value(name, settings)))
    }

    /// Rules that span several keys.
    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        if self.min_compaction_lag_ms > self.max_compaction_lag_ms {
            return Err(SettingError::Conflict(format!(
                "min.compaction.lag.ms ({}) must be at most max.compaction.lag.ms ({})",
                self.min_compaction_lag_ms, self.max_compaction_lag_ms
            )));
        }
        let batch_bytes_max = settings.batch_bytes_max();
        if u64::from(self.max_message_bytes) > batch_bytes_max {
            return Err(SettingError::Conflict(format!(
                "max.message.bytes ({}) must be at most {batch_bytes_max}, half of wal.file.bytes; \
                 raise wal.file.bytes on the broker or lower max.message.bytes",
                self.max_message_bytes
            )));
        }
        if self.remote_storage_enable && !settings.remote_log_storage_system_enable() {
            return Err(SettingError::Conflict(
                "remote.storage.enable needs a broker with remote.log.storage.system.enable=true, \
                 and this one has it off"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn unknown(name: &str) -> SettingError {
    SettingError::Unknown {
        name: crate::error::shown(name),
        nearest: nearest_topic(name),
        origin: Origin::Topic,
    }
}

/// Value of a topic key that the topic does not set: from the broker keys that stand for it, else its default.
pub(crate) fn broker_value(name: &str, settings: &Settings) -> Value {
    let Some(setting) = lookup_topic(name) else {
        return Value::Null;
    };
    for synonym in setting.synonyms {
        let Some(effective) = settings.effective(synonym) else {
            continue;
        };
        match effective.value {
            Value::Null => {}
            // log.retention.hours and its like count in larger units; -1 means "for ever" in all of them.
            Value::Number(number) if setting.unit != effective.setting.unit => {
                let ms = number.saturating_mul(effective.setting.unit.in_ms());
                return Value::Number(ms.max(-1));
            }
            value => return value.clone(),
        }
    }
    setting.default_value(setting.default)
}

#[cfg(test)]
#[path = "topic_config_test.rs"]
mod tests;
