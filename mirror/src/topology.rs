//! Which topics a link mirrors, and what has to be made or grown at the target. Pure.
//!
//! Owns the choice by name, prefix, loops and collisions. [`crate::discovery`] asks the clusters and does what is decided
//! here. Invariant: a topic of the target is touched only if its settings say that it is this link's mirror of this topic.

use std::collections::BTreeMap;

use thalweg_client::{ConfigAlteration, TopicMetadata};
use thalweg_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};
use thalweg_wire::mirror::LinkId;

use crate::config::{LinkConfig, link_id_text, parse_link_id};
use crate::heartbeats::is_heartbeats;
use crate::partition::Stop;
use crate::settings::{self, Settings};

/// Topic setting: the link that owns a mirror topic.
pub const CONFIG_LINK: &str = "mirror.link";
/// Topic setting: the cluster it is a mirror of.
pub const CONFIG_SOURCE_CLUSTER: &str = "mirror.source.cluster.id";
/// Topic setting: the topic it is a mirror of.
pub const CONFIG_SOURCE_TOPIC: &str = "mirror.source.topic";
/// Topic setting: the id of that topic.
pub const CONFIG_SOURCE_ID: &str = "mirror.source.topic.id";
/// Topic setting: the clusters that the records came through before that cluster, the nearest first, with commas.
pub const CONFIG_LINEAGE: &str = "mirror.source.lineage";
/// All of them.
pub const CONFIGS: [&str; 5] = [
    CONFIG_LINK,
    CONFIG_SOURCE_CLUSTER,
    CONFIG_SOURCE_TOPIC,
    CONFIG_SOURCE_ID,
    CONFIG_LINEAGE,
];
/// Clusters that records may come through.
const LINEAGE_MAX: usize = 30;
/// Kafka's bound on the length of a topic's name.
const TOPIC_NAME_LEN_MAX: usize = 249;
/// Names with this beginning are the brokers' own.
const INTERNAL_PREFIX: &str = "__";

/// What a mirror topic's settings say it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The owner; `None` for an ordinary topic.
    pub link: Option<LinkId>,
    /// Cluster it is a mirror of.
    pub cluster_id: String,
    /// Topic it is a mirror of.
    pub topic: String,
    /// That topic's id, as text; empty if it has none.
    pub topic_id: String,
    /// The clusters that the records came through before that cluster, the nearest first.
    pub lineage: Vec<String>,
}

impl Origin {
    /// Reads it from settings.
    pub fn from_configs<'a>(configs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut origin = Self::default();
        for (name, value) in configs {
            match name {
                CONFIG_LINK => origin.link = parse_link_id(value).filter(|link| *link != LinkId::NONE),
                CONFIG_SOURCE_CLUSTER => value.clone_into(&mut origin.cluster_id),
                CONFIG_SOURCE_TOPIC => value.clone_into(&mut origin.topic),
                CONFIG_SOURCE_ID => value.clone_into(&mut origin.topic_id),
                CONFIG_LINEAGE => {
                    let clusters = value.split(',').filter(|cluster| !cluster.is_empty());
                    origin.lineage = clusters.map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        origin
    }

    /// The clusters that a mirror's records came through, the nearest first; none for an ordinary topic.
    fn clusters(&self) -> impl Iterator<Item = &String> {
        let is_mirror = self.link.is_some();
        let all = std::iter::once(&self.cluster_id).chain(&self.lineage);
        all.filter(move |cluster| is_mirror && !cluster.is_empty())
    }
}

/// A topic of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its partitions and id.
    pub metadata: TopicMetadata,
    /// What it is a mirror of.
    pub origin: Origin,
    /// Its other settings, as far as they were asked for.
    pub settings: Settings,
}

/// Both sides of a link as they are now.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// The source's cluster id.
    pub source_cluster_id: String,
    /// The target's cluster id.
    pub target_cluster_id: String,
    /// Topics of the source that the link chooses, by name.
    pub source: BTreeMap<String, Topic>,
    /// Topics of the target with names that the chosen ones have there, by name.
    pub target: BTreeMap<String, Topic>,
}

/// One partition of a mirror topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorPartition {
    /// Its number, the same on both sides.
    pub partition: PartitionIndex,
    /// Who leads it at the source.
    pub source_leader: Option<BrokerId>,
    /// Who leads it at the target.
    pub target_leader: Option<BrokerId>,
    /// The source's leader epoch; unknown from old brokers.
    pub source_epoch: LeaderEpoch,
}

/// A topic that is mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorTopic {
    /// Its name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// Its id at the source; zero from old brokers.
    pub source_id: TopicId,
    /// Its id at the target.
    pub target_id: TopicId,
    /// Partitions that both sides have.
    pub partitions: Vec<MirrorPartition>,
    /// Why none of them may be copied.
    pub stop: Option<Stop>,
}

