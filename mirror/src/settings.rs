//! Settings of topics: what a mirror takes over from its source, when it is made and afterwards. Pure.
//!
//! Owns the comparison. Only what was set for a topic counts; what a topic has from its cluster's defaults is each side's
//! own. Which settings are copied, the link says; for those the source is right, also about what is not set.

use std::collections::BTreeMap;

use thalweg_client::{AlterOperation, ConfigAlteration, ConfigEntry, ConfigSource};

/// The setting that decides which records stay.
const CLEANUP_POLICY: &str = "cleanup.policy";

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is in force.
    pub value: String,
    /// Whether it was set for this topic.
    pub is_own: bool,
}

/// Settings of one topic, by name.
pub type Settings = BTreeMap<String, Setting>;

/// Reads what a cluster answered. A secret value is no setting that can be copied.
#[must_use]
pub fn read(entries: Vec<ConfigEntry>) -> Settings {
    let setting = |entry: ConfigEntry| {
        let setting = Setting {
            value: entry.value?,
            is_own: entry.source == ConfigSource::DynamicTopic,
        };
        Some((entry.name, setting))
    };
    entries.into_iter().filter_map(setting).collect()
}

/// Names to ask for: those that are copied, and what [`mismatch`] needs.
#[must_use]
pub fn wanted(copied: &[String]) -> Vec<String> {
    let mut wanted = copied.to_vec();
    if !wanted.iter().any(|name| name == CLEANUP_POLICY) {
        wanted.push(CLEANUP_POLICY.to_owned());
    }
    wanted
}

fn own<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings
        .get(name)
        .filter(|setting| setting.is_own)
        .map(|setting| setting.value.as_str())
}

/// What a new mirror is made with.
#[must_use]
pub fn initial(copied: &[String], source: &Settings) -> Vec<(String, String)> {
    copied
        .iter()
        .filter_map(|name| Some((name.clone(), own(source, name)?.to_owned())))
        .collect()
}

/// What has to change at the mirror, by name.
#[must_use]
pub fn changes(copied: &[String], source: &Settings, mirror: &Settings) -> Vec<ConfigAlteration> {
    let change = |name: &String| {
        let operation = match (own(source, name), own(mirror, name)) {
            (Some(wanted), found) if found != Some(wanted) => AlterOperation::Set(wanted.to_owned()),
            (None, Some(_)) => AlterOperation::Delete,
            _ => return None,
        };
        Some(ConfigAlteration {
            name: name.clone(),
            operation,
        })
    };
    copied.iter().filter_map(change).collect()
}

/// Says when the link leaves the mirror with another way to delete records than its source.
#[must_use]
pub fn mismatch(copied: &[String], source: &Settings, mirror: &Settings) -> Option<String> {
    if copied.iter().any(|name| name == CLEANUP_POLICY) {
        return None;
    }
    let (here, there) = (source.get(CLEANUP_POLICY)?, mirror.get(CLEANUP_POLICY)?);
    (here.value != there.value).then(|| {
        format!(
            "{CLEANUP_POLICY} is '{}' at the source and '{}' at the mirror, and the link does not copy it: the mirror \
             keeps other records than its source",
            here.value, there.value
        )
    })
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
