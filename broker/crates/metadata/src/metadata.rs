//! The image kept up to date: what the broker reads without waiting, and changes through one place.
//!
//! Every change goes to the store first and into the image after it is durable, in the order of commits.
//! Whoever changed something finds it in the image when the call returns.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_types::{TimestampMs, TopicId};
use tokio::sync::watch;

use crate::broker_configs::{ConfigScope, alter_broker_configs};
use crate::config_history::ConfigEdit;
use crate::error::MetadataError;
use crate::image::MetadataImage;
use crate::keys;
use crate::store::{MetadataStore, Revision};
use crate::topic_record::{TopicRecord, TopicTombstone};
use crate::topics;
use crate::watch::{Watch, WatchError};

/// A store with its image. Methods that change something block (see [`MetadataStore`]); reading does not.
pub struct Metadata {
    store: Arc<dyn MetadataStore>,
    /// Held by whoever brings the image up to date.
    follower: Mutex<Follower>,
    image: watch::Sender<Arc<MetadataImage>>,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("revision", &self.image.borrow().revision())
            .finish_non_exhaustive()
    }
}

struct Follower {
    watch: Watch,
    state: FollowerState,
}

enum FollowerState {
    Following,
    /// Something was missed or not understood: only a new load helps.
    Reload,
}

impl Metadata {
    /// Loads the image from the store. Blocks.
    ///
    /// # Errors
    /// Failures of the store; [`MetadataError::Record`] and [`MetadataError::Inconsistent`] for rows that make
    /// no sense, which no release of this format writes.
    pub fn load(store: Arc<dyn MetadataStore>) -> Result<Self, MetadataError> {
        let (watch, image) = load(&*store)?;
        let follower = Mutex::new(Follower {
            watch,
            state: FollowerState::Following,
        });
        Ok(Self {
            store,
            follower,
            image: watch::Sender::new(Arc::new(image)),
        })
    }

    /// Returns the store, for what is no part of the image (counters, stamp, opaque rows).
    #[must_use]
    pub fn store(&self) -> &Arc<dyn MetadataStore> {
        &self.store
    }

    /// Returns the newest image. Cheap, never waits for the disk. To be held briefly: a change copies the image
    /// if somebody still holds it.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.image.borrow())
    }

    /// Returns a receiver that sees the newest image after every change; several changes may come as one. What
    /// changed is told by [`MetadataImage::changes_since`].
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<MetadataImage>> {
        self.image.subscribe()
    }

    /// Brings the image up to every commit whose call has returned. Blocks. Only needed after changes that did
    /// not go through this value.
    ///
    /// # Errors
    /// As [`Metadata::load`].
    pub fn sync(&self) -> Result<(), MetadataError> {
        let mut follower = self.follower.lock();
        loop {
            if let FollowerState::Reload = follower.state {
                let (watch, image) = load(&*self.store)?;
                *follower = Follower {
                    watch,
                    state: FollowerState::Following,
                };
                self.image.send_replace(Arc::new(image));
            }
            match follower.watch.try_recv() {
                Ok(None) => return Ok(()),
                Ok(Some(batch)) => {
                    let mut applied = Ok(());
                    self.image
                        .send_modify(|image| applied = Arc::make_mut(image).apply(&batch));
                    if let Err(error) = applied {
                        follower.state = FollowerState::Reload;
                        return Err(error);
                    }
                }
                // If the store has stopped, loading says why.
                Err(WatchError::Lagged | WatchError::Closed) => follower.state = FollowerState::Reload,
            }
        }
    }

    /// See [`topics::create_topic`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn create_topic(&self, record: &TopicRecord) -> Result<Revision, MetadataError> {
        let revision = topics::create_topic(&*self.store, record)?;
        self.sync()?;
        Ok(revision)
    }

    /// See [`topics::delete_topic`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn delete_topic(&self, id: TopicId, at: TimestampMs) -> Result<TopicTombstone, MetadataError> {
        let tombstone = topics::delete_topic(&*self.store, id, at)?;
        self.sync()?;
        Ok(tombstone)
    }

    /// See [`topics::add_partitions`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn add_partitions(&self, id: TopicId, wanted: i32) -> Result<TopicRecord, MetadataError> {
        let record = topics::add_partitions(&*self.store, id, wanted)?;
        self.sync()?;
        Ok(record)
    }

    /// See [`topics::alter_topic_configs`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn alter_topic_configs(
        &self,
        id: TopicId,
        expected: Revision,
        edit: &ConfigEdit,
    ) -> Result<TopicRecord, MetadataError> {
        let record = topics::alter_topic_configs(&*self.store, id, expected, edit)?;
        self.sync()?;
        Ok(record)
    }

    /// See [`topics::alter_topic_labels`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn alter_topic_labels(
        &self,
        id: TopicId,
        expected: Revision,
        labels: BTreeMap<String, String>,
    ) -> Result<TopicRecord, MetadataError> {
        let record = topics::alter_topic_labels(&*self.store, id, expected, labels)?;
        self.sync()?;
        Ok(record)
    }

    /// See [`topics::remove_tombstones`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn remove_tombstones(
        &self,
        ids: impl IntoIterator<Item = TopicId>,
    ) -> Result<Revision, MetadataError> {
        let revision = topics::remove_tombstones(&*self.store, ids)?;
        self.sync()?;
        Ok(revision)
    }

    /// See [`alter_broker_configs`]. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn alter_broker_configs(
        &self,
        scope: ConfigScope,
        expected: Option<Revision>,
        edit: &ConfigEdit,
    ) -> Result<BTreeMap<String, String>, MetadataError> {
        let configs = alter_broker_configs(&*self.store, scope, expected, edit)?;
        self.sync()?;
        Ok(configs)
    }
}

/// Watches first and scans second, so that no commit falls between the two.
fn load(store: &dyn MetadataStore) -> Result<(Watch, MetadataImage), MetadataError> {
    let follower = store.watch(keys::IMAGE)?;
    let mut image = MetadataImage::default();
    let mut names = BTreeMap::new();
    let mut refused = None;
    let revision = store.scan(keys::IMAGE, &mut |row| {
        if let Some(name) = row.key.strip_prefix(keys::TOPIC_NAMES) {
            names.insert(String::from_utf8_lossy(name).into_owned(), row.value.to_vec());
        }
        match image.insert(row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = refused {
        return Err(error);
    }
    image.finish(&names, revision)?;
    Ok((follower, image))
}

#[cfg(test)]
#[path = "metadata_test.rs"]
mod tests;
