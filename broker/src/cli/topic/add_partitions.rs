//! `thalweg topic add-partitions`.

use clap::Args;
use thalweg_client::Validation;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::print_line;

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
    for (name, present, count) in plan {
        cluster.create_partitions(name, count, validation).await?;
        let done = if args.dry_run { "could be raised" } else { "raised" };
        print_line(&format!("{name}: {done} from {present} to {count} partitions"))?;
    }
    Ok(())
}
