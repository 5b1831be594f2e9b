//! Metric families while a scrape gathers them, with a bound on their series.
//!
//! Knows the Prometheus model and no value. A family must be in the catalogue it was made with, and its series have
//! the labels that stand there.

use std::collections::{BTreeMap, HashMap};

use thalweg_storage::histogram::HistogramSnapshot;
use thalweg_telemetry::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use thalweg_telemetry::{Desc, Described, MetricKind};

/// One family of a catalogue: name, type, labels, text.
pub(super) type Declared = (&'static str, MetricKind, &'static [&'static str], &'static str);

/// Returns a catalogue as the registry wants it, for its check that names are free.
pub(super) fn descriptions(catalogue: &[&[Declared]]) -> Vec<Desc> {
    let declared = catalogue.iter().flat_map(|part| part.iter());
    // The names are constant and valid, so none is left out; a test counts them.
    let desc = |(name, _, labels, help): &Declared| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Desc::new((*name).to_owned(), (*help).to_owned(), labels, HashMap::new()).ok()
    };
    declared.filter_map(desc).collect()
}

/// Returns a catalogue for the reference.
pub(super) fn reference(catalogue: &[&[Declared]]) -> Vec<Described> {
    let declared = catalogue.iter().flat_map(|part| part.iter());
    declared
        .map(|(name, kind, labels, help)| Described::new(name, *kind, labels, help))
        .collect()
}

/// The families of one scrape.
#[derive(Debug)]
pub(super) struct Page {
    families: BTreeMap<&'static str, (Declared, MetricFamily)>,
}

impl Page {
    pub(super) fn new(catalogue: &[&[Declared]]) -> Self {
        let declared = catalogue.iter().flat_map(|part| part.iter());
        let families = declared.map(|declared| {
            let (name, kind, _, help) = *declared;
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(match kind {
                MetricKind::Gauge => MetricType::GAUGE,
                MetricKind::Counter => MetricType::COUNTER,
                MetricKind::Histogram => MetricType::HISTOGRAM,
            });
            (name, (*declared, family))
        });
        Self {
            families: families.collect(),
        }
    }

    /// Adds one series of a gauge or counter. Names that are not in the catalogue are a defect, which tests find.
    pub(super) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.push(name, labels, |kind, metric| match kind {
            MetricKind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            MetricKind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            MetricKind::Histogram => debug_assert!(false, "{name} is a histogram"),
        });
    }

    /// Adds one series of a histogram whose values were counted in units of which `per_unit` make one of the name's.
    pub(super) fn add_histogram(&mut self, name: &str, seen: &HistogramSnapshot, per_unit: f64) {
        self.push(name, &[], |kind, metric| {
            debug_assert!(kind == MetricKind::Histogram, "{name} is no histogram");
            let mut below = 0u64;
            let buckets = seen.bounds.iter().zip(&seen.counts).map(|(bound, count)| {
                below = below.saturating_add(*count);
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound as f64 / per_unit);
                bucket.set_cumulative_count(below);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(seen.count());
            histogram.set_sample_sum(seen.sum as f64 / per_unit);
            metric.set_histogram(histogram);
        });
    }

    fn push(&mut self, name: &str, labels: &[(&str, &str)], fill: impl FnOnce(MetricKind, &mut Metric)) {
        let Some(((_, kind, declared, _), family)) = self.families.get_mut(name) else {
            debug_assert!(false, "{name} is not in the catalogue");
            return;
        };
        debug_assert!(
            labels
                .iter()
                .map(|(label, _)| *label)
                .eq(declared.iter().copied()),
            "{name} has other labels in the catalogue: {labels:?}"
        );
        let labels = labels.iter().map(|(label, text)| {
            let mut pair = LabelPair::default();
            pair.set_name((*label).to_owned());
            pair.set_value((*text).to_owned());
            pair
        });
        let mut metric = Metric::default();
        metric.set_label(labels.collect());
        fill(*kind, &mut metric);
        family.mut_metric().push(metric);
    }

    /// Returns the families that have a series, by name.
    pub(super) fn finish(self) -> Vec<MetricFamily> {
        let families = self.families.into_values().map(|(_, family)| family);
        families
            .filter(|family| !family.get_metric().is_empty())
            .collect()
    }
}

/// How many series a scrape may still have.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesBudget {
    left: usize,
    dropped: usize,
}

impl SeriesBudget {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            left: max,
            dropped: 0,
        }
    }

    /// Takes room for `count` series that belong together: all or none, so that no entity is half shown.
    pub(super) fn take(&mut self, count: usize) -> bool {
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.dropped = self.dropped.saturating_add(count);
                false
            }
        }
    }

    /// Returns how many series found no room.
    pub(super) const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Returns how many are left.
    pub(super) const fn left(&self) -> usize {
        self.left
    }
}

#[cfg(test)]
#[path = "page_test.rs"]
mod tests;
