//! Discovery: asks both clusters for their topics, and makes and grows mirror topics as [`crate::topology`] decides.
//!
//! Owns the calls. Settings of a topic are asked for once for each topic id while they are what the link needs: an ordinary
//! topic at the source, a mirror of this link at the target.

use std::collections::{BTreeMap, HashMap};

use thalweg_client::{
    ClientError, Cluster, ConfigResource, ConfigSource, Metadata, NewTopic, TopicCreation, TopicMetadata,
    TopicSelection, Validation,
};
use thalweg_types::TopicId;
use thalweg_wire::mirror::LinkId;
use thiserror::Error;

use crate::config::{LinkConfig, LogStart};
use crate::ends::Ends;
use crate::topology::{MirrorTopic, Origin, Sides, Step, Topic, is_chosen, reconcile, target_name};

/// Settings that a mirror topic takes over from its source when it is made.
const COPIED: [&str; 13] = [
    "cleanup.policy",
    "delete.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
];
/// Of those, what a mirror with a log start of its own does not take over.
const RETENTION: [&str; 2] = ["retention.bytes", "retention.ms"];

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Topics that are mirrored.
    pub topics: Vec<MirrorTopic>,
    /// Chosen topics that are not, and why.
    pub refused: Vec<(String, String)>,
}

