//! Named places where a crash is most telling; code reports them to its disk.
//!
//! A [`super::CrashingDisk`] ends the process at one, the simulated disk cuts the power there. In normal use reporting a point costs one virtual call beside a write or a sync.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A place in the life of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrashPoint {
    /// A commit group is on stable storage; nobody has been told.
    WalGroupDurable,
    /// A new write-ahead log file is filled, but not in the list of files.
    WalFileFilled,
    /// The next write-ahead log file has its header, but no group.
    WalRolled,
    /// The row that frees write-ahead log files is durable; they are not recycled yet.
    WalTrimming,
    /// Bytes of the tail are in a segment file, unsynced.
    SegmentWritten,
    /// A segment is full and closed; the next one has no file yet.
    SegmentRolled,
    /// Segment files are synced; their recovery point is not committed.
    RecoveryPointPrepared,
    /// A recovery point is committed; the log has not taken note.
    RecoveryPointCommitted,
    /// Retention's new log start is durable; the files have their old names.
    RetentionCommitted,
    /// A deleted topic's directory has its new name, not durable yet.
    DirectoryDoomed,
    /// Compaction has written a segment, unsynced.
    CleanerWritten,
    /// A cleaned segment and its name are synced; no row speaks of it.
    CleanerSynced,
    /// The row speaks of the cleaned segment; its files have other names yet.
    CleanerCommitted,
    /// The cleaned segment's files have their names, not durable yet.
    CleanerRenamed,
    /// The cleaned segment is in force; how far compaction got is not noted.
    CleanerSwapped,
    /// Recovery points are read and segments cut; the write-ahead log is not replayed yet.
    RecoverySegmentsCut,
    /// A group was replayed.
    RecoveryReplaying,
    /// The write-ahead log is replayed; nothing is written yet.
    RecoveryReplayed,
    /// A clean stop has written all but its marker.
    StopUnmarked,
    /// A transaction's end is decided and durable; no marker is appended.
    TransactionPrepared,
    /// A marker of a transaction is appended, and durable or about to be; others may be missing.
    TransactionMarked,
    /// All markers of a transaction are durable; its coordinator's log does not say so.
    TransactionMarkersDurable,
}

impl CrashPoint {
    /// Those that a log reaches by itself.
    pub const OF_LOGS: [Self; 14] = [
        Self::WalGroupDurable,
        Self::WalFileFilled,
        Self::WalRolled,
        Self::WalTrimming,
        Self::SegmentWritten,
        Self::SegmentRolled,
        Self::RecoveryPointPrepared,
        Self::RecoveryPointCommitted,
        Self::RetentionCommitted,
        Self::DirectoryDoomed,
        Self::RecoverySegmentsCut,
        Self::RecoveryReplaying,
        Self::RecoveryReplayed,
        Self::StopUnmarked,
    ];

    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::WalGroupDurable,
        Self::WalFileFilled,
        Self::WalRolled,
        Self::WalTrimming,
        Self::SegmentWritten,
        Self::SegmentRolled,
        Self::RecoveryPointPrepared,
        Self::RecoveryPointCommitted,
        Self::RetentionCommitted,
        Self::DirectoryDoomed,
        Self::CleanerWritten,
        Self::CleanerSynced,
        Self::CleanerCommitted,
        Self::CleanerRenamed,
        Self::CleanerSwapped,
        Self::RecoverySegmentsCut,
        Self::RecoveryReplaying,
        Self::RecoveryReplayed,
        Self::StopUnmarked,
        Self::TransactionPrepared,
        Self::TransactionMarked,
        Self::TransactionMarkersDurable,
    ];

    /// Returns the name, in lower case with dashes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WalGroupDurable => "wal-group-durable",
            Self::WalFileFilled => "wal-file-filled",
            Self::WalRolled => "wal-rolled",
            Self::WalTrimming => "wal-trimming",
            Self::SegmentWritten => "segment-written",
            Self::SegmentRolled => "segment-rolled",
            Self::RecoveryPointPrepared => "recovery-point-prepared",
            Self::RecoveryPointCommitted => "recovery-point-committed",
            Self::RetentionCommitted => "retention-committed",
            Self::DirectoryDoomed => "directory-doomed",
            Self::CleanerWritten => "cleaner-written",
            Self::CleanerSynced => "cleaner-synced",
            Self::CleanerCommitted => "cleaner-committed",
            Self::CleanerRenamed => "cleaner-renamed",
            Self::CleanerSwapped => "cleaner-swapped",
            Self::RecoverySegmentsCut => "recovery-segments-cut",
            Self::RecoveryReplaying => "recovery-replaying",
            Self::RecoveryReplayed => "recovery-replayed",
            Self::StopUnmarked => "stop-unmarked",
            Self::TransactionPrepared => "transaction-prepared",
            Self::TransactionMarked => "transaction-marked",
            Self::TransactionMarkersDurable => "transaction-markers-durable",
        }
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a process is to end, for tests of recovery: the `count`-th time that `point` is reached, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPlan {
    /// The place.
    pub point: CrashPoint,
    /// Which visit of it.
    pub count: u64,
}

/// A text that names no crash point.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no crash point; write NAME or NAME:COUNT with one of: {}",
    names()
)]
pub struct UnknownCrashPoint {
    text: String,
}

fn names() -> String {
    CrashPoint::ALL.map(CrashPoint::name).join(", ")
}

impl FromStr for CrashPlan {
    type Err = UnknownCrashPoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let point = CrashPoint::ALL.into_iter().find(|point| point.name() == name);
        let count = count.parse().ok().filter(|count| *count > 0);
        match (point, count) {
            (Some(point), Some(count)) => Ok(Self { point, count }),
            _ => Err(UnknownCrashPoint {
                text: text.to_owned(),
            }),
        }
    }
}
