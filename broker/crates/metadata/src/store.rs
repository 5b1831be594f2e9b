//! The trait that every metadata store implements: a transactional map from bytes to bytes.
//!
//! Owns the contract: atomic commits with compares, durability on return, ordered scans of one snapshot, watch
//! and lease. Knows nothing of what keys and values mean. Two implementations are meant to exist: the embedded
//! file, and etcd for clusters; versions follow etcd's `mod_revision`, so that both can keep the promise.

use std::fmt;
use std::ops::ControlFlow;

use crate::error::{CommitError, StoreError};
use crate::lease::Lease;
use crate::watch::Watch;

/// Number of a commit. Rises by at least one per commit that writes, never goes back, restarts included.
///
/// As the version of a key it is the commit that last wrote the key. A key that was deleted and written again
/// has a higher version than before, so a compare never mistakes the new one for the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The store is new and nothing was committed.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A value with the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// The bytes, as they were committed.
    pub value: Vec<u8>,
    /// The commit that wrote them.
    pub version: Revision,
}

/// One row as a scan shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The whole key, prefix included.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// The commit that wrote it.
    pub version: Revision,
}

/// A condition for a whole transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    Absent(Vec<u8>),
    /// The key exists and was last written by this commit.
    Version(Vec<u8>, Revision),
}

/// Compares, puts and deletes that happen together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) compares: Vec<Compare>,
    pub(crate) puts: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) deletes: Vec<Vec<u8>>,
}

impl Transaction {
    /// Begins an empty transaction.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands that `key` does not exist.
    #[must_use]
    pub fn require_absent(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.compares.push(Compare::Absent(key.into()));
        self
    }

    /// Demands that `key` was last written by the commit `version`.
    #[must_use]
    pub fn require_version(mut self, key: impl Into<Vec<u8>>, version: Revision) -> Self {
        self.compares.push(Compare::Version(key.into(), version));
        self
    }

    /// Writes a row. Each key may be put or deleted once in a transaction.
    #[must_use]
    pub fn put(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.puts.push((key.into(), value.into()));
        self
    }

    /// Deletes a row; deleting an absent key is no error.
    #[must_use]
    pub fn delete(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.deletes.push(key.into());
        self
    }

    /// Reports whether the transaction writes nothing (it may still compare).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }
}

/// A transactional map from bytes to bytes, shared by all parts of a broker.
///
/// **Every method blocks** on disk or network; call it from a thread that may block (`spawn_blocking`), never
/// from an async task. Reading rows back in a callback holds a snapshot, not a lock: commits go on meanwhile.
pub trait MetadataStore: Send + Sync {
    /// Reads one row of the newest commit.
    ///
    /// # Errors
    /// [`StoreError::CorruptRow`] for a row that does not match its checksum; others as [`StoreError`] says.
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError>;

    /// Shows every row whose key starts with `prefix`, in key order, of one snapshot, whose commit it returns.
    ///
    /// Stops early when `visit` breaks. Memory is bounded by the largest row.
    ///
    /// # Errors
    /// As [`MetadataStore::get`]; rows seen before the error are right.
    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<Revision, StoreError>;

    /// Applies a transaction if all its compares hold. Atomic; durable when it returns.
    ///
    /// A transaction that writes nothing checks its compares and returns the newest commit's number.
    ///
    /// # Errors
    /// See [`CommitError`], which also says when the outcome is unknown.
    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError>;

    /// Begins to report commits that change keys under `prefix`, from the first one after this call returns.
    ///
    /// To follow a set of rows: watch first, scan second, then skip batches up to the scan's revision.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`] or [`StoreError::Closed`].
    fn watch(&self, prefix: &[u8]) -> Result<Watch, StoreError>;

    /// Takes the lease `name` for `owner`, until the returned value is dropped or the store loses it.
    ///
    /// A lease tells who is alive; it is no lock. Whoever acts on it guards the act with a compare.
    ///
    /// # Errors
    /// [`StoreError::LeaseHeld`] if another owner has it.
    fn lease(&self, name: &str, owner: &str) -> Result<Lease, StoreError>;
}
