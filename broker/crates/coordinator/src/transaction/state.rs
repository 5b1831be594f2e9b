//! The states of a transactional id and the moves between them.

use std::fmt;

/// State of a transactional id.
///
/// | from ↓ to → | Empty | Ongoing | PrepareCommit | PrepareAbort | CompleteCommit | CompleteAbort |
/// |---|---|---|---|---|---|---|
/// | `Empty` | initialized again | a partition is added | – | the client aborts nothing (version 2) | – | – |
/// | `Ongoing` | – | a partition is added | the client commits | the client aborts, is fenced, or its time is over | – | – |
/// | `PrepareCommit` | – | – | – | – | every marker is written | – |
/// | `PrepareAbort` | – | – | – | – | – | every marker is written |
/// | `CompleteCommit`, `CompleteAbort` | initialized | a partition is added | – | the client aborts nothing (version 2) | – | – |
///
/// Kafka's two other states do not last: an id in `Dead` is removed at once, and `PrepareEpochFence` is a step on the
/// way from `Ongoing` to `PrepareAbort` that no record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    /// No transaction since the producer was initialized.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It is decided to commit; markers are being written.
    PrepareCommit,
    /// It is decided to abort; markers are being written.
    PrepareAbort,
    /// The last transaction was committed.
    CompleteCommit,
    /// The last transaction was aborted.
    CompleteAbort,
}

impl TransactionState {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's names of all its states, the two that do not last included: what a filter may name.
    pub const KAFKA_NAMES: [&'static str; 8] = [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ];

    /// Reports whether an id in this state may move to `next` (the table above).
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
        matches!(
            (self, next),
            (
                Empty | CompleteCommit | CompleteAbort,
                Empty | Ongoing | PrepareAbort
            ) | (Ongoing, Ongoing | PrepareCommit | PrepareAbort)
                | (PrepareCommit, CompleteCommit)
                | (PrepareAbort, CompleteAbort)
        )
    }

    /// Returns the number of the state in a record.
    #[must_use]
    pub const fn number(self) -> i8 {
        match self {
            Self::Empty => 0,
            Self::Ongoing => 1,
            Self::PrepareCommit => 2,
            Self::PrepareAbort => 3,
            Self::CompleteCommit => 4,
            Self::CompleteAbort => 5,
        }
    }

    /// Returns the state with this number. Kafka writes neither of its two other states.
    #[must_use]
    pub fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Returns Kafka's name of the state, as tools print and filter it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    /// Returns what is being done, if it is decided and not done.
    #[must_use]
    pub const fn prepared(self) -> Option<Outcome> {
        match self {
            Self::PrepareCommit => Some(Outcome::Commit),
            Self::PrepareAbort => Some(Outcome::Abort),
            Self::Empty | Self::Ongoing | Self::CompleteCommit | Self::CompleteAbort => None,
        }
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Its records become visible.
    Commit,
    /// Its records are never seen by readers of committed data.
    Abort,
}

impl Outcome {
    /// The state while markers are written.
    #[must_use]
    pub const fn prepare(self) -> TransactionState {
        match self {
            Self::Commit => TransactionState::PrepareCommit,
            Self::Abort => TransactionState::PrepareAbort,
        }
    }

    /// The state after that.
    #[must_use]
    pub const fn complete(self) -> TransactionState {
        match self {
            Self::Commit => TransactionState::CompleteCommit,
            Self::Abort => TransactionState::CompleteAbort,
        }
    }
}

/// The protocol that a client's transaction follows: a level of the feature `transaction.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TransactionVersion {
    /// KIP-98.
    #[default]
    V0,
    /// The same, with flexible records.
    V1,
    /// KIP-890: the epoch rises at every end, partitions are added by what is written.
    V2,
}

impl TransactionVersion {
    /// The level of the feature.
    #[must_use]
    pub const fn level(self) -> i16 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// Returns the version of a level; a level from the future is the newest one known.
    #[must_use]
    pub const fn from_level(level: i16) -> Self {
        match level {
            ..=0 => Self::V0,
            1 => Self::V1,
            2.. => Self::V2,
        }
    }

    /// Reports whether every end of a transaction raises the epoch.
    #[must_use]
    pub const fn bumps_epoch(self) -> bool {
        matches!(self, Self::V2)
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
