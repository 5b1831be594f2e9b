//! What `/metrics` tells of the broker's state, computed at each scrape: names of our own, those of kafka_exporter,
//! and those of lag-exporter, so that existing boards and alerts work unchanged.
//!
//! Invariant: the number of series is bounded whatever topics and groups there are. Series with a partition label
//! share `metrics.partition.series.max`: consumer lag gets at least half of it, since nothing else tells it; the
//! rest goes to partitions, by topic name. Series of a topic or group share `metrics.topic.series.max`.
//! `thalweg_metrics_series_left_out` says what found no room.

mod catalogue;
mod groups;
mod mirrors;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use thalweg_storage::disk::{Disk, RealDisk};
use thalweg_storage::engine::LogEngine;
use thalweg_storage::log::PartitionLog;
use thalweg_telemetry::{Collector, Desc, Described, proto};
use thalweg_types::PartitionIndex;

use super::AdminParts;
use super::lag::OffsetTimes;
use super::page::{Page, SeriesBudget, descriptions, reference};
use crate::clock::Clock;
use crate::topics::TopicView;
use catalogue::{CATALOGUE, PARTITION_SERIES, TOPIC_SERIES};

const NANOS_PER_SECOND: f64 = 1e9;

/// Computes the state at each scrape. Reads the disk for lag in seconds, so a scrape runs where it may block.
#[derive(Debug)]
pub(super) struct BrokerCollector {
    parts: Arc<AdminParts>,
    times: OffsetTimes,
    descriptions: Vec<Desc>,
}

/// Room for series.
struct Room {
    partitions: SeriesBudget,
    entities: SeriesBudget,
}

impl BrokerCollector {
    pub(super) fn new(parts: Arc<AdminParts>) -> Self {
        Self {
            parts,
            times: OffsetTimes::default(),
            descriptions: descriptions(CATALOGUE),
        }
    }

    pub(super) fn reference() -> Vec<Described> {
        reference(CATALOGUE)
    }

    fn page(&self) -> Page {
        let mut page = Page::new(CATALOGUE);
        let settings = self.parts.settings.current();
        let bound = |max: u32| usize::try_from(max).unwrap_or(usize::MAX);
        let max = bound(settings.metrics_partition_series_max());
        let mut room = Room {
            partitions: SeriesBudget::new(max),
            entities: SeriesBudget::new(bound(settings.metrics_topic_series_max())),
        };
        self.broker(&mut page);
        self.engine(&mut page);
        transactions::collect(&self.parts, &mut page);
        mirrors::collect(&self.parts, &mut page);
        let mut for_groups = Room {
            partitions: SeriesBudget::new(max.div_ceil(2)),
            entities: room.entities,
        };
        groups::collect(&self.parts, &self.times, (&mut page, &mut for_groups));
        let used = max.div_ceil(2) - for_groups.partitions.left();
        room.entities = for_groups.entities;
        room.partitions.take(used);
        self.topics(&mut page, &mut room);
        let left_out = room
            .partitions
            .dropped()
            .saturating_add(for_groups.partitions.dropped());
        page.add(
            "thalweg_metrics_series_left_out",
            &[("scope", "partition")],
            left_out as f64,
        );
        let left_out = room.entities.dropped();
        page.add(
            "thalweg_metrics_series_left_out",
            &[("scope", "topic_or_group")],
            left_out as f64,
        );
        page
    }

    fn broker(&self, page: &mut Page) {
        let id = self.parts.settings.current().node_id().0.to_string();
        page.add("kafka_brokers", &[], 1.0);
        let info = [("id", &*id), ("address", &*self.parts.address)];
        page.add("kafka_broker_info", &info, 1.0);
        if let Ok(space) = RealDisk.space(&self.parts.data_directory) {
            page.add("thalweg_disk_total_bytes", &[], space.total as f64);
            page.add("thalweg_disk_available_bytes", &[], space.available as f64);
        }
        page.add("thalweg_disk_takes_records", &[], flag(self.parts.gate.is_open()));
        let expiry = &self.parts.expiry;
        page.add("thalweg_clock_ahead_seconds", &[], expiry.ahead().as_secs_f64());
        page.add("thalweg_clock_jumps_total", &[], expiry.jumps() as f64);
        let sessions = self.parts.fetch_sessions.counts();
        page.add("thalweg_fetch_sessions", &[], sessions.sessions as f64);
        page.add(
            "thalweg_fetch_session_partitions",
            &[],
            sessions.partitions as f64,
        );
        page.add(
            "thalweg_fetch_session_evictions_total",
            &[],
            sessions.evictions as f64,
        );
    }

