//! Deadlines of a shard, at most one for each key.
//!
//! Invariant: `by_key` and `by_deadline` hold the same pairs. Only entities that exist have timers (whoever removes
//! one cancels it), so the number of timers is bounded by members and groups.

use std::collections::{BTreeMap, HashMap};

use thalweg_types::TimestampMs;

use super::ids::{GroupId, MemberId};

/// What happens when a deadline passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimerKey {
    /// The session of a member ends, or the id of a pending member expires.
    Session(GroupId, MemberId),
    /// The join phase ends.
    Join(GroupId),
    /// The members had their time to ask for the assignment.
    Sync(GroupId),
    /// Offsets and groups may have expired.
    Expiry,
}

/// Sorts equal deadlines by when they were set.
type Slot = (TimestampMs, u64);

/// A point in the order in which timers are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerMark(u64);

/// The deadlines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    by_deadline: BTreeMap<Slot, TimerKey>,
    by_key: HashMap<TimerKey, Slot>,
    sequence: u64,
}

impl Timers {
    /// Sets the deadline of `key` to `delay_ms` after `now`, in place of an older one.
    ///
    /// At least one millisecond, so that a timer which sets itself again does not keep its caller busy.
    pub(crate) fn schedule(&mut self, key: TimerKey, now: TimestampMs, delay_ms: i64) {
        let at = TimestampMs(now.get().saturating_add(delay_ms.max(1)));
        self.sequence += 1;
        let slot = (at, self.sequence);
        if let Some(old) = self.by_key.insert(key.clone(), slot) {
            self.by_deadline.remove(&old);
        }
        self.by_deadline.insert(slot, key);
    }

    /// Removes the deadline of `key`, if it has one.
    pub(crate) fn cancel(&mut self, key: &TimerKey) {
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
    pub(crate) fn pop_due(&mut self, now: TimestampMs, mark: TimerMark) -> Option<TimerKey> {
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
    pub(crate) fn is_scheduled(&self, key: &TimerKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// Returns what has a deadline.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> impl Iterator<Item = &TimerKey> {
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
