//! Metrics, set from the links' snapshots when they are asked for.

mod lines;
mod mirror_maker;

use std::sync::Arc;

use thalweg_telemetry::{Family, FamilySpec, IntCounterVec, IntGaugeVec, Metrics, MetricsError};

use self::lines::LineMetrics;
use self::mirror_maker::MirrorMaker;
use crate::line::Line;
use crate::partition::State;
use crate::status::{GroupsStatus, LinkStatus, PartitionStatus};

/// Partition series of each family.
const PARTITIONS_MAX: usize = 20_000;
/// Link series of each family.
const LINKS_MAX: usize = 1_000;
/// States of a group that are counted.
const GROUP_STATES: usize = 4;

/// The registry and what is in it.
pub struct LinkMetrics {
    registry: Metrics,
    up: Family<IntGaugeVec>,
    states: Family<IntGaugeVec>,
    lag_offsets: Family<IntGaugeVec>,
    lag_seconds: Family<IntGaugeVec>,
    bytes: Family<IntCounterVec>,
    batches: Family<IntCounterVec>,
    losses: Family<IntGaugeVec>,
    lag_bytes: Family<IntGaugeVec>,
    eta: Family<IntGaugeVec>,
    records: Family<IntCounterVec>,
    groups: Family<IntGaugeVec>,
    groups_age: Family<IntGaugeVec>,
    mirror_maker: MirrorMaker,
    lines: LineMetrics,
}

