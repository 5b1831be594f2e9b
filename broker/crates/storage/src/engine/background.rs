//! The drain thread: the tail to segments, recovery points, trimming, rebuilding indexes.
//!
//! A full disk leaves records in the write-ahead log and is tried again; any other failure of the disk puts
//! durability in doubt and is reported as fatal.

use super::{Jobs, LogEngine, Shared};
use crate::commit::{CommitError, Committer};
use crate::disk::CrashPoint;
use crate::log::rows::{RecoveryStoreError, RowChange, WalRow, encode_wal, wal_key};
use crate::log::{DrainError, PartitionLog};
use crate::planted::{Bug, is_planted};
use crate::wal::{Growth, SinkError, Slot};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use thalweg_types::{Offset, TopicPartitionId};

/// Logs that are drained before their rows are committed: bounds the open files.
pub(super) const COVERED_AT_ONCE: usize = 64;

impl LogEngine {
    pub(super) fn commit_rows(&self, logs: Vec<Arc<PartitionLog>>) -> Result<(), String> {
        let _rows = self.shared.rows.lock();
        let mut prepared = Vec::new();
        for log in logs {
            match log.prepare_rows() {
                Ok(Some(rows)) => prepared.push((log, rows)),
                Ok(None) => {}
                Err(error) => {
                    for (log, rows) in prepared {
                        log.rows_refused(rows);
                    }
                    if !matches!(error, DrainError::OutOfDescriptors { .. }) {
                        self.fatal(&error.to_string());
                    }
                    return Err(error.to_string());
                }
            }
        }
        let changes: Vec<RowChange> = prepared
            .iter()
            .flat_map(|(_, rows)| rows.changes.clone())
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        self.shared.disk.reached(CrashPoint::RecoveryPointPrepared);
        match self.shared.recovery.commit(changes) {
            Ok(()) => {
                self.shared.disk.reached(CrashPoint::RecoveryPointCommitted);
                for (log, rows) in prepared {
                    log.rows_committed(&rows);
                }
                self.shared.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                for (log, rows) in prepared {
                    log.rows_refused(rows);
                }
                match &error {
                    RecoveryStoreError::Full(_) => self.shared.note_full(&error.to_string()),
                    RecoveryStoreError::Failed(_) => self.fatal(&error.to_string()),
                }
                Err(error.to_string())
            }
        }
    }

    /// Moves the logs' entries up to a slot into segments and recovery points, a few logs at a time: each has files
    /// open until its rows are committed.
    pub(super) fn cover(&self, logs: &[Arc<PartitionLog>], through: Slot) -> Result<(), String> {
        let mut outcome = Ok(());
        for some in logs.chunks(COVERED_AT_ONCE) {
            let first: Vec<_> = some
                .iter()
                .filter(|log| log.needs_rows_first())
                .cloned()
                .collect();
            if !first.is_empty() {
                self.commit_rows(first)?;
            }
            let drained = some
                .iter()
                .try_for_each(|log| log.drain_counted(usize::MAX, through).map(drop));
            // What was drained before a full disk stopped it is covered all the same.
            let committed = self.commit_rows(some.to_vec());
            outcome = outcome.and(drained).and(committed);
        }
        outcome
    }

    /// Frees what all committed recovery points cover.
    pub(super) fn trim(&self) -> Result<(), String> {
        let _rows = self.shared.rows.lock();
        let first = if is_planted(Bug::TrimmedTooSoon) {
            self.next_slot()
        } else {
            self.first_needed()
        };
        let Some(through) = first.0.checked_sub(1).map(Slot) else {
            return Ok(());
        };
        let frees = self
            .shared
            .sink
            .usage()
            .oldest_file_last_slot
            .is_some_and(|last| last <= through);
        if !frees {
            return Ok(());
        }
        let row = WalRow {
            replay_from: first,
            ..self.wal_row()
        };
        let change = RowChange {
            key: wal_key(),
            value: Some(encode_wal(&row)),
        };
        match self.shared.recovery.commit(vec![change]) {
            Ok(()) => {
                *self.replay_from.lock() = first;
                self.shared.disk.reached(CrashPoint::WalTrimming);
                self.shared.sink.trim(through);
                self.shared.counters.trims.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error @ RecoveryStoreError::Full(_)) => {
                self.shared.note_full(&error.to_string());
                Err(error.to_string())
            }
            Err(error) => {
                self.fatal(&error.to_string());
                Err(error.to_string())
            }
        }
    }

