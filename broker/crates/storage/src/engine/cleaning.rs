//! Compaction over all logs: the dirtiest that is worth it is cleaned next. Several callers clean as many logs at a
//! time; two never clean the same one.
//!
//! The choice is made in an order that depends on nothing but the logs, so that a simulation replays. What fails in
//! a log stays with that log: it is left alone until the next start, or tried again, and the others go on.

use super::{LogEngine, Shared};
use crate::cleaner::{CleanError, CleanParts, CleanReport, Need};
use crate::log::PartitionLog;
use crate::log::cleaning::drain_before_cleaning;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use thalweg_types::{TimestampMs, TopicPartitionId};

/// What one turn of the cleaner did.
#[derive(Debug)]
pub enum CleanTurn {
    /// No log is worth cleaning.
    Idle,
    /// A log was cleaned; another may be worth it.
    Cleaned(Arc<PartitionLog>, CleanReport),
    /// A log was not cleaned: wait before the next turn.
    Failed(Arc<PartitionLog>, CleanError),
}

/// How compaction stands, over all logs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleanerStatus {
    /// Logs that are compacted.
    pub logs: usize,
    /// The largest share of dirty bytes of a log, 0 to 1.
    pub dirty_ratio_max: f64,
    /// Logs that cannot be cleaned before the next start.
    pub uncleanable_logs: usize,
    /// Their bytes that were never cleaned.
    pub uncleanable_bytes: u64,
}

impl LogEngine {
    /// Cleans the log that needs it most of those that nobody cleans now, if one does. Blocks on the disk for as long as
    /// that takes.
    pub fn clean_next(&self, parts: &CleanParts<'_>) -> CleanTurn {
        let looked_at = &self.shared.counters.cleaner_looked_at_ms;
        looked_at.store(parts.now.0, Ordering::Relaxed);
        // Who takes the log between the choice and the claim has it; then there is another choice.
        while let Some(log) = self.dirtiest(parts.now) {
            if let Some(claim) = self.shared.claim_cleaning(log.id()) {
                return self.clean_claimed((log, &claim), parts);
            }
        }
        CleanTurn::Idle
    }

    /// Cleans one log, whether it is worth it or not; [`CleanError::Overtaken`] if somebody else does.
    pub fn clean_log(&self, log: Arc<PartitionLog>, parts: &CleanParts<'_>) -> CleanTurn {
        match self.shared.claim_cleaning(log.id()) {
            Some(claim) => self.clean_claimed((log, &claim), parts),
            None => CleanTurn::Failed(log, CleanError::Overtaken),
        }
    }

    fn clean_claimed(
        &self,
        (log, claim): (Arc<PartitionLog>, &CleaningClaim<'_>),
        parts: &CleanParts<'_>,
    ) -> CleanTurn {
        let counters = &self.shared.counters;
        counters.cleaner_runs.fetch_add(1, Ordering::Relaxed);
        match log.clean(claim, parts) {
            Ok(report) => {
                let add = |counter: &std::sync::atomic::AtomicU64, count| {
                    counter.fetch_add(count, Ordering::Relaxed);
                };
                add(&counters.cleaner_read_bytes, report.bytes_read);
                add(&counters.cleaner_written_bytes, report.bytes_written);
                add(
                    &counters.cleaner_freed_bytes,
                    report.bytes_replaced.saturating_sub(report.bytes_written),
                );
                let removed = report.records.records_read - report.records.records_kept;
                add(&counters.cleaner_removed_records, removed);
                let per_mille = (report.map_utilization * 1000.0) as u64;
                counters.cleaner_map_per_mille.store(per_mille, Ordering::Relaxed);
                CleanTurn::Cleaned(log, report)
            }
            Err(error) => {
                if matches!(error, CleanError::Corrupt { .. } | CleanError::Io { .. }) {
                    log.block_cleaning(&error);
                }
                CleanTurn::Failed(log, error)
            }
        }
    }

    /// Returns how compaction stands.
    #[must_use]
    pub fn cleaner_status(&self, now: TimestampMs) -> CleanerStatus {
        let mut status = CleanerStatus::default();
        for log in self.logs() {
            if log.config().compaction.is_none() {
                continue;
            }
            status.logs += 1;
            if log.uncleanable_reason().is_some() {
                status.uncleanable_logs += 1;
                status.uncleanable_bytes += log.uncleanable_bytes();
            } else if let Some(found) = log.cleanable(now) {
                status.dirty_ratio_max = status.dirty_ratio_max.max(found.ratio());
            }
        }
        status
    }

    /// Returns the log to clean next. Logs of which a record waited too long and those above their ratio are one
    /// queue, as in Kafka: the largest share of dirty bytes first.
    fn dirtiest(&self, now: TimestampMs) -> Option<Arc<PartitionLog>> {
        let mut best: Option<(f64, Arc<PartitionLog>)> = None;
        let mut logs = self.logs();
        let busy = self.shared.cleaned_now.lock().clone();
        logs.retain(|log| log.config().compaction.is_some() && !busy.contains(&log.id()));
        logs.sort_by_key(|log| log.id());
        for log in logs {
            drain_before_cleaning(&log);
            let Some(found) = log.cleanable(now).filter(|found| found.need != Need::None) else {
                continue;
            };
            let ratio = found.ratio();
            if best.as_ref().is_none_or(|(other, _)| ratio > *other) {
                best = Some((ratio, log));
            }
        }
        best.map(|(_, log)| log)
    }
}

/// The right to clean one log, given back when dropped.
pub(crate) struct CleaningClaim<'a> {
    shared: &'a Shared,
    log: TopicPartitionId,
}

impl Drop for CleaningClaim<'_> {
    fn drop(&mut self) {
        self.shared.cleaned_now.lock().remove(&self.log);
    }
}

impl Shared {
    /// Returns the right to clean a log, unless somebody has it.
    fn claim_cleaning(&self, log: TopicPartitionId) -> Option<CleaningClaim<'_>> {
        let is_new = self.cleaned_now.lock().insert(log);
        // Lazily: a claim that is made and dropped would give back the other's.
        is_new.then(|| CleaningClaim { shared: self, log })
    }
}