/// Why a look failed as a whole.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// A call failed.
    #[error("the {side}: {error}")]
    Call {
        /// `source` or `target`.
        side: &'static str,
        /// What happened.
        error: ClientError,
    },
    /// A side is not the cluster any more that the link began with.
    #[error(
        "the {side} is cluster {found} now; this link began with {expected}, and copies nothing until it is back"
    )]
    AnotherCluster {
        /// `source` or `target`.
        side: &'static str,
        /// What it was.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Looks at the topics of both sides.
#[derive(Debug)]
pub struct Discovery {
    link: LinkConfig,
    ends: Ends,
    source_origins: HashMap<TopicId, Origin>,
    target_origins: HashMap<TopicId, Origin>,
}

impl Discovery {
    /// Prepares to look; asks nothing.
    #[must_use]
    pub fn new(link: LinkConfig, ends: Ends) -> Self {
        Self {
            link,
            ends,
            source_origins: HashMap::new(),
            target_origins: HashMap::new(),
        }
    }

    /// Decides what is to be done, and does nothing.
    ///
    /// # Errors
    /// [`DiscoveryError`].
    pub async fn plan(&mut self) -> Result<Vec<Step>, DiscoveryError> {
        let sides = self.sides().await?;
        Ok(reconcile(&self.link, self.ends.link, &sides))
    }

    /// Looks, makes and grows what is missing, and returns what is mirrored. A topic that is made or grown now is there in
    /// the answer.
    ///
    /// # Errors
    /// [`DiscoveryError`] if a side does not answer; what concerns one topic only is in [`Found::refused`].
    pub async fn look(&mut self) -> Result<Found, DiscoveryError> {
        let mut troubles = BTreeMap::new();
        let mut has_changed = false;
        let mut steps = self.plan().await?;
        for step in steps.clone() {
            let (topic, done) = match step {
                Step::Create {
                    source,
                    target,
                    partitions,
                    configs,
                } => (
                    target.clone(),
                    self.create(&source, target, partitions, configs).await,
                ),
                Step::Grow { target, partitions } => {
                    let link = self.ends.link;
                    let grown = self
                        .ends
                        .target
                        .create_mirror_partitions(&target, partitions, link)
                        .await;
                    (target, grown)
                }
                Step::Mirror(_) | Step::Refuse { .. } => continue,
            };
            match done {
                Ok(()) => has_changed = true,
                Err(error) => {
                    troubles.insert(topic, error.to_string());
                }
            }
        }
        if has_changed {
            steps = self.plan().await?;
        }
        let mut found = Found::default();
        for step in steps {
            match step {
                Step::Mirror(topic) => found.topics.push(topic),
                Step::Refuse { source, reason } => found.refused.push((source, reason)),
                Step::Create { source, target, .. } => {
                    let reason = troubles
                        .remove(&target)
                        .unwrap_or_else(|| "it is being made".to_owned());
                    found.refused.push((source, reason));
                }
                Step::Grow { .. } => {}
            }
        }
        Ok(found)
    }

    async fn create(
        &self,
        source: &str,
        target: String,
        partitions: i32,
        mut configs: Vec<(String, String)>,
    ) -> Result<(), ClientError> {
        let settings = self
            .ends
            .source
            .describe_configs(&ConfigResource::topic(source))
            .await?;
        let is_copied = |name: &str| {
            let keeps_own = self.link.rules.log_start == LogStart::Independent && RETENTION.contains(&name);
            COPIED.contains(&name) && !keeps_own
        };
        configs.extend(
            settings
                .into_iter()
                .filter(|setting| setting.source == ConfigSource::DynamicTopic && is_copied(&setting.name))
                .filter_map(|setting| Some((setting.name, setting.value?))),
        );
        let topic = NewTopic {
            name: target.clone(),
            partitions: Some(partitions),
            replication_factor: None,
            configs,
        };
        let created = self
            .ends
            .target
            .create_topics(&[topic], Validation::Apply)
            .await?;
        match created.into_values().next() {
            Some(Err(error)) => Err(error.into()),
            _ => {
                tracing::info!(
                    link = self.link.name,
                    source,
                    target,
                    partitions,
                    "a mirror topic was made"
                );
                Ok(())
            }
        }
    }

    async fn sides(&mut self) -> Result<Sides, DiscoveryError> {
        let source_side = |error| DiscoveryError::Call {
            side: "source",
            error,
        };
        let target_side = |error| DiscoveryError::Call {
            side: "target",
            error,
        };
        let all = everything(&self.ends.source).await.map_err(source_side)?;
        is_still("source", &self.ends.source_cluster_id, &all)?;
        let there = everything(&self.ends.target).await.map_err(target_side)?;
        is_still("target", &self.ends.target_cluster_id, &there)?;
        // A topic of another link, or of none, may become ours or an ordinary one (failback): it is looked at each time.
        let ours = Some(self.ends.link);
        let mut sides = Sides {
            source_cluster_id: self.ends.source_cluster_id.clone(),
            target_cluster_id: self.ends.target_cluster_id.clone(),
            ..Sides::default()
        };
        for topic in all.topics.into_values().flatten() {
            if !is_chosen(&self.link, &topic.name, topic.is_internal) {
                continue;
            }
            if let Some(Ok(mirror)) = there.topics.get(&target_name(&self.link, &topic.name)) {
                let mirror = described(&self.ends.target, &mut self.target_origins, mirror.clone(), ours)
                    .await
                    .map_err(target_side)?;
                sides.target.insert(mirror.metadata.name.clone(), mirror);
            }
            let topic = described(&self.ends.source, &mut self.source_origins, topic, None)
                .await
                .map_err(source_side)?;
            sides.source.insert(topic.metadata.name.clone(), topic);
        }
        Ok(sides)
    }
}

async fn everything(cluster: &Cluster) -> Result<Metadata, ClientError> {
    cluster.metadata(TopicSelection::All, TopicCreation::Never).await
}

fn is_still(side: &'static str, expected: &str, metadata: &Metadata) -> Result<(), DiscoveryError> {
    let found = metadata.cluster_id.as_deref().unwrap_or_default();
    if found == expected {
        return Ok(());
    }
    Err(DiscoveryError::AnotherCluster {
        side,
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}

async fn described(
    cluster: &Cluster,
    known: &mut HashMap<TopicId, Origin>,
    metadata: TopicMetadata,
    settled: Option<LinkId>,
) -> Result<Topic, ClientError> {
    // Before topic ids nothing tells whether it is still the same topic.
    let is_settled = |origin: &&Origin| !metadata.id.is_zero() && origin.link == settled;
    if let Some(origin) = known.get(&metadata.id).filter(is_settled) {
        let origin = origin.clone();
        return Ok(Topic { metadata, origin });
    }
    let configs = cluster
        .describe_configs(&ConfigResource::topic(metadata.name.clone()))
        .await?;
    let pairs = configs
        .iter()
        .filter_map(|config| Some((config.name.as_str(), config.value.as_deref()?)));
    let origin = Origin::from_configs(pairs);
    known.insert(metadata.id, origin.clone());
    Ok(Topic { metadata, origin })
}
