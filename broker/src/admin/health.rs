//! Whether the broker can do its work, and if not, why; and whether only a new start can help.

use std::sync::atomic::Ordering;

use futures::FutureExt;
use thalweg_storage::commit::CommitError;
use thalweg_storage::engine::NoRoom;
use thalweg_telemetry::Shutdown;

use super::{AdminParts, Phase};

/// Damaged places named in one answer; the rest is counted.
const PROBLEMS_MAX: usize = 20;

/// What the broker can do now. In sentences, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct Readiness {
    /// Why it should get no traffic; empty = it is ready.
    pub(super) reasons: Vec<String>,
    /// What it refuses although it is ready: a full disk takes no records, and still serves readers, commits and
    /// whatever makes room. Taken out of traffic it could not be emptied.
    pub(super) limits: Vec<String>,
}

impl Readiness {
    pub(super) fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

pub(super) fn readiness(phase: &Phase, shutdown: &Shutdown) -> Readiness {
    let mut found = Readiness::default();
    if shutdown.is_requested() {
        found.reasons.push("the broker is stopping".to_owned());
    }
    match phase.parts() {
        Some(parts) => {
            not_able(parts, &mut found.reasons);
            limited(parts, &mut found.limits);
        }
        None => found.reasons.push(recovering(phase)),
    }
    found
}

/// Returns why the process must end and start again: nothing else will help. `None` while it recovers, stops, or lacks
/// space, for which it must not be killed.
pub(super) fn poisoned(phase: &Phase) -> Option<String> {
    match log_failure(phase.parts()?)? {
        error @ CommitError::Log(_) => Some(log_failed(&error)),
        CommitError::Closed => None,
    }
}

/// Why the write-ahead log takes nothing any more. Known at once; a wait for room and a full disk are none.
fn log_failure(parts: &AdminParts) -> Option<CommitError> {
    match parts.topics.engine().client_room().now_or_never()? {
        Err(NoRoom::Failed(error)) => Some(error),
        Err(NoRoom::DiskFull) | Ok(()) => None,
    }
}

fn log_failed(error: &CommitError) -> String {
    format!("the write-ahead log failed: {error}")
}

fn recovering(phase: &Phase) -> String {
    let (read, all) = (phase.progress.wal_read_bytes(), phase.progress.wal_bytes());
    if phase.progress.is_over() {
        "recovering: the data directory is open, the listeners are about to serve".to_owned()
    } else if all == 0 {
        "recovering: the data directory is being opened".to_owned()
    } else {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "recovering: {:.1} of {:.1} MiB of the write-ahead log are read",
            mib(read),
            mib(all)
        )
    }
}

fn limited(parts: &AdminParts, limits: &mut Vec<String>) {
    if !parts.gate.is_open() {
        limits.push(
            "the disk is fuller than disk.use.high.percent: produce is refused; delete records or add space"
                .to_owned(),
        );
    }
    let counters = parts.topics.engine().counters();
    if counters.is_disk_full.load(Ordering::Relaxed) {
        limits.push(
            "the disk is full: produce is refused, records stay in the write-ahead log; free some space"
                .to_owned(),
        );
    }
}

fn not_able(parts: &AdminParts, reasons: &mut Vec<String>) {
    let engine = parts.topics.engine();
    if let Some(error) = log_failure(parts) {
        reasons.push(log_failed(&error));
    }
    let not_loaded = parts.groups.not_loaded();
    if !not_loaded.is_empty() {
        let count = not_loaded.len();
        let problem = not_loaded
            .iter()
            .find_map(|(partition, problem)| Some((partition, problem.as_ref()?)));
        reasons.push(match problem {
            None => format!("groups of {count} partitions of __consumer_offsets are being loaded"),
            Some((partition, problem)) => format!(
                "groups of {count} partitions of __consumer_offsets are not loaded; partition {partition}: {problem}"
            ),
        });
    }
    let not_loaded = parts.transactions.not_loaded();
    if let Some((partition, problem)) = not_loaded.first() {
        let count = not_loaded.len();
        reasons.push(match problem {
            None => format!("transactional ids of {count} partitions of __transaction_state are being loaded"),
            Some(problem) => format!(
                "transactional ids of {count} partitions of __transaction_state are not loaded; partition {partition}: {problem}"
            ),
        });
    }
    let problems = engine.problems();
    reasons.extend(
        problems
            .values()
            .take(PROBLEMS_MAX)
            .map(|problem| format!("damage: {problem}")),
    );
    if let Some(more) = problems.len().checked_sub(PROBLEMS_MAX).filter(|more| *more > 0) {
        reasons.push(format!("damage: {more} more places, see the log"));
    }
}