/// What to do with one chosen topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The target has no such topic yet.
    Create {
        /// Name at the source.
        source: String,
        /// Name at the target.
        target: String,
        /// Number of partitions.
        partitions: i32,
        /// The settings that make it a mirror topic.
        configs: Vec<(String, String)>,
    },
    /// The source has more partitions than the mirror.
    Grow {
        /// Name at the target.
        target: String,
        /// New number of partitions.
        partitions: i32,
    },
    /// The mirror's settings are not the source's.
    Change {
        /// Name at the source.
        source: String,
        /// Name at the target.
        target: String,
        /// What changes at the mirror.
        changes: Vec<ConfigAlteration>,
    },
    /// It is mirrored, and something should be known about it.
    Warn {
        /// Name at the source.
        source: String,
        /// What.
        warning: String,
    },
    /// It is mirrored.
    Mirror(MirrorTopic),
    /// It cannot be mirrored.
    Refuse {
        /// Name at the source.
        source: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Reports whether a link chooses a topic of the source by its name. The brokers' own topics and MirrorMaker's are never
/// chosen, but for its heartbeats, which a link with `heartbeats` always takes along.
#[must_use]
pub fn is_chosen(link: &LinkConfig, topic: &str, is_internal: bool) -> bool {
    let fits = |patterns: &[regex::Regex]| patterns.iter().any(|pattern| pattern.is_match(topic));
    if is_internal || topic.starts_with(INTERNAL_PREFIX) || is_mirror_makers(topic) || fits(&link.exclude) {
        return false;
    }
    fits(&link.topics) || (link.heartbeats && is_heartbeats(topic))
}

/// MirrorMaker's notes about one pair of clusters, which mean nothing on another.
fn is_mirror_makers(topic: &str) -> bool {
    topic.ends_with(".checkpoints.internal") || (topic.starts_with("mm2-") && topic.ends_with(".internal"))
}

/// The name of a topic at the target. Heartbeats are named as MirrorMaker names them, so that its clients find them.
#[must_use]
pub fn target_name(link: &LinkConfig, topic: &str) -> String {
    match link.heartbeats && is_heartbeats(topic) {
        true => format!("{}.{topic}", link.source_alias),
        false => format!("{}{topic}", link.prefix),
    }
}

/// Decides for each chosen topic, in the order of names. A topic that grows, changes or is mirrored with fewer partitions
/// gives several steps.
#[must_use]
pub fn reconcile(link: &LinkConfig, id: LinkId, sides: &Sides) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, topic) in &sides.source {
        let target = target_name(link, name);
        if let Some(reason) = never(topic, &target, &sides.target_cluster_id) {
            // Those of the other direction come back by their very nature.
            if link.heartbeats && is_heartbeats(name) {
                continue;
            }
            steps.push(Step::Refuse {
                source: name.clone(),
                reason,
            });
            continue;
        }
        match sides.target.get(&target) {
            None => {
                let mut configs = mirror_configs(id, &sides.source_cluster_id, topic);
                configs.extend(settings::initial(&link.settings, &topic.settings));
                steps.push(Step::Create {
                    source: name.clone(),
                    partitions: count(topic),
                    configs,
                    target,
                });
            }
            Some(there) => match refusal(id, &sides.source_cluster_id, name, there) {
                Some(reason) => steps.push(Step::Refuse {
                    source: name.clone(),
                    reason,
                }),
                None => {
                    steps.extend(changed(link, name, topic, there));
                    steps.extend(mirrored(name, target, topic, there));
                }
            },
        }
    }
    steps
}

/// Why a topic cannot be mirrored, whatever the target has.
fn never(topic: &Topic, target: &str, target_cluster_id: &str) -> Option<String> {
    // One that was promoted is its cluster's own, wherever it came from: failback mirrors it back.
    let is_mirror = topic.origin.link.is_some();
    let came_from = |cluster| topic.origin.clusters().any(|one| one == cluster);
    if is_mirror && came_from(target_cluster_id) {
        return Some(
            "it is itself a mirror of a topic of the target: copying it back would be a loop; exclude it"
                .to_owned(),
        );
    }
    if is_mirror && topic.origin.clusters().count() > LINEAGE_MAX {
        return Some(format!(
            "it came through more than {LINEAGE_MAX} clusters: is there a loop? exclude it"
        ));
    }
    (target.len() > TOPIC_NAME_LEN_MAX).then(|| {
        format!(
            "with the prefix its name has {} characters; {TOPIC_NAME_LEN_MAX} are allowed",
            target.len()
        )
    })
}