impl LinkMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// [`MetricsError`] if a name breaks the rules, which a test would have shown.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Metrics::new()?;
        let spec = |name, help, labels, series_max| FamilySpec {
            name,
            help,
            labels,
            series_max,
        };
        let of_link =
            |name, help, labels, count| registry.gauge_family(spec(name, help, labels, LINKS_MAX * count));
        let labels: &[&str] = &["link", "topic", "partition"];
        let gauge = |name, help| registry.gauge_family(spec(name, help, labels, PARTITIONS_MAX));
        let counter = |name, help| registry.counter_family(spec(name, help, labels, PARTITIONS_MAX));
        Ok(Self {
            up: of_link(
                "thalweg_mirror_link_up",
                "1 when both clusters of the link answered at the last look, else 0.",
                &["link"],
                1,
            )?,
            states: of_link(
                "thalweg_mirror_link_partitions",
                "Partitions of the link by state.",
                &["link", "state"],
                State::ALL.len(),
            )?,
            groups: of_link(
                "thalweg_mirror_link_groups",
                "Groups whose offsets are copied, by state: whose they are (source, target), conflict, failed.",
                &["link", "state"],
                GROUP_STATES,
            )?,
            groups_age: of_link(
                "thalweg_mirror_link_groups_age_seconds",
                "How old a committed offset may be on the other side, in whole seconds.",
                &["link"],
                1,
            )?,
            lag_offsets: gauge(
                "thalweg_mirror_link_lag_offsets",
                "Offsets of the source that the mirror does not have yet.",
            )?,
            lag_bytes: gauge(
                "thalweg_mirror_link_lag_bytes",
                "Bytes of the source that the mirror does not have yet: offsets times their average size.",
            )?,
            lag_seconds: gauge(
                "thalweg_mirror_link_lag_seconds",
                "How long ago the mirror had everything that the source had, in whole seconds.",
            )?,
            eta: gauge(
                "thalweg_mirror_link_eta_seconds",
                "When the mirror will have everything, at the speed of the last seconds; absent while it falls behind.",
            )?,
            losses: gauge(
                "thalweg_mirror_link_losses",
                "Ranges of offsets that a rule gave up since the service began; status names them.",
            )?,
            bytes: counter(
                "thalweg_mirror_link_appended_bytes_total",
                "Bytes of batches appended to the mirror.",
            )?,
            batches: counter(
                "thalweg_mirror_link_appended_batches_total",
                "Batches appended to the mirror.",
            )?,
            records: counter(
                "thalweg_mirror_link_appended_records_total",
                "Records appended to the mirror, control records among them.",
            )?,
            mirror_maker: MirrorMaker::new(&registry)?,
            lines: LineMetrics::new(&registry)?,
            registry,
        })
    }

    /// Sets everything from the snapshots and returns the text.
    ///
    /// # Errors
    /// [`MetricsError::Encode`].
    pub fn text(
        &mut self,
        links: &[(Arc<LinkStatus>, GroupsStatus)],
        lines: &[Line],
    ) -> Result<String, MetricsError> {
        self.lines.set(lines);
        let mut room = PARTITIONS_MAX;
        for (link, groups) in links {
            if let Some(up) = self.up.with(&[&link.name]) {
                up.set(i64::from(link.is_discovered && link.trouble.is_none()));
            }
            for state in State::ALL {
                if let Some(series) = self.states.with(&[&link.name, state.name()]) {
                    series.set(whole(link.count(state.name())));
                }
            }
            self.set_groups(&link.name, groups);
            for partition in &link.partitions {
                self.set_partition(&link.name, partition);
            }
            for partition in link.partitions.iter().take(room) {
                self.mirror_maker.set(&link.target_alias, partition);
            }
            room = room.saturating_sub(link.partitions.len());
        }
        self.registry.encode()
    }

    fn set_groups(&self, link: &str, groups: &GroupsStatus) {
        let states: [(&str, usize); GROUP_STATES] = [
            ("source", groups.source),
            ("target", groups.target),
            ("conflict", groups.conflict),
            ("failed", groups.failed),
        ];
        for (state, count) in states {
            if let Some(series) = self.groups.with(&[link, state]) {
                series.set(whole(count));
            }
        }
        let Some(age) = groups.age_seconds() else { return };
        if let Some(series) = self.groups_age.with(&[link]) {
            series.set(age.ceil() as i64);
        }
    }

    fn set_partition(&self, link: &str, partition: &PartitionStatus) {
        let number = partition.partition.to_string();
        let labels = [link, &partition.topic, &number];
        let gauge = |family: &Family<IntGaugeVec>, value: Option<i64>| match value {
            None => family.remove(&labels),
            Some(value) => {
                if let Some(series) = family.with(&labels) {
                    series.set(value);
                }
            }
        };
        let counter = |family: &Family<IntCounterVec>, value: u64| {
            if let Some(series) = family.with(&labels) {
                series.inc_by(value.saturating_sub(series.get()));
            }
        };
        if let (Some(series), Some(lag)) = (self.lag_offsets.with(&labels), partition.lag_offsets) {
            series.set(lag);
        }
        gauge(&self.lag_seconds, Some(partition.lag_seconds.ceil() as i64));
        gauge(&self.losses, Some(whole(partition.losses.len())));
        let lag_bytes = partition
            .lag_bytes
            .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        gauge(&self.lag_bytes, lag_bytes);
        gauge(&self.eta, partition.eta_seconds.map(|eta| eta.ceil() as i64));
        counter(&self.bytes, partition.appended_bytes);
        counter(&self.batches, partition.appended_batches);
        counter(&self.records, partition.appended_records);
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_keep_the_rules_and_a_link_without_partitions_shows() {
        let mut metrics = LinkMetrics::new().unwrap();
        let link = LinkStatus {
            name: "west".to_owned(),
            is_discovered: true,
            ..LinkStatus::default()
        };
        let link = LinkStatus {
            partitions: vec![PartitionStatus {
                target_topic: "orders".to_owned(),
                appended_bytes: 7,
                ..PartitionStatus::default()
            }],
            target_alias: "east".to_owned(),
            ..link
        };
        let text = metrics
            .text(&[(Arc::new(link), GroupsStatus::default())], &[])
            .unwrap();
        let known = "kafka_connect_mirror_mirrorsourceconnector_byte_count{partition=\"0\",target=\"east\",topic=\"orders\"} 7\n";
        assert!(text.contains(known), "{text}");
        assert!(
            text.contains("thalweg_mirror_link_up{link=\"west\"} 1\n"),
            "{text}"
        );
    }
}
