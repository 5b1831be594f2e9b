//! Compaction: of each key the newest record stays (KIP-58, KIP-71, KIP-354, KIP-534).
//!
//! Owns the decisions and the bytes: what may be cleaned and is worth it ([`choice`]), the bounded map of keys
//! ([`offset_map`], [`keys`]), what stays of a batch ([`filter`], [`transactions`]), checked reading and the new files
//! ([`source`], [`output`]). What changes a log lies in `log::cleaning`, the choice among logs in the engine; when
//! and how fast it runs is the caller's.
//!
//! Invariants, Kafka's: the active segment and what is not stable are never touched; no offset, leader epoch or
//! sequence changes; the log start stays. A record goes only if a newer one of its key stays behind it, or its time
//! as a tombstone is over.

pub(crate) mod choice;
pub(crate) mod digest;
pub(crate) mod filter;
pub(crate) mod keys;
pub(crate) mod offset_map;
pub(crate) mod output;
pub(crate) mod source;
pub(crate) mod transactions;

pub use choice::{Cleanable, Need};
pub use filter::FilterCounts;
pub use offset_map::{MapLimits, SLOT_BYTES};

use crate::log::DrainError;
use std::fmt;
use std::io;
use std::path::Path;
use thalweg_types::{Offset, TimestampMs};
use thalweg_wire::compression::CompressionLimits;
use thiserror::Error;

/// Whether a cleaning goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Yes; whoever answers may have waited first.
    GoOn,
    /// No: the broker stops.
    Stop,
}

/// With what a log is cleaned.
#[derive(Clone, Copy)]
pub struct CleanParts<'a> {
    /// The time; tombstones are judged by it.
    pub now: TimestampMs,
    /// How far stored batches may be inflated.
    pub inflate: CompressionLimits,
    /// Memory for the map of keys.
    pub map: MapLimits,
    /// Bytes of one read (`log.cleaner.io.buffer.size`).
    pub read_bytes: usize,
    /// A random number that clients do not know.
    pub random: u128,
    /// Is told how many bytes are to be read or were written, and may take its time (the rate limit).
    pub pace: &'a (dyn Fn(u64) -> Pace + Sync),
}

impl fmt::Debug for CleanParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanParts")
            .field("now", &self.now)
            .field("map", &self.map)
            .finish_non_exhaustive()
    }
}

impl CleanParts<'_> {
    pub(crate) fn go_on(&self, bytes: u64) -> Result<(), CleanError> {
        if bytes > 0 && (self.pace)(bytes) == Pace::Stop {
            return Err(CleanError::Stopped);
        }
        Ok(())
    }
}

/// What a cleaning of one log did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleanReport {
    /// Bytes read, those of the pass that fills the map included.
    pub bytes_read: u64,
    /// Bytes of cleaned segments that are in force now.
    pub bytes_written: u64,
    /// Bytes of the segments whose place they took.
    pub bytes_replaced: u64,
    /// Segments that were replaced.
    pub segments_replaced: u64,
    /// Records judged.
    pub records: FilterCounts,
    /// Everything below is clean now.
    pub first_dirty: Offset,
    /// How full the map of keys was, 0 to 1.
    pub map_utilization: f64,
}

/// Why a log was not cleaned, or not to the end. What was not made durable was not changed.
#[derive(Debug, Error)]
pub enum CleanError {
    /// A segment does not hold what was written; nothing is made of it.
    #[error("{path} is damaged at byte {position}: {what}; run `thalweg log check --quarantine` on it")]
    Corrupt {
        /// File.
        path: String,
        /// Byte position.
        position: u64,
        /// What is wrong.
        what: String,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: String,
        /// The disk's error.
        source: io::Error,
    },
    /// The disk is full, or no descriptor is left; a later try may work.
    #[error("{0}")]
    Later(String),
    /// Retention, a truncation, a deletion or another cleaning was faster; the next turn sees what is there now.
    #[error("the log changed meanwhile")]
    Overtaken,
    /// The caller said so.
    #[error("stopped")]
    Stopped,
}

impl CleanError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        // The directory or a segment has another name by now: deleted, or expired.
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Overtaken;
        }
        let path = path.display().to_string();
        if crate::disk::is_disk_full(&source) || crate::disk::is_out_of_descriptors(&source) {
            return Self::Later(format!("{path}: {source}"));
        }
        Self::Io { path, source }
    }
}

impl From<DrainError> for CleanError {
    fn from(error: DrainError) -> Self {
        match error {
            DrainError::Io { path, source } => Self::Io { path, source },
            other => Self::Later(other.to_string()),
        }
    }
}
