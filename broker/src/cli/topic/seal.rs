//! `thalweg topic seal` and `thalweg topic unseal`: no new records, and records again.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, MirrorAnswer, MirrorCommand, TopicPartition};
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::mirror::{Command, Fence, LinkId, Operation, Ownership};

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row, note};

/// How long a broker may take to make it durable.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between two looks at transactions that are still open.
const PAUSE: Duration = Duration::from_millis(250);

/// Arguments of `topic seal`.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Abort transactions that are open by then, in seconds, and fence their producers; without it they go on as long as they
    /// want
    #[arg(long, value_name = "SECONDS")]
    abort_after: Option<u64>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `topic unseal`.
#[derive(Debug, Args)]
pub struct UnsealArgs {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct SealRow {
    topic: String,
    partition: i32,
    state: &'static str,
    end_offset: Option<i64>,
    error: Option<String>,
}

impl Row for SealRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::text("STATE"),
        Column::number("END-OFFSET"),
        Column::text("ERROR"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.state.to_owned(),
            self.end_offset
                .map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

/// Seals a topic: new records are refused, repeats of older ones acknowledged, open transactions may end.
///
/// # Errors
/// [`CliError::NotConfirmed`], those of the cluster; a partition that is not sealed is an error after the table.
pub async fn seal(connect: &ConnectArgs, args: SealArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let topic = super::existing_topic(&cluster, &args.topic).await?;
    let partitions = super::select_partitions(&topic, &[])?;
    args.confirm
        .ask(format!("refuse all new records of '{}'", args.topic))
        .await?;
    let operation = Operation::Seal {
        epoch_below: LeaderEpoch(i32::MAX),
    };
    let mut answers = operate(&cluster, &partitions, operation).await?;
    if let Some(seconds) = args.abort_after {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let ended = cluster.abort_open_transactions(&partitions).await?;
        for id in &ended.fenced {
            note(&format!(
                "the transaction of '{id}' was aborted, its producer is fenced"
            ));
        }
        for (partition, producer) in &ended.hanging {
            note(&format!(
                "{partition}: the transaction of producer {} is known to no coordinator and stays open",
                producer.get()
            ));
        }
        if !ended.fenced.is_empty() {
            // Markers follow the decision at once; where a log ends is known behind them.
            tokio::time::sleep(PAUSE).await;
            answers = operate(&cluster, &partitions, Operation::Inspect).await?;
        }
    }
    print(answers, (Ownership::Sealed, "not sealed"), &args.output)
}

/// Takes records again.
///
/// # Errors
/// As [`seal`].
pub async fn unseal(connect: &ConnectArgs, args: UnsealArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let topic = super::existing_topic(&cluster, &args.topic).await?;
    let partitions = super::select_partitions(&topic, &[])?;
    args.confirm
        .ask(format!(
            "take records of '{}' again; if another cluster took over from this one, both histories part",
            args.topic
        ))
        .await?;
    let answers = operate(&cluster, &partitions, Operation::Unseal).await?;
    print(answers, (Ownership::Open, "not open"), &args.output)
}

async fn operate(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    operation: Operation,
) -> Result<BTreeMap<TopicPartition, MirrorAnswer>, CliError> {
    let command = Command {
        fence: Fence {
            link: LinkId::NONE,
            session: 0,
            expected_end: Offset::UNKNOWN,
        },
        operation,
    };
    let mut answers = BTreeMap::new();
    for (leader, partitions) in cluster.group_by_leader(partitions).await? {
        let connection = cluster.broker(leader).await?;
        if !connection.speaks_seal() {
            return Err(CliError::Failed(format!(
                "the broker at {} cannot seal topics: it is no Thalweg broker, or an older one",
                connection.address()
            )));
        }
        let commands = partitions.into_iter().map(|partition| MirrorCommand {
            partition,
            command,
            records: bytes::Bytes::new(),
        });
        let found = connection.mirror(commands.collect(), TIMEOUT).await?;
        answers.extend(found.into_iter().map(|answer| (answer.partition.clone(), answer)));
    }
    Ok(answers)
}

fn print(
    answers: BTreeMap<TopicPartition, MirrorAnswer>,
    (wanted, otherwise): (Ownership, &str),
    output: &OutputArgs,
) -> Result<(), CliError> {
    let rows: Vec<SealRow> = answers
        .into_values()
        .map(|answer| SealRow {
            topic: answer.partition.topic,
            partition: answer.partition.partition.get(),
            state: match answer.report.map(|report| report.ownership) {
                Some(Ownership::Open) => "open",
                Some(Ownership::Link) => "mirror",
                Some(Ownership::Sealed) => "sealed",
                None => "-",
            },
            end_offset: answer.report.map(|report| report.log_end.get()),
            error: answer.result.err().map(|error| error.to_string()),
        })
        .collect();
    output.print(&rows)?;
    let word = match wanted {
        Ownership::Sealed => "sealed",
        Ownership::Open | Ownership::Link => "open",
    };
    let failures = rows.iter().filter(|row| row.state != word).count();
    match failures {
        0 => Ok(()),
        failures => Err(CliError::Failed(format!(
            "{failures} of {} partitions are {otherwise}",
            rows.len()
        ))),
    }
}
