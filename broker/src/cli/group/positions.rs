//! Where a group stands in each partition.

use std::collections::BTreeMap;

use thalweg_client::{Cluster, GroupDescription, Isolation, TopicCreation, TopicPartition, TopicSelection};

use crate::cli::error::CliError;
use crate::cli::offset_spec::bounds;

/// A group's place in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The committed offset: the next to read.
    pub committed: Option<i64>,
    /// First offset kept; unknown if the partition is gone or has no leader.
    pub start: Option<i64>,
    /// End of the partition.
    pub end: Option<i64>,
}

impl Position {
    /// Returns how many records are still to be read, where both ends are known.
    pub fn lag(&self) -> Option<i64> {
        let (committed, end) = (self.committed?, self.end?);
        // What was deleted meanwhile is not there to be read.
        let from = committed.max(self.start.unwrap_or(0));
        Some(end.saturating_sub(from).max(0))
    }
}

/// Describes a group that exists.
///
/// # Errors
/// GROUP_ID_NOT_FOUND; brokers before DescribeGroups version 6 (KIP-1043) call a group dead that never existed, which
/// is the same failure here unless it has offsets.
pub async fn existing(cluster: &Cluster, group: &str) -> Result<GroupDescription, CliError> {
    let described = cluster.describe_group(group).await?;
    if described.state == "Dead" && cluster.fetch_group_offsets(group).await?.is_empty() {
        return Err(CliError::Failed(format!(
            "group '{group}' does not exist; `thalweg group list` shows the groups"
        )));
    }
    Ok(described)
}

/// Joins committed offsets with the ends of their partitions. `also` adds partitions without a commit.
///
/// Partitions of deleted topics stay in the list, with the committed offset only.
/// # Errors
/// Those of the cluster.
pub async fn positions(
    cluster: &Cluster,
    group: &str,
    also: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Position>, CliError> {
    let committed = cluster.fetch_group_offsets(group).await?;
    let mut positions: BTreeMap<TopicPartition, Position> = also
        .iter()
        .map(|partition| (partition.clone(), Position::default()))
        .collect();
    for (partition, offset) in committed {
        positions.entry(partition).or_default().committed = Some(offset.offset.get());
    }
    let reachable = reachable(cluster, positions.keys()).await?;
    for (partition, bounds) in bounds(cluster, &reachable, Isolation::ReadUncommitted).await? {
        let position = positions.entry(partition).or_default();
        position.start = Some(bounds.start);
        position.end = Some(bounds.end);
    }
    Ok(positions)
}

/// Returns those partitions that exist and have a leader.
///
/// # Errors
/// Those of the cluster.
pub async fn reachable(
    cluster: &Cluster,
    partitions: impl Iterator<Item = &TopicPartition>,
) -> Result<Vec<TopicPartition>, CliError> {
    let partitions: Vec<&TopicPartition> = partitions.collect();
    let mut names: Vec<String> = partitions
        .iter()
        .map(|partition| partition.topic.clone())
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let metadata = cluster
        .metadata(TopicSelection::Names(&names), TopicCreation::Never)
        .await?;
    let has_leader = |of: &TopicPartition| matches!(metadata.partition(&of.topic, of.partition), Ok(Some(found)) if found.leader.is_some());
    Ok(partitions
        .into_iter()
        .filter(|partition| has_leader(partition))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn lag_counts_what_is_still_there_to_read() {
        for (committed, start, end, expected) in [
            (Some(5), Some(0), Some(9), Some(4)),
            (Some(9), Some(0), Some(9), Some(0)),
            (Some(5), Some(7), Some(9), Some(2)),
            (Some(12), Some(0), Some(9), Some(0)),
            (None, Some(0), Some(9), None),
            (Some(5), None, None, None),
        ] {
            assert_eq!(
                Position {
                    committed,
                    start,
                    end
                }
                .lag(),
                expected
            );
        }
    }
}
