//! What a process tells its operator and how it is told to stop: log lines, metrics, the shutdown signal.
//!
//! Owns the set-up of `tracing`, the Prometheus registry with the rules for metric names and label
//! cardinality, and the [`Shutdown`] state that every long-running task watches. Owns no metric itself: each
//! module registers its own. Knows nothing of Kafka.
//!
//! Invariant: a metric registered here has a name of ours in base units, and no family of it can grow past
//! its bound, whatever clients send.

mod family;
mod logging;
mod metrics;
mod reference;
mod shutdown;

pub use family::{Family, SeriesVec};
pub use logging::{LOG_FILTER_VARIABLE, LoggingError, init_logging};
pub use metrics::{FamilySpec, LATENCY_BUCKETS_SECONDS, Metrics, MetricsError};
pub use reference::{Described, MetricKind};
pub use shutdown::{Phase, Shutdown, ShutdownTrigger, shutdown_channel};

// The metric types that callers hold; re-exported so that one version of the library is used everywhere.
pub use prometheus::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    core::{Collector, Desc},
    proto,
};