    fn engine(&self, page: &mut Page) {
        let engine = self.parts.topics.engine();
        let usage = engine.wal_usage();
        page.add("thalweg_wal_used_bytes", &[], usage.used as f64);
        page.add("thalweg_wal_capacity_bytes", &[], usage.capacity as f64);
        page.add("thalweg_wal_free_bytes", &[], usage.free as f64);
        page.add("thalweg_wal_files_begun_total", &[], usage.rolls as f64);
        if let Some(counters) = engine.commit_counters() {
            let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
            page.add("thalweg_wal_flushes_total", &[], count(&counters.groups));
            page.add("thalweg_wal_written_bytes_total", &[], count(&counters.bytes));
            page.add("thalweg_wal_batches_total", &[], count(&counters.batches));
            for (name, histogram, per_unit) in [
                ("thalweg_wal_wait_seconds", &counters.wait_nanos, NANOS_PER_SECOND),
                (
                    "thalweg_wal_flush_seconds",
                    &counters.flush_nanos,
                    NANOS_PER_SECOND,
                ),
                ("thalweg_wal_group_bytes", &counters.group_bytes, 1.0),
            ] {
                page.add_histogram(name, &histogram.snapshot(), per_unit);
            }
            page.add(
                "thalweg_wal_queued_bytes",
                &[],
                counters.queued_bytes.load(Ordering::Relaxed) as f64,
            );
        }
        let counters = engine.counters();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
        page.add(
            "thalweg_tail_memory_bytes",
            &[],
            engine.tail_memory_bytes() as f64,
        );
        page.add(
            "thalweg_segment_written_bytes_total",
            &[],
            count(&counters.drained_bytes),
        );
        for (name, counter) in [
            ("thalweg_checkpoints_total", &counters.checkpoints),
            ("thalweg_wal_trims_total", &counters.trims),
            ("thalweg_segment_rolls_total", &counters.segment_rolls),
            ("thalweg_segments_deleted_total", &counters.segments_deleted),
            ("thalweg_disk_full_total", &counters.disk_full),
            ("thalweg_index_rebuilds_total", &counters.index_rebuilds),
            ("thalweg_cleaner_runs_total", &counters.cleaner_runs),
            ("thalweg_cleaner_read_bytes_total", &counters.cleaner_read_bytes),
            (
                "thalweg_cleaner_written_bytes_total",
                &counters.cleaner_written_bytes,
            ),
            ("thalweg_cleaner_freed_bytes_total", &counters.cleaner_freed_bytes),
            (
                "thalweg_cleaner_removed_records_total",
                &counters.cleaner_removed_records,
            ),
        ] {
            page.add(name, &[], count(counter));
        }
        page.add("thalweg_damaged_places", &[], engine.problems().len() as f64);
        cleaner(page, engine);
    }

    fn topics(&self, page: &mut Page, room: &mut Room) {
        let node_id = f64::from(self.parts.settings.current().node_id().0);
        let topics = self.parts.topics.all();
        let mut totals = Totals::default();
        for topic in &topics {
            let mut size = 0u64;
            for index in 0..topic.partitions {
                let Some(log) = self.parts.topics.log(topic, PartitionIndex(index)) else {
                    continue;
                };
                let seen = Seen::of(&log);
                size = size.saturating_add(seen.size);
                totals.add(&seen);
                if room.partitions.take(PARTITION_SERIES) {
                    partition(page, topic, (index, node_id), (&log, &seen));
                }
            }
            if room.entities.take(TOPIC_SERIES) {
                page.add(
                    "kafka_topic_partitions",
                    &[("topic", &topic.name)],
                    f64::from(topic.partitions),
                );
                page.add("thalweg_topic_size_bytes", &[("topic", &topic.name)], size as f64);
            }
        }
        page.add("thalweg_topics", &[], topics.len() as f64);
        page.add("thalweg_partitions", &[], totals.partitions as f64);
        page.add("thalweg_segments", &[], totals.segments as f64);
        page.add("thalweg_producers", &[], totals.producers as f64);
        page.add("thalweg_log_size_bytes", &[], totals.size as f64);
    }
}

