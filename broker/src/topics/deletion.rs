//! Telling of deleted topics, so that nothing kept by name outlives its topic.
//!
//! One listener, the groups: committed offsets are kept by the topic's name. A deletion waits until the listener is done,
//! and no topic is created meanwhile: what is removed by name can only be the deleted topic's.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{TopicView, Topics};

/// A topic that was deleted. The deletion returns when this is dropped.
#[derive(Debug)]
pub struct Deletion {
    /// The topic as it was.
    pub topic: Arc<TopicView>,
    _done: oneshot::Sender<()>,
}

impl Topics {
    /// Makes the caller the listener, in place of an earlier one. Deletions wait for it; they stop to when the receiver
    /// is dropped.
    #[must_use]
    pub fn listen_to_deletions(&self) -> mpsc::Receiver<Deletion> {
        // Deletions come one by one.
        let (sender, receiver) = mpsc::channel(1);
        *self.deletions.lock() = Some(sender);
        receiver
    }

    /// Tells the listener, if there is one, and waits until it is done.
    pub(super) async fn tell_deleted(&self, topic: Arc<TopicView>) {
        let Some(listener) = self.deletions.lock().clone() else {
            return;
        };
        let (done, seen) = oneshot::channel();
        if listener.send(Deletion { topic, _done: done }).await.is_ok() {
            // An error is the drop that is waited for.
            let _ = seen.await;
        }
    }
}
