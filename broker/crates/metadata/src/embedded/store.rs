//! The embedded store itself: reads, commits, and what it does after a failure.
//!
//! | after | the store |
//! |---|---|
//! | conflict, too large, duplicate key | works on |
//! | no space (growth or write refused) | throws away redb's state in memory, opens the file again, works on |
//! | any other disk error, a panic in redb, damage found by redb | is poisoned: every call is refused until the process restarts |
//! | a row with a wrong checksum | refuses that row only |

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, StorageBackend, WriteTransaction};

use super::open::{Engine, Opened, ROWS, STATE, STATE_KEY, disk_error, engine_error, guarded, open};
use super::row::{Summary, decode_row, encode_row};
use super::slot::Slot;
use super::volume::Volume;
use crate::error::{CommitError, Found, KeyText, StoreError};
use crate::lease::{Lease, Leases};
use crate::store::{Compare, MetadataStore, Revision, Row, Transaction, Versioned};
use crate::watch::{Watch, WatchChange, WatchEvent, Watchers};

/// redb's page cache unless set otherwise. (redb's own default is 1 GiB.)
const DEFAULT_CACHE_BYTES: usize = 16 << 20;
const KEY_BYTES_MAX: usize = 4 << 10;
const VALUE_BYTES_MAX: usize = 16 << 20;
const TRANSACTION_BYTES_MAX: usize = 256 << 20;

/// What to do when there is no database in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Refuse. To be used whenever anything else shows that this is no first start: a write-ahead log, a
    /// partition directory. An empty file is then a lost one.
    Existing,
    /// Make a new one, in an empty file or over a creation that was interrupted.
    CreateIfMissing,
}

/// How an [`EmbeddedStore`] is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// Name for messages, normally the file's path.
    pub name: String,
    /// Memory for redb's page cache, in bytes; half of it may hold a transaction's changed pages.
    pub cache_bytes: usize,
    /// What to do when there is no database.
    pub mode: OpenMode,
}

impl EmbeddedOptions {
    /// Returns options with the default cache (16 MiB).
    #[must_use]
    pub fn new(name: impl Into<String>, mode: OpenMode) -> Self {
        Self {
            name: name.into(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            mode,
        }
    }
}

/// How the file relates to what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// There was none; it was made.
    Created,
    /// It ends with the last acknowledged commit.
    Acknowledged,
    /// It holds one commit more, which a crash kept from being acknowledged. It counts.
    OneAhead,
}

/// What opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// What its end is.
    pub recovery: Recovery,
    /// Last commit in it.
    pub revision: Revision,
    /// Rows in it, all of them checked.
    pub rows: u64,
}

/// The metadata store of one machine: one file, one process.
///
/// Crash behaviour: after a kill or a power cut the file holds every acknowledged commit, and at most one more,
/// whole. Damage is refused at opening (the file is left untouched), or at the read that meets it.
///
/// The owner holds the data directory's lock for as long as the store lives.
pub struct EmbeddedStore {
    options: EmbeddedOptions,
    volume: Arc<Volume>,
    state: RwLock<State>,
    /// Held by the one who commits or opens again.
    tip: Mutex<Tip>,
    watchers: Watchers,
    leases: Leases,
}

enum State {
    Open(Arc<Engine>),
    /// Ran out of space; the next call opens the file again.
    Reopen,
    Poisoned(String),
    Closed,
}

/// The newest commit and the newest slot.
struct Tip {
    summary: Summary,
    slot: Slot,
}

