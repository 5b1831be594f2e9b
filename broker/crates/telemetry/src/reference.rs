//! What a metric is, for people: name, type, labels and meaning of everything that is registered.
//!
//! A family without a series is not in a scrape, so a scrape cannot tell what there is; the registry can.

use std::fmt;

use crate::FamilySpec;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A value that goes up and down.
    Gauge,
    /// A number of events, seconds or bytes since the start.
    Counter,
    /// Counts in buckets, with their sum.
    Histogram,
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        })
    }
}

/// One metric, as [`crate::Metrics::reference`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Name, without the suffixes that a histogram's series have.
    pub name: String,
    /// Type.
    pub kind: MetricKind,
    /// Names of the labels, in the order of their values.
    pub labels: Vec<String>,
    /// One sentence.
    pub help: String,
}

impl Described {
    /// Describes a metric.
    #[must_use]
    pub fn new(name: &str, kind: MetricKind, labels: &[&str], help: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            help: help.to_owned(),
        }
    }

    pub(crate) fn family(spec: &FamilySpec<'_>, kind: MetricKind) -> Self {
        Self::new(spec.name, kind, spec.labels, spec.help)
    }

    /// Returns the unit that the name ends in; empty for a plain number.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(&self.name);
        // Maxima and sums end in the word: `lag_seconds_max`.
        let name = name.strip_suffix("_max").unwrap_or(name);
        if name.ends_with("_seconds") {
            "seconds"
        } else if name.ends_with("_bytes") {
            "bytes"
        } else {
            ""
        }
    }
}
