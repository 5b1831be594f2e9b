//! What the router counts.

use std::sync::Arc;

use thalweg_telemetry::{Family, FamilySpec, IntCounter, IntCounterVec, IntGauge, Metrics, MetricsError};

/// Series of the requests: operations times statuses.
const REQUEST_SERIES_MAX: usize = 500;

/// Handles on the metrics; clones share them.
#[derive(Clone, Debug)]
pub struct RouterMetrics {
    registry: Arc<Metrics>,
    /// Requests answered, by method and status.
    pub requests: Family<IntCounterVec>,
    /// Changes committed.
    pub writes: IntCounter,
    /// Changes that were decided again.
    pub write_retries: IntCounter,
    /// Times another instance had taken over.
    pub fenced: IntCounter,
    /// Times this instance took over.
    pub takeovers: IntCounter,
    /// Records that are not understood.
    pub strange_records: IntCounter,
    /// Schemas known.
    pub schemas: IntGauge,
    /// Offset up to which the topic is read.
    pub applied_offset: IntGauge,
    /// Whether the topic could be read last time.
    pub follower_up: IntGauge,
}

impl RouterMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// [`MetricsError`] if a name breaks the rules, which a test would have shown.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Metrics::new()?;
        Ok(Self {
            requests: registry.counter_family(FamilySpec {
                name: "thalweg_router_registry_requests_total",
                help: "Requests to the schema registry, by HTTP method and status.",
                labels: &["method", "status"],
                series_max: REQUEST_SERIES_MAX,
            })?,
            writes: registry.counter(
                "thalweg_router_registry_writes_total",
                "Changes of the schemas that this instance committed.",
            )?,
            write_retries: registry.counter(
                "thalweg_router_registry_write_retries_total",
                "Changes of the schemas that were decided again after a failed try.",
            )?,
            fenced: registry.counter(
                "thalweg_router_registry_fenced_total",
                "Tries that found another instance writing the schemas.",
            )?,
            takeovers: registry.counter(
                "thalweg_router_registry_takeovers_total",
                "Times this instance became the writer of the schemas.",
            )?,
            strange_records: registry.counter(
                "thalweg_router_registry_strange_records_total",
                "Records of the schemas topic that are not understood and left out.",
            )?,
            schemas: registry.gauge(
                "thalweg_router_registry_schemas",
                "Schemas known, each counted once.",
            )?,
            applied_offset: registry.gauge(
                "thalweg_router_registry_applied_offset",
                "Offset up to which the schemas topic is read.",
            )?,
            follower_up: registry.gauge(
                "thalweg_router_registry_follower_up",
                "1 when the schemas topic could be read last time, else 0.",
            )?,
            registry: Arc::new(registry),
        })
    }

    /// Returns everything in Prometheus's text format.
    ///
    /// # Errors
    /// [`MetricsError::Encode`].
    pub fn text(&self) -> Result<String, MetricsError> {
        self.registry.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_keep_the_rules() {
        let metrics = RouterMetrics::new().unwrap();
        metrics.writes.inc();
        let text = metrics.text().unwrap();
        assert!(
            text.contains("thalweg_router_registry_writes_total 1\n"),
            "{text}"
        );
    }
}
