//! `thalweg topic alter`: changes settings, leaving all others as they are.

use clap::Args;
use serde::Serialize;
use thalweg_client::{AlterOperation, ConfigAlteration, ConfigResource, Validation};

use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed, reason};
use crate::cli::output::{Column, OutputArgs, Row};

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
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct AlteredRow {
    topic: String,
    status: &'static str,
    error: Option<String>,
}

impl Row for AlteredRow {
    const COLUMNS: &'static [Column] = &[Column::text("TOPIC"), Column::text("STATUS")];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone(), self.status.to_owned()]
    }
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
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for topic in &args.topics {
        let result = cluster
            .alter_configs(&ConfigResource::topic(topic), &changes, validation)
            .await;
        let status = match (&result, args.dry_run) {
            (Err(_), _) => "failed",
            (Ok(_), true) => "could be changed",
            (Ok(_), false) => "changed",
        };
        rows.push(AlteredRow {
            topic: topic.clone(),
            status,
            error: result.as_ref().err().map(reason),
        });
        let Err(error) = result else { continue };
        // Without a broker the other topics fare no better.
        let is_over = error.code().is_none();
        failures.push(error);
        if is_over {
            break;
        }
    }
    args.output.print(&rows)?;
    listed(failures, &args.output)
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
