//! `thalweg topic alter`: changes settings, leaving all others as they are.

use clap::Args;
use thalweg_client::{AlterOperation, ConfigAlteration, ConfigResource, Validation};

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::print_line;

/// Arguments of `topic alter`.
#[derive(Debug, Args)]
pub struct AlterArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Give a setting a value, as retention.ms=-1 (repeatable)
    #[arg(short = 'c', long, visible_alias = "set", value_parser = super::key_value, value_name = "KEY=VALUE")]
    config: Vec<(String, String)>,
    /// Give a setting its default back (repeatable)
    #[arg(long, visible_alias = "delete", value_name = "KEY")]
    delete_config: Vec<String>,
    /// Add to a list, as cleanup.policy=compact (repeatable)
    #[arg(long, visible_alias = "append", value_parser = super::key_value, value_name = "KEY=VALUE")]
    append_config: Vec<(String, String)>,
    /// Take away from a list (repeatable)
    #[arg(long, visible_alias = "subtract", value_parser = super::key_value, value_name = "KEY=VALUE")]
    subtract_config: Vec<(String, String)>,
    /// Only say whether the change would be taken
    #[arg(short, long)]
    dry_run: bool,
}

/// Changes settings of topics.
///
/// # Errors
/// [`CliError::Usage`] without a change; the broker's refusal.
pub async fn run(connect: &ConnectArgs, args: AlterArgs) -> Result<(), CliError> {
    let changes = changes(&args);
    if changes.is_empty() {
        let ways = "--config, --delete-config, --append-config or --subtract-config";
        return Err(CliError::Usage(format!("nothing to change: give {ways}")));
    }
    let validation = if args.dry_run {
        Validation::Only
    } else {
        Validation::Apply
    };
    let cluster = connect.connect().await?;
    for topic in &args.topics {
        cluster
            .alter_configs(&ConfigResource::topic(topic), &changes, validation)
            .await?;
        let done = if args.dry_run { "would be taken" } else { "changed" };
        print_line(&format!("{topic}: {done}"))?;
    }
    Ok(())
}

fn changes(args: &AlterArgs) -> Vec<ConfigAlteration> {
    let set = args
        .config
        .iter()
        .map(|pair| super::alteration(pair, AlterOperation::Set));
    let append = args
        .append_config
        .iter()
        .map(|pair| super::alteration(pair, AlterOperation::Append));
    let subtract = args
        .subtract_config
        .iter()
        .map(|pair| super::alteration(pair, AlterOperation::Subtract));
    let delete = args.delete_config.iter().map(|name| ConfigAlteration {
        name: name.clone(),
        operation: AlterOperation::Delete,
    });
    set.chain(append).chain(subtract).chain(delete).collect()
}
