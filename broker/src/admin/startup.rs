//! What can be told from the first moment, while the data is still being recovered: version, process, progress.

use std::sync::Arc;

use thalweg_telemetry::MetricKind::Gauge;
use thalweg_telemetry::{Collector, Desc, Described, Shutdown, proto};

use super::page::{Declared, Page, descriptions, reference};
use super::process::{PROCESS, Process};
use super::{Phase, health};
use crate::storage::RecoveryProgress;

/// The start and the version.
#[rustfmt::skip]
pub(super) const STARTUP: &[Declared] = &[
    ("thalweg_build_info", Gauge, &["version", "node_id"], "Always 1; the labels say which version runs under which node id."),
    ("thalweg_ready", Gauge, &[], "1 while /readyz answers ready, else 0; /readyz says why."),
    ("thalweg_recovering", Gauge, &[], "1 while the data directory is being opened, 0 from then on."),
    ("thalweg_recovery_seconds", Gauge, &[], "How long the opening of the data directory took, or has taken so far."),
    ("thalweg_recovery_wal_bytes", Gauge, &[], "Bytes of the write-ahead log's files that the start found."),
    ("thalweg_recovery_wal_read_bytes", Gauge, &[], "Bytes of them that the start has read; next to none after a clean stop."),
];

const CATALOGUE: &[&[Declared]] = &[STARTUP, PROCESS];

/// Tells of the start at each scrape.
#[derive(Debug)]
pub(super) struct StartCollector {
    phase: Phase,
    shutdown: Shutdown,
    node_id: String,
    process: Process,
    descriptions: Vec<Desc>,
}

impl StartCollector {
    pub(super) fn new(phase: Phase, shutdown: Shutdown, node_id: i32) -> Self {
        Self {
            phase,
            shutdown,
            node_id: node_id.to_string(),
            process: Process::new(),
            descriptions: descriptions(CATALOGUE),
        }
    }

    pub(super) fn reference() -> Vec<Described> {
        reference(CATALOGUE)
    }

    fn page(&self) -> Page {
        let mut page = Page::new(CATALOGUE);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("node_id", &self.node_id)];
        page.add("thalweg_build_info", &build, 1.0);
        let is_ready = health::readiness(&self.phase, &self.shutdown).is_ready();
        page.add("thalweg_ready", &[], f64::from(u8::from(is_ready)));
        let progress: &Arc<RecoveryProgress> = &self.phase.progress;
        page.add(
            "thalweg_recovering",
            &[],
            f64::from(u8::from(!progress.is_over())),
        );
        page.add("thalweg_recovery_seconds", &[], progress.duration().as_secs_f64());
        page.add("thalweg_recovery_wal_bytes", &[], progress.wal_bytes() as f64);
        page.add(
            "thalweg_recovery_wal_read_bytes",
            &[],
            progress.wal_read_bytes() as f64,
        );
        self.process.collect(&mut page);
        page
    }
}

impl Collector for StartCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        self.page().finish()
    }
}
