//! Whether the disk has room for clients' records.
//!
//! Closed above a high-water mark of disk use, opened again below a lower one. Internal topics, log events and
//! metadata do not ask: offset commits, deletions and settings work while produce is refused.

use std::sync::atomic::{AtomicBool, Ordering};

use thalweg_storage::disk::DiskSpace;

/// The gate; one for the data directory.
#[derive(Debug, Default)]
pub struct DiskGate {
    closed: AtomicBool,
}

/// The marks, in percent of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskMarks {
    /// Closed at or above this use (`disk.use.high.percent`).
    pub high_percent: u64,
    /// Opened below this use (`disk.use.low.percent`).
    pub low_percent: u64,
}

impl DiskGate {
    /// Reports whether clients' records are taken.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Judges the use of the disk; returns whether the gate is open now.
    pub fn observe(&self, space: DiskSpace, marks: DiskMarks) -> bool {
        let used = space.total.saturating_sub(space.available);
        let percent = used.saturating_mul(100).checked_div(space.total).unwrap_or(0);
        let closed = self.closed.load(Ordering::Relaxed);
        let close = if closed {
            percent >= marks.low_percent
        } else {
            percent >= marks.high_percent
        };
        if close != closed {
            self.closed.store(close, Ordering::Relaxed);
            if close {
                tracing::error!(
                    percent,
                    available = space.available,
                    "the disk is nearly full (disk.use.high.percent): produce is refused until records are deleted or space is added"
                );
            } else {
                tracing::info!(percent, "the disk has room again: produce is taken");
            }
        }
        !close
    }
}

#[cfg(test)]
#[path = "disk_gate_test.rs"]
mod tests;
