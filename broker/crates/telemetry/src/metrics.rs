//! The registry behind `/metrics`: Prometheus text, names of ours, base units.
//!
//! A name starts with `thalweg_`, is lower snake case, and ends in its base unit or `_total`: counters in
//! `_total`, histograms in `_seconds` or `_bytes`. The rule is checked when a metric is registered, so a
//! wrong name fails the first test that builds the module. Names of other dialects (those that existing
//! dashboards query) come in through [`Metrics::register_collector`], which checks only that the name is
//! free.
//!
//! One value per broker, not one per process: several brokers can run in one test.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::{Described, Family, MetricKind};

/// Bucket bounds for latencies, in seconds: 50 µs (a reply from memory) to 60 s (a rebalance).
///
/// Each step is a factor of two to three, so a quantile read off the buckets is right within that factor.
pub const LATENCY_BUCKETS_SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Prefix of every name of our own.
const PREFIX: &str = "thalweg_";

/// Why a metric could not be registered or written.
#[derive(Debug)]
pub enum MetricsError {
    /// The name breaks the rule in the text.
    Name {
        /// The name as given.
        name: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The library refused it: the name is taken, or a label is not valid.
    Refused {
        /// The name as given.
        name: String,
        /// The library's reason.
        cause: prometheus::Error,
    },
    /// The text could not be written.
    Encode(prometheus::Error),
}

impl std::fmt::Display for MetricsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name { name, rule } => write!(f, "metric name {name:?}: {rule}"),
            Self::Refused { name, cause } => write!(f, "metric {name:?} cannot be registered: {cause}"),
            Self::Encode(cause) => write!(f, "metrics cannot be written as text: {cause}"),
        }
    }
}

impl std::error::Error for MetricsError {}

/// What is common to the families (metrics with labels).
#[derive(Clone, Copy, Debug)]
pub struct FamilySpec<'a> {
    /// Metric name, see the module's rule.
    pub name: &'a str,
    /// One sentence for the person who reads `/metrics`.
    pub help: &'a str,
    /// Label names, in the order in which values are given later.
    pub labels: &'a [&'a str],
    /// How many combinations of label values may exist at once; more are dropped and counted.
    pub series_max: usize,
}

/// The registry; clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    dropped: Arc<IntCounterVec>,
    described: Arc<Mutex<Vec<Described>>>,
}

impl Metrics {
    /// Returns a registry that holds only the counter of dropped series.
    ///
    /// # Errors
    /// None in practice; the library's constructor can refuse a name, and ours is constant.
    pub fn new() -> Result<Self, MetricsError> {
        let name = "thalweg_metrics_series_dropped_total";
        let refused = |cause| MetricsError::Refused {
            name: name.to_owned(),
            cause,
        };
        let help = "Observations dropped because their family reached its bound of series.";
        let labels = ["family"];
        let dropped = IntCounterVec::new(Opts::new(name, help), &labels).map_err(refused)?;
        let registry = Registry::new();
        registry.register(Box::new(dropped.clone())).map_err(refused)?;
        Ok(Self {
            registry,
            dropped: Arc::new(dropped),
            described: Arc::new(Mutex::new(vec![Described::new(
                name,
                MetricKind::Counter,
                &labels,
                help,
            )])),
        })
    }

