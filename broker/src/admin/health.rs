//! Whether the broker can do its work, and if not, why.

use std::sync::atomic::Ordering;

use futures::FutureExt;
use thalweg_storage::engine::NoRoom;
use thalweg_telemetry::Shutdown;

use super::AdminParts;

/// Damaged places named in one answer; the rest is counted.
const PROBLEMS_MAX: usize = 20;

/// Returns why the broker should get no traffic; empty = it is ready. In sentences, for people.
pub(super) fn reasons(parts: &AdminParts, shutdown: &Shutdown) -> Vec<String> {
    let mut reasons = Vec::new();
    if shutdown.is_requested() {
        reasons.push("the broker is stopping".to_owned());
    }
    let engine = parts.topics.engine();
    // Ready at once if the log failed; otherwise it may wait for room, which is no reason.
    if let Some(Err(NoRoom::Failed(error))) = engine.client_room().now_or_never() {
        reasons.push(format!("the write-ahead log failed: {error}"));
    }
    if !parts.gate.is_open() {
        reasons.push(
            "the disk is fuller than disk.use.high.percent: produce is refused; delete records or add space"
                .to_owned(),
        );
    }
    if engine.counters().is_disk_full.load(Ordering::Relaxed) {
        reasons.push("the disk is full: records stay in the write-ahead log; free some space".to_owned());
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
    reasons
}
