//! `thalweg group seek`: moves the committed offsets of a group without members.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, CommitOffset, Isolation, TopicPartition};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::positions::reachable;
use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed};
use crate::cli::offset_spec::{Place, bounds, resolve};
use crate::cli::output::{Column, OutputArgs, Row, note};
use crate::cli::topic;

/// Largest file of offsets that is read, in bytes.
const FILE_SIZE_MAX: u64 = 64 << 20;

/// Arguments of `group seek`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["to", "to_group", "to_file"])))]
pub struct SeekArgs {
    /// Name of the group
    #[arg(value_name = "GROUP")]
    group: String,
    /// start, end, a Unix time in s, ms or ns, a date, or -1h for an hour ago
    #[arg(long, value_parser = parse_to, allow_hyphen_values = true, value_name = "PLACE")]
    to: Option<Place>,
    /// The offsets of another group
    #[arg(long, value_name = "GROUP")]
    to_group: Option<String>,
    /// The offsets in a file with lines of topic, partition and offset
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
    /// Only these topics
    #[arg(long, value_delimiter = ',', value_name = "TOPIC,TOPIC")]
    topics: Vec<String>,
    /// With --to: also topics the group has never committed
    #[arg(long)]
    allow_new_topics: bool,
    /// Only show what would be committed
    #[arg(short, long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct SeekRow {
    topic: String,
    partition: i32,
    prior_offset: Option<i64>,
    current_offset: i64,
    status: &'static str,
    error: Option<String>,
}

impl Row for SeekRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::number("PRIOR-OFFSET"),
        Column::number("CURRENT-OFFSET"),
        Column::text("STATUS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.prior_offset
                .map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
            self.current_offset.to_string(),
            self.status.to_owned(),
        ]
    }
}

/// Reads what `--to` takes: a unix time without a sign in front, as rpk has it, or a place.
fn parse_to(text: &str) -> Result<Place, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    match text {
        "start" => Ok(Place::Start),
        "end" => Ok(Place::End),
        _ if digits => {
            let number: i64 = text.parse().map_err(|_| format!("'{text}' is too large"))?;
            match text.len() {
                10 => Ok(Place::Time(number.saturating_mul(1000))),
                13 => Ok(Place::Time(number)),
                19 => Ok(Place::Time(number / 1_000_000)),
                _ => Err(format!(
                    "'{text}' is not a Unix time in seconds, milliseconds or nanoseconds"
                )),
            }
        }
        _ => Place::parse(&format!("@{}", text.trim_start_matches('@'))),
    }
}

/// Moves offsets after showing what will change.
///
/// # Errors
/// [`CliError::NotConfirmed`], those of the cluster; one refused partition is an error after the table.
pub async fn run(connect: &ConnectArgs, args: SeekArgs) -> Result<(), CliError> {
    let from_file = match &args.to_file {
        Some(path) => Some(read_file(path)?),
        None => None,
    };
    let cluster = connect.connect().await?;
    refuse_active(&cluster, &args.group).await?;
    let prior: BTreeMap<TopicPartition, Offset> = cluster
        .fetch_group_offsets(&args.group)
        .await?
        .into_iter()
        .map(|(partition, committed)| (partition, committed.offset))
        .collect();
    let mut plan = match (&args.to, &args.to_group, from_file) {
        (Some(place), _, _) => places(&cluster, &args, *place, &prior).await?,
        (None, Some(other), _) => cluster
            .fetch_group_offsets(other)
            .await?
            .into_iter()
            .map(commit)
            .collect(),
        (None, None, file) => file.unwrap_or_default(),
    };
    if !args.topics.is_empty() {
        plan.retain(|step| args.topics.contains(&step.partition.topic));
    }
    if plan.is_empty() {
        return Err(CliError::Failed(nothing_to_seek(&args)));
    }
    let status = if args.dry_run { "could be moved" } else { "moved" };
    let mut rows: Vec<SeekRow> = plan.iter().map(|step| row(step, &prior, status)).collect();
    if args.to.is_none() {
        warn_outside(&cluster, &plan).await?;
    }
    if args.dry_run {
        return args.output.print(&rows);
    }
    let question = format!("move {} committed offsets of group '{}'", plan.len(), args.group);
    args.confirm.ask(question).await?;
    let answers = cluster.commit_group_offsets(&args.group, &plan).await?;
    let mut failures = Vec::new();
    for (row, step) in rows.iter_mut().zip(&plan) {
        if let Some(Err(error)) = answers.get(&step.partition) {
            row.error = Some(error.reason());
            row.status = "failed";
            failures.push(error.clone().into());
        }
    }
    args.output.print(&rows)?;
    listed(failures, &args.output)
}