/// What the mirror's settings lack.
fn changed(link: &LinkConfig, source: &str, topic: &Topic, there: &Topic) -> Vec<Step> {
    let mut steps = Vec::new();
    let changes = settings::changes(&link.settings, &topic.settings, &there.settings);
    if !changes.is_empty() {
        steps.push(Step::Change {
            source: source.to_owned(),
            target: there.metadata.name.clone(),
            changes,
        });
    }
    if let Some(warning) = settings::mismatch(&link.settings, &topic.settings, &there.settings) {
        steps.push(Step::Warn {
            source: source.to_owned(),
            warning,
        });
    }
    steps
}

fn count(topic: &Topic) -> i32 {
    i32::try_from(topic.metadata.partitions.len()).unwrap_or(i32::MAX)
}

fn id_text(id: TopicId) -> String {
    match id.is_zero() {
        true => String::new(),
        false => id.to_string(),
    }
}

fn mirror_configs(id: LinkId, cluster_id: &str, topic: &Topic) -> Vec<(String, String)> {
    let mut configs = vec![
        (CONFIG_LINK.to_owned(), link_id_text(id)),
        (CONFIG_SOURCE_CLUSTER.to_owned(), cluster_id.to_owned()),
        (CONFIG_SOURCE_TOPIC.to_owned(), topic.metadata.name.clone()),
    ];
    if !topic.metadata.id.is_zero() {
        configs.push((CONFIG_SOURCE_ID.to_owned(), id_text(topic.metadata.id)));
    }
    let lineage: Vec<&str> = topic.origin.clusters().map(String::as_str).collect();
    if !lineage.is_empty() {
        configs.push((CONFIG_LINEAGE.to_owned(), lineage.join(",")));
    }
    configs
}

/// Why a topic of the target is not this link's mirror of `source`.
fn refusal(id: LinkId, cluster_id: &str, source: &str, there: &Topic) -> Option<String> {
    let name = &there.metadata.name;
    let Some(owner) = there.origin.link else {
        return Some(format!(
            "the target has a topic '{name}' that is no mirror; use a prefix, exclude the topic, or remove the one at the \
             target; `thalweg-mirror failback` makes it a mirror of the topic that took over from it"
        ));
    };
    if owner != id {
        return Some(format!(
            "the target's topic '{name}' belongs to link {}; use a prefix or exclude the topic",
            link_id_text(owner)
        ));
    }
    if there.origin.cluster_id != cluster_id {
        return Some(format!(
            "the target's topic '{name}' is a mirror of cluster {}, and the source is cluster {cluster_id}: \
             is source.bootstrap right?",
            there.origin.cluster_id
        ));
    }
    (there.origin.topic != source).then(|| {
        format!(
            "the target's topic '{name}' is a mirror of '{}': was the prefix changed?",
            there.origin.topic
        )
    })
}

fn mirrored(source: &str, target: String, topic: &Topic, there: &Topic) -> Vec<Step> {
    let mut steps = Vec::new();
    let (wanted, has) = (topic.metadata.partitions.len(), there.metadata.partitions.len());
    let found = id_text(topic.metadata.id);
    let was_recreated =
        !there.origin.topic_id.is_empty() && !found.is_empty() && there.origin.topic_id != found;
    if wanted > has && !was_recreated {
        steps.push(Step::Grow {
            target: target.clone(),
            partitions: count(topic),
        });
    }
    let leader_there: BTreeMap<PartitionIndex, Option<BrokerId>> = there
        .metadata
        .partitions
        .iter()
        .map(|partition| (partition.partition, partition.leader))
        .collect();
    let partitions = topic.metadata.partitions.iter().filter_map(|partition| {
        Some(MirrorPartition {
            partition: partition.partition,
            source_leader: partition.leader,
            source_epoch: partition.leader_epoch,
            target_leader: *leader_there.get(&partition.partition)?,
        })
    });
    steps.push(Step::Mirror(MirrorTopic {
        source: source.to_owned(),
        target,
        source_id: topic.metadata.id,
        target_id: there.metadata.id,
        partitions: partitions.collect(),
        stop: was_recreated.then(|| Stop::Recreated {
            expected: there.origin.topic_id.clone(),
            found,
        }),
    }));
    steps
}

/// Two links of one file that would mirror into the same topic, found by what they choose now.
#[must_use]
pub fn collisions(chosen: &[(String, String, String)]) -> Vec<String> {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for (link, cluster, target) in chosen {
        match seen.get(&(cluster.as_str(), target.as_str())) {
            Some(first) => found.push(format!(
                "links '{first}' and '{link}' both mirror into topic '{target}' of cluster {cluster}: give one a prefix or exclude the topic"
            )),
            None => {
                seen.insert((cluster, target), link);
            }
        }
    }
    found
}

#[cfg(test)]
#[path = "topology_test.rs"]
mod tests;
