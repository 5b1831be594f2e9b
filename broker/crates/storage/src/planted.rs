//! Bugs that the simulation plants to show that it finds them. In a build that is not a test no bug is ever planted,
//! and the questions vanish.

/// A bug that would lose or bring back records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A group is acknowledged without the sync that makes it durable.
    FlushSkipped,
    /// A group is acknowledged before it is written.
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

#[cfg(not(test))]
pub(crate) const fn is_planted(_bug: Bug) -> bool {
    false
}