    /// Registers a counter of events or bytes.
    ///
    /// # Errors
    /// [`MetricsError::Name`] unless the name is `thalweg_…_total`; [`MetricsError::Refused`] if it is taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        check_counter_name(name)?;
        self.keep(
            Described::new(name, MetricKind::Counter, &[], help),
            IntCounter::new(name, help),
        )
    }

    /// Registers a gauge of whole numbers (bytes, counts).
    ///
    /// # Errors
    /// [`MetricsError::Name`] if the name is not ours or looks like a counter; [`MetricsError::Refused`] if
    /// it is taken.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        check_gauge_name(name)?;
        self.keep(
            Described::new(name, MetricKind::Gauge, &[], help),
            IntGauge::new(name, help),
        )
    }

    /// Registers a gauge of fractions (seconds, ratios).
    ///
    /// # Errors
    /// As [`Metrics::gauge`].
    pub fn gauge_float(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        check_gauge_name(name)?;
        self.keep(
            Described::new(name, MetricKind::Gauge, &[], help),
            Gauge::new(name, help),
        )
    }

    /// Registers a histogram of seconds or bytes with the given upper bounds.
    ///
    /// # Errors
    /// [`MetricsError::Name`] unless the name ends in `_seconds` or `_bytes`; [`MetricsError::Refused`] if it
    /// is taken.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricsError> {
        check_histogram_name(name)?;
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(
            Described::new(name, MetricKind::Histogram, &[], help),
            Histogram::with_opts(opts),
        )
    }

    /// Registers a bounded family of counters.
    ///
    /// # Errors
    /// As [`Metrics::counter`].
    pub fn counter_family(&self, spec: FamilySpec<'_>) -> Result<Family<IntCounterVec>, MetricsError> {
        check_counter_name(spec.name)?;
        self.family(
            (spec, MetricKind::Counter),
            IntCounterVec::new(Opts::new(spec.name, spec.help), spec.labels),
        )
    }

    /// Registers a bounded family of gauges.
    ///
    /// # Errors
    /// As [`Metrics::gauge`].
    pub fn gauge_family(&self, spec: FamilySpec<'_>) -> Result<Family<IntGaugeVec>, MetricsError> {
        check_gauge_name(spec.name)?;
        self.family(
            (spec, MetricKind::Gauge),
            IntGaugeVec::new(Opts::new(spec.name, spec.help), spec.labels),
        )
    }

    /// Registers a bounded family of histograms.
    ///
    /// # Errors
    /// As [`Metrics::histogram`].
    pub fn histogram_family(
        &self,
        spec: FamilySpec<'_>,
        buckets: &[f64],
    ) -> Result<Family<HistogramVec>, MetricsError> {
        check_histogram_name(spec.name)?;
        let opts = HistogramOpts::new(spec.name, spec.help).buckets(buckets.to_vec());
        self.family(
            (spec, MetricKind::Histogram),
            HistogramVec::new(opts, spec.labels),
        )
    }

    /// Registers a collector that computes its metrics at scrape time, under names of any dialect.
    ///
    /// The collector bounds its own series. It runs on the thread that answers the scrape, see [`Metrics::encode`].
    /// `described` says what it gives; names must be those of its descriptions.
    ///
    /// # Errors
    /// [`MetricsError::Refused`] if one of its names is taken with other labels or help.
    pub fn register_collector(
        &self,
        collector: Box<dyn Collector>,
        described: Vec<Described>,
    ) -> Result<(), MetricsError> {
        let name = collector
            .desc()
            .first()
            .map_or_else(String::new, |desc| desc.fq_name.clone());
        self.registry
            .register(collector)
            .map_err(|cause| MetricsError::Refused { name, cause })?;
        self.describe(described);
        Ok(())
    }

    /// Returns everything that is registered, by name, whether it has a series or not.
    #[must_use]
    pub fn reference(&self) -> Vec<Described> {
        let mut all = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn describe(&self, described: impl IntoIterator<Item = Described>) {
        // A poisoned list is still a list.
        self.described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(described);
    }

    /// Writes everything in Prometheus text format 0.0.4 (`text/plain; version=0.0.4`). Blocks as far as the
    /// collectors do.
    ///
    /// # Errors
    /// [`MetricsError::Encode`] if a collector gave a family that is not consistent.
    pub fn encode(&self) -> Result<String, MetricsError> {
        let mut text = Vec::with_capacity(64 * 1024);
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(MetricsError::Encode)?;
        String::from_utf8(text)
            .map_err(|error| MetricsError::Encode(prometheus::Error::Msg(error.to_string())))
    }

    fn keep<C: Collector + Clone + 'static>(
        &self,
        described: Described,
        metric: prometheus::Result<C>,
    ) -> Result<C, MetricsError> {
        let refused = |cause| MetricsError::Refused {
            name: described.name.clone(),
            cause,
        };
        let metric = metric.map_err(refused)?;
        self.registry
            .register(Box::new(metric.clone()))
            .map_err(refused)?;
        self.describe([described]);
        Ok(metric)
    }

    fn family<B: MetricVecBuilder + 'static>(
        &self,
        (spec, kind): (FamilySpec<'_>, MetricKind),
        vec: prometheus::Result<MetricVec<B>>,
    ) -> Result<Family<MetricVec<B>>, MetricsError>
    where
        MetricVec<B>: Collector,
    {
        let vec = self.keep(Described::family(&spec, kind), vec)?;
        Ok(Family::new(
            vec,
            spec.series_max,
            self.dropped.with_label_values(&[spec.name]),
        ))
    }
}

fn check_counter_name(name: &str) -> Result<(), MetricsError> {
    check_own_name(name)?;
    rule(name, name.ends_with("_total"), "a counter's name ends in _total")
}

fn check_gauge_name(name: &str) -> Result<(), MetricsError> {
    check_own_name(name)?;
    rule(name, !name.ends_with("_total"), "_total is for counters")
}

fn check_histogram_name(name: &str) -> Result<(), MetricsError> {
    check_own_name(name)?;
    let in_base_unit = name.ends_with("_seconds") || name.ends_with("_bytes");
    rule(
        name,
        in_base_unit,
        "a histogram's name ends in its base unit, _seconds or _bytes",
    )
}

fn check_own_name(name: &str) -> Result<(), MetricsError> {
    let snake = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    rule(name, snake, "lower-case letters, digits and underscores only")?;
    rule(
        name,
        name.starts_with(PREFIX),
        "names of ours start with thalweg_",
    )?;
    let scaled = [
        "_ms", "_millis", "_micros", "_kb", "_mb", "_kib", "_mib", "_percent",
    ];
    rule(
        name,
        !scaled.iter().any(|unit| name.ends_with(unit)),
        "base units: seconds, bytes, ratios",
    )
}

fn rule(name: &str, holds: bool, rule: &'static str) -> Result<(), MetricsError> {
    if holds {
        Ok(())
    } else {
        Err(MetricsError::Name {
            name: name.to_owned(),
            rule,
        })
    }
}

#[cfg(test)]
#[path = "metrics_test.rs"]
mod tests;
