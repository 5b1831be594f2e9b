//! Everything that can go wrong in the metadata store, with what, where and what to do.

use std::fmt;

use thalweg_types::{BrokerId, ProducerId, TopicId};

use crate::cluster::StampMismatch;
use crate::store::Revision;

/// A key for messages: printable bytes as they are, others escaped, cut after 128 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyText(pub Vec<u8>);

impl KeyText {
    const SHOWN_BYTES: usize = 128;
}

impl From<&[u8]> for KeyText {
    fn from(key: &[u8]) -> Self {
        Self(key.to_vec())
    }
}

impl fmt::Display for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..Self::SHOWN_BYTES).unwrap_or(&self.0);
        write!(f, "{}", shown.escape_ascii())?;
        if shown.len() < self.0.len() {
            write!(f, "… ({} bytes)", self.0.len())
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({self})")
    }
}

/// Why a store cannot be opened, read or written. `store` is the name given at opening, normally the path.
///
/// After [`StoreError::Io`], [`StoreError::Panicked`] or [`StoreError::Damaged`] at run time the store is
/// poisoned: every later call returns [`StoreError::Poisoned`] and the process should stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is not there or is empty, where metadata must exist.
    #[error(
        "{store}: metadata is missing, but data beside it exists. Put the metadata file back; starting without it would forget every topic"
    )]
    Missing {
        /// The store.
        store: String,
    },
    /// The first start stopped before the file was complete; nothing was ever stored in it.
    #[error(
        "{store}: metadata was never completely created (the first start was interrupted), but data beside it exists. Put the right metadata file back"
    )]
    Unfinished {
        /// The store.
        store: String,
    },
    /// The file was written by a newer release.
    #[error(
        "{store}: format {found} is newer than this release reads ({supported}). Start the newer release, or restore the copy taken before the upgrade"
    )]
    NewerFormat {
        /// The store.
        store: String,
        /// Format in the file.
        found: u32,
        /// Newest format this release reads.
        supported: u32,
    },
    /// The file's structure is broken.
    #[error("{store}: metadata is damaged: {detail}. The file is left as it is; restore it from a copy")]
    Damaged {
        /// The store.
        store: String,
        /// What is broken, and where if known.
        detail: String,
    },
    /// The file is whole, but an acknowledged commit is not in it.
    #[error(
        "{store}: metadata went back in time: commit {acknowledged} was acknowledged, the file ends at {found}. The file is damaged or an old copy; restore the newest one"
    )]
    LostCommit {
        /// The store.
        store: String,
        /// Last acknowledged commit.
        acknowledged: u64,
        /// Last commit found.
        found: u64,
    },
    /// The rows are not the rows that were committed.
    #[error(
        "{store}: metadata is damaged: {expected_rows} rows (digest {expected_digest:016x}) were committed, {found_rows} (digest {found_digest:016x}) are there. The file is left as it is; restore it from a copy"
    )]
    ContentMismatch {
        /// The store.
        store: String,
        /// Rows that were committed.
        expected_rows: u64,
        /// Their digest.
        expected_digest: u64,
        /// Rows found.
        found_rows: u64,
        /// Their digest.
        found_digest: u64,
    },
    /// One row does not match its checksum.
    #[error(
        "{store}: row {key} is damaged: checksum {stored:08x} expected, {computed:08x} computed. The row is not served; restore the file from a copy"
    )]
    CorruptRow {
        /// The store.
        store: String,
        /// The row's key.
        key: KeyText,
        /// Checksum in the row (0 if the row is too short to hold one).
        stored: u32,
        /// Checksum of what the row holds.
        computed: u32,
    },
    /// The disk failed.
    #[error(
        "{store}: {operation} failed: {message}. Nothing more is acknowledged; check the disk, then restart"
    )]
    Io {
        /// The store.
        store: String,
        /// The call, with its position in the file.
        operation: String,
        /// The operating system's words.
        message: String,
    },
    /// The disk is full. Nothing was changed, and the store works on.
    #[error("{store}: {operation} failed: no space left. Nothing was changed; free space, then try again")]
    NoSpace {
        /// The store.
        store: String,
        /// The call, with its position in the file.
        operation: String,
    },
    /// The database engine panicked; its state in memory is not trusted any more.
    #[error(
        "{store}: the database engine stopped during {operation}: {message}. The file is damaged or this is a bug; restart, and restore the file from a copy if it happens again"
    )]
    Panicked {
        /// The store.
        store: String,
        /// What was being done.
        operation: String,
        /// The panic's message.
        message: String,
    },
    /// An earlier failure stopped the store.
    #[error("{store}: stopped by an earlier failure ({reason}). Restart")]
    Poisoned {
        /// The store.
        store: String,
        /// The first failure.
        reason: String,
    },
    /// The store was closed.
    #[error("{store}: closed")]
    Closed {
        /// The store.
        store: String,
    },
    /// Someone else has the lease.
    #[error("lease {name} is held by {owner}")]
    LeaseHeld {
        /// The lease.
        name: String,
        /// Who has it.
        owner: String,
    },
}

