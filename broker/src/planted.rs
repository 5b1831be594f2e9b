//! Bugs that this program has on purpose, to show that tests find them. Only in builds with the feature
//! `planted-faults`; `tests/run-long` makes one.

use std::sync::atomic::{AtomicU64, Ordering};

use thalweg_coordinator::transaction::Outcome;
use thalweg_storage::planted::{Bug, FAULT_VARIABLE, UnknownFault, is_planted, plant_from_environment};

/// One commit in so many is forgotten: enough to be found, and groups still get on.
const FORGOTTEN_EVERY: u64 = 2;

/// Plants the bug that the environment names, and says so.
///
/// # Errors
/// [`UnknownFault`], with the names there are.
pub fn plant() -> Result<(), UnknownFault> {
    match plant_from_environment()? {
        Some(bug) => tracing::error!(
            ?bug,
            "{FAULT_VARIABLE} is set: this broker breaks its word on purpose"
        ),
        None => tracing::error!("built with planted faults, of which none is chosen: not for use"),
    }
    Ok(())
}

/// What a transaction's end is for the groups whose offsets it holds.
pub(crate) fn group_outcome(outcome: Outcome) -> Outcome {
    static ENDS: AtomicU64 = AtomicU64::new(0);
    let is_forgotten = is_planted(Bug::GroupOffsetsForgotten)
        && ENDS
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGOTTEN_EVERY);
    if is_forgotten { Outcome::Abort } else { outcome }
}
