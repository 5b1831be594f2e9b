//! Changes to topics: create, delete, grow, alter. Checked whole before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngCore;
use thalweg_metadata::{CommitError, ConfigEdit, MetadataError, TopicKind, TopicRecord};
use thalweg_settings::{SettingError, Settings, TopicConfig, validate_topic_overrides};
use thalweg_storage::engine::LiveTopic;
use thalweg_types::TopicId;
use thiserror::Error;

use super::mirror::{KEY_PREFIX, LINK_KEY, check_new_mirror, topic_role};
use super::names::{InvalidName, check_topic_name, metric_form};
use super::{TopicView, Topics, log_config};
use crate::storage::is_no_space;

/// Most partitions of one topic; every one costs memory on start.
const PARTITIONS_MAX: i32 = 100_000;
/// The key that lets any replication factor pass.
const ANY_FACTOR_KEY: &str = "replication.factor.any";

/// How many copies were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationFactor {
    /// The broker's default.
    Default,
    /// This many.
    Count(i32),
}

/// A topic to create.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions; `None` for `num.partitions`.
    pub partitions: Option<i32>,
    /// Copies.
    pub replication_factor: ReplicationFactor,
    /// Settings of its own.
    pub configs: BTreeMap<String, String>,
}

/// A change of one topic setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Key.
    pub key: String,
    /// New text; `None` takes the topic's own value away.
    pub value: Option<String>,
}

/// Why a topic was not changed.
#[derive(Clone, Debug, Error)]
pub enum TopicError {
    /// The name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The name is taken.
    #[error("topic '{name}' already exists")]
    Exists {
        /// The name.
        name: String,
    },
    /// No such topic.
    #[error("there is no such topic")]
    Unknown,
    /// The number of partitions.
    #[error("{0}")]
    Partitions(String),
    /// One machine holds one copy.
    #[error(
        "replication factor {asked}: one broker holds one copy. Ask for 1 or -1, or set {ANY_FACTOR_KEY}=true, which takes any \
         and reports 1"
    )]
    ReplicationFactor {
        /// What was asked for.
        asked: i32,
    },
    /// A setting.
    #[error(transparent)]
    Config(#[from] SettingError),
    /// A setting that says whose a topic is.
    #[error(
        "{key} is set when a topic is created; later only a mirror link changes it (`thalweg-mirror failback`): create another topic"
    )]
    FixedAtCreation {
        /// The key.
        key: String,
    },
    /// What a new mirror topic needs.
    #[error("{0}")]
    Mirror(String),
    /// Only the link that owns a mirror topic may do it.
    #[error("{0}")]
    OwnedByLink(String),
    /// The topic belongs to the broker.
    #[error("topic '{name}' is the broker's own")]
    Internal {
        /// The name.
        name: String,
    },
    /// Somebody else changed the topic at the same time.
    #[error("the topic was changed at the same time; try again")]
    Conflict,
    /// No space.
    #[error("{0}")]
    DiskFull(String),
    /// The metadata or the disk failed.
    #[error("{0}")]
    Failed(String),
}

