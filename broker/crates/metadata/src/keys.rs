//! The keys of all rows.
//!
//! Invariant: no two kinds of row can meet. Each kind has its own prefix, none a prefix of another's.

use thalweg_types::{BrokerId, TopicId};

use crate::broker_configs::ConfigScope;

/// Identity of the cluster and of this data directory.
pub(crate) const STAMP: &[u8] = b"cluster/stamp";
/// How often the broker has started.
pub(crate) const START_COUNTER: &[u8] = b"cluster/start-counter";
/// The next producer id that no block holds.
pub(crate) const PRODUCER_IDS: &[u8] = b"cluster/producer-ids";
/// Every row the image is made of.
pub(crate) const IMAGE: &[u8] = b"m/";
/// Live topics, by id.
pub(crate) const TOPICS: &[u8] = b"m/topic/id/";
/// Ids of live topics, by name.
pub(crate) const TOPIC_NAMES: &[u8] = b"m/topic/name/";
/// Deleted topics, by id.
pub(crate) const TOMBSTONES: &[u8] = b"m/topic/deleted/";
/// Dynamic broker configs, by scope.
pub(crate) const BROKER_CONFIGS: &[u8] = b"m/broker-config/";
const DEFAULT_SCOPE: &[u8] = b"default";
const BROKER_SCOPE: &[u8] = b"broker/";
const TOPIC_HISTORY: &[u8] = b"history/topic/";
const BROKER_HISTORY: &[u8] = b"history/broker-config/";
/// Rows that only their owner understands (recovery points).
pub(crate) const OPAQUE: &[u8] = b"r/";

/// Joins a prefix and the rest of a key.
pub(crate) fn join(prefix: &[u8], rest: &[u8]) -> Vec<u8> {
    [prefix, rest].concat()
}

pub(crate) fn topic(id: TopicId) -> Vec<u8> {
    join(TOPICS, id.to_string().as_bytes())
}

pub(crate) fn topic_name(name: &str) -> Vec<u8> {
    join(TOPIC_NAMES, name.as_bytes())
}

pub(crate) fn tombstone(id: TopicId) -> Vec<u8> {
    join(TOMBSTONES, id.to_string().as_bytes())
}

pub(crate) fn topic_history(id: TopicId) -> Vec<u8> {
    join(TOPIC_HISTORY, id.to_string().as_bytes())
}

fn scope(scope: ConfigScope) -> Vec<u8> {
    match scope {
        ConfigScope::Default => DEFAULT_SCOPE.to_vec(),
        ConfigScope::Broker(id) => join(BROKER_SCOPE, id.to_string().as_bytes()),
    }
}

pub(crate) fn broker_config(of: ConfigScope) -> Vec<u8> {
    join(BROKER_CONFIGS, &scope(of))
}

pub(crate) fn broker_history(of: ConfigScope) -> Vec<u8> {
    join(BROKER_HISTORY, &scope(of))
}

/// Reads the scope at the end of a broker config's key.
pub(crate) fn scope_of(rest: &[u8]) -> Option<ConfigScope> {
    if rest == DEFAULT_SCOPE {
        return Some(ConfigScope::Default);
    }
    let text = std::str::from_utf8(rest.strip_prefix(BROKER_SCOPE)?).ok()?;
    text.parse().ok().map(|id| ConfigScope::Broker(BrokerId(id)))
}

/// Reads the topic id at the end of a key.
pub(crate) fn topic_id_of(rest: &[u8]) -> Option<TopicId> {
    std::str::from_utf8(rest).ok()?.parse().ok()
}
