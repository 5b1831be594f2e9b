//! The write-ahead log: one ordered stream of commit groups for all partitions of a broker.
//!
//! [`group`] is the byte format, shared by every place a log can live in. [`WalSink`] is such a place:
//! [`ring::RingSink`] keeps a ring of preallocated files on a local disk, [`memory::MemorySink`] delays,
//! reorders and loses sessions for tests. Invariant: groups have consecutive [`Slot`]s, and a group is durable
//! only when all before it are.

pub mod group;
pub mod memory;
pub mod ring;
mod ring_file;

use crate::disk::AlignedBuffer;
use bytes::Bytes;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Number of a commit group in its log, from 0, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Slot(pub u64);

impl Slot {
    /// Returns the slot after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Random identity of a log: bytes that another log (or a hostile record) left in a recycled block never pass
/// for a group of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Incarnation(pub [u8; 16]);

/// Where bytes of a group lie: stays valid until the group is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WalLocation {
    /// Number of the file (or object), counted up for the life of the log.
    pub file: u64,
    /// Byte position in it.
    pub position: u64,
}

/// Where a log ended at a clean stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalEnd {
    /// The next slot to write.
    pub next_slot: Slot,
    /// Where it would lie.
    pub location: WalLocation,
    /// Header CRC of the group before, 0 when there is none.
    pub last_crc: u32,
}

/// Runtime sizes that belong to the sink, not to the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkLimits {
    /// A group is sealed before its encoding passes this many bytes, unless one entry alone is larger.
    pub group_bytes_max: usize,
    /// The largest encoding that fits at all, in bytes.
    pub group_bytes_hard_max: usize,
    /// How many groups may be under way at once.
    pub groups_in_flight_max: usize,
}

/// How full the log is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WalUsage {
    /// Held by groups that are not trimmed, padding and file headers included.
    pub used: u64,
    /// What the log can use: less than its bound while the disk has no room for another file.
    pub capacity: u64,
    /// What can still be written before something must be trimmed.
    pub free: u64,
    /// First slot that is not trimmed.
    pub first_slot: Slot,
    /// Last slot of the oldest whole file: trimming to it frees that file. `None` when only the file being
    /// written is in use.
    pub oldest_file_last_slot: Option<Slot>,
    /// Whether the disk has no room for a further file.
    pub growth: Growth,
    /// Files begun since the log was made.
    pub rolls: u64,
}

/// Whether a log can get larger, up to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Growth {
    /// As far as is known.
    #[default]
    Possible,
    /// The disk has no room: the files there are must do.
    NoRoom,
    /// The disk has no room, and there is only the file being written: at its end nothing goes on.
    Stuck,
}

/// Why a sink cannot go on.
#[derive(Clone, Debug, Error)]
pub enum SinkError {
    /// Durability is unknown or the log is damaged: nothing may be acknowledged any more. Never retried.
    #[error("write-ahead log {file}: {what}; no record is acknowledged from here on")]
    Fatal {
        /// File or object.
        file: String,
        /// What failed.
        what: String,
    },
    /// Another owner fenced this log; what was under way may or may not be durable.
    #[error("write-ahead log: the session is lost at slot {slot}: {what}")]
    SessionLost {
        /// First slot that the new owner holds.
        slot: Slot,
        /// How it was found out.
        what: String,
    },
    /// The log is closing.
    #[error("write-ahead log: closed")]
    Closed,
}

/// Why a log cannot be opened or replayed.
#[derive(Debug, Error)]
pub enum WalOpenError {
    /// The disk failed.
    #[error("write-ahead log {path}: {source}")]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The disk's error.
        source: std::io::Error,
    },
    /// Valid groups follow an invalid one: bytes that were acknowledged are damaged.
    #[error(
        "write-ahead log {path}: the group at position {position} (slot {slot}) is damaged ({what}), yet a valid later group \
         (slot {later_slot}) follows at position {later_position} of {later_path}: acknowledged records would be lost. \
         Restore the file from a copy, or move the data directory aside"
    )]
    Corrupt {
        /// File with the damage.
        path: PathBuf,
        /// Byte position of the damaged group.
        position: u64,
        /// Slot that was expected there.
        slot: Slot,
        /// What is wrong with it.
        what: String,
        /// File with the later valid group.
        later_path: PathBuf,
        /// Position of that group.
        later_position: u64,
        /// Slot of that group.
        later_slot: Slot,
    },
    /// The log ends before what is known to have been durable.
    #[error(
        "write-ahead log {path}: ends at slot {found}, but slot {expected} was durable ({evidence}): acknowledged records are \
         missing. Restore the file from a copy, or move the data directory aside"
    )]
    Short {
        /// Directory of the log.
        path: PathBuf,
        /// First slot that is missing.
        found: Slot,
        /// First slot that may be missing.
        expected: Slot,
        /// How that is known.
        evidence: &'static str,
    },
    /// A file that belongs to the log is not there.
    #[error(
        "write-ahead log: {path} is missing: it was removed, and acknowledged records may have been in it. Restore it \
         from a copy, or move the data directory aside"
    )]
    FileMissing {
        /// File.
        path: PathBuf,
    },
    /// A file that belongs to the log is not what it was.
    #[error(
        "write-ahead log: {path} is damaged: {what}; acknowledged records may have been in it. Restore it from a copy, \
         or move the data directory aside"
    )]
    FileDamaged {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Files of another log lie here.
    #[error(
        "write-ahead log {path}: belongs to {found}, expected {expected}: the directory mixes files of two brokers"
    )]
    Foreign {
        /// File.
        path: PathBuf,
        /// Identity in the file.
        found: String,
        /// Identity in the metadata.
        expected: String,
    },
    /// Written by a newer program.
    #[error(
        "write-ahead log {path}: format version {found} is newer than {supported}, the newest this program reads"
    )]
    NewerVersion {
        /// File.
        path: PathBuf,
        /// Version in the file.
        found: u16,
        /// Newest version known here.
        supported: u16,
    },
    /// The replay's visitor refused a group.
    #[error("write-ahead log, slot {slot}: {what}")]
    Refused {
        /// Slot of the group.
        slot: Slot,
        /// Why.
        what: String,
    },
}

