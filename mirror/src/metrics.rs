//! Metrics, set from the links' snapshots when they are asked for.

use std::sync::Arc;

use thalweg_telemetry::{Family, FamilySpec, IntCounterVec, IntGaugeVec, Metrics, MetricsError};

use crate::line::Line;
use crate::partition::State;
use crate::status::LinkStatus;

/// Partition series of each family.
const PARTITIONS_MAX: usize = 20_000;
/// Link series of each family.
const LINKS_MAX: usize = 1_000;

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
    line_connections: Family<IntGaugeVec>,
    line_bytes: Family<IntCounterVec>,
    line_plain_bytes: Family<IntCounterVec>,
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
        let per_partition: &[&str] = &["link", "topic", "partition"];
        Ok(Self {
            up: registry.gauge_family(spec(
                "thalweg_mirror_link_up",
                "1 when both clusters of the link answered at the last look, else 0.",
                &["link"],
                LINKS_MAX,
            ))?,
            states: registry.gauge_family(spec(
                "thalweg_mirror_link_partitions",
                "Partitions of the link by state.",
                &["link", "state"],
                LINKS_MAX * State::ALL.len(),
            ))?,
            lag_offsets: registry.gauge_family(spec(
                "thalweg_mirror_link_lag_offsets",
                "Offsets of the source that the mirror does not have yet.",
                per_partition,
                PARTITIONS_MAX,
            ))?,
            lag_seconds: registry.gauge_family(spec(
                "thalweg_mirror_link_lag_seconds",
                "How long ago the mirror had everything that the source had, in whole seconds.",
                per_partition,
                PARTITIONS_MAX,
            ))?,
            bytes: registry.counter_family(spec(
                "thalweg_mirror_link_appended_bytes_total",
                "Bytes of batches appended to the mirror.",
                per_partition,
                PARTITIONS_MAX,
            ))?,
            batches: registry.counter_family(spec(
                "thalweg_mirror_link_appended_batches_total",
                "Batches appended to the mirror.",
                per_partition,
                PARTITIONS_MAX,
            ))?,
            losses: registry.gauge_family(spec(
                "thalweg_mirror_link_losses",
                "Ranges of offsets that a rule gave up since the service began; status names them.",
                per_partition,
                PARTITIONS_MAX,
            ))?,
            line_connections: registry.gauge_family(spec(
                "thalweg_mirror_line_connections",
                "Connections of the line to the other room.",
                &["line"],
                LINKS_MAX,
            ))?,
            line_bytes: registry.counter_family(spec(
                "thalweg_mirror_line_bytes_total",
                "Bytes that crossed the line, compressed, before TLS.",
                &["line", "direction"],
                2 * LINKS_MAX,
            ))?,
            line_plain_bytes: registry.counter_family(spec(
                "thalweg_mirror_line_plain_bytes_total",
                "Bytes that crossed the line, as they were before compression.",
                &["line", "direction"],
                2 * LINKS_MAX,
            ))?,
            registry,
        })
    }

    /// Sets everything from the snapshots and returns the text.
    ///
    /// # Errors
    /// [`MetricsError::Encode`].
    pub fn text(&mut self, links: &[Arc<LinkStatus>], lines: &[Line]) -> Result<String, MetricsError> {
        for line in lines {
            let carried = line.status();
            if let Some(series) = self.line_connections.with(&[line.name()]) {
                series.set(i64::try_from(carried.connections).unwrap_or(i64::MAX));
            }
            for (family, direction, bytes) in [
                (&self.line_bytes, "sent", carried.sent_bytes),
                (&self.line_bytes, "received", carried.received_bytes),
                (&self.line_plain_bytes, "sent", carried.sent_plain_bytes),
                (&self.line_plain_bytes, "received", carried.received_plain_bytes),
            ] {
                if let Some(series) = family.with(&[line.name(), direction]) {
                    series.inc_by(bytes.saturating_sub(series.get()));
                }
            }
        }
        for link in links {
            if let Some(up) = self.up.with(&[&link.name]) {
                up.set(i64::from(link.is_discovered && link.trouble.is_none()));
            }
            for state in State::ALL {
                if let Some(series) = self.states.with(&[&link.name, state.name()]) {
                    series.set(i64::try_from(link.count(state.name())).unwrap_or(i64::MAX));
                }
            }
            for partition in &link.partitions {
                let number = partition.partition.to_string();
                let labels = [link.name.as_str(), &partition.topic, &number];
                if let (Some(series), Some(lag)) = (self.lag_offsets.with(&labels), partition.lag_offsets) {
                    series.set(lag);
                }
                if let Some(series) = self.lag_seconds.with(&labels) {
                    series.set(partition.lag_seconds.ceil() as i64);
                }
                if let Some(series) = self.losses.with(&labels) {
                    series.set(i64::try_from(partition.losses.len()).unwrap_or(i64::MAX));
                }
                if let Some(series) = self.bytes.with(&labels) {
                    series.inc_by(partition.appended_bytes.saturating_sub(series.get()));
                }
                if let Some(series) = self.batches.with(&labels) {
                    series.inc_by(partition.appended_batches.saturating_sub(series.get()));
                }
            }
        }
        self.registry.encode()
    }
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
        let text = metrics.text(&[Arc::new(link)], &[]).unwrap();
        assert!(
            text.contains("thalweg_mirror_link_up{link=\"west\"} 1\n"),
            "{text}"
        );
    }
}
