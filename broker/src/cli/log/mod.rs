//! `thalweg log`: looks into segment files without a broker. One file for each verb.
//!
//! Works on any directory in Kafka's layout. Reads only, except `check --quarantine`, which moves damaged files aside
//! while it holds the data directory's lock.

mod check;
mod dump;
mod files;
mod quarantine;
mod scan;
mod segment_reader;

use clap::{Args, Subcommand};

use super::error::CliError;

/// Arguments of `thalweg log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the batches of segment files, and their records
    Dump(dump::DumpArgs),
    /// Check segment files and name what is damaged
    Check(check::CheckArgs),
}

/// Runs `thalweg log`. Blocks.
///
/// # Errors
/// Any [`CliError`].
pub fn run(args: LogArgs) -> Result<(), CliError> {
    match args.verb {
        Verb::Dump(args) => dump::run(&args),
        Verb::Check(args) => check::run(&args),
    }
}