/// A group as it goes to a sink: encoded and padded, with its slot.
#[derive(Debug)]
pub struct SealedGroup {
    /// The slot, the next one of the log.
    pub slot: Slot,
    /// Encoding, padded with zeroes to a multiple of [`crate::disk::BLOCK`].
    pub buffer: AlignedBuffer,
}

/// A group that replay found.
#[derive(Debug)]
pub struct ReplayedGroup<'a> {
    /// Its slot.
    pub slot: Slot,
    /// Where its header lies.
    pub location: WalLocation,
    /// Header, payload and footer, checked.
    pub group: group::DecodedGroup<'a>,
}

/// What replay leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayEnd {
    /// The next slot to write.
    pub next_slot: Slot,
    /// Header CRC of the last group, 0 when there is none.
    pub last_crc: u32,
    /// Groups given to the visitor.
    pub groups: u64,
    /// Bytes of those groups.
    pub bytes: u64,
}

/// Where a replay starts and how far it must reach.
#[derive(Clone, Copy, Debug)]
pub struct ReplayRange {
    /// Groups below this slot are covered elsewhere and skipped.
    pub from: Slot,
    /// All slots below this one are known to have been durable: a log that ends before is damaged.
    pub durable_before: Option<Slot>,
    /// Where the log ended at a clean stop: nothing was written since.
    pub clean_end: Option<WalEnd>,
}

/// Reads groups before there is a sink.
pub trait WalReader: Send + Sync + fmt::Debug {
    /// Reads bytes of a group that replay has seen.
    ///
    /// # Errors
    /// `NotFound` for a group that replay does not read; otherwise as the place says.
    fn read(&self, location: WalLocation, len: usize) -> std::io::Result<Bytes>;
}

/// A log that was found, and is to be replayed before it takes groups.
pub trait WalOpener: Send {
    /// Returns a reader for the time until replay is done.
    fn reader(&self) -> Arc<dyn WalReader>;

    /// Gives every group from `range.from` on to `visit`, in order, and opens the log for appends.
    ///
    /// # Errors
    /// [`WalOpenError`]: damage and gaps are named.
    fn replay(
        self: Box<Self>,
        range: ReplayRange,
        visit: &mut dyn FnMut(ReplayedGroup<'_>) -> Result<(), String>,
    ) -> Result<(Arc<dyn WalSink>, ReplayEnd), WalOpenError>;
}

/// A place for the write-ahead log.
///
/// One thread submits and waits; any thread reads and trims.
pub trait WalSink: Send + Sync + fmt::Debug {
    /// Returns the sizes this sink works with.
    fn limits(&self) -> SinkLimits;

    /// Returns an empty buffer for the next group, from those that are done where possible.
    fn buffer(&self) -> AlignedBuffer;

    /// Starts to write a group; blocks while the log is full. Returns where it lies.
    ///
    /// # Errors
    /// After an error nothing more may be submitted.
    fn submit(&self, group: SealedGroup) -> Result<WalLocation, SinkError>;

    /// Blocks until a further submitted group, and all before it, are durable; returns its slot.
    ///
    /// # Errors
    /// After an error no further group will be reported durable.
    fn wait_durable(&self) -> Result<Slot, SinkError>;

    /// Reads bytes of a durable group that is not trimmed.
    ///
    /// # Errors
    /// `NotFound` when the file was trimmed meanwhile; otherwise as the disk says.
    fn read(&self, location: WalLocation, len: usize) -> std::io::Result<Bytes>;

    /// Frees all groups up to and including `through`, in whole files.
    fn trim(&self, through: Slot);

    /// Returns where the next group lies unless it needs another file; `None` for a log that has no such place.
    fn end(&self) -> Option<WalLocation>;

    /// Tells how full the log is.
    fn usage(&self) -> WalUsage;

    /// Makes room ready ahead of need, as far as the sink's bounds allow; called off the commit thread.
    ///
    /// # Errors
    /// As the disk says; running out of space is no error ([`WalUsage::growth`] tells, and the log waits for a
    /// trim).
    fn prepare(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Wakes a blocked [`WalSink::submit`] for ever: the broker stops.
    fn close(&self);
}
