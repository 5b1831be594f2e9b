//! The states of a classic group and the moves between them.

use std::fmt;

/// State of a classic group.
///
/// | from ↓ to → | Empty | PreparingRebalance | CompletingRebalance | Stable | Dead |
/// |---|---|---|---|---|---|
/// | `Empty` | – | a member joins | – | – | deleted, or all its offsets expired |
/// | `PreparingRebalance` | everybody left | – | the join phase ended | – | – |
/// | `CompletingRebalance` | – | a member joins, leaves, fails or changes | – | the leader's assignment came | – |
/// | `Stable` | – | a member joins, leaves, fails or changes; the leader joins again | – | – | – |
/// | `Dead` | – | – | – | – | – |
///
/// `Dead` groups are dropped at once: the state is seen only in a description of a group that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members; kept for its committed offsets.
    Empty,
    /// Waits until its members have joined again.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment, or can fetch it.
    Stable,
    /// Does not exist.
    Dead,
}

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
    ];

    /// Reports whether a group in this state may move to `next` (the table above).
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty, PreparingRebalance | Dead)
                | (PreparingRebalance, Empty | CompletingRebalance)
                | (CompletingRebalance, PreparingRebalance | Stable)
                | (Stable, PreparingRebalance)
        )
    }

    /// Returns Kafka's name of the state, as tools print and filter it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
