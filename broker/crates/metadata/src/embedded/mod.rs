//! The embedded store: one file on the Disk that the broker gives it, redb inside, and a proof around it.
//!
//! Owns the file's layout, the commit and what happens when a disk fails. Does not own the directory's lock:
//! whoever opens the store holds it, so that no second process writes the file.
//!
//! ```text
//! 0     acknowledgement slot A (4 KiB)   odd sequence numbers
//! 4096  acknowledgement slot B (4 KiB)   even sequence numbers
//! 8192  a redb database: table "rows" (key → checksum, version, value), table "state" (the commit's summary)
//! ```
//!
//! What redb 4 does alone, and what it does not. Its pages form a checksummed tree, but the tree is verified
//! only in a recovery after an unclean close, and a broken newest commit is then taken for a torn one and rolled
//! back to the one before: right after a crash, wrong after damage, and the two look the same from inside.
//! One unprotected byte of its header names the newest commit. So:
//!
//! - redb is never closed cleanly: every opening is a recovery, which verifies every page before it is believed;
//! - every opening reads every row, and compares count and digest of all rows with the `state` row written in
//!   the same commit;
//! - after each commit, and before it is acknowledged, its number and digest are written to a slot and flushed.
//!   A database whose commit is older than the newest slot has lost something and is refused;
//! - what is read again later must be what was verified at opening or written since (see `block_checks`);
//! - while opening, writes are held back in memory until all checks have passed, so a refused file stays
//!   byte for byte as it was found.
//!
//! A commit costs two flushes. Invariant: newest slot ≤ newest redb commit ≤ newest slot + 1.

mod block_checks;
mod open;
mod row;
mod slot;
mod store;
mod volume;

#[cfg(test)]
#[path = "faulty_backend.rs"]
pub(crate) mod faulty_backend;

pub use store::{EmbeddedOptions, EmbeddedStore, OpenMode, OpenReport, Recovery};
