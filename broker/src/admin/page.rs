//! Metric families while a scrape gathers them, with a bound on their series.
//!
//! Knows the Prometheus model and no value. A family must be in the catalogue it was made with.

use std::collections::BTreeMap;

use thalweg_telemetry::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// How a family is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
}

/// One family of the catalogue: name, kind, text.
pub(super) type Declared = (&'static str, Kind, &'static str);

/// The families of one scrape.
#[derive(Debug)]
pub(super) struct Page {
    families: BTreeMap<&'static str, (Kind, MetricFamily)>,
}

impl Page {
    pub(super) fn new(catalogue: &[&[Declared]]) -> Self {
        let declared = catalogue.iter().flat_map(|part| part.iter());
        let families = declared.map(|(name, kind, help)| {
            let mut family = MetricFamily::default();
            family.set_name((*name).to_owned());
            family.set_help((*help).to_owned());
            family.set_field_type(match kind {
                Kind::Gauge => MetricType::GAUGE,
                Kind::Counter => MetricType::COUNTER,
            });
            (*name, (*kind, family))
        });
        Self {
            families: families.collect(),
        }
    }

    /// Adds one series. Names that are not in the catalogue are a defect, which tests find.
    pub(super) fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let Some((kind, family)) = self.families.get_mut(name) else {
            debug_assert!(false, "{name} is not in the catalogue");
            return;
        };
        let labels = labels.iter().map(|(label, text)| {
            let mut pair = LabelPair::default();
            pair.set_name((*label).to_owned());
            pair.set_value((*text).to_owned());
            pair
        });
        let mut metric = Metric::default();
        metric.set_label(labels.collect());
        match kind {
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
        }
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
