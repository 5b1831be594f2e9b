//! What batches keep in memory beside themselves: the request's frame that they are parts of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request's frame whose bytes several batches share: all of it stays in memory until the last of them has left.
#[derive(Debug)]
pub struct SharedFrame {
    bytes: usize,
    stored: AtomicUsize,
}

impl SharedFrame {
    /// A frame of so many bytes, of which nothing is stored yet.
    #[must_use]
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            stored: AtomicUsize::new(0),
        })
    }

    /// Notes that a batch of it is stored.
    pub(crate) fn store(&self, len: usize) {
        self.stored.fetch_add(len, Ordering::Relaxed);
    }

    /// Memory that a stored batch of `len` bytes answers for: its part of the frame, among what is stored of it so far.
    /// Together the batches of a frame answer for no less than the frame.
    pub(crate) fn memory_of(&self, len: usize) -> usize {
        let stored = self.stored.load(Ordering::Relaxed).max(len).max(1);
        let part = len as u128 * self.bytes as u128 / stored as u128;
        usize::try_from(part).unwrap_or(usize::MAX).max(len)
    }
}
