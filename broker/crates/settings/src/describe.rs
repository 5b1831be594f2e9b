//! What DescribeConfigs tells: every key with value, source, synonyms and text (KIP-133, KIP-226, KIP-569).
//!
//! Synonyms come in Kafka's order: the topic's own value, then for each source, strongest first, the broker keys that
//! stand for the key. The first one is where the value comes from.

use std::collections::BTreeMap;

use crate::broker_keys::BROKER_SETTINGS;
use crate::setting::{Effect, Setting, Update};
use crate::settings::{Origin, Settings, Slot};
use crate::topic_config::broker_value;
use crate::topic_keys::TOPIC_SETTINGS;

/// Keys that begin so are set when a topic is created; later only a mirror link changes them.
const MIRROR_PREFIX: &str = "mirror.";

/// Where a value comes from, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigSource {
    /// The topic's own.
    DynamicTopic = 1,
    /// Set while running, for this broker.
    DynamicBroker = 2,
    /// Set while running, for all brokers.
    DynamicDefaultBroker = 3,
    /// File, environment or command line.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// A log level set while running.
    DynamicBrokerLogger = 6,
}

impl ConfigSource {
    /// Returns the number on the wire.
    #[must_use]
    pub const fn id(self) -> i8 {
        self as i8
    }

    fn of(origin: &Origin) -> Self {
        match origin {
            Origin::Default => Self::Default,
            Origin::File { .. } | Origin::Environment { .. } | Origin::CommandLine => Self::StaticBroker,
            Origin::DynamicDefault => Self::DynamicDefaultBroker,
            Origin::DynamicBroker => Self::DynamicBroker,
            Origin::Topic | Origin::Request | Origin::Question => Self::DynamicTopic,
        }
    }
}

/// Another key, or another source of the same key, that would give the value if the ones before it were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key.
    pub name: &'static str,
    /// Its value as Kafka prints it; `None` for a secret.
    pub value: Option<String>,
    /// Where it was set.
    pub source: ConfigSource,
}

/// One key of a DescribeConfigs reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: &'static str,
    /// The value in force as Kafka prints it; `None` for null and for a secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// It cannot be changed while running.
    pub read_only: bool,
    /// It is a secret.
    pub sensitive: bool,
    /// Kafka's number of the type.
    pub config_type: i8,
    /// Every source that has a value, the one in force first.
    pub synonyms: Vec<ConfigSynonym>,
    /// Text for people.
    pub doc: String,
}

