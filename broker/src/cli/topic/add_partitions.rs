//! `thalweg topic add-partitions`.

use clap::Args;
use serde::Serialize;
use thalweg_client::Validation;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed, reason};
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `topic add-partitions`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("how many").required(true).args(["num", "to"])))]
pub struct AddPartitionsArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How many to add
    #[arg(short, long, value_parser = clap::value_parser!(i32).range(1..), value_name = "N")]
    num: Option<i32>,
    /// How many there will be
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..), value_name = "N")]
    to: Option<i32>,
    /// Only say whether they could be added
    #[arg(short, long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct RaisedRow {
    topic: String,
    status: &'static str,
    prior_partitions: i32,
    partitions: i32,
    error: Option<String>,
}

impl Row for RaisedRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::text("STATUS"),
        Column::number("PRIOR-PARTITIONS"),
        Column::number("PARTITIONS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.status.to_owned(),
            self.prior_partitions.to_string(),
            self.partitions.to_string(),
        ]
    }
}

/// Adds partitions to topics.
///
/// # Errors
/// The broker's refusal.
pub async fn run(connect: &ConnectArgs, args: AddPartitionsArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let mut plan = Vec::new();
    for name in &args.topics {
        let topic = super::existing_topic(&cluster, name).await?;
        let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let count = match args.to {
            Some(count) => count,
            None => present.saturating_add(args.num.unwrap_or(0)),
        };
        if count <= present {
            // Nobody should be asked about what cannot be done.
            return Err(CliError::Failed(format!(
                "topic '{name}' has {present} partitions, which can only grow; {count} is not more"
            )));
        }
        plan.push((name, present, count));
    }
    if !args.dry_run {
        // Nothing is lost, but it cannot be taken back, and keys change their partition.
        let texts: Vec<String> = plan
            .iter()
            .map(|(name, present, count)| format!("'{name}' from {present} to {count}"))
            .collect();
        let question = format!(
            "raise partitions of {}; records with the same key will go to another partition than before",
            texts.join(", ")
        );
        args.confirm.ask(question).await?;
    }
    let validation = if args.dry_run {
        Validation::Only
    } else {
        Validation::Apply
    };
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for (name, present, count) in plan {
        let result = cluster.create_partitions(name, count, validation).await;
        let (status, partitions) = match (&result, args.dry_run) {
            (Err(_), _) => ("failed", present),
            (Ok(_), true) => ("could be raised", count),
            (Ok(_), false) => ("raised", count),
        };
        rows.push(RaisedRow {
            topic: name.clone(),
            status,
            prior_partitions: present,
            partitions,
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
