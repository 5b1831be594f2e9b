//! Mirror topics: which link a topic was created for, and who may change it.
//!
//! A topic is a mirror from its creation, by its settings: so there is no moment, over a crash neither, in which a client
//! could write to it. Whether a partition is still the link's is in its log; one that was promoted is not. A topic that
//! clients wrote to becomes a mirror by [`super::handover`].

use std::collections::BTreeMap;

use thalweg_storage::engine::TopicRole;
use thalweg_storage::log::rows::WriteState;
use thalweg_types::PartitionIndex;
use thalweg_wire::mirror::LinkId;

use super::{TopicError, TopicView, Topics, is_internal_name};

/// What the keys of a mirror topic begin with.
pub const KEY_PREFIX: &str = "mirror.";
/// The link.
pub(super) const LINK_KEY: &str = "mirror.link";
const SOURCE_CLUSTER_KEY: &str = "mirror.source.cluster.id";
const SOURCE_TOPIC_KEY: &str = "mirror.source.topic";
const SOURCE_TOPIC_ID_KEY: &str = "mirror.source.topic.id";

/// Keys that say what records mean, which a mirror takes over from its source; how long and in what files it keeps them
/// is its own.
const SYNCED_KEYS: &[&str] = &[
    "cleanup.policy",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "delete.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
];

/// The link that a topic was created for, and what it is a mirror of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorLink {
    /// The link.
    pub id: LinkId,
    /// Id of the source's cluster; empty if it was not told.
    pub source_cluster: String,
    /// Name of the topic there.
    pub source_topic: String,
    /// Its id there; empty if it was not told.
    pub source_topic_id: String,
}

impl MirrorLink {
    /// Reads it from a topic's own settings; `None` for a topic that is no mirror.
    #[must_use]
    pub fn of(configs: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| configs.get(key).cloned().unwrap_or_default();
        Some(Self {
            id: link_id(configs.get(LINK_KEY)?)?,
            source_cluster: text(SOURCE_CLUSTER_KEY),
            source_topic: text(SOURCE_TOPIC_KEY),
            source_topic_id: text(SOURCE_TOPIC_ID_KEY),
        })
    }

    /// Says in words whose a topic is.
    pub(super) fn describe(&self, topic: &str) -> String {
        let cluster = match &*self.source_cluster {
            "" => String::new(),
            cluster => format!(" in cluster {cluster}"),
        };
        format!(
            "topic '{topic}' is a mirror of '{}'{cluster}, owned by link {}",
            self.source_topic,
            shown(self.id)
        )
    }
}

/// Writes a link's id as its key has it.
fn shown(id: LinkId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a link's id: 32 hexadecimal digits, or a UUID with its dashes. The settings have checked the form.
pub(super) fn link_id(text: &str) -> Option<LinkId> {
    let digits: String = text.trim().chars().filter(|digit| *digit != '-').collect();
    let id = LinkId(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes());
    (digits.len() == 32 && id != LinkId::NONE).then_some(id)
}

/// Returns who writes a topic with these settings before anybody has.
#[must_use]
pub fn topic_role(configs: &BTreeMap<String, String>) -> TopicRole {
    if MirrorLink::of(configs).is_some() {
        TopicRole::Mirror
    } else if configs
        .get(SOURCE_TOPIC_KEY)
        .is_some_and(|name| !name.trim().is_empty())
    {
        TopicRole::FormerMirror
    } else {
        TopicRole::Ordinary
    }
}

/// Reports whether a mirror takes a setting over from its source.
#[must_use]
pub fn is_synced_key(key: &str) -> bool {
    SYNCED_KEYS.contains(&key)
}

/// Checks what a new topic says of itself as a mirror.
pub(super) fn check_new_mirror(name: &str, configs: &BTreeMap<String, String>) -> Result<(), TopicError> {
    let is_set = |key: &str| configs.get(key).is_some_and(|text| !text.trim().is_empty());
    if !is_set(LINK_KEY) {
        return match configs
            .keys()
            .find(|key| key.starts_with(KEY_PREFIX) && is_set(key))
        {
            Some(key) => Err(TopicError::Mirror(format!(
                "{key} belongs to a mirror topic, which needs {LINK_KEY}"
            ))),
            None => Ok(()),
        };
    }
    if is_internal_name(name) {
        return Err(TopicError::Internal {
            name: name.to_owned(),
        });
    }
    if !is_set(SOURCE_TOPIC_KEY) {
        return Err(TopicError::Mirror(format!(
            "a mirror topic needs {SOURCE_TOPIC_KEY}, the name of the topic that {LINK_KEY} mirrors"
        )));
    }
    Ok(())
}

impl Topics {
    /// Returns the link that owns a partition of the topic still; `None` when clients may write to all.
    #[must_use]
    pub fn owner<'a>(&self, topic: &'a TopicView) -> Option<&'a MirrorLink> {
        let link = topic.mirror.as_ref()?;
        let mut partitions = (0..topic.partitions).map(PartitionIndex);
        let is_owned = partitions.any(|index| {
            let log = self.log(topic, index);
            log.is_some_and(|log| log.write_state() == WriteState::OwnedByLink)
        });
        is_owned.then_some(link)
    }

    /// Refuses what only the owner of a mirror topic may do, unless `link` is the owner.
    ///
    /// # Errors
    /// [`TopicError::OwnedByLink`].
    pub fn check_acts(&self, topic: &TopicView, link: Option<LinkId>) -> Result<(), TopicError> {
        match self.owner(topic) {
            Some(owner) if link != Some(owner.id) => Err(TopicError::OwnedByLink(format!(
                "{}: change the source, or promote the mirror first",
                owner.describe(&topic.name)
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses changes of a mirror topic's records by anyone but its link.
    ///
    /// # Errors
    /// [`TopicError::OwnedByLink`].
    pub fn check_writable(&self, topic: &TopicView) -> Result<(), TopicError> {
        self.check_acts(topic, None)
    }
}

impl TopicView {
    /// Says to a client why it cannot write to a partition that the link owns.
    #[must_use]
    pub fn why_read_only(&self) -> String {
        let whose = match &self.mirror {
            Some(link) => link.describe(&self.name),
            None => format!("topic '{}' is owned by a mirror link", self.name),
        };
        format!("{whose}: only the link writes to it; write to the source, or promote the mirror first")
    }
}

#[cfg(test)]
#[path = "mirror_test.rs"]
mod tests;