/// What a failed compare found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The key does not exist.
    Absent,
    /// The key was last written by this commit.
    Version(Revision),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// Why a commit was not acknowledged.
///
/// `Conflict`, `NoSpace`, `TooLarge` and `DuplicateKey` mean that nothing changed. After `Store` the outcome is
/// unknown: the commit may be found after a restart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A compare did not hold. Read again, decide again.
    #[error("{key} changed meanwhile: expected {expected}, found {found}")]
    Conflict {
        /// The first key whose compare failed.
        key: KeyText,
        /// What the compare asked for.
        expected: Found,
        /// What is there.
        found: Found,
    },
    /// The disk is full; later commits may succeed.
    #[error("{store}: {operation} failed: no space left. Nothing was changed; free space, then try again")]
    NoSpace {
        /// The store.
        store: String,
        /// The call, with its position in the file.
        operation: String,
    },
    /// A key, a value or the whole transaction is larger than the store takes.
    #[error("{what} of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// One key is written twice in one transaction; no order is defined between the two.
    #[error("{key} is written twice in one transaction")]
    DuplicateKey {
        /// The key.
        key: KeyText,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the bytes of a typed record cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A newer release wrote it.
    #[error(
        "{record} has format {found}, newer than this release reads ({supported}). Start the newer release"
    )]
    NewerFormat {
        /// Kind of record.
        record: &'static str,
        /// Format found.
        found: u8,
        /// Newest format this release reads.
        supported: u8,
    },
    /// The bytes are not such a record.
    #[error("{record} is malformed: {detail}")]
    Malformed {
        /// Kind of record.
        record: &'static str,
        /// What is wrong.
        detail: &'static str,
    },
}

/// Why a typed operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A row's bytes cannot be understood.
    #[error("row {key}: {source}")]
    Record {
        /// The row.
        key: KeyText,
        /// Why.
        source: RecordError,
    },
    /// Two rows contradict each other.
    #[error("row {key} contradicts the others: {detail}. Restore the metadata from a copy")]
    Inconsistent {
        /// The row.
        key: KeyText,
        /// How.
        detail: String,
    },
    /// The cluster was given another identity before.
    #[error(transparent)]
    Stamp(#[from] StampMismatch),
    /// The name is taken.
    #[error("topic {name} exists already")]
    TopicExists {
        /// The name.
        name: String,
    },
    /// The id is taken, by a live topic or by a tombstone. Ids are never used twice.
    #[error("topic id {id} was used already")]
    TopicIdUsed {
        /// The id.
        id: TopicId,
    },
    /// There is no such topic.
    #[error("there is no topic with id {id}")]
    UnknownTopic {
        /// The id.
        id: TopicId,
    },
    /// A record would break a rule of its own.
    #[error("{what}: {detail}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// Why.
        detail: String,
    },
    /// The partition count can only grow.
    #[error("topic {id} has {current} partitions; {wanted} is not more")]
    PartitionsNotMore {
        /// The topic.
        id: TopicId,
        /// Partitions now.
        current: i32,
        /// Partitions asked for.
        wanted: i32,
    },
    /// Somebody else changed the row each time.
    #[error("row {key} changed during each of {attempts} attempts. Try again")]
    Contended {
        /// The row.
        key: KeyText,
        /// How often it was tried.
        attempts: u32,
    },
    /// Leader epochs are used up.
    #[error("the start counter has reached its end ({last})")]
    StartCounterExhausted {
        /// Last number given.
        last: i32,
    },
    /// Producer ids are used up.
    #[error("producer ids are used up: {size} more after {next} do not exist")]
    ProducerIdsExhausted {
        /// Next id that would be given.
        next: ProducerId,
        /// How many were asked for.
        size: u32,
    },
    /// A broker id that cannot exist.
    #[error("broker id {id} is negative")]
    InvalidBroker {
        /// The id.
        id: BrokerId,
    },
}

impl MetadataError {
    pub(crate) fn record(key: &[u8], source: RecordError) -> Self {
        Self::Record {
            key: KeyText::from(key),
            source,
        }
    }
}
