//! Discovery: asks both clusters for their topics, and makes and grows mirror topics as [`crate::topology`] decides.
//!
//! Owns the calls. Settings of mirrors are changed only where this instance copies all partitions: what was promoted
//! belongs to clients, and what another instance copies is its business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_client::{
    ClientError, Cluster, ConfigAlteration, Metadata, NewTopic, TopicCreation, TopicMetadata, TopicPartition,
    TopicSelection, Validation,
};
use thalweg_types::{BrokerId, ErrorCode, PartitionIndex};
use thiserror::Error;
use tokio::sync::watch;

use crate::config::LinkConfig;
use crate::ends::Ends;
use crate::partition::State;
use crate::plan::shown;
use crate::settings;
use crate::status::LinkStatus;
use crate::topology::{CONFIGS, MirrorTopic, Origin, Sides, Step, Topic, is_chosen, reconcile, target_name};

/// Topics in one question about settings.
const TOPICS_PER_REQUEST: usize = 500;
/// Shortest pause between two looks at the sizes of the source's logs.
const SIZES_PAUSE: Duration = Duration::from_secs(10);

/// What one look found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Topics that are mirrored.
    pub topics: Vec<MirrorTopic>,
    /// Chosen topics that are not, and why.
    pub refused: Vec<(String, String)>,
    /// Topics that are mirrored, and what should be known about them.
    pub warnings: Vec<(String, String)>,
    /// Sizes of the source's logs in bytes, if they were asked for.
    pub sizes: HashMap<TopicPartition, u64>,
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
    /// What the engine does; `None` for a plan.
    status: Option<watch::Receiver<Arc<LinkStatus>>>,
    /// Changes of settings that were made, until the mirror has them: one that does not stick is not made for ever.
    applied: HashMap<String, Vec<ConfigAlteration>>,
    sized_at: Option<Instant>,
}

impl Discovery {
    /// Prepares to look; asks nothing.
    #[must_use]
    pub fn new(link: LinkConfig, ends: Ends) -> Self {
        Self {
            link,
            ends,
            status: None,
            applied: HashMap::new(),
            sized_at: None,
        }
    }

