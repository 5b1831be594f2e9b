//! `thalweg group lag`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, TopicPartition};
use thalweg_types::Offset;

use super::lag_time::record_times;
use super::positions::{Position, existing, positions};
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row};
use crate::cli::time::now_ms;

/// Arguments of `group lag`.
#[derive(Debug, Args)]
pub struct LagArgs {
    /// Names of the groups; all groups without any
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// One line for each group instead of one for each partition
    #[arg(short, long)]
    summary: bool,
    /// Do not read records to find out the lag in seconds
    #[arg(long)]
    no_seconds: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct LagRow {
    group: String,
    topic: String,
    partition: i32,
    committed_offset: i64,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    lag_seconds: Option<f64>,
}

impl Row for LagRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("GROUP"),
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::number("COMMITTED").wide(),
        Column::number("LOG-END-OFFSET").wide(),
        Column::number("LAG"),
        Column::number("LAG-SECONDS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.clone(),
            self.topic.clone(),
            self.partition.to_string(),
            self.committed_offset.to_string(),
            number(self.log_end_offset),
            number(self.lag),
            seconds(self.lag_seconds),
        ]
    }
}

#[derive(Debug, Serialize)]
struct SummaryRow {
    group: String,
    partitions: usize,
    lag: i64,
    max_lag: i64,
    max_lag_seconds: Option<f64>,
}

impl Row for SummaryRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("GROUP"),
        Column::number("PARTITIONS"),
        Column::number("LAG"),
        Column::number("MAX-LAG"),
        Column::number("MAX-LAG-SECONDS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.clone(),
            self.partitions.to_string(),
            self.lag.to_string(),
            self.max_lag.to_string(),
            seconds(self.max_lag_seconds),
        ]
    }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"))
}

/// Prints the lag of groups.
///
/// # Errors
/// Those of the cluster.
pub async fn run(connect: &ConnectArgs, args: LagArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let groups = match args.groups.as_slice() {
        [] => cluster
            .list_groups()
            .await?
            .into_iter()
            .map(|group| group.group)
            .collect(),
        groups => {
            for group in groups {
                // A group that does not exist has no offsets either, which would read as "no lag".
                existing(&cluster, group).await?;
            }
            groups.to_vec()
        }
    };
    let mut rows = Vec::new();
    let mut summaries = Vec::new();
    for group in groups {
        let positions = positions(&cluster, &group, &[]).await?;
        let times = if args.no_seconds {
            BTreeMap::new()
        } else {
            unread_times(&cluster, &positions).await?
        };
        let group_rows = lag_rows(&group, &positions, &times, !args.no_seconds);
        summaries.push(summary(&group, &group_rows));
        rows.extend(group_rows);
    }
    if args.summary {
        args.output.print(&summaries)
    } else {
        args.output.print(&rows)
    }
}

async fn unread_times(
    cluster: &Cluster,
    positions: &BTreeMap<TopicPartition, Position>,
) -> Result<BTreeMap<TopicPartition, i64>, CliError> {
    let unread: BTreeMap<TopicPartition, Offset> = positions
        .iter()
        .filter(|(_, position)| position.lag().is_some_and(|lag| lag > 0))
        .filter_map(|(partition, position)| {
            let from = position.committed?.max(position.start?);
            Some((partition.clone(), Offset(from)))
        })
        .collect();
    if unread.is_empty() {
        Ok(BTreeMap::new())
    } else {
        record_times(cluster, &unread).await
    }
}

fn lag_rows(
    group: &str,
    positions: &BTreeMap<TopicPartition, Position>,
    times: &BTreeMap<TopicPartition, i64>,
    with_seconds: bool,
) -> Vec<LagRow> {
    let now = now_ms();
    let row = |(partition, position): (&TopicPartition, &Position)| {
        let lag = position.lag();
        let age = times
            .get(partition)
            .map(|time| now.saturating_sub(*time).max(0) as f64 / 1000.0);
        Some(LagRow {
            group: group.to_owned(),
            topic: partition.topic.clone(),
            partition: partition.partition.get(),
            committed_offset: position.committed?,
            log_end_offset: position.end,
            lag,
            // Who has read everything is not late.
            lag_seconds: if with_seconds && lag == Some(0) {
                Some(0.0)
            } else {
                age
            },
        })
    };
    positions.iter().filter_map(row).collect()
}

fn summary(group: &str, rows: &[LagRow]) -> SummaryRow {
    SummaryRow {
        group: group.to_owned(),
        partitions: rows.len(),
        lag: rows.iter().filter_map(|row| row.lag).fold(0, i64::saturating_add),
        max_lag: rows.iter().filter_map(|row| row.lag).max().unwrap_or(0),
        max_lag_seconds: rows.iter().filter_map(|row| row.lag_seconds).reduce(f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thalweg_types::PartitionIndex;

    #[test]
    fn lag_is_given_in_records_and_in_seconds_where_they_are_known() {
        let key = |index| TopicPartition::new("orders", PartitionIndex(index));
        let position = |committed, end| Position {
            committed,
            start: Some(0),
            end,
        };
        let positions = BTreeMap::from([
            (key(0), position(Some(5), Some(5))),
            (key(1), position(Some(5), Some(9))),
            (key(2), position(None, Some(9))),
            (
                key(3),
                Position {
                    committed: Some(7),
                    start: None,
                    end: None,
                },
            ),
        ]);
        let times = BTreeMap::from([(key(1), now_ms() - 60_000)]);
        let rows = lag_rows("g", &positions, &times, true);
        let lags: Vec<Option<i64>> = rows.iter().map(|row| row.lag).collect();
        // A partition without a commit has no lag of the group's.
        assert_eq!(lags, [Some(0), Some(4), None]);
        assert!(
            rows[1]
                .lag_seconds
                .is_some_and(|seconds| (60.0..70.0).contains(&seconds))
        );
        let expected = concat!(
            r#"{"group":"g","topic":"orders","partition":0,"committed_offset":5,"log_end_offset":5,"#,
            r#""lag":0,"lag_seconds":0.0}"#
        );
        assert_eq!(serde_json::to_string(&rows[0]).unwrap(), expected);
        let summary = summary("g", &rows);
        assert_eq!((summary.partitions, summary.lag, summary.max_lag), (3, 4, 4));
    }
}