impl EmbeddedStore {
    /// Opens the store on a file (or whatever acts as one), checks all of it, and reports what it found.
    ///
    /// Reads the whole file a few times; metadata is small. Nobody else may use `disk` meanwhile.
    ///
    /// # Errors
    /// A named refusal, see [`StoreError`]; the file is unchanged then, unless a disk error came while a
    /// recovery was being written.
    pub fn open(
        disk: impl StorageBackend,
        options: EmbeddedOptions,
    ) -> Result<(Self, OpenReport), StoreError> {
        let volume = Arc::new(Volume::new(Box::new(disk)));
        let opened = match open(&volume, &options) {
            Ok(opened) => opened,
            Err(error) => {
                // Opening failed already; that error says more than one of giving the file back.
                let _ = volume.close();
                return Err(error);
            }
        };
        let Opened {
            engine,
            summary,
            slot,
            recovery,
        } = opened;
        let report = OpenReport {
            recovery,
            revision: summary.revision,
            rows: summary.rows,
        };
        let store = Self {
            options,
            volume,
            state: RwLock::new(State::Open(Arc::new(engine))),
            tip: Mutex::new(Tip { summary, slot }),
            watchers: Watchers::default(),
            leases: Leases::default(),
        };
        Ok((store, report))
    }

    /// Closes the store. Dropping it does the same, without a word. Nothing is written: all that matters was
    /// flushed by its commit.
    ///
    /// # Errors
    /// The failure that poisoned the store, or that of giving back the file.
    pub fn close(self) -> Result<(), StoreError> {
        self.shut()
    }

    fn shut(&self) -> Result<(), StoreError> {
        let state = std::mem::replace(&mut *self.state.write(), State::Closed);
        if let State::Closed = state {
            return Ok(());
        }
        drop(state);
        self.watchers.close();
        self.leases.lose_all();
        let failure = self.volume.failure();
        let closed = self.volume.close();
        match failure {
            Some(failure) => Err(failure.into_error(&self.options.name)),
            None => closed.map_err(|error| disk_error(&self.volume, &self.options, &error)),
        }
    }

    /// Returns the database, opened again first if it ran out of space before.
    fn current(&self) -> Result<Arc<Engine>, StoreError> {
        match self.current_if_open()? {
            Some(engine) => Ok(engine),
            None => self.current_locked(&mut self.tip.lock()),
        }
    }

    fn current_locked(&self, tip: &mut Tip) -> Result<Arc<Engine>, StoreError> {
        match self.current_if_open()? {
            Some(engine) => Ok(engine),
            None => self.reopen(tip),
        }
    }

    fn current_if_open(&self) -> Result<Option<Arc<Engine>>, StoreError> {
        let store = || self.options.name.clone();
        match &*self.state.read() {
            State::Open(engine) => Ok(Some(Arc::clone(engine))),
            State::Reopen => Ok(None),
            State::Poisoned(reason) => Err(StoreError::Poisoned {
                store: store(),
                reason: reason.clone(),
            }),
            State::Closed => Err(StoreError::Closed { store: store() }),
        }
    }

    /// Opens the file again after it ran out of space. If that fails for the same reason it can be tried again.
    fn reopen(&self, tip: &mut Tip) -> Result<Arc<Engine>, StoreError> {
        self.volume.forget_no_space();
        let options = EmbeddedOptions {
            mode: OpenMode::Existing,
            ..self.options.clone()
        };
        match open(&self.volume, &options) {
            Ok(Opened {
                engine,
                summary,
                slot,
                ..
            }) => {
                let engine = Arc::new(engine);
                *tip = Tip { summary, slot };
                *self.state.write() = State::Open(Arc::clone(&engine));
                Ok(engine)
            }
            Err(error @ StoreError::NoSpace { .. }) => Err(error),
            Err(error) => Err(self.poison(error)),
        }
    }

    /// Refuses everything from now on. Returns the error that caused it.
    fn poison(&self, error: StoreError) -> StoreError {
        let mut state = self.state.write();
        if matches!(*state, State::Open(_) | State::Reopen) {
            // redb must not write a thing any more, not even while it is dropped.
            self.volume.detach();
            let old = std::mem::replace(&mut *state, State::Poisoned(error.to_string()));
            drop(state);
            drop(old);
            self.watchers.close();
            self.leases.lose_all();
        }
        error
    }

