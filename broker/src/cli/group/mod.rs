//! `thalweg group`: one file for each verb.

mod delete;
mod describe;
mod lag;
mod lag_time;
mod list;
mod positions;
mod seek;

use clap::{Args, Subcommand};

use super::connect::ConnectArgs;
use super::error::CliError;
use super::until_interrupted;

/// Arguments of `thalweg group`.
#[derive(Debug, Args)]
pub struct GroupArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List groups
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show members, positions and lag of groups
    Describe(describe::DescribeArgs),
    /// Show how far groups are behind, in records and in time
    Lag(lag::LagArgs),
    /// Move the committed offsets of a group without members
    Seek(seek::SeekArgs),
    /// Delete groups without members, with their offsets
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
}

/// Runs `thalweg group`.
///
/// # Errors
/// Any [`CliError`].
pub async fn run(args: GroupArgs) -> Result<(), CliError> {
    let connect = args.connect;
    match args.verb {
        Verb::List(args) => until_interrupted(list::run(&connect, args)).await,
        Verb::Describe(args) => until_interrupted(describe::run(&connect, args)).await,
        Verb::Lag(args) => until_interrupted(lag::run(&connect, args)).await,
        Verb::Seek(args) => until_interrupted(seek::run(&connect, args)).await,
        Verb::Delete(args) => until_interrupted(delete::run(&connect, args)).await,
    }
}
