//! What the network layer counts and measures.
//!
//! Series appear with the first request of an API, so a scrape is as long as the use of the broker is wide.
//! The number of series is bounded by the API table; nothing here is labelled with what clients choose.

use std::sync::OnceLock;
use std::time::Duration;

use thalweg_telemetry::{
    Collector, Desc, Described, Family, FamilySpec, Histogram, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, LATENCY_BUCKETS_SECONDS, MetricKind, Metrics, MetricsError, proto,
};

use crate::api::table::{Row, TABLE};
use crate::budget::MemoryBudget;

/// How a request ended; the `result` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestResult {
    /// Answered without a top-level error, or no answer was due.
    Ok,
    /// Answered with a top-level error.
    Error,
    /// The connection was closed instead of an answer: malformed, refused, or the client went away.
    Closed,
    /// The handler panicked.
    Panicked,
}

impl RequestResult {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Ok, "ok"),
        (Self::Error, "error"),
        (Self::Closed, "closed"),
        (Self::Panicked, "panicked"),
    ];
}

/// Why a connection ended; the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The other end closed it or it broke.
    Peer,
    /// Silent for too long.
    Idle,
    /// A frame stopped in its middle.
    Stalled,
    /// Replies were not read.
    SlowReader,
    /// The bytes were no request that is served.
    Refused,
    /// A handler failed or panicked.
    Failed,
    /// The broker stops.
    Shutdown,
}

impl CloseReason {
    /// Returns the label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Idle => "idle",
            Self::Stalled => "stalled",
            Self::SlowReader => "slow_reader",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The metrics of all listeners and connections.
#[derive(Debug)]
pub struct NetworkMetrics {
    connections: Family<IntGaugeVec>,
    accepted: Family<IntCounterVec>,
    rejected: Family<IntCounterVec>,
    closed: Family<IntCounterVec>,
    requests: Family<IntCounterVec>,
    request_bytes: Family<IntCounterVec>,
    response_bytes: Family<IntCounterVec>,
    queue_seconds: Family<HistogramVec>,
    handle_seconds: Family<HistogramVec>,
    wait_seconds: Family<HistogramVec>,
    send_seconds: Family<HistogramVec>,
    total_seconds: Family<HistogramVec>,
    /// By API key; filled with the first request.
    apis: Vec<OnceLock<Option<ApiMetrics>>>,
}

/// The series of one API, looked up once.
#[derive(Debug)]
pub struct ApiMetrics {
    results: [IntCounter; RequestResult::ALL.len()],
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    queue_seconds: Histogram,
    handle_seconds: Histogram,
    wait_seconds: Histogram,
    send_seconds: Histogram,
    total_seconds: Histogram,
}

/// How long the stages of an answered request took.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerTimes {
    /// From the end of stage 1 to the response: a flush, a long poll, a rebalance; and replies before this one.
    pub(super) wait: Duration,
    /// From the response to its last byte in the kernel.
    pub(super) send: Duration,
}

/// Series of listener-labelled families; listeners are configured, so this is far away.
const LISTENER_SERIES_MAX: usize = 256;

