//! Reports of commits to whoever follows some rows, through a bounded queue for each.
//!
//! Invariant: a watcher sees every batch after its start, in commit order, or is told that it lagged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use crate::store::Revision;

/// Batches a watcher may leave unread before it counts as lagging.
const CAPACITY_BATCHES: usize = 1024;

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchChange {
    /// It was written; its version is the batch's revision.
    Put(Arc<[u8]>),
    /// It was deleted.
    Delete,
}

/// One changed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The whole key.
    pub key: Vec<u8>,
    /// What happened to it.
    pub change: WatchChange,
}

/// The changes of one commit under the watched prefix; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchBatch {
    /// The commit.
    pub revision: Revision,
    /// Its changes.
    pub events: Vec<WatchEvent>,
}

/// Why a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The watcher was too slow and batches were dropped. Watch again and scan again.
    #[error("the watcher was too slow; watch and scan again")]
    Lagged,
    /// The store was closed or poisoned.
    #[error("the store has stopped")]
    Closed,
}

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    receiver: mpsc::Receiver<WatchBatch>,
    lagged: Arc<AtomicBool>,
}

impl Watch {
    /// Waits for the next batch. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`WatchError`]; the watch is over then. Batches queued before are delivered first.
    pub async fn recv(&mut self) -> Result<WatchBatch, WatchError> {
        match self.receiver.recv().await {
            Some(batch) => Ok(batch),
            None => Err(self.ended()),
        }
    }

    /// Takes the next batch if there is one.
    ///
    /// # Errors
    /// As [`Watch::recv`].
    pub fn try_recv(&mut self) -> Result<Option<WatchBatch>, WatchError> {
        match self.receiver.try_recv() {
            Ok(batch) => Ok(Some(batch)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.ended()),
        }
    }

    fn ended(&self) -> WatchError {
        if self.lagged.load(Ordering::Acquire) {
            WatchError::Lagged
        } else {
            WatchError::Closed
        }
    }
}

struct Watcher {
    prefix: Vec<u8>,
    sender: mpsc::Sender<WatchBatch>,
    lagged: Arc<AtomicBool>,
}

/// The watchers of one store. Publishing is called in commit order by the one who commits.
#[derive(Default)]
pub(crate) struct Watchers {
    watchers: Mutex<Vec<Watcher>>,
}

impl Watchers {
    /// Adds a watcher.
    pub(crate) fn add(&self, prefix: &[u8]) -> Watch {
        let (sender, receiver) = mpsc::channel(CAPACITY_BATCHES);
        let lagged = Arc::new(AtomicBool::new(false));
        self.watchers.lock().push(Watcher {
            prefix: prefix.to_vec(),
            sender,
            lagged: Arc::clone(&lagged),
        });
        Watch { receiver, lagged }
    }

    /// Hands a commit to everybody whose prefix it touches. Never blocks; who is full or gone is dropped.
    pub(crate) fn publish(&self, revision: Revision, events: &[WatchEvent]) {
        self.watchers.lock().retain(|watcher| {
            let events: Vec<WatchEvent> = events
                .iter()
                .filter(|event| event.key.starts_with(&watcher.prefix))
                .cloned()
                .collect();
            if events.is_empty() {
                return !watcher.sender.is_closed();
            }
            match watcher.sender.try_send(WatchBatch { revision, events }) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    watcher.lagged.store(true, Ordering::Release);
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            }
        });
    }

    /// Reports whether anybody would see a change of `key`, so that values need not be copied for nobody.
    pub(crate) fn any_for(&self, key: &[u8]) -> bool {
        self.watchers
            .lock()
            .iter()
            .any(|watcher| key.starts_with(&watcher.prefix))
    }

    /// Ends all watches.
    pub(crate) fn close(&self) {
        self.watchers.lock().clear();
    }
}

#[cfg(test)]
#[path = "watch_test.rs"]
mod tests;
