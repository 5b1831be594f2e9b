//! Readers that wait for new records, one wake per commit group.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// One waiting reader; it may wait on many logs at once.
#[derive(Debug, Default)]
pub struct Waiter {
    fired: AtomicBool,
    notify: Notify,
}

impl Waiter {
    /// Wakes the reader.
    pub fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Waits until a log fired since the last call. May be dropped at any time.
    pub async fn fired(&self) {
        loop {
            let notified = self.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.fired.swap(false, Ordering::AcqRel) {
                return;
            }
            notified.await;
        }
    }
}

/// The readers that wait on one log.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    list: Mutex<Vec<(u64, Arc<Waiter>)>>,
    next: AtomicU64,
}

impl Waiters {
    pub(crate) fn add(&self, waiter: Arc<Waiter>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.list.lock().push((id, waiter));
        id
    }

    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.list.lock();
        list.retain(|(other, _)| *other != id);
        if list.is_empty() {
            *list = Vec::new();
        }
    }

    pub(crate) fn fire(&self) {
        for (_, waiter) in self.list.lock().iter() {
            waiter.fire();
        }
    }
}
