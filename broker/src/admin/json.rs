//! The JSON API's answers. Lists come in parts of at most [`PART_MAX`] entries; `next` is the `after` of the next.

use serde_json::{Value, json};
use thalweg_storage::disk::{Disk, RealDisk};
use thalweg_types::{Offset, PartitionIndex};

use super::AdminParts;
use super::health::Readiness;
use super::routes::Part;
use crate::groups::GroupView;
use crate::topics::{TopicView, Topics};

/// Entries of one answer.
const PART_MAX: usize = 1000;

pub(super) fn cluster(parts: &AdminParts, readiness: &Readiness) -> Value {
    let settings = parts.settings.current();
    let engine = parts.topics.engine();
    let space = RealDisk.space(&parts.data_directory).ok();
    let wal = engine.wal_usage();
    let topics = parts.topics.all();
    json!({
        "cluster_id": parts.stamp.cluster_id.to_string(),
        "directory_id": parts.stamp.directory_id.to_string(),
        "node_id": settings.node_id().0,
        "version": env!("CARGO_PKG_VERSION"),
        "data_directory": parts.data_directory.display().to_string(),
        "leader_epoch": engine.leader_epoch().0,
        "topics": topics.len(),
        "partitions": topics.iter().map(|topic| i64::from(topic.partitions)).sum::<i64>(),
        "ready": readiness.is_ready(),
        "reasons": readiness.reasons,
        "limits": readiness.limits,
        "disk": {
            "total_bytes": space.map(|space| space.total),
            "available_bytes": space.map(|space| space.available),
            "takes_records": parts.gate.is_open(),
        },
        "wal": { "used_bytes": wal.used, "capacity_bytes": wal.capacity },
    })
}

pub(super) fn topics(parts: &AdminParts, part: &Part) -> Value {
    // By name already.
    let all = parts.topics.all();
    let (page, next) = cut(&all, part, |topic| &topic.name);
    let page: Vec<Value> = page
        .iter()
        .map(|topic| topic_line(&parts.topics, topic))
        .collect();
    json!({ "topics": page, "next": next })
}

pub(super) fn topic(parts: &AdminParts, name: &str) -> Option<Value> {
    let topic = parts.topics.by_name(name)?;
    let node_id = parts.settings.current().node_id().0;
    let mut line = topic_line(&parts.topics, &topic);
    let partitions: Vec<Value> = (0..topic.partitions)
        .filter_map(|index| {
            let log = parts.topics.log(&topic, PartitionIndex(index))?;
            let offsets = log.offsets();
            Some(json!({
                "partition": index,
                "leader": node_id,
                "leader_epoch": offsets.leader_epoch.0,
                "log_start_offset": offsets.log_start_offset.0,
                "high_watermark": offsets.high_watermark.0,
                "size_bytes": log.size(),
                "segments": log.segment_count(),
                "producers": log.producer_count(),
            }))
        })
        .collect();
    line["partition_list"] = Value::Array(partitions);
    line["configs"] = json!(topic.overrides);
    Some(line)
}

fn topic_line(topics: &Topics, topic: &TopicView) -> Value {
    let logs = (0..topic.partitions).filter_map(|index| topics.log(topic, PartitionIndex(index)));
    let (size, offsets) = logs.fold((0u64, 0i64), |(size, offsets), log| {
        let now = log.offsets();
        let span = now.high_watermark.0.saturating_sub(now.log_start_offset.0);
        (size.saturating_add(log.size()), offsets.saturating_add(span))
    });
    json!({
        "name": &*topic.name,
        "id": topic.id.to_string(),
        "internal": topic.is_internal(),
        "partitions": topic.partitions,
        "size_bytes": size,
        // Compaction leaves gaps: an upper bound of the number of records.
        "offsets": offsets,
    })
}

pub(super) fn groups(parts: &AdminParts, part: &Part) -> Value {
    let mut all = parts.groups.summaries();
    all.sort_unstable_by(|a, b| a.group_id.cmp(&b.group_id));
    let (page, next) = cut(&all, part, |group| group.group_id.as_str());
    let page: Vec<Value> = page
        .iter()
        .map(|group| group_line(&parts.topics, group))
        .collect();
    json!({ "groups": page, "next": next, "partitions_not_loaded": parts.groups.not_loaded().len() })
}

pub(super) fn group(parts: &AdminParts, id: &str) -> Option<Value> {
    let group = parts.groups.summary(id)?;
    let mut line = group_line(&parts.topics, &group);
    let offsets: Vec<Value> = group
        .offsets
        .iter()
        .map(|committed| {
            let topic: &str = committed.topic.as_str();
            json!({
                "topic": topic,
                "partition": committed.partition.0,
                "offset": committed.offset.0,
                "lag": lag_of(&parts.topics, topic, committed.partition, committed.offset),
                "commit_timestamp_ms": committed.commit_timestamp.0,
            })
        })
        .collect();
    line["offsets"] = Value::Array(offsets);
    line["assigned"] = group
        .assigned
        .iter()
        .map(|(topic, partition)| json!({ "topic": topic.to_string(), "partition": partition.0 }))
        .collect();
    Some(line)
}

fn group_line(topics: &Topics, group: &GroupView) -> Value {
    let lags = group.offsets.iter().filter_map(|committed| {
        lag_of(
            topics,
            committed.topic.as_str(),
            committed.partition,
            committed.offset,
        )
    });
    json!({
        "group_id": group.group_id.to_string(),
        "state": group.state.to_string(),
        "protocol_type": group.protocol_type,
        "assignor": group.protocol_name,
        "members": group.members,
        "lag": lags.fold(0i64, i64::saturating_add),
    })
}

/// Records (offsets) between a committed offset and the high watermark; `None` if the partition is gone.
fn lag_of(topics: &Topics, topic: &str, partition: PartitionIndex, offset: Offset) -> Option<i64> {
    let topic = topics.by_name(topic)?;
    let high_watermark = topics.log(&topic, partition)?.offsets().high_watermark;
    Some(high_watermark.0.saturating_sub(offset.0).max(0))
}

/// Cuts a part out of a list that is sorted by name.
fn cut<'a, T>(all: &'a [T], part: &Part, name: impl Fn(&T) -> &str) -> (&'a [T], Option<String>) {
    let from = match &part.after {
        Some(after) => all.partition_point(|entry| name(entry) <= after.as_str()),
        None => 0,
    };
    let limit = part.limit.unwrap_or(PART_MAX).clamp(1, PART_MAX);
    let rest = all.get(from..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    let next = (page.len() < rest.len())
        .then(|| page.last().map(|entry| name(entry).to_owned()))
        .flatten();
    (page, next)
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
