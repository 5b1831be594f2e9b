//! The engine's snapshot for those who look at it.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{Engine, Entry, STATUS_PAUSE};
use crate::config::link_id_text;
use crate::status::{LinkStatus, PartitionStatus};

impl Engine {
    pub(super) fn publish(&mut self, now: Instant) {
        if now < self.status_at {
            return;
        }
        self.status_at = now + STATUS_PAUSE;
        let mut partitions: Vec<PartitionStatus> =
            self.entries.iter().map(|entry| describe(entry, now)).collect();
        self.progress.apply(&mut partitions, now, wall_ms());
        partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let status = LinkStatus {
            name: self.link.name.clone(),
            id: link_id_text(self.id),
            source_cluster_id: self.ends.source_cluster_id.clone(),
            target_cluster_id: self.ends.target_cluster_id.clone(),
            target_alias: self.link.target_alias.clone(),
            trouble: self.trouble.clone(),
            is_discovered: self.is_discovered,
            refused: self.refused.clone(),
            warnings: self.warnings.clone(),
            partitions,
        };
        self.status.send_replace(Arc::new(status));
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn describe(entry: &Entry, now: Instant) -> PartitionStatus {
    let partition = &entry.partition;
    let (report, place) = (partition.report(), partition.place());
    let (appended_bytes, appended_batches) = partition.appended();
    PartitionStatus {
        topic: entry.source.topic.clone(),
        target_topic: entry.target.topic.clone(),
        partition: entry.source.partition.get(),
        state: partition.state().name(),
        reason: partition.reason(),
        stop: partition.stop().map(crate::partition::Stop::name),
        source_start: place.map(|place| place.start.get()),
        source_end: place.map(|place| place.end.get()),
        mirror_start: report.map(|report| report.log_start.get()),
        mirror_end: report.map(|report| report.log_end.get()),
        lag_offsets: partition.lag(),
        lag_seconds: partition.behind_for(now).as_secs_f64(),
        appended_bytes,
        appended_batches,
        appended_records: partition.appended_records(),
        newest_ms: partition.newest().map(thalweg_types::TimestampMs::get),
        sealed_at: partition.sealed_at().map(thalweg_types::Offset::get),
        cut: partition.cut().map(thalweg_types::Offset::get),
        losses: partition.losses().iter().map(ToString::to_string).collect(),
        ..PartitionStatus::default()
    }
}
