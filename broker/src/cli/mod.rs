//! The administrative command line: `thalweg topic`, `group`, `cluster` and `log`.
//!
//! Owns arguments, output and exit codes; everything about the cluster goes through `thalweg_client`, so the
//! commands work against any Kafka-compatible cluster. One folder for each noun, one file for each verb.
//! Invariants: results go to standard output and everything else to standard error; exit code 0 means done, 1 that
//! something failed, 2 that the command line was wrong; nothing is destroyed without a yes.

mod cluster;
mod confirm;
mod connect;
mod error;
mod format;
mod group;
mod log;
mod offset_spec;
mod output;
mod partitioner;
mod progress;
mod time;
mod topic;

use std::process::ExitCode;

use clap::Subcommand;

use self::error::{CliError, report};

/// The administrative commands, for the program's own list of subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, list, describe, change, trim, delete, write and read topics
    Topic(topic::TopicArgs),
    /// List, describe, rewind and delete consumer groups
    Group(group::GroupArgs),
    /// Show the cluster's members and health
    Cluster(cluster::ClusterArgs),
    /// Look into log segment files
    Log(log::LogArgs),
}

/// Runs one command to its end and returns the exit code.
///
/// Prints errors on standard error. Ctrl-C and a closed output pipe end without a message.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    let result = match command {
        // Reads local files only, so that it runs beside a broken installation too.
        Command::Log(args) => log::run(args),
        Command::Topic(args) => block_on(topic::run(args)),
        Command::Group(args) => block_on(group::run(args)),
        Command::Cluster(args) => block_on(cluster::run(args)),
    };
    report(result)
}

fn block_on(work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io {
            what: "start the event loop".to_owned(),
            source,
        })?;
    let result = runtime.block_on(work);
    // A thread may still wait for standard input; it must not keep the program.
    runtime.shutdown_background();
    result
}

/// Runs `work` until it is done or Ctrl-C is pressed, which drops it.
///
/// # Errors
/// Those of `work`; [`CliError::Interrupted`].
async fn until_interrupted<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
    }
}