impl ConfigEntry {
    /// Reports whether nobody set the value (`is_default` of version 0).
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

/// Describes a topic that has set `overrides` itself: every topic key, by name.
///
/// Overrides that are no values of a key (stored by another version) are shown as if they were not there, which
/// is how [`TopicConfig::resolve_stored`](crate::TopicConfig::resolve_stored) applies them.
#[must_use]
pub fn describe_topic(overrides: &BTreeMap<String, String>, settings: &Settings) -> Vec<ConfigEntry> {
    let mut entries = Vec::with_capacity(TOPIC_SETTINGS.len());
    for setting in TOPIC_SETTINGS {
        let mut synonyms = Vec::new();
        let own = overrides
            .get(setting.name)
            .and_then(|text| setting.parse(text).ok());
        if let Some(value) = &own {
            let source = ConfigSource::DynamicTopic;
            synonyms.push(ConfigSynonym {
                name: setting.name,
                value: value.printed(),
                source,
            });
        }
        broker_synonyms(setting.synonyms, settings, &mut synonyms);
        let value = own.unwrap_or_else(|| broker_value(setting.name, settings));
        entries.push(entry(setting, value.printed(), synonyms));
    }
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

/// Describes this broker: every broker key, by name.
#[must_use]
pub fn describe_broker(settings: &Settings) -> Vec<ConfigEntry> {
    let mut entries: Vec<ConfigEntry> = BROKER_SETTINGS
        .iter()
        .zip(settings.slots())
        .map(|(setting, slot)| {
            let synonyms = synonyms_of(setting.name, settings);
            entry(setting, slot.value.printed(), synonyms)
        })
        .collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

/// Describes the settings made for all brokers while running (the broker resource with an empty name): only the
/// keys that have such a value.
#[must_use]
pub fn describe_cluster_default(settings: &Settings) -> Vec<ConfigEntry> {
    let mut entries = Vec::new();
    for (setting, slot) in BROKER_SETTINGS.iter().zip(settings.slots()) {
        if let Some(layer) = slot
            .layers
            .iter()
            .find(|layer| layer.origin == Origin::DynamicDefault)
        {
            let mut synonyms = synonyms_of(setting.name, settings);
            synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
            entries.push(entry(setting, layer.value.printed(), synonyms));
        }
    }
    entries.sort_unstable_by_key(|entry| entry.name);
    entries
}

fn entry(setting: &Setting, value: Option<String>, synonyms: Vec<ConfigSynonym>) -> ConfigEntry {
    let dynamic = setting.update != Update::ReadOnly
        && setting.effect != Effect::Refused
        && !setting.name.starts_with(MIRROR_PREFIX);
    ConfigEntry {
        name: setting.name,
        value: if setting.is_sensitive() { None } else { value },
        source: synonyms
            .first()
            .map_or(ConfigSource::Default, |first| first.source),
        read_only: !dynamic,
        sensitive: setting.is_sensitive(),
        config_type: setting.kind.id(),
        synonyms,
        doc: setting.full_doc(),
    }
}

/// The broker key and the weaker ones behind it, as Kafka lists them: `log.retention.minutes` gives minutes and
/// hours, `log.retention.hours` itself.
pub(crate) fn family(name: &'static str) -> &'static [&'static str] {
    TOPIC_SETTINGS
        .iter()
        .find_map(|row| {
            row.synonyms
                .iter()
                .position(|other| *other == name)
                .and_then(|at| row.synonyms.get(at..))
        })
        .unwrap_or_default()
}

fn synonyms_of(name: &'static str, settings: &Settings) -> Vec<ConfigSynonym> {
    let mut synonyms = Vec::new();
    match family(name) {
        [] => broker_synonyms(&[name], settings, &mut synonyms),
        names => broker_synonyms(names, settings, &mut synonyms),
    }
    synonyms
}

/// Lists the values of the named broker keys, strongest source first.
fn broker_synonyms(names: &[&'static str], settings: &Settings, synonyms: &mut Vec<ConfigSynonym>) {
    let slots: Vec<(&'static str, &Slot)> = names
        .iter()
        .filter_map(|name| settings.slot(name).map(|slot| (*name, slot)))
        .collect();
    let sources = [
        ConfigSource::DynamicBroker,
        ConfigSource::DynamicDefaultBroker,
        ConfigSource::StaticBroker,
    ];
    for source in sources {
        for (name, slot) in &slots {
            // Of file, environment and --set only the strongest counts; Kafka knows one static source.
            let layer = slot
                .layers
                .iter()
                .rev()
                .find(|layer| ConfigSource::of(&layer.origin) == source);
            if let Some(layer) = layer {
                let value = shown(name, layer.value.to_string());
                synonyms.push(ConfigSynonym { name, value, source });
            }
        }
    }
    for (name, slot) in &slots {
        if let Some(text) = slot.default {
            synonyms.push(ConfigSynonym {
                name,
                value: shown(name, text.to_owned()),
                source: ConfigSource::Default,
            });
        }
    }
}

fn shown(name: &str, text: String) -> Option<String> {
    let secret = crate::lookup::lookup_broker(name).is_some_and(Setting::is_sensitive);
    (!secret).then_some(text)
}

#[cfg(test)]
#[path = "describe_test.rs"]
mod tests;
