//! Load generators that run as processes of their own, so that their CPU time is known and is nobody else's.
//!
//! `thalweg-bench generate …` prints one line of JSON on standard output when it is done. The Java perf tools are the
//! other generators, see [`crate::perf_tools`].

mod commits;
mod consume;
mod members;
mod paced;
mod payload;
mod prepared;
mod produce;
mod transact;
mod wire;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thalweg_tests::process;

pub use commits::CommitsOptions;
pub use consume::{ConsumeOptions, Isolation};
pub use members::MembersOptions;
pub use paced::PacedOptions;
pub use payload::Payload;
pub use prepared::PreparedOptions;
#[cfg(test)]
pub use produce::key;
pub use produce::{ProduceOptions, kept};
pub use transact::TransactOptions;

/// The generators.
#[derive(Debug, Clone, Subcommand)]
pub enum Generate {
    /// Produces as fast as librdkafka can.
    Produce(ProduceOptions),
    /// Consumes as fast as librdkafka can, without a group.
    Consume(ConsumeOptions),
    /// Produces at a fixed rate and measures from the intended time of each record.
    Paced(PacedOptions),
    /// Produces one prepared batch over and over to very many partitions.
    Prepared(PreparedOptions),
    /// Commits transactions as fast as librdkafka can.
    Transact(TransactOptions),
    /// Forms a group of very many members.
    Members(MembersOptions),
    /// Commits offsets of very many groups.
    Commits(CommitsOptions),
}

/// What a producer did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Produced {
    /// Records acknowledged.
    pub records: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Records acknowledged after the warm-up.
    pub steady_records: u64,
    /// Seconds after the warm-up until the last acknowledgement.
    pub steady_seconds: f64,
    /// Produce requests sent; 0 if not known.
    pub requests: u64,
}

/// What a consumer did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Consumed {
    /// Records received.
    pub records: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Seconds from the first record to the last.
    pub seconds: f64,
}

/// What a paced producer saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paced {
    /// Records that were due after the warm-up.
    pub due: u64,
    /// Those acknowledged.
    pub acknowledged: u64,
    /// Records acknowledged in the warm-up and after it.
    pub all_acknowledged: u64,
    /// Requests sent in all.
    pub requests: u64,
    /// Median of acknowledgement time less intended time, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

/// What transactional producers did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transacted {
    /// Transactions committed.
    pub committed: u64,
    /// Transactions aborted.
    pub aborted: u64,
    /// Records of the committed ones.
    pub committed_records: u64,
    /// Records of all.
    pub records: u64,
    /// Transactions begun after the warm-up and committed.
    pub steady_committed: u64,
    /// Seconds from the beginning of the first of them until the end of the last transaction.
    pub steady_seconds: f64,
    /// Median of the time from asking for the commit, with all records handed in, to its answer, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

/// What the members of a group saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rebalanced {
    /// Members at the end.
    pub members: u64,
    /// The forming of the group and those that came one by one.
    pub rebalances: u64,
    /// Seconds from the first member's joining until all have their assignment.
    pub form_seconds: f64,
    /// Median of the same when one more comes; absent if none came.
    pub join_seconds: Option<f64>,
    /// The longest.
    pub join_seconds_max: Option<f64>,
}

/// What committing groups saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// Commits acknowledged.
    pub commits: u64,
    /// Those after the warm-up.
    pub steady_commits: u64,
    /// Seconds after the warm-up until the last answer.
    pub steady_seconds: f64,
    /// Median of the time from sending to the answer, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

/// Runs a generator in this process and prints what it did.
///
/// # Errors
/// When the broker does not take the load.
pub fn run(generate: &Generate) -> Result<()> {
    let line = match generate {
        Generate::Produce(options) => serde_json::to_string(&produce::run(options)?)?,
        Generate::Consume(options) => serde_json::to_string(&consume::run(options)?)?,
        Generate::Paced(options) => serde_json::to_string(&paced::run(options)?)?,
        Generate::Prepared(options) => serde_json::to_string(&prepared::run(options)?)?,
        Generate::Transact(options) => serde_json::to_string(&transact::run(options)?)?,
        Generate::Members(options) => serde_json::to_string(&members::run(options)?)?,
        Generate::Commits(options) => serde_json::to_string(&commits::run(options)?)?,
    };
    println!("{line}");
    Ok(())
}

/// The command that runs a generator as a process, to be given its options as arguments.
///
/// # Errors
/// When this program does not know its own path.
pub fn command(name: &str, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
    command.args(["generate", name]).args(arguments);
    Ok(command)
}

/// Runs a generator as a process to its end.
///
/// # Errors
/// When it fails or prints no report.
pub fn outcome<T: DeserializeOwned>(name: &str, arguments: &[String], within: Duration) -> Result<T> {
    let finished = process::run(command(name, arguments)?, b"", within);
    if !finished.status.success() {
        return Err(anyhow!("{}", finished.describe()));
    }
    let text = finished.stdout_text();
    let line = text.lines().last().unwrap_or_default();
    serde_json::from_str(line).with_context(|| finished.describe())
}