    /// Runs a read. A read that a failing commit cut short says so without harm; other failures poison.
    fn read<T>(
        &self,
        operation: &str,
        engine: &Arc<Engine>,
        act: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match guarded(&self.options.name, operation, || act(engine.database()?)) {
            Ok(value) => Ok(value),
            Err(error @ (StoreError::CorruptRow { .. } | StoreError::NoSpace { .. })) => Err(error),
            Err(error) => {
                // The commit that ran out of space holds the lock until the file is open again.
                let _tip = self.tip.lock();
                match self.current_if_open()? {
                    Some(current) if Arc::ptr_eq(&current, engine) => Err(self.poison(error)),
                    _ => Err(StoreError::NoSpace {
                        store: self.options.name.clone(),
                        operation: operation.to_owned(),
                    }),
                }
            }
        }
    }

    /// Runs a read while nobody can commit.
    fn read_locked<T>(
        &self,
        operation: &str,
        engine: &Engine,
        act: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        guarded(&self.options.name, operation, || act(engine.database()?)).map_err(|error| match error {
            StoreError::CorruptRow { .. } | StoreError::NoSpace { .. } => error,
            error => self.poison(error),
        })
    }

    fn engine(&self, operation: &str, error: redb::Error) -> StoreError {
        engine_error(&self.volume, &self.options, operation, &error)
    }

    fn read_row(&self, database: &Database, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let engine = |error: redb::Error| self.engine("reading a row", error);
        let read = database.begin_read().map_err(|error| engine(error.into()))?;
        let rows = read.open_table(ROWS).map_err(|error| engine(error.into()))?;
        let Some(bytes) = rows.get(key).map_err(|error| engine(error.into()))? else {
            return Ok(None);
        };
        let row = decode_row(key, bytes.value())
            .map_err(|mismatch| mismatch.into_error(&self.options.name, key))?;
        Ok(Some(Versioned {
            value: row.value.to_vec(),
            version: row.version,
        }))
    }

