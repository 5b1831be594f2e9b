//! Where each leader epoch of a partition starts (KIP-101).

use thalweg_types::{LeaderEpoch, Offset};

/// The epochs that hold records, oldest first; epochs and start offsets both rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl Epochs {
    /// Notes that an epoch starts at an offset; a known or older epoch changes nothing.
    pub fn note(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch < LeaderEpoch(0) || self.entries.last().is_some_and(|(last, _)| *last >= epoch) {
            return;
        }
        // An epoch without records leaves no entry.
        self.entries.retain(|(_, offset)| *offset < start);
        self.entries.push((epoch, start));
    }

    /// Returns the newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// Returns the epoch of the record at an offset.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.entries
            .iter()
            .rev()
            .find(|(_, start)| *start <= offset)
            .map(|(epoch, _)| *epoch)
    }

    /// Answers OffsetForLeaderEpoch for an epoch that has begun: the largest epoch at or below it that has records, or
    /// the epoch itself if there is none, and the offset at which the next one starts, or `log_end`.
    #[must_use]
    pub fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        let after = self.entries.iter().find(|(other, _)| *other > epoch);
        let end = after.map_or(log_end, |(_, start)| *start);
        let found = self.entries.iter().rev().find(|(other, _)| *other <= epoch);
        (found.map_or(epoch, |(found, _)| *found), end)
    }

    /// Forgets epochs that start at or above an offset that was cut off.
    pub fn truncate_to(&mut self, offset: Offset) {
        self.entries.retain(|(_, start)| *start < offset);
    }

    /// Forgets epochs that end at or below the log start; the one that covers it starts there.
    pub fn advance_start(&mut self, log_start: Offset) {
        let covering = self.entries.iter().rposition(|(_, start)| *start <= log_start);
        if let Some(index) = covering {
            self.entries.drain(..index);
            self.entries[0].1 = log_start;
        }
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// Puts back what a recovery point held.
    #[must_use]
    pub fn restore(entries: Vec<(LeaderEpoch, Offset)>) -> Self {
        Self { entries }
    }
}

#[cfg(test)]
#[path = "epochs_test.rs"]
mod tests;