/// The numbers of a log that are asked for once.
struct Seen {
    size: u64,
    segments: usize,
    producers: usize,
}

impl Seen {
    fn of(log: &PartitionLog) -> Self {
        Self {
            size: log.size(),
            segments: log.segment_count(),
            producers: log.producer_count(),
        }
    }
}

#[derive(Default)]
struct Totals {
    partitions: usize,
    segments: usize,
    producers: usize,
    size: u64,
}

impl Totals {
    fn add(&mut self, seen: &Seen) {
        self.partitions += 1;
        self.segments += seen.segments;
        self.producers += seen.producers;
        self.size = self.size.saturating_add(seen.size);
    }
}

/// All series of one partition; as many as [`PARTITION_SERIES`].
fn partition(
    page: &mut Page,
    topic: &TopicView,
    (index, node_id): (i32, f64),
    (log, seen): (&PartitionLog, &Seen),
) {
    let index = index.to_string();
    let labels = [("topic", &*topic.name), ("partition", &*index)];
    let offsets = log.offsets();
    let (start, end) = (offsets.log_start_offset.0 as f64, offsets.high_watermark.0 as f64);
    page.add("thalweg_partition_log_start_offset", &labels, start);
    page.add("thalweg_partition_high_watermark", &labels, end);
    page.add("thalweg_partition_size_bytes", &labels, seen.size as f64);
    page.add("thalweg_partition_segments", &labels, seen.segments as f64);
    page.add("kafka_topic_partition_current_offset", &labels, end);
    page.add("kafka_topic_partition_oldest_offset", &labels, start);
    page.add("kafka_topic_partition_leader", &labels, node_id);
    page.add("kafka_topic_partition_replicas", &labels, 1.0);
    page.add("kafka_topic_partition_in_sync_replica", &labels, 1.0);
    page.add("kafka_topic_partition_leader_is_preferred", &labels, 1.0);
    page.add("kafka_topic_partition_under_replicated_partition", &labels, 0.0);
    page.add("kafka_partition_latest_offset", &labels, end);
    page.add("kafka_partition_earliest_offset", &labels, start);
}

fn cleaner(page: &mut Page, engine: &LogEngine) {
    let now = Clock::System.now();
    let status = engine.cleaner_status(now);
    page.add("thalweg_cleaner_logs", &[], status.logs as f64);
    page.add("thalweg_cleaner_dirty_ratio_max", &[], status.dirty_ratio_max);
    page.add(
        "thalweg_cleaner_uncleanable_logs",
        &[],
        status.uncleanable_logs as f64,
    );
    page.add(
        "thalweg_cleaner_uncleanable_bytes",
        &[],
        status.uncleanable_bytes as f64,
    );
    let counters = engine.counters();
    let map = counters.cleaner_map_per_mille.load(Ordering::Relaxed) as f64 / 1000.0;
    page.add("thalweg_cleaner_map_utilization", &[], map);
    let looked_at = counters.cleaner_looked_at_ms.load(Ordering::Relaxed);
    if looked_at > 0 {
        let since = now.0.saturating_sub(looked_at).max(0) as f64 / 1000.0;
        page.add("thalweg_cleaner_idle_seconds", &[], since);
    }
}

const fn flag(is_set: bool) -> f64 {
    if is_set { 1.0 } else { 0.0 }
}

impl Collector for BrokerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        self.page().finish()
    }
}

#[cfg(test)]
#[path = "metrics_test.rs"]
mod tests;
