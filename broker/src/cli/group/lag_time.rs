//! How long ago the first unread record was written.
//!
//! A fetch at the committed offset gives its batch; the record's timestamp says how old the lag is. Nothing else is
//! read of the partition, so the cost is one batch each.

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_client::{Cluster, FetchOptions, FetchTarget, FetchedRecords, Isolation, TopicPartition};
use thalweg_types::{BrokerId, LeaderEpoch, Offset, TopicId};
use thalweg_wire::batch::split_batches;
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::open_records;

use crate::cli::error::CliError;

/// Partitions asked for in one request.
const PARTITIONS_PER_FETCH: usize = 16;
/// Bytes asked of one partition; a larger first batch is fetched alone afterwards.
const PARTITION_SIZE_MAX: i32 = 256 << 10;

/// Returns the timestamp of the first record at or after each offset, where there is one.
///
/// # Errors
/// Those of the cluster. A partition that cannot be read just now is left out.
pub async fn record_times(
    cluster: &Cluster,
    offsets: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, i64>, CliError> {
    let partitions: Vec<TopicPartition> = offsets.keys().cloned().collect();
    let mut times = BTreeMap::new();
    let groups = cluster
        .retry_read("Metadata", async || cluster.group_by_leader(&partitions).await)
        .await?;
    for (leader, members) in groups {
        for chunk in members.chunks(PARTITIONS_PER_FETCH) {
            times.extend(fetch_times(cluster, leader, chunk, offsets).await?);
        }
        // Only the first partition of an answer is sure to get its batch whole.
        for alone in members {
            if !times.contains_key(&alone) {
                times.extend(fetch_times(cluster, leader, std::slice::from_ref(&alone), offsets).await?);
            }
        }
    }
    Ok(times)
}

async fn fetch_times(
    cluster: &Cluster,
    leader: BrokerId,
    partitions: &[TopicPartition],
    offsets: &BTreeMap<TopicPartition, Offset>,
) -> Result<BTreeMap<TopicPartition, i64>, CliError> {
    let targets: Vec<FetchTarget> = partitions
        .iter()
        .filter_map(|partition| {
            Some(FetchTarget {
                partition: partition.clone(),
                topic_id: TopicId::ZERO,
                offset: *offsets.get(partition)?,
                leader_epoch: LeaderEpoch::UNKNOWN,
                size_bytes_max: PARTITION_SIZE_MAX,
            })
        })
        .collect();
    let options = FetchOptions {
        wait_max: Duration::ZERO,
        size_bytes_min: 0,
        size_bytes_max: PARTITION_SIZE_MAX.saturating_mul(PARTITIONS_PER_FETCH as i32),
        isolation: Isolation::ReadUncommitted,
    };
    let fetched = cluster.broker(leader).await?.fetch(&targets, options).await?;
    Ok(fetched
        .into_iter()
        .filter_map(|answer| {
            let offset = *offsets.get(&answer.partition)?;
            let time = first_time(&answer.result.ok()?, offset)?;
            Some((answer.partition, time))
        })
        .collect())
}

/// Returns the timestamp of the first user record at or after `offset`.
fn first_time(fetched: &FetchedRecords, offset: Offset) -> Option<i64> {
    for slice in split_batches(&fetched.records) {
        let slice = slice.ok()?;
        if slice.header.is_control() || slice.header.next_offset() <= offset {
            continue;
        }
        let (header, payload) = open_records(slice.bytes, &CompressionLimits::default()).ok()?;
        for record in payload.records(&header) {
            let record = record.ok()?;
            if record.offset(&header) >= offset {
                return Some(record.timestamp(&header).get()).filter(|time| *time >= 0);
            }
        }
    }
    None
}
