//! The broker's settings as they are now.
//!
//! A [`Settings`] is a checked snapshot; dynamic changes make a new one, which takes the place of the old
//! here. Who needs values that fit together takes one snapshot and reads them all from it.

use std::sync::Arc;

use thalweg_settings::Settings;
use tokio::sync::watch;

/// The present snapshot; clones share it.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    current: Arc<watch::Sender<Arc<Settings>>>,
}

impl LiveSettings {
    /// Starts with a snapshot.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            current: Arc::new(watch::Sender::new(Arc::new(settings))),
        }
    }

    /// Returns the present snapshot.
    #[must_use]
    pub fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.current.borrow())
    }

    /// Puts a new snapshot in place and wakes those who watch.
    pub fn replace(&self, settings: Settings) {
        self.current.send_replace(Arc::new(settings));
    }

    /// Returns a watcher, for those who apply a value to something that lives on (connection limits, timers).
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.current.subscribe()
    }
}