/// A group with members commits its own offsets; what is put beneath them would be lost or skip records.
async fn refuse_active(cluster: &Cluster, group: &str) -> Result<(), CliError> {
    match cluster.describe_group(group).await {
        Ok(described) if described.members.is_empty() => Ok(()),
        Ok(described) => Err(CliError::Failed(format!(
            "group '{group}' is {} and has {} members, which commit offsets of their own; stop them first \
             (`thalweg group describe {group}` names them)",
            described.state,
            described.members.len()
        ))),
        // A seek may found a group.
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn nothing_to_seek(args: &SeekArgs) -> String {
    let of_topics = if args.topics.is_empty() {
        ""
    } else {
        " for these topics"
    };
    match (&args.to_group, &args.to_file) {
        (Some(other), _) => format!(
            "nothing to seek: group '{other}' has no committed offsets{of_topics}; `thalweg group list` shows the groups"
        ),
        (None, Some(file)) => format!(
            "nothing to seek: {} holds no offsets{of_topics}; write lines of topic, partition and offset",
            file.display()
        ),
        (None, None) => format!(
            "nothing to seek: group '{}' has no committed offsets{of_topics}; name topics with --topics and add \
             --allow-new-topics",
            args.group
        ),
    }
}

/// Offsets of a file or of another group may lie where the log has nothing; the consumers' auto.offset.reset decides
/// what happens then, which nobody should learn from the gap.
async fn warn_outside(cluster: &Cluster, plan: &[CommitOffset]) -> Result<(), CliError> {
    let positions = reachable(cluster, plan.iter().map(|step| &step.partition)).await?;
    let bounds = bounds(cluster, &positions, Isolation::ReadUncommitted).await?;
    for step in plan {
        let Some(known) = bounds.get(&step.partition) else {
            continue;
        };
        if !(known.start..=known.end).contains(&step.offset.get()) {
            note(&format!(
                "warning: topic '{}' partition {}: offset {} is outside the log, which goes from {} to {}",
                step.partition.topic, step.partition.partition, step.offset, known.start, known.end
            ));
        }
    }
    Ok(())
}

fn row(step: &CommitOffset, prior: &BTreeMap<TopicPartition, Offset>, status: &'static str) -> SeekRow {
    SeekRow {
        topic: step.partition.topic.clone(),
        partition: step.partition.partition.get(),
        prior_offset: prior.get(&step.partition).map(|offset| offset.get()),
        current_offset: step.offset.get(),
        status,
        error: None,
    }
}

fn commit((partition, committed): (TopicPartition, thalweg_client::CommittedOffset)) -> CommitOffset {
    CommitOffset {
        partition,
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata,
    }
}

/// Resolves a place in all partitions of the group's topics and of the new ones that are allowed.
async fn places(
    cluster: &Cluster,
    args: &SeekArgs,
    place: Place,
    prior: &BTreeMap<TopicPartition, Offset>,
) -> Result<Vec<CommitOffset>, CliError> {
    let known: BTreeSet<&String> = prior.keys().map(|partition| &partition.topic).collect();
    if let Some(new) = args
        .topics
        .iter()
        .find(|topic| !known.contains(topic) && !args.allow_new_topics)
    {
        return Err(CliError::Failed(format!(
            "group '{}' has never committed topic '{new}'; --allow-new-topics permits it",
            args.group
        )));
    }
    let topics: BTreeSet<&String> = match args.topics.is_empty() {
        true => known,
        false => args.topics.iter().collect(),
    };
    let mut partitions = Vec::new();
    for name in topics {
        let topic = topic::existing_topic(cluster, name).await?;
        partitions.extend(topic::select_partitions(&topic, &[])?);
    }
    let bounds = bounds(cluster, &partitions, Isolation::ReadUncommitted).await?;
    let offsets = resolve(cluster, place, &bounds).await?;
    Ok(offsets
        .into_iter()
        .map(|(partition, offset)| plain_commit(partition, offset))
        .collect())
}

fn plain_commit(partition: TopicPartition, offset: i64) -> CommitOffset {
    CommitOffset {
        partition,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: String::new(),
    }
}

fn read_file(path: &Path) -> Result<Vec<CommitOffset>, CliError> {
    let io = |source| CliError::Io {
        what: format!("read {}", path.display()),
        source,
    };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > FILE_SIZE_MAX {
        return Err(CliError::Failed(format!(
            "{} has {size} bytes; at most {FILE_SIZE_MAX} are read",
            path.display()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    parse_offsets(&text).map_err(|reason| CliError::Failed(format!("{}: {reason}", path.display())))
}

/// Reads lines of topic, partition and offset, separated by blanks or tabs.
fn parse_offsets(text: &str) -> Result<Vec<CommitOffset>, String> {
    let mut offsets = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = || format!("line {} is not 'topic partition offset': {line}", index + 1);
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (topic, partition, offset) = match fields.as_slice() {
            [] => continue,
            [topic, partition, offset] => (*topic, *partition, *offset),
            _ => return Err(wrong()),
        };
        let partition: i32 = partition.parse().map_err(|_| wrong())?;
        let offset: i64 = offset.parse().map_err(|_| wrong())?;
        if partition < 0 || offset < 0 {
            return Err(wrong());
        }
        let key = TopicPartition::new(topic, PartitionIndex(partition));
        if offsets.insert(key.clone(), plain_commit(key, offset)).is_some() {
            return Err(format!(
                "line {} names topic '{topic}' partition {partition} a second time",
                index + 1
            ));
        }
    }
    Ok(offsets.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_start_end_or_a_time() {
        for (text, expected) in [
            ("start", Place::Start),
            ("end", Place::End),
            ("1622505600", Place::Time(1_622_505_600_000)),
            ("1622505600000", Place::Time(1_622_505_600_000)),
            ("1622505600000000000", Place::Time(1_622_505_600_000)),
            ("2022-02-14", Place::Time(1_644_796_800_000)),
        ] {
            assert_eq!(parse_to(text), Ok(expected), "{text}");
        }
        assert!(matches!(parse_to("-1h"), Ok(Place::Time(_))));
        for text in ["", "47", "x", "16225056000000", "@", "2022-02-14:1h"] {
            assert!(parse_to(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_of_offsets_has_three_fields_a_line() {
        let offsets = parse_offsets("orders 0 5\n\norders\t1\t7\n").unwrap();
        let pairs: Vec<(String, i64)> = offsets
            .iter()
            .map(|commit| (commit.partition.to_string(), commit.offset.get()))
            .collect();
        assert_eq!(pairs, [("orders-0".to_owned(), 5), ("orders-1".to_owned(), 7)]);
        for text in [
            "orders 0",
            "orders 0 x",
            "orders -1 5",
            "orders 0 -5",
            "a 0 1\na 0 2",
            "a 0 1 2",
        ] {
            assert!(parse_offsets(text).is_err(), "{text}");
        }
    }
}
