//! `thalweg topic`: one file for each verb.

mod add_partitions;
mod alter;
mod consume;
mod create;
mod delete;
mod describe;
mod list;
mod produce;
mod seal;
mod trim;

use clap::{Args, Subcommand};
use thalweg_client::{
    AlterOperation, Cluster, ConfigAlteration, TopicCreation, TopicMetadata, TopicPartition,
};
use thalweg_types::PartitionIndex;

use super::connect::ConnectArgs;
use super::error::CliError;
use super::until_interrupted;

/// Arguments of `thalweg topic`.
#[derive(Debug, Args)]
pub struct TopicArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create topics
    Create(create::CreateArgs),
    /// List topics
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show a topic's partitions, offsets and settings
    Describe(describe::DescribeArgs),
    /// Change settings of topics
    #[command(visible_alias = "alter-config")]
    Alter(alter::AlterArgs),
    /// Give topics more partitions
    AddPartitions(add_partitions::AddPartitionsArgs),
    /// Delete the oldest records of a topic
    #[command(visible_alias = "trim-prefix")]
    Trim(trim::TrimArgs),
    /// Refuse new records of a topic, and keep what it has
    Seal(seal::SealArgs),
    /// Take records of a sealed topic again
    Unseal(seal::UnsealArgs),
    /// Delete topics with all their records
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Write records read from standard input
    #[command(after_help = super::format::INPUT_HELP)]
    Produce(produce::ProduceArgs),
    /// Print records
    #[command(after_help = super::format::OUTPUT_HELP)]
    Consume(consume::ConsumeArgs),
}

/// Runs `thalweg topic`.
///
/// # Errors
/// Any [`CliError`].
pub async fn run(args: TopicArgs) -> Result<(), CliError> {
    let connect = args.connect;
    match args.verb {
        // These two end in an orderly way at Ctrl-C and watch for it themselves.
        Verb::Produce(args) => produce::run(&connect, args).await,
        Verb::Consume(args) => consume::run(&connect, args).await,
        Verb::Create(args) => until_interrupted(create::run(&connect, args)).await,
        Verb::List(args) => until_interrupted(list::run(&connect, args)).await,
        Verb::Describe(args) => until_interrupted(describe::run(&connect, args)).await,
        Verb::Alter(args) => until_interrupted(alter::run(&connect, args)).await,
        Verb::AddPartitions(args) => until_interrupted(add_partitions::run(&connect, args)).await,
        Verb::Trim(args) => until_interrupted(trim::run(&connect, args)).await,
        Verb::Seal(args) => until_interrupted(seal::seal(&connect, args)).await,
        Verb::Unseal(args) => until_interrupted(seal::unseal(&connect, args)).await,
        Verb::Delete(args) => until_interrupted(delete::run(&connect, args)).await,
    }
}

/// Reads `key=value`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not key=value")),
    }
}

/// Makes one alteration from `key=value`.
fn alteration((name, value): &(String, String), make: fn(String) -> AlterOperation) -> ConfigAlteration {
    ConfigAlteration {
        name: name.clone(),
        operation: make(value.clone()),
    }
}

/// Returns the partitions of a topic, or those of `chosen` after checking that they exist.
///
/// # Errors
/// [`CliError::Failed`] for a partition that does not exist.
pub(super) fn select_partitions(
    topic: &TopicMetadata,
    chosen: &[i32],
) -> Result<Vec<TopicPartition>, CliError> {
    let exists = |index: &PartitionIndex| {
        topic
            .partitions
            .iter()
            .any(|partition| partition.partition == *index)
    };
    let all = || {
        topic
            .partitions
            .iter()
            .map(|partition| partition.partition)
            .collect::<Vec<_>>()
    };
    let mut wanted: Vec<PartitionIndex> = match chosen {
        [] => all(),
        chosen => chosen.iter().copied().map(PartitionIndex).collect(),
    };
    wanted.sort_unstable();
    wanted.dedup();
    if let Some(missing) = wanted.iter().find(|index| !exists(index)) {
        return Err(CliError::Failed(format!(
            "topic '{}' has no partition {missing}: it has {} partitions, counted from 0",
            topic.name,
            topic.partitions.len()
        )));
    }
    Ok(wanted
        .into_iter()
        .map(|index| TopicPartition::new(topic.name.clone(), index))
        .collect())
}

/// Asks for one topic without creating it.
///
/// # Errors
/// The topic's error, or the connection's.
pub(super) async fn existing_topic(cluster: &Cluster, name: &str) -> Result<TopicMetadata, CliError> {
    Ok(cluster.topic(name, TopicCreation::Never).await?)
}
