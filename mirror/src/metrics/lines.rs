//! What lines between two rooms carried.

use thalweg_telemetry::{Family, FamilySpec, IntCounterVec, IntGaugeVec, Metrics, MetricsError};

use super::LINKS_MAX;
use crate::line::Line;

/// The families of lines.
pub(super) struct LineMetrics {
    connections: Family<IntGaugeVec>,
    bytes: Family<IntCounterVec>,
    plain_bytes: Family<IntCounterVec>,
}

impl LineMetrics {
    pub(super) fn new(registry: &Metrics) -> Result<Self, MetricsError> {
        let spec = |name, help, labels| FamilySpec {
            name,
            help,
            labels,
            series_max: 2 * LINKS_MAX,
        };
        Ok(Self {
            connections: registry.gauge_family(spec(
                "thalweg_mirror_line_connections",
                "Connections of the line to the other room.",
                &["line"],
            ))?,
            bytes: registry.counter_family(spec(
                "thalweg_mirror_line_bytes_total",
                "Bytes that crossed the line, compressed, before TLS.",
                &["line", "direction"],
            ))?,
            plain_bytes: registry.counter_family(spec(
                "thalweg_mirror_line_plain_bytes_total",
                "Bytes that crossed the line, as they were before compression.",
                &["line", "direction"],
            ))?,
        })
    }

    pub(super) fn set(&mut self, lines: &[Line]) {
        for line in lines {
            let carried = line.status();
            if let Some(series) = self.connections.with(&[line.name()]) {
                series.set(i64::try_from(carried.connections).unwrap_or(i64::MAX));
            }
            for (family, direction, bytes) in [
                (&self.bytes, "sent", carried.sent_bytes),
                (&self.bytes, "received", carried.received_bytes),
                (&self.plain_bytes, "sent", carried.sent_plain_bytes),
                (&self.plain_bytes, "received", carried.received_plain_bytes),
            ] {
                if let Some(series) = family.with(&[line.name(), direction]) {
                    series.inc_by(bytes.saturating_sub(series.get()));
                }
            }
        }
    }
}
