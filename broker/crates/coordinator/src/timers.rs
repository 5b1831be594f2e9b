//! Deadlines of a shard, at most one for each key.
//!
//! Invariant: `by_key` and `by_deadline` hold the same pairs. Only entities that exist have timers (whoever removes
//! one cancels it), so the number of timers is bounded by what the shard holds.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use thalweg_types::TimestampMs;

/// Sorts equal deadlines by when they were set.
type Slot = (TimestampMs, u64);

/// A point in the order in which timers are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerMark(u64);

/// The deadlines.
#[derive(Clone, Debug)]
pub(crate) struct Timers<K> {
    by_deadline: BTreeMap<Slot, K>,
    by_key: HashMap<K, Slot>,
    sequence: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            by_deadline: BTreeMap::new(),
            by_key: HashMap::new(),
            sequence: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Timers<K> {
    /// Sets the deadline of `key` to `delay_ms` after `now`, in place of an older one.
    ///
    /// At least one millisecond, so that a timer which sets itself again does not keep its caller busy.
    pub(crate) fn schedule(&mut self, key: K, now: TimestampMs, delay_ms: i64) {
        let at = TimestampMs(now.get().saturating_add(delay_ms.max(1)));
        self.sequence += 1;
        let slot = (at, self.sequence);
        if let Some(old) = self.by_key.insert(key.clone(), slot) {
            self.by_deadline.remove(&old);
        }
        self.by_deadline.insert(slot, key);
    }

    /// Removes the deadline of `key`, if it has one.
    pub(crate) fn cancel(&mut self, key: &K) {
        if let Some(slot) = self.by_key.remove(key) {
            self.by_deadline.remove(&slot);
        }
    }

    /// Returns the earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<TimestampMs> {
        self.by_deadline.first_key_value().map(|((at, _), _)| *at)
    }

    /// Marks the timers that are set so far, for [`Timers::pop_due`].
    pub(crate) fn mark(&self) -> TimerMark {
        TimerMark(self.sequence)
    }

    /// Removes and returns the earliest timer that was set before `mark` and whose deadline is not after `now`.
    ///
    /// The mark keeps a tick from running what it set itself, even at the end of time.
    pub(crate) fn pop_due(&mut self, now: TimestampMs, mark: TimerMark) -> Option<K> {
        let entry = self.by_deadline.first_entry()?;
        let (at, sequence) = *entry.key();
        if at > now || sequence > mark.0 {
            return None;
        }
        let key = entry.remove();
        self.by_key.remove(&key);
        Some(key)
    }

    /// Reports whether `key` has a deadline.
    #[cfg(test)]
    pub(crate) fn is_scheduled(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    /// Returns what has a deadline.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.by_key.keys()
    }

    /// Returns how many deadlines there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Removes every deadline.
    pub(crate) fn clear(&mut self) {
        self.by_deadline.clear();
        self.by_key.clear();
    }
}

#[cfg(test)]
#[path = "timers_test.rs"]
mod tests;