    fn scan_rows(
        &self,
        database: &Database,
        prefix: &[u8],
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<Revision, StoreError> {
        let engine = |error: redb::Error| self.engine("scanning rows", error);
        let read = database.begin_read().map_err(|error| engine(error.into()))?;
        let state = read.open_table(STATE).map_err(|error| engine(error.into()))?;
        let summary = match state.get(STATE_KEY).map_err(|error| engine(error.into()))? {
            Some(bytes) => Summary::decode(bytes.value()),
            None => Err("the state row is missing".to_owned()),
        };
        let summary = summary.map_err(|detail| StoreError::Damaged {
            store: self.options.name.clone(),
            detail,
        })?;
        let rows = read.open_table(ROWS).map_err(|error| engine(error.into()))?;
        for entry in rows.range(prefix..).map_err(|error| engine(error.into()))? {
            let (key, bytes) = entry.map_err(|error| engine(error.into()))?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            let row = decode_row(key, bytes.value())
                .map_err(|mismatch| mismatch.into_error(&self.options.name, key))?;
            if visit(Row {
                key,
                value: row.value,
                version: row.version,
            })
            .is_break()
            {
                break;
            }
        }
        Ok(summary.revision)
    }

    /// Runs the whole transaction inside redb. Returns the summary after it.
    fn write(
        &self,
        database: &Database,
        transaction: &Transaction,
        before: Summary,
    ) -> Result<Summary, CommitError> {
        let engine = |error: redb::Error| CommitError::from(self.engine("committing", error));
        let mut write = database.begin_write().map_err(|error| engine(error.into()))?;
        write
            .set_durability(Durability::Immediate)
            .map_err(|error| engine(error.into()))?;
        match self.write_rows(&write, transaction, before) {
            Ok(after) if transaction.is_read_only() => {
                write.abort().map_err(|error| engine(error.into()))?;
                Ok(after)
            }
            Ok(after) => {
                write.commit().map_err(|error| engine(error.into()))?;
                Ok(after)
            }
            Err(error) => {
                write.abort().map_err(|error| engine(error.into()))?;
                Err(error)
            }
        }
    }

    fn write_rows(
        &self,
        write: &WriteTransaction,
        transaction: &Transaction,
        before: Summary,
    ) -> Result<Summary, CommitError> {
        let engine = |error: redb::Error| CommitError::from(self.engine("committing", error));
        let corrupt = |mismatch: super::row::RowMismatch, key: &[u8]| {
            CommitError::from(mismatch.into_error(&self.options.name, key))
        };
        let mut rows = write.open_table(ROWS).map_err(|error| engine(error.into()))?;
        for compare in &transaction.compares {
            let (key, expected) = match compare {
                Compare::Absent(key) => (key, Found::Absent),
                Compare::Version(key, version) => (key, Found::Version(*version)),
            };
            let found = match rows.get(key.as_slice()).map_err(|error| engine(error.into()))? {
                None => Found::Absent,
                Some(bytes) => Found::Version(
                    decode_row(key, bytes.value())
                        .map_err(|mismatch| corrupt(mismatch, key))?
                        .version,
                ),
            };
            if found != expected {
                return Err(CommitError::Conflict {
                    key: KeyText(key.clone()),
                    expected,
                    found,
                });
            }
        }
        if transaction.is_read_only() {
            return Ok(before);
        }
        let revision = Revision(before.revision.0.saturating_add(1));
        let mut after = Summary { revision, ..before };
        for (key, value) in &transaction.puts {
            let (bytes, digest) = encode_row(key, value, revision);
            let old = rows.insert(key.as_slice(), bytes.as_slice());
            if let Some(old) = old.map_err(|error| engine(error.into()))? {
                after.remove(
                    decode_row(key, old.value())
                        .map_err(|mismatch| corrupt(mismatch, key))?
                        .digest(),
                );
            }
            after.add(digest);
        }
        for key in &transaction.deletes {
            if let Some(old) = rows
                .remove(key.as_slice())
                .map_err(|error| engine(error.into()))?
            {
                after.remove(
                    decode_row(key, old.value())
                        .map_err(|mismatch| corrupt(mismatch, key))?
                        .digest(),
                );
            }
        }
        let mut state = write.open_table(STATE).map_err(|error| engine(error.into()))?;
        state
            .insert(STATE_KEY, after.encode().as_slice())
            .map_err(|error| engine(error.into()))?;
        Ok(after)
    }

    /// Decides what a failed commit means for the store, and whether the transaction is in the file.
    fn write_failed(&self, tip: &mut Tip, error: CommitError) -> Result<Summary, CommitError> {
        let error = match error {
            CommitError::Store(error @ StoreError::CorruptRow { .. }) => return Err(error.into()),
            CommitError::Store(error) => error,
            refused => return Err(refused),
        };
        let StoreError::NoSpace { store, operation } = error else {
            return Err(self.poison(error).into());
        };
        let before = tip.summary.revision;
        self.volume.detach();
        let old = std::mem::replace(&mut *self.state.write(), State::Reopen);
        drop(old);
        match self.reopen(tip) {
            // redb had written all of it before it ran out of space: then it happened.
            Ok(_) if tip.summary.revision > before => Ok(tip.summary),
            Ok(_) | Err(StoreError::NoSpace { .. }) => Err(CommitError::NoSpace { store, operation }),
            Err(error) => Err(error.into()),
        }
    }

    fn publish(&self, revision: Revision, transaction: Transaction) {
        let mut events = Vec::new();
        for (key, value) in transaction.puts {
            if self.watchers.any_for(&key) {
                events.push(WatchEvent {
                    key,
                    change: WatchChange::Put(Arc::from(value)),
                });
            }
        }
        for key in transaction.deletes {
            if self.watchers.any_for(&key) {
                events.push(WatchEvent {
                    key,
                    change: WatchChange::Delete,
                });
            }
        }
        self.watchers.publish(revision, &events);
    }
}

impl MetadataStore for EmbeddedStore {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let engine = self.current()?;
        match self.read("reading a row", &engine, |database| self.read_row(database, key)) {
            Err(StoreError::NoSpace { .. }) => {
                // A commit ran out of space beside this read, which has nothing to do with that. Now nobody
                // else commits.
                let mut tip = self.tip.lock();
                let engine = self.current_locked(&mut tip)?;
                self.read_locked("reading a row", &engine, |database| self.read_row(database, key))
            }
            result => result,
        }
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(Row<'_>) -> ControlFlow<()>,
    ) -> Result<Revision, StoreError> {
        let engine = self.current()?;
        let mut panicked = None;
        // The visitor's panic is the caller's business and must not pass for redb's.
        let mut visit = |row: Row<'_>| match catch_unwind(AssertUnwindSafe(|| visit(row))) {
            Ok(flow) => flow,
            Err(payload) => {
                panicked = Some(payload);
                ControlFlow::Break(())
            }
        };
        let result = self.read("scanning rows", &engine, |database| {
            self.scan_rows(database, prefix, &mut visit)
        });
        match panicked {
            Some(payload) => resume_unwind(payload),
            None => result,
        }
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        check_limits(&transaction)?;
        let mut tip = self.tip.lock();
        let engine = self.current_locked(&mut tip).map_err(refused_for_space)?;
        let before = tip.summary;
        let written = guarded(&self.options.name, "committing", || {
            self.write(engine.database()?, &transaction, before)
        });
        drop(engine);
        let after = match written {
            Ok(after) => after,
            Err(error) => self.write_failed(&mut tip, error)?,
        };
        if transaction.is_read_only() {
            return Ok(after.revision);
        }
        tip.summary = after;
        if tip.slot.summary.revision < after.revision {
            let slot = tip.slot.next(after);
            self.volume.write_slot(&slot).map_err(|error| {
                CommitError::from(self.poison(disk_error(&self.volume, &self.options, &error)))
            })?;
            tip.slot = slot;
        }
        // Still under the lock, so that watchers see commits in their order.
        self.publish(after.revision, transaction);
        Ok(after.revision)
    }

