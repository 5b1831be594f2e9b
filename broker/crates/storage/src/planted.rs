//! Bugs that are planted to show that tests find them: by the simulation in its own threads, and in the program, where
//! it was built with the feature `planted-faults`, for the checker of transaction histories. In every other build no
//! bug is ever planted, and the questions vanish; with optimisations, as releases are built, the feature does not compile.

#[cfg(all(feature = "planted-faults", not(debug_assertions)))]
compile_error!(
    "the feature planted-faults makes a broker that loses data on purpose: build it without --release"
);

/// A bug that would lose or bring back records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A group is acknowledged without the sync that makes it durable.
    FlushSkipped,
    /// A group is acknowledged before it is written; in the program, some time before.
    AcknowledgedEarly,
    /// The name of a new segment is not made durable.
    DirectorySyncLost,
    /// The write-ahead log is freed before segments and recovery points cover it.
    TrimmedTooSoon,
    /// Replay brings back what a truncation cut.
    TruncationResurrected,
    /// A cleaned segment is named by a row before its bytes are synced.
    CleanedUnsynced,
    /// A cleaned segment takes the old one's name before the row speaks of it.
    SwappedBeforeRow,
    /// Compaction keeps an old record of a key instead of the newest.
    NewestDropped,
    /// A start leaves cleaned segments under the names that count for nothing.
    SwapNotFinished,
    /// The last stable offset passes a transaction before its marker is durable.
    StableBeforeMarker,
    /// A read-committed reader is not told of aborted transactions.
    AbortsForgotten,
    /// A recovery point forgets the transactions that are open.
    OpenTransactionsLost,
    /// The last stable offset passes open transactions.
    OpenTransactionsPassed,
    /// A client's batch is appended twice.
    #[cfg(feature = "planted-faults")]
    AppendedTwice,
    /// The first two records of a client's batch change places.
    #[cfg(feature = "planted-faults")]
    RecordsSwapped,
    /// One partition of a committed transaction gets the marker of an abort.
    #[cfg(feature = "planted-faults")]
    MarkerTurned,
    /// The answer to a client's batch names an offset that is not the batch's.
    #[cfg(feature = "planted-faults")]
    WrongOffsetAnswered,
    /// What a committed transaction commits to a group is forgotten (the broker asks).
    #[cfg(feature = "planted-faults")]
    GroupOffsetsForgotten,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug in this thread, or none.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(test)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(all(not(test), feature = "planted-faults"))]
pub use program::{FAULT_VARIABLE, UnknownFault, is_planted, plant_from_environment};

#[cfg(not(any(test, feature = "planted-faults")))]
pub(crate) const fn is_planted(_bug: Bug) -> bool {
    false
}

/// One bug for the whole program.
#[cfg(all(not(test), feature = "planted-faults"))]
mod program {
    use std::sync::OnceLock;

    use super::Bug;

    /// The environment variable that names the bug. Not one of the broker's settings, which begin with `THALWEG_`.
    pub const FAULT_VARIABLE: &str = "PLANTED_FAULT";

    /// The bugs that can be planted in the program.
    const FAULTS: [(&str, Bug); 8] = [
        ("acknowledged-early", Bug::AcknowledgedEarly),
        ("aborts-forgotten", Bug::AbortsForgotten),
        ("open-transactions-passed", Bug::OpenTransactionsPassed),
        ("appended-twice", Bug::AppendedTwice),
        ("records-swapped", Bug::RecordsSwapped),
        ("marker-turned", Bug::MarkerTurned),
        ("wrong-offset-answered", Bug::WrongOffsetAnswered),
        ("group-offsets-forgotten", Bug::GroupOffsetsForgotten),
    ];

    static PLANTED: OnceLock<Option<Bug>> = OnceLock::new();

    /// The variable names a bug that nobody knows.
    #[derive(Clone, Debug, thiserror::Error)]
    #[error("{FAULT_VARIABLE}={name}: choose one of {}", FAULTS.map(|(name, _)| name).join(", "))]
    pub struct UnknownFault {
        /// The name.
        name: String,
    }

    /// Plants the bug that [`FAULT_VARIABLE`] names, for the life of the process, and returns it.
    ///
    /// # Errors
    /// [`UnknownFault`]; nothing is planted then.
    pub fn plant_from_environment() -> Result<Option<Bug>, UnknownFault> {
        let named = std::env::var(FAULT_VARIABLE).ok();
        let found = named.map(|name| {
            let known = FAULTS.iter().find(|(known, _)| *known == name);
            known.map(|(_, bug)| *bug).ok_or(UnknownFault { name })
        });
        Ok(*PLANTED.get_or_init({
            let found = found.transpose()?;
            move || found
        }))
    }

    /// Reports whether this bug is planted.
    #[must_use]
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get().copied().flatten() == Some(bug)
    }
}
