//! `thalweg topic trim`: deletes the records before an offset.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use thalweg_client::{Isolation, TopicPartition};
use thalweg_types::Offset;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::offset_spec::{Bounds, Place, bounds, resolve};
use crate::cli::output::{Column, OutputArgs, Row, note};
use crate::cli::progress::{Progress, Unit};

/// Arguments of `topic trim`.
#[derive(Debug, Args)]
pub struct TrimArgs {
    /// Name of the topic
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// The first offset to keep: end, 47, +10, -10 (ten before the end), @2026-11-20, @-7d
    #[arg(short = 'O', long, value_parser = Place::parse, allow_hyphen_values = true, value_name = "OFFSET")]
    offset: Place,
    /// Only these partitions
    #[arg(short, long, value_delimiter = ',', value_name = "N,N")]
    partitions: Vec<i32>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct TrimRow {
    topic: String,
    partition: i32,
    prior_start_offset: i64,
    new_start_offset: Option<i64>,
    error: Option<String>,
}

impl Row for TrimRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::number("PRIOR-START-OFFSET"),
        Column::number("NEW-START-OFFSET"),
        Column::text("ERROR"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.prior_start_offset.to_string(),
            self.new_start_offset
                .map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

/// Moves the log start of partitions.
///
/// # Errors
/// [`CliError::NotConfirmed`], those of the cluster; one failed partition is an error after the table.
pub async fn run(connect: &ConnectArgs, args: TrimArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let topic = super::existing_topic(&cluster, &args.topic).await?;
    let partitions = super::select_partitions(&topic, &args.partitions)?;
    let bounds = bounds(&cluster, &partitions, Isolation::ReadUncommitted).await?;
    refuse_beyond_end(args.offset, &bounds)?;
    let targets = resolve(&cluster, args.offset, &bounds).await?;
    let plan: Vec<(TopicPartition, Offset)> = targets
        .into_iter()
        .filter(|(partition, offset)| bounds.get(partition).is_some_and(|bounds| *offset > bounds.start))
        .map(|(partition, offset)| (partition, Offset(offset)))
        .collect();
    let count: i64 = plan
        .iter()
        .map(|(partition, offset)| {
            bounds
                .get(partition)
                .map_or(0, |bounds| offset.get() - bounds.start)
        })
        .fold(0, i64::saturating_add);
    if plan.is_empty() {
        if !args.output.is_json() {
            note("nothing to delete: every partition begins at that offset or later");
        }
        return args.output.print::<TrimRow>(&[]);
    }
    let question = format!(
        "delete up to {count} records of '{}' in {} partitions",
        args.topic,
        plan.len()
    );
    args.confirm.ask(question).await?;
    let progress = Progress::start("trimming", plan.len() as u64, Unit::Count);
    let mut rows = Vec::new();
    let mut failures = 0;
    for step in plan {
        let prior = bounds.get(&step.0).map_or(0, |bounds| bounds.start);
        let answers = cluster.delete_records(std::slice::from_ref(&step)).await?;
        progress.add(1);
        for (partition, answer) in answers {
            failures += usize::from(answer.is_err());
            rows.push(TrimRow {
                topic: partition.topic,
                partition: partition.partition.get(),
                prior_start_offset: prior,
                new_start_offset: answer.as_ref().ok().map(|offset| offset.get()),
                error: answer.err().map(|error| error.to_string()),
            });
        }
    }
    drop(progress);
    args.output.print(&rows)?;
    if failures > 0 {
        return Err(CliError::Failed(format!(
            "{failures} of {} partitions were not trimmed",
            rows.len()
        )));
    }
    Ok(())
}

/// An offset past the end is more likely a mistake than a wish to delete everything.
fn refuse_beyond_end(place: Place, bounds: &BTreeMap<TopicPartition, Bounds>) -> Result<(), CliError> {
    let Place::Exact(offset) = place else {
        return Ok(());
    };
    match bounds.iter().find(|(_, bounds)| offset > bounds.end) {
        None => Ok(()),
        Some((partition, bounds)) => Err(CliError::Failed(format!(
            "offset {offset} is past the end of topic '{}' partition {}, which is {}; choose partitions with -p, or write 'end'",
            partition.topic, partition.partition, bounds.end
        ))),
    }
}