impl From<MetadataError> for TopicError {
    fn from(error: MetadataError) -> Self {
        if is_no_space(&error) {
            return Self::DiskFull(error.to_string());
        }
        match error {
            MetadataError::TopicExists { name } => Self::Exists { name },
            MetadataError::UnknownTopic { .. } => Self::Unknown,
            MetadataError::Commit(CommitError::Conflict { .. }) => Self::Conflict,
            MetadataError::PartitionsNotMore { .. } => Self::Partitions(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Topics {
    /// Checks a new topic and returns it as it would be created.
    ///
    /// # Errors
    /// [`TopicError`].
    pub fn check_new(&self, new: &NewTopic) -> Result<TopicRecord, TopicError> {
        check_topic_name(&new.name)?;
        if self.by_name(&new.name).is_some() {
            return Err(TopicError::Exists {
                name: new.name.clone(),
            });
        }
        let form = metric_form(&new.name);
        if let Some(other) = self.all().iter().find(|topic| metric_form(&topic.name) == form) {
            let (name, other) = (new.name.clone(), other.name.to_string());
            return Err(InvalidName::Collision { name, other }.into());
        }
        let settings = self.settings.current();
        let default = i32::try_from(settings.num_partitions()).unwrap_or(1);
        let partitions = new.partitions.unwrap_or(default);
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let what = format!("{partitions} partitions: a topic has 1 to {PARTITIONS_MAX}");
            return Err(TopicError::Partitions(what));
        }
        check_factor(new.replication_factor, &settings)?;
        validate_topic_overrides(&new.configs, &settings)?;
        TopicConfig::resolve(&new.configs, &settings)?;
        check_new_mirror(&new.name, &new.configs)?;
        let mut id = [0; 16];
        rand::rng().fill_bytes(&mut id);
        Ok(TopicRecord {
            id: TopicId(id),
            name: new.name.clone(),
            partitions,
            configs: new.configs.clone(),
            labels: BTreeMap::new(),
            created: self.clock.now(),
            kind: Self::kind_of(&new.name),
        })
    }

    /// Creates a topic; it is durable and its partitions take records on return.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn create(self: &Arc<Self>, new: &NewTopic) -> Result<Arc<TopicView>, TopicError> {
        let _changing = self.changing.lock().await;
        let record = self.check_new(new)?;
        let topics = Arc::clone(self);
        blocking(move || {
            topics.metadata.create_topic(&record)?;
            topics.add_logs(record.id, 0)
        })
        .await
    }

    /// Deletes a topic; its records and committed offsets are gone for readers on return, its files after
    /// `file.delete.delay.ms`.
    ///
    /// # Errors
    /// [`TopicError::Internal`] for the broker's own topics; others.
    pub async fn delete(self: &Arc<Self>, id: TopicId) -> Result<(), TopicError> {
        let _changing = self.changing.lock().await;
        let view = self.by_id(id).ok_or(TopicError::Unknown)?;
        if view.is_internal() {
            return Err(TopicError::Internal {
                name: view.name.to_string(),
            });
        }
        let topics = Arc::clone(self);
        let at = self.clock.now();
        let gone = view.clone();
        blocking(move || {
            topics.metadata.delete_topic(id, at)?;
            topics.refresh(id);
            let doomed = topics.engine.delete(id, &gone.name);
            let doomed = doomed.map_err(|error| TopicError::Failed(error.to_string()))?;
            topics.doom(doomed, Duration::from_millis(gone.config.file_delete_delay_ms));
            Ok(())
        })
        .await?;
        // Before another topic may get the name.
        self.tell_deleted(view).await;
        Ok(())
    }

    /// Raises the number of partitions to `count`.
    ///
    /// # Errors
    /// [`TopicError`]; the number can only grow.
    pub async fn add_partitions(
        self: &Arc<Self>,
        id: TopicId,
        count: i32,
    ) -> Result<Arc<TopicView>, TopicError> {
        let _changing = self.changing.lock().await;
        let view = self.check_partitions(id, count)?;
        let topics = Arc::clone(self);
        // Of a mirror topic whose partitions all are clients' the new ones are, too.
        let was_mirror = view.mirror.is_some() && self.owner(&view).is_none();
        let at = self.clock.now();
        blocking(move || {
            if was_mirror {
                let edit = ConfigEdit {
                    changes: BTreeMap::from([(LINK_KEY.to_owned(), None)]),
                    at,
                    principal: None,
                };
                topics.metadata.alter_topic_configs(id, view.version, &edit)?;
            }
            topics.metadata.add_partitions(id, count)?;
            topics.add_logs(id, view.partitions)
        })
        .await
    }

    /// Checks a new number of partitions.
    ///
    /// # Errors
    /// [`TopicError`].
    pub fn check_partitions(&self, id: TopicId, count: i32) -> Result<Arc<TopicView>, TopicError> {
        let view = self.by_id(id).ok_or(TopicError::Unknown)?;
        if view.is_internal() {
            // The coordinator finds a group's partition by their number.
            return Err(TopicError::Internal {
                name: view.name.to_string(),
            });
        }
        if self.is_sealed(&view) {
            let what = format!(
                "topic '{}' is sealed: a new partition would take records",
                view.name
            );
            return Err(TopicError::Partitions(what));
        }
        if count > PARTITIONS_MAX {
            let what = format!("{count} partitions: a topic has at most {PARTITIONS_MAX}");
            return Err(TopicError::Partitions(what));
        }
        if count <= view.partitions {
            let (name, have) = (&view.name, view.partitions);
            let what =
                format!("topic '{name}' has {have} partitions, which can only grow; {count} is not more");
            return Err(TopicError::Partitions(what));
        }
        Ok(view)
    }

    /// Checks changes of a topic's settings and returns its own settings as they would be.
    ///
    /// # Errors
    /// [`TopicError::Config`] names the key.
    pub fn check_configs(
        &self,
        id: TopicId,
        changes: &[ConfigChange],
    ) -> Result<BTreeMap<String, String>, TopicError> {
        let view = self.by_id(id).ok_or(TopicError::Unknown)?;
        let mut configs = view.overrides.clone();
        for change in changes {
            if change.key.starts_with(KEY_PREFIX) {
                let key = change.key.clone();
                return Err(TopicError::FixedAtCreation { key });
            }
            match &change.value {
                Some(value) => configs.insert(change.key.clone(), value.clone()),
                None => configs.remove(&change.key),
            };
        }
        let settings = self.settings.current();
        validate_topic_overrides(&configs, &settings)?;
        TopicConfig::resolve(&configs, &settings)?;
        Ok(configs)
    }

    /// Changes a topic's settings; in force on return.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn alter_configs(
        self: &Arc<Self>,
        id: TopicId,
        changes: Vec<ConfigChange>,
        principal: String,
    ) -> Result<Arc<TopicView>, TopicError> {
        let _changing = self.changing.lock().await;
        self.check_configs(id, &changes)?;
        let view = self.by_id(id).ok_or(TopicError::Unknown)?;
        let edit = ConfigEdit {
            changes: changes
                .into_iter()
                .map(|change| (change.key, change.value))
                .collect(),
            at: self.clock.now(),
            principal: Some(principal),
        };
        let topics = Arc::clone(self);
        blocking(move || {
            topics.metadata.alter_topic_configs(id, view.version, &edit)?;
            topics.refresh(id).ok_or(TopicError::Unknown)
        })
        .await
    }

    fn add_logs(&self, id: TopicId, from: i32) -> Result<Arc<TopicView>, TopicError> {
        let image = self.metadata.image();
        let topic = image.topic_by_id(id).ok_or(TopicError::Unknown)?;
        let settings = self.settings.current();
        let (config, _) = TopicConfig::resolve_stored(&topic.record.configs, &settings);
        let live = LiveTopic {
            id,
            name: topic.record.name.as_str().into(),
            partitions: topic.record.partitions,
            config: Arc::new(log_config(&config, &settings)),
            role: topic_role(&topic.record.configs),
        };
        // Logs first: whoever sees the topic can write to it.
        self.engine.create(&live, from);
        self.refresh(id).ok_or(TopicError::Unknown)
    }
}

fn check_factor(factor: ReplicationFactor, settings: &Settings) -> Result<(), TopicError> {
    match factor {
        ReplicationFactor::Default | ReplicationFactor::Count(-1 | 1) => Ok(()),
        ReplicationFactor::Count(asked) if asked < 1 => Err(TopicError::ReplicationFactor { asked }),
        ReplicationFactor::Count(_) if settings.replication_factor_any() => Ok(()),
        ReplicationFactor::Count(asked) => Err(TopicError::ReplicationFactor { asked }),
    }
}

/// Runs work that waits for the disk where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TopicError> + Send + 'static,
) -> Result<T, TopicError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(TopicError::Failed(format!("the change stopped: {error}"))),
    }
}

/// Whose topic a name would be: for checks before a topic exists.
#[must_use]
pub fn is_internal_name(name: &str) -> bool {
    Topics::kind_of(name) == TopicKind::Internal
}
