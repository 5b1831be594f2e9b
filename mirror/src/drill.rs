//! `drill`: two brokers, the service and clients on this machine; a failover, a failback and a promotion under load; and a
//! ledger of what the clients were told, against which everything is checked in the end.
//!
//! `west` begins as the primary, `east` as its mirror. Links: `there` from west to east, `back` from east to west.
//! Invariant: the last line says that all agrees only if the ledger does, offset by offset, on both sides; `verify` is one
//! more witness, not the judge.

mod ledger;
mod machines;
mod readers;
mod steps;
mod writers;

use std::time::Instant;

use steps::Drill;

/// Records that are written at least.
pub const RECORDS: u64 = 1_000_000;

const TOPIC: &str = "drill";
const PARTITIONS: usize = 8;
const GROUP_OF_MEMBERS: &str = "drill-members";
const GROUP_OF_COMMITS: &str = "drill-commits";
const GROUP_OF_TRANSACTIONS: &str = "drill-transactions";

/// Plays it, and says each step through `say`. What it makes lies in a temporary folder, which a drill that fails keeps.
///
/// # Errors
/// What did not agree, or did not work, in words.
pub async fn drill(records: u64, mut say: impl FnMut(&str)) -> Result<(), String> {
    let began = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("thalweg-drill-")
        .tempdir()
        .map_err(|error| format!("a temporary folder: {error}"))?;
    let mut told = |line: &str| say(&format!("[{:6.1} s] {line}", began.elapsed().as_secs_f64()));
    let mut drill = Drill::new(folder.path(), records)?;
    // Its clients stay on one thread: they wait far more than they work.
    let played = tokio::task::LocalSet::new()
        .run_until(drill.play(&mut told))
        .await;
    match played {
        Ok(summary) => {
            drop(drill);
            told(&format!("drill passed: {summary}"));
            Ok(())
        }
        Err(why) => {
            let said = drill.service_said();
            drop(drill);
            let kept = folder.keep();
            Err(format!(
                "{why}\nthe service said:\n{said}\nthe folder is kept: {}",
                kept.display()
            ))
        }
    }
}