impl NetworkMetrics {
    /// Registers everything, the use of `budget` included.
    ///
    /// # Errors
    /// [`MetricsError::Refused`] if the network layer is already registered there.
    pub fn new(metrics: &Metrics, budget: &MemoryBudget) -> Result<Self, MetricsError> {
        let apis_max = TABLE.len().max(1);
        let by_api = |name, help| FamilySpec {
            name,
            help,
            labels: &["api"],
            series_max: apis_max,
        };
        let by_listener = |name, help| FamilySpec {
            name,
            help,
            labels: &["listener"],
            series_max: LISTENER_SERIES_MAX,
        };
        let histogram = |name, help| metrics.histogram_family(by_api(name, help), LATENCY_BUCKETS_SECONDS);
        metrics.register_collector(
            Box::new(BudgetCollector::new(budget.clone())?),
            BudgetCollector::reference(),
        )?;
        Ok(Self {
            connections: metrics.gauge_family(by_listener(
                "thalweg_connections",
                "Connections that are open now.",
            ))?,
            accepted: metrics.counter_family(by_listener(
                "thalweg_connections_accepted_total",
                "Connections taken since the start.",
            ))?,
            rejected: metrics.counter_family(FamilySpec {
                name: "thalweg_connections_rejected_total",
                help: "Connections closed at once because a limit on their number was reached.",
                labels: &["listener", "limit"],
                series_max: LISTENER_SERIES_MAX,
            })?,
            closed: metrics.counter_family(FamilySpec {
                name: "thalweg_connections_closed_total",
                help: "Connections ended, by why.",
                labels: &["reason"],
                series_max: 16,
            })?,
            requests: metrics.counter_family(FamilySpec {
                name: "thalweg_requests_total",
                help: "Requests by API and by how they ended.",
                labels: &["api", "result"],
                series_max: apis_max.saturating_mul(RequestResult::ALL.len()),
            })?,
            request_bytes: metrics.counter_family(by_api(
                "thalweg_request_bytes_total",
                "Bytes of request frames, without their length fields.",
            ))?,
            response_bytes: metrics.counter_family(by_api(
                "thalweg_response_bytes_total",
                "Bytes of response frames handed to the kernel.",
            ))?,
            queue_seconds: histogram(
                "thalweg_request_queue_seconds",
                "From the last byte of a request to the start of its handler.",
            )?,
            handle_seconds: histogram(
                "thalweg_request_handle_seconds",
                "Stage 1 of a request: what holds up the next request of its connection.",
            )?,
            wait_seconds: histogram(
                "thalweg_request_wait_seconds",
                "Stage 2 of an answered request: its wait for a flush, for records, for a rebalance, or behind the \
                 replies before it.",
            )?,
            send_seconds: histogram(
                "thalweg_request_send_seconds",
                "From the response of a request to its last byte in the kernel.",
            )?,
            total_seconds: histogram(
                "thalweg_request_seconds",
                "From the last byte of a request to the last byte of its response.",
            )?,
            apis: (0..=KEY_MAX).map(|_| OnceLock::new()).collect(),
        })
    }

    /// Returns the series of a row; `None` only if a bound was hit, which the table's size excludes.
    #[must_use]
    pub fn api(&self, row: &Row) -> Option<&ApiMetrics> {
        let slot = self.apis.get(usize::try_from(row.key as i16).ok()?)?;
        slot.get_or_init(|| self.make_api(row.name)).as_ref()
    }

    fn make_api(&self, api: &str) -> Option<ApiMetrics> {
        let result = |index: usize| self.requests.with(&[api, RequestResult::ALL.get(index)?.1]);
        Some(ApiMetrics {
            results: [result(0)?, result(1)?, result(2)?, result(3)?],
            request_bytes: self.request_bytes.with(&[api])?,
            response_bytes: self.response_bytes.with(&[api])?,
            queue_seconds: self.queue_seconds.with(&[api])?,
            handle_seconds: self.handle_seconds.with(&[api])?,
            wait_seconds: self.wait_seconds.with(&[api])?,
            send_seconds: self.send_seconds.with(&[api])?,
            total_seconds: self.total_seconds.with(&[api])?,
        })
    }

    pub(super) fn connection_opened(&self, listener: &str) {
        self.connections.with(&[listener]).inspect(IntGauge::inc);
        self.accepted.with(&[listener]).inspect(IntCounter::inc);
    }

    pub(super) fn connection_closed(&self, listener: &str, reason: CloseReason) {
        self.connections.with(&[listener]).inspect(IntGauge::dec);
        self.closed.with(&[reason.label()]).inspect(IntCounter::inc);
    }