    fn fatal(&self, what: &str) {
        let error = SinkError::Fatal {
            file: self.shared.directory.display().to_string(),
            what: what.to_owned(),
        };
        (self.shared.on_fatal)(&CommitError::Log(error));
    }

    /// Writes the next commit group, when the logs were opened by hand; `false` when none waits.
    pub fn step_commit(&self) -> bool {
        self.shared.committer().is_some_and(Committer::step)
    }

    /// Does one round of background work, as the drain thread does: for logs that were opened by hand.
    pub fn step_background(&self) {
        let work = self.shared.jobs.lock().take();
        self.work(work);
    }

    /// One round of background work. Returns whether there may be more at once.
    fn work(&self, jobs: Work) {
        for log in jobs.drains {
            // Errors were noted; the data stays in the write-ahead log.
            let _ = log.drain_counted(usize::MAX, Slot(u64::MAX));
        }
        for (id, base_offset) in jobs.damaged {
            if let Some(log) = self.get(id) {
                log.rebuild_index(base_offset);
            }
        }
        if let Err(error) = self.shared.sink.prepare() {
            self.fatal(&error.to_string());
        }
        let usage = self.shared.sink.usage();
        if usage.growth == Growth::Stuck {
            self.shared
                .note_full("the write-ahead log has one file, and no room for a second");
        }
        let Some(last) = usage.oldest_file_last_slot else {
            return;
        };
        if usage.used > usage.capacity / 2 {
            let old: Vec<_> = self
                .shared
                .dirty
                .lock()
                .values()
                .cloned()
                .collect::<Vec<_>>()
                .into_iter()
                .filter(|log| log.first_uncovered().is_some_and(|slot| slot <= last))
                .collect();
            if let Err(error) = self.cover(&old, last).and_then(|()| self.trim()) {
                tracing::debug!(%error, "the oldest write-ahead log file stays");
            }
        }
    }
}

impl Jobs {
    fn take(&mut self) -> Work {
        Work {
            drains: self.drains.drain(..).collect(),
            damaged: std::mem::take(&mut self.damaged).into_iter().collect(),
        }
    }
}

struct Work {
    drains: Vec<Arc<PartitionLog>>,
    damaged: Vec<(TopicPartitionId, Offset)>,
}

pub(super) fn run_background(shared: &Arc<Shared>, engine: &Weak<LogEngine>) {
    loop {
        let work = {
            let mut jobs = shared.jobs.lock();
            if jobs.drains.is_empty() && jobs.damaged.is_empty() && !jobs.stop {
                shared.wake.wait_for(&mut jobs, Duration::from_millis(50));
            }
            if jobs.stop {
                return;
            }
            jobs.take()
        };
        let Some(engine) = engine.upgrade() else { return };
        engine.work(work);
    }
}

impl Shared {
    pub(crate) fn note_full(&self, what: &str) {
        self.counters.disk_full.fetch_add(1, Ordering::Relaxed);
        if !self.counters.is_disk_full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "{what}; produce is refused and records stay in the write-ahead log until there is space: delete \
                 records or topics, or add space"
            );
        }
    }
}

impl PartitionLog {
    /// Drains, counts, and reports a failure that puts durability in doubt.
    pub(crate) fn drain_counted(&self, bytes: usize, through: Slot) -> Result<usize, String> {
        let shared = self.shared();
        match self.drain(bytes, through) {
            Ok(count) => {
                shared
                    .counters
                    .drained_bytes
                    .fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error @ DrainError::Full { .. }) => {
                shared.note_full(&error.to_string());
                Err(error.to_string())
            }
            Err(error @ DrainError::RowsFirst { .. }) => Err(error.to_string()),
            Err(error @ DrainError::OutOfDescriptors { .. }) => {
                tracing::error!(%error, "records stay in the write-ahead log and the write is tried again");
                Err(error.to_string())
            }
            Err(error) => {
                let fatal = SinkError::Fatal {
                    file: self.directory().display().to_string(),
                    what: error.to_string(),
                };
                (shared.on_fatal)(&CommitError::Log(fatal));
                Err(error.to_string())
            }
        }
    }
}