    fn watch(&self, prefix: &[u8]) -> Result<Watch, StoreError> {
        // Under the lock, so that no commit falls between the check and the first report.
        let mut tip = self.tip.lock();
        self.current_locked(&mut tip)?;
        Ok(self.watchers.add(prefix))
    }

    fn lease(&self, name: &str, owner: &str) -> Result<Lease, StoreError> {
        let mut tip = self.tip.lock();
        self.current_locked(&mut tip)?;
        self.leases.take(name, owner)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // Nobody is left to tell; what matters was flushed by its commit.
        let _ = self.shut();
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("name", &self.options.name)
            .finish_non_exhaustive()
    }
}

/// A store that cannot be opened again for want of space refuses a commit as one that has no space itself.
fn refused_for_space(error: StoreError) -> CommitError {
    match error {
        StoreError::NoSpace { store, operation } => CommitError::NoSpace { store, operation },
        error => CommitError::Store(error),
    }
}

fn check_limits(transaction: &Transaction) -> Result<(), CommitError> {
    let too_large = |what, size, limit| Err(CommitError::TooLarge { what, size, limit });
    let mut total: usize = 0;
    let mut written = HashSet::new();
    let puts = transaction.puts.iter().map(|(key, value)| (key, value.len()));
    for (key, value_size) in puts.chain(transaction.deletes.iter().map(|key| (key, 0))) {
        if key.len() > KEY_BYTES_MAX {
            return too_large("a key", key.len(), KEY_BYTES_MAX);
        }
        if value_size > VALUE_BYTES_MAX {
            return too_large("a value", value_size, VALUE_BYTES_MAX);
        }
        total = total.saturating_add(key.len()).saturating_add(value_size);
        if !written.insert(key) {
            return Err(CommitError::DuplicateKey {
                key: KeyText(key.clone()),
            });
        }
    }
    if total > TRANSACTION_BYTES_MAX {
        return too_large("a transaction", total, TRANSACTION_BYTES_MAX);
    }
    Ok(())
}

#[cfg(test)]
#[path = "store_test.rs"]
mod tests;

#[cfg(test)]
#[path = "crash_test.rs"]
mod crash_tests;

#[cfg(test)]
#[path = "damage_test.rs"]
mod damage_tests;

#[cfg(test)]
#[path = "fault_test.rs"]
mod fault_tests;