    /// Lets it see which partitions are copied, without which no setting of a mirror is changed.
    #[must_use]
    pub fn with_status(self, status: watch::Receiver<Arc<LinkStatus>>) -> Self {
        Self {
            status: Some(status),
            ..self
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
                _ => continue,
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
        self.applied.retain(|applied, _| is_to_change(&steps, applied));
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
                Step::Change {
                    source,
                    target,
                    changes,
                } => {
                    let warning = self.change(&source, target, changes).await;
                    found.warnings.extend(warning.map(|warning| (source, warning)));
                }
                Step::Warn { source, warning } => found.warnings.push((source, warning)),
                Step::Grow { .. } => {}
            }
        }
        found.sizes = self.sizes(&found.topics).await;
        Ok(found)
    }

    /// Gives a mirror the settings of its source; returns what is wrong with them.
    async fn change(
        &mut self,
        source: &str,
        target: String,
        changes: Vec<ConfigAlteration>,
    ) -> Option<String> {
        if !self.copies(source) {
            return None;
        }
        let text: Vec<String> = changes.iter().map(shown).collect();
        let text = text.join(", ");
        if self.applied.get(&target) == Some(&changes) {
            return Some(format!(
                "the mirror took these settings and does not show them: {text}"
            ));
        }
        let made = self
            .ends
            .target
            .alter_mirror_configs(&target, &changes, self.ends.link)
            .await;
        match made {
            Ok(()) => {
                tracing::info!(
                    link = self.link.name,
                    target,
                    "settings follow the source: {text}"
                );
                self.applied.insert(target, changes);
                None
            }
            Err(error) => Some(format!(
                "the mirror does not take the source's settings ({text}): {error}; exclude_settings leaves them out"
            )),
        }
    }

    /// Whether this instance copies every partition of a topic now.
    fn copies(&self, source: &str) -> bool {
        let Some(status) = &self.status else { return false };
        let status = Arc::clone(&status.borrow());
        let copying = [State::Live.name(), State::CatchingUp.name()];
        let mut partitions = status
            .partitions
            .iter()
            .filter(|partition| partition.topic == source)
            .peekable();
        partitions.peek().is_some() && partitions.all(|partition| copying.contains(&partition.state))
    }

    /// The sizes of the source's logs, when something is behind: how much is missing is estimated from them. A source that
    /// does not tell leaves the estimate to what was copied so far.
    async fn sizes(&mut self, topics: &[MirrorTopic]) -> HashMap<TopicPartition, u64> {
        let mut sizes = HashMap::new();
        let is_behind = self.status.as_ref().is_some_and(|status| {
            let status = status.borrow();
            status
                .partitions
                .iter()
                .any(|partition| partition.lag_offsets.is_none_or(|lag| lag > 0))
        });
        let is_early = self.sized_at.is_some_and(|at| at.elapsed() < SIZES_PAUSE);
        if !is_behind || is_early {
            return sizes;
        }
        self.sized_at = Some(Instant::now());
        let mut leaders: HashMap<(&str, PartitionIndex), BrokerId> = HashMap::new();
        for topic in topics {
            for partition in &topic.partitions {
                if let Some(leader) = partition.source_leader {
                    leaders.insert((topic.source.as_str(), partition.partition), leader);
                }
            }
        }
        let brokers: BTreeSet<BrokerId> = leaders.values().copied().collect();
        for broker in brokers {
            let directories = match self.ends.source.describe_log_dirs(broker).await {
                Ok(directories) => directories,
                Err(error) => {
                    tracing::debug!(link = self.link.name, %error, "the source does not tell how large its logs are");
                    continue;
                }
            };
            for replica in directories.into_iter().flat_map(|directory| directory.replicas) {
                let at = (replica.partition.topic.as_str(), replica.partition.partition);
                if leaders.get(&at) == Some(&broker) {
                    let size = u64::try_from(replica.size_bytes).unwrap_or_default();
                    sizes.insert(replica.partition, size);
                }
            }
        }
        sizes
    }

    async fn create(
        &self,
        source: &str,
        target: String,
        partitions: i32,
        configs: Vec<(String, String)>,
    ) -> Result<(), ClientError> {
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
        let mut mirrors = Vec::new();
        let mut chosen = Vec::new();
        for topic in all.topics.into_values().flatten() {
            if !is_chosen(&self.link, &topic.name, topic.is_internal) {
                continue;
            }
            if let Some(Ok(mirror)) = there.topics.get(&target_name(&self.link, &topic.name)) {
                mirrors.push(mirror.clone());
            }
            chosen.push(topic);
        }
        let source = described(&self.ends.source, &self.link.settings, chosen);
        let target = described(&self.ends.target, &self.link.settings, mirrors);
        let (source, target) = tokio::join!(source, target);
        Ok(Sides {
            source_cluster_id: self.ends.source_cluster_id.clone(),
            target_cluster_id: self.ends.target_cluster_id.clone(),
            source: source.map_err(source_side)?,
            target: target.map_err(target_side)?,
        })
    }
}

fn is_to_change(steps: &[Step], topic: &str) -> bool {
    steps
        .iter()
        .any(|step| matches!(step, Step::Change { target, .. } if target == topic))
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

/// Asks for the settings of topics, many in one request. A topic that went meanwhile is left out.
async fn described(
    cluster: &Cluster,
    copied: &[String],
    topics: Vec<TopicMetadata>,
) -> Result<BTreeMap<String, Topic>, ClientError> {
    let mut keys = settings::wanted(copied);
    keys.extend(CONFIGS.map(str::to_owned));
    let mut found = BTreeMap::new();
    for topics in topics.chunks(TOPICS_PER_REQUEST) {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let mut answers = cluster.describe_topic_configs(&names, &keys).await?;
        for metadata in topics {
            let entries = match answers.remove(&metadata.name) {
                Some(Ok(entries)) => entries,
                Some(Err(error)) if error.code == ErrorCode::UnknownTopicOrPartition => continue,
                Some(Err(error)) => return Err(error.into()),
                None => continue,
            };
            let pairs = entries
                .iter()
                .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)));
            let topic = Topic {
                metadata: metadata.clone(),
                origin: Origin::from_configs(pairs),
                settings: settings::read(entries),
            };
            found.insert(topic.metadata.name.clone(), topic);
        }
    }
    Ok(found)
}