    pub(super) fn connection_rejected(&self, listener: &str, limit: &str) {
        self.rejected.with(&[listener, limit]).inspect(IntCounter::inc);
    }
}

/// No API key is larger (Kafka's largest is 92).
const KEY_MAX: usize = 127;

impl ApiMetrics {
    pub(super) fn received(&self, bytes: usize, queued: Duration) {
        self.request_bytes.inc_by(bytes as u64);
        self.queue_seconds.observe(queued.as_secs_f64());
    }

    pub(super) fn handled(&self, took: Duration) {
        self.handle_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn answered(&self, times: AnswerTimes) {
        self.wait_seconds.observe(times.wait.as_secs_f64());
        self.send_seconds.observe(times.send.as_secs_f64());
    }

    pub(super) fn finished(&self, result: RequestResult, response_bytes: u64, total: Duration) {
        for ((kind, _), counter) in RequestResult::ALL.iter().zip(&self.results) {
            if *kind == result {
                counter.inc();
            }
        }
        self.response_bytes.inc_by(response_bytes);
        self.total_seconds.observe(total.as_secs_f64());
    }
}

/// Reads the budget when a scrape asks.
#[derive(Debug)]
struct BudgetCollector {
    budget: MemoryBudget,
    total: IntGauge,
    used: IntGaugeVec,
    peak: IntGauge,
    waiting: IntGauge,
}

impl BudgetCollector {
    fn new(budget: MemoryBudget) -> Result<Self, MetricsError> {
        let refused = |cause| MetricsError::Refused {
            name: BUDGET_TOTAL.0.to_owned(),
            cause,
        };
        let gauge = |(name, help): (&str, &str)| IntGauge::new(name, help).map_err(refused);
        Ok(Self {
            budget,
            total: gauge(BUDGET_TOTAL)?,
            used: IntGaugeVec::new(prometheus::Opts::new(BUDGET_USED.0, BUDGET_USED.1), &["share"])
                .map_err(refused)?,
            peak: gauge(BUDGET_PEAK)?,
            waiting: gauge(BUDGET_WAITING)?,
        })
    }

    fn reference() -> Vec<Described> {
        let gauge = |(name, help), labels: &[&str]| Described::new(name, MetricKind::Gauge, labels, help);
        vec![
            gauge(BUDGET_TOTAL, &[]),
            gauge(BUDGET_USED, &["share"]),
            gauge(BUDGET_PEAK, &[]),
            gauge(BUDGET_WAITING, &[]),
        ]
    }
}

const BUDGET_TOTAL: (&str, &str) = (
    "thalweg_memory_budget_bytes",
    "Memory that clients may make the broker hold.",
);
const BUDGET_USED: (&str, &str) = (
    "thalweg_memory_budget_used_bytes",
    "Memory in use on behalf of clients, by what for.",
);
const BUDGET_PEAK: (&str, &str) = (
    "thalweg_memory_budget_peak_bytes",
    "The most that was in use at once since the start.",
);
const BUDGET_WAITING: (&str, &str) = (
    "thalweg_memory_budget_waiting",
    "Connections that wait for memory now.",
);

impl Collector for BudgetCollector {
    fn desc(&self) -> Vec<&Desc> {
        [
            self.total.desc(),
            self.used.desc(),
            self.peak.desc(),
            self.waiting.desc(),
        ]
        .concat()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let usage = self.budget.usage();
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.total.set(whole(self.budget.total()));
        self.peak.set(whole(usage.peak));
        self.waiting.set(i64::try_from(usage.waiting).unwrap_or(i64::MAX));
        for (share, bytes) in [
            ("requests", usage.requests),
            ("responses", usage.responses),
            ("groups", usage.groups),
        ] {
            self.used.with_label_values(&[share]).set(whole(bytes));
        }
        [
            self.total.collect(),
            self.used.collect(),
            self.peak.collect(),
            self.waiting.collect(),
        ]
        .concat()
    }
}
