//! Transaction indexes that were read and checked, so that readers of one range do not read their files again.
//!
//! Bounded by the number of entries of all; the longest unused index goes first, and the newest one always stays. An
//! index is known by its stamp: what was read before the file grew is another one.

use super::IndexStamp;
use super::transaction_index::AbortedTransaction;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use thalweg_types::{Offset, TopicPartitionId};

/// Entries kept of all indexes together: 8 MiB.
const ENTRIES_MAX: usize = 1 << 18;

/// The indexes of one engine.
#[derive(Debug, Default)]
pub(crate) struct TransactionIndexCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    indexes: BTreeMap<(TopicPartitionId, Offset), Index>,
    entries: usize,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Index {
    stamp: IndexStamp,
    entries: Arc<[AbortedTransaction]>,
    used: u64,
}

impl TransactionIndexCache {
    /// Returns the index of a segment if it was read when its file was as the stamp says.
    pub(crate) fn get(
        &self,
        segment: (TopicPartitionId, Offset),
        stamp: IndexStamp,
    ) -> Option<Arc<[AbortedTransaction]>> {
        let mut cached = self.0.lock();
        cached.clock += 1;
        let now = cached.clock;
        let index = cached
            .indexes
            .get_mut(&segment)
            .filter(|index| index.stamp == stamp)?;
        index.used = now;
        Some(index.entries.clone())
    }

    /// Keeps the index of a segment.
    pub(crate) fn put(
        &self,
        segment: (TopicPartitionId, Offset),
        stamp: IndexStamp,
        entries: Arc<[AbortedTransaction]>,
    ) {
        let mut cached = self.0.lock();
        cached.remove(segment);
        while cached.entries + entries.len() > ENTRIES_MAX {
            let longest_unused = cached.indexes.iter().min_by_key(|(_, index)| index.used);
            let Some(key) = longest_unused.map(|(key, _)| *key) else {
                break;
            };
            cached.remove(key);
        }
        cached.clock += 1;
        cached.entries += entries.len();
        let used = cached.clock;
        let index = Index { stamp, entries, used };
        cached.indexes.insert(segment, index);
    }
}

impl Cached {
    fn remove(&mut self, segment: (TopicPartitionId, Offset)) {
        if let Some(gone) = self.indexes.remove(&segment) {
            self.entries -= gone.entries.len();
        }
    }
}

#[cfg(test)]
#[path = "transaction_index_cache_test.rs"]
mod tests;
