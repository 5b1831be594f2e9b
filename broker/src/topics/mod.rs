//! Topics: what exists, under which name and id, with which settings; create, delete, grow, change.
//!
//! The one place where a topic name or id is resolved to its logs: Produce, Fetch, ListOffsets,
//! OffsetForLeaderEpoch, Metadata and fetch sessions all ask here (views will be answered here too). A change is
//! durable in the metadata before its effect is visible; one change runs at a time.

mod changes;
mod deletion;
mod handover;
mod mirror;
mod names;
mod view;

pub use changes::{ConfigChange, NewTopic, ReplicationFactor, TopicError, is_internal_name};
pub use deletion::Deletion;
pub use handover::Handover;
pub use mirror::{KEY_PREFIX as MIRROR_KEY_PREFIX, MirrorLink, is_synced_key, topic_role};
pub use names::{InvalidName, check_topic_name};
pub use view::{TopicView, log_config};

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use thalweg_metadata::{Metadata, TopicKind};
use thalweg_storage::engine::LogEngine;
use thalweg_storage::log::PartitionLog;
use thalweg_types::{PartitionIndex, TopicId, TopicPartitionId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::live_settings::LiveSettings;

/// All topics of the broker.
pub struct Topics {
    metadata: Arc<Metadata>,
    engine: Arc<LogEngine>,
    settings: LiveSettings,
    clock: Clock,
    views: RwLock<Views>,
    /// Held over a change from its check to its effect.
    changing: tokio::sync::Mutex<()>,
    /// Who keeps something about topics by name.
    deletions: Mutex<Option<mpsc::Sender<Deletion>>>,
    doomed: Mutex<Vec<(Instant, PathBuf)>>,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Topics({})", self.views.read().by_id.len())
    }
}

#[derive(Debug, Default)]
struct Views {
    by_name: BTreeMap<Arc<str>, Arc<TopicView>>,
    by_id: HashMap<TopicId, Arc<TopicView>>,
}

impl Topics {
    /// Takes the topics that the metadata holds; their logs are open in `engine`.
    #[must_use]
    pub fn new(
        metadata: Arc<Metadata>,
        engine: Arc<LogEngine>,
        settings: LiveSettings,
        clock: Clock,
    ) -> Self {
        let topics = Self {
            metadata,
            engine,
            settings,
            clock,
            views: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            deletions: Mutex::default(),
            doomed: Mutex::default(),
        };
        topics.refresh_all();
        topics
    }

    /// Returns the topic of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<TopicView>> {
        self.views.read().by_name.get(name).cloned()
    }

    /// Returns the topic of an id.
    #[must_use]
    pub fn by_id(&self, id: TopicId) -> Option<Arc<TopicView>> {
        self.views.read().by_id.get(&id).cloned()
    }

    /// Returns all topics, by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TopicView>> {
        self.views.read().by_name.values().cloned().collect()
    }

    /// Returns the log of a partition; `None` when the topic has no such partition (any more).
    #[must_use]
    pub fn log(&self, topic: &TopicView, partition: PartitionIndex) -> Option<Arc<PartitionLog>> {
        self.engine.get(TopicPartitionId {
            topic_id: topic.id,
            partition,
        })
    }

    /// Returns the logs.
    #[must_use]
    pub fn engine(&self) -> &Arc<LogEngine> {
        &self.engine
    }

    /// Returns the metadata.
    #[must_use]
    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    /// Returns whose topic a name is.
    #[must_use]
    pub fn kind_of(name: &str) -> TopicKind {
        match name {
            "__consumer_offsets" | "__transaction_state" => TopicKind::Internal,
            _ => TopicKind::Client,
        }
    }

    /// Reads all topics from the metadata again: after the broker's own settings changed.
    pub fn refresh_all(&self) {
        // Locked before the image is read, or a topic that is created meanwhile would be lost from sight.
        let mut current = self.views.write();
        let settings = self.settings.current();
        let image = self.metadata.image();
        let mut views = Views::default();
        for topic in image.topics() {
            let view = Arc::new(TopicView::new(topic, &settings));
            self.apply_config(&view);
            views.by_name.insert(view.name.clone(), view.clone());
            views.by_id.insert(view.id, view);
        }
        *current = views;
    }

    /// Reads one topic from the metadata again.
    fn refresh(&self, id: TopicId) -> Option<Arc<TopicView>> {
        let image = self.metadata.image();
        let mut views = self.views.write();
        let Some(topic) = image.topic_by_id(id) else {
            if let Some(gone) = views.by_id.remove(&id) {
                views.by_name.remove(&gone.name);
            }
            return None;
        };
        let view = Arc::new(TopicView::new(topic, &self.settings.current()));
        self.apply_config(&view);
        views.by_name.insert(view.name.clone(), view.clone());
        views.by_id.insert(id, view.clone());
        Some(view)
    }

    fn apply_config(&self, view: &TopicView) {
        for partition in 0..view.partitions {
            if let Some(log) = self.log(view, PartitionIndex(partition)) {
                log.set_config(view.log_config.clone());
            }
        }
    }

    /// Takes files that retention put aside; they are removed after the topic's `file.delete.delay.ms`.
    pub fn doom(&self, paths: Vec<PathBuf>, delay: std::time::Duration) {
        let at = Instant::now() + delay;
        self.doomed
            .lock()
            .extend(paths.into_iter().map(|path| (at, path)));
    }

    /// Returns the files and directories whose delay is over.
    #[must_use]
    pub fn take_due(&self) -> Vec<PathBuf> {
        let now = Instant::now();
        let mut doomed = self.doomed.lock();
        let (due, later) = std::mem::take(&mut *doomed)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        *doomed = later;
        let due: Vec<(Instant, PathBuf)> = due;
        due.into_iter().map(|(_, path)| path).collect()
    }
}
