//! Topics that become mirrors after clients wrote to them, and mirrors that are none any more (failback).
//!
//! Owns the order of what is durable. A topic that becomes a mirror: the mark of another link goes first, then every
//! partition is given to a link in its log, and only then the settings name the new link. After a crash between any two of
//! them clients are kept out of the partitions that were given, no other link takes them for its own, and the same request
//! goes on from there. The other way a topic keeps where it came from, by which its leader epochs stay above those of a
//! mirror, and loses only its link.

use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_metadata::ConfigEdit;
use thalweg_settings::{TopicConfig, validate_topic_overrides};
use thalweg_storage::log::rows::WriteState;
use thalweg_types::PartitionIndex;
use thalweg_wire::mirror::LinkId;

use super::changes::blocking;
use super::mirror::{KEY_PREFIX, LINK_KEY, check_new_mirror, link_id};
use super::{ConfigChange, TopicError, TopicView, Topics};

/// Who asks for a topic to become a mirror, or none.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The link in whose name it is asked.
    pub link: LinkId,
    /// Who asks.
    pub principal: String,
}

impl Topics {
    /// Checks whether a topic may take these changes of its `mirror.` keys, and returns its own settings as they would be.
    ///
    /// # Errors
    /// [`TopicError`] names what stands against it.
    pub fn check_handover(
        &self,
        view: &TopicView,
        changes: &[ConfigChange],
        link: LinkId,
    ) -> Result<BTreeMap<String, String>, TopicError> {
        if view.is_internal() {
            return Err(TopicError::Internal {
                name: view.name.to_string(),
            });
        }
        if let Some(other) = changes.iter().find(|change| !change.key.starts_with(KEY_PREFIX)) {
            return Err(TopicError::Mirror(format!(
                "{} is no part of becoming a mirror: change it in a request of its own",
                other.key
            )));
        }
        let mut configs = view.overrides.clone();
        for change in changes {
            match &change.value {
                Some(value) => configs.insert(change.key.clone(), value.clone()),
                None => configs.remove(&change.key),
            };
        }
        let wanted = configs.get(LINK_KEY).and_then(|text| link_id(text));
        let owner = self.owner(view);
        match (wanted, owner) {
            (Some(wanted), _) if wanted != link => Err(TopicError::Mirror(format!(
                "{LINK_KEY} names another link than the one that asks"
            ))),
            (_, Some(_)) => Err(TopicError::OwnedByLink(format!(
                "{}: only a topic whose partitions all are clients' becomes another mirror, or none; promote it first",
                view.mirror
                    .as_ref()
                    .map_or_else(String::new, |link| link.describe(&view.name))
            ))),
            (Some(_), None) => {
                check_new_mirror(&view.name, &configs)?;
                let settings = self.settings.current();
                validate_topic_overrides(&configs, &settings)?;
                TopicConfig::resolve(&configs, &settings)?;
                Ok(configs)
            }
            // Where it came from stays: its leader epochs go by that.
            (None, None) => match changes {
                [change] if change.key == LINK_KEY => Ok(configs),
                _ => Err(TopicError::Mirror(format!(
                    "a topic that was a mirror loses {LINK_KEY} and nothing else"
                ))),
            },
        }
    }

    /// Makes a topic of clients a link's mirror, with the records that it has, or a mirror that is promoted whole an
    /// ordinary topic. Durable and in force on return; a request that was cut off is sent again.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn hand_over(
        self: &Arc<Self>,
        view: &TopicView,
        changes: Vec<ConfigChange>,
        by: Handover,
    ) -> Result<Arc<TopicView>, TopicError> {
        let _changing = self.changing.lock().await;
        let view = self.by_id(view.id).ok_or(TopicError::Unknown)?;
        let configs = self.check_handover(&view, &changes, by.link)?;
        let becomes_mirror = configs.contains_key(LINK_KEY);
        if becomes_mirror && view.mirror.is_some() {
            let unlinked = BTreeMap::from([(LINK_KEY.to_owned(), None)]);
            self.edit(&view, unlinked, by.principal.clone()).await?;
        }
        if becomes_mirror {
            self.give_partitions(&view).await?;
        }
        let changes = changes.into_iter().map(|change| (change.key, change.value));
        self.edit(&view, changes.collect(), by.principal).await
    }

    /// Gives every partition to a link; durable on return.
    async fn give_partitions(&self, view: &TopicView) -> Result<(), TopicError> {
        let failed = |error: &dyn std::fmt::Display| TopicError::Failed(error.to_string());
        for index in (0..view.partitions).map(PartitionIndex) {
            let log = self.log(view, index).ok_or(TopicError::Unknown)?;
            let ticket = log.give_to_link().map_err(|error| failed(&error))?;
            if let Some(ticket) = ticket {
                ticket.durable().await.map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    async fn edit(
        self: &Arc<Self>,
        view: &TopicView,
        changes: BTreeMap<String, Option<String>>,
        principal: String,
    ) -> Result<Arc<TopicView>, TopicError> {
        let (topics, id) = (Arc::clone(self), view.id);
        let edit = ConfigEdit {
            changes,
            at: self.clock.now(),
            principal: Some(principal),
        };
        blocking(move || {
            let version = topics.by_id(id).ok_or(TopicError::Unknown)?.version;
            topics.metadata.alter_topic_configs(id, version, &edit)?;
            topics.refresh(id).ok_or(TopicError::Unknown)
        })
        .await
    }

    /// Reports whether a partition of the topic is sealed.
    #[must_use]
    pub fn is_sealed(&self, topic: &TopicView) -> bool {
        let mut partitions = (0..topic.partitions).map(PartitionIndex);
        partitions.any(|index| {
            let log = self.log(topic, index);
            log.is_some_and(|log| matches!(log.write_state(), WriteState::SealedAt(_)))
        })
    }
}
