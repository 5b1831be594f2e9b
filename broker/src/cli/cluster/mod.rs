//! `thalweg cluster`: one file for each verb.

mod health;
mod info;

use clap::{Args, Subcommand};

use super::connect::ConnectArgs;
use super::error::CliError;
use super::until_interrupted;

/// Arguments of `thalweg cluster`.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the cluster's id, brokers and topics
    #[command(visible_alias = "metadata")]
    Info(info::InfoArgs),
    /// Say whether the cluster is healthy, and why not
    Health(health::HealthArgs),
}

/// Runs `thalweg cluster`.
///
/// # Errors
/// Any [`CliError`].
pub async fn run(args: ClusterArgs) -> Result<(), CliError> {
    let connect = args.connect;
    match args.verb {
        Verb::Info(args) => until_interrupted(info::run(&connect, args)).await,
        Verb::Health(args) => until_interrupted(health::run(&connect, args)).await,
    }
}
