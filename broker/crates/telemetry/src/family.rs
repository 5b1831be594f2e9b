//! A metric with labels whose number of series is bounded.
//!
//! Label values often come from clients (topic names, client ids). Without a bound each new value costs
//! memory for ever and makes every scrape longer. A family takes new combinations up to its bound; past it,
//! observations of new combinations are dropped and counted in `thalweg_metrics_series_dropped_total`, known
//! ones go on.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::IntCounter;
use prometheus::core::{MetricVec, MetricVecBuilder};

/// Implemented by the library's vectors; lets [`Family`] be named by the vector it bounds.
pub trait SeriesVec: Clone {
    /// One series of the vector.
    type Series;

    /// Returns the series of these label values, making it if it is new; `None` if their number is wrong.
    fn series(&self, label_values: &[&str]) -> Option<Self::Series>;

    /// Forgets the series of these label values.
    fn forget(&self, label_values: &[&str]);
}

impl<B: MetricVecBuilder> SeriesVec for MetricVec<B> {
    type Series = B::M;

    fn series(&self, label_values: &[&str]) -> Option<B::M> {
        self.get_metric_with_label_values(label_values).ok()
    }

    fn forget(&self, label_values: &[&str]) {
        // The only error is "no such series", which is what the caller wants.
        let _ = self.remove_label_values(label_values);
    }
}

/// One combination of label values.
type LabelValues = Box<[Box<str>]>;

/// A bounded family; clones share it. `V` is one of the library's vectors, for example `IntCounterVec`.
#[derive(Clone, Debug)]
pub struct Family<V> {
    vec: V,
    known: Arc<RwLock<HashSet<LabelValues>>>,
    series_max: usize,
    dropped: IntCounter,
}

impl<V: SeriesVec> Family<V> {
    pub(crate) fn new(vec: V, series_max: usize, dropped: IntCounter) -> Self {
        Self {
            vec,
            known: Arc::default(),
            series_max,
            dropped,
        }
    }

    /// Returns the series of these label values, or `None` (counted) if it is new and the family is full.
    ///
    /// Costs a lock, a hash and small allocations: hot paths keep the returned series.
    #[must_use]
    pub fn with(&self, label_values: &[&str]) -> Option<V::Series> {
        let key: LabelValues = label_values.iter().map(|value| Box::from(*value)).collect();
        // A poisoned set is still a set: the holder can only have panicked between two complete states.
        if self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&key)
        {
            return self.vec.series(label_values);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.series_max && !known.contains(&key) {
            self.dropped.inc();
            return None;
        }
        // Made before it is remembered, under the lock: a wrong number of labels must not eat a place.
        let series = self.vec.series(label_values)?;
        known.insert(key);
        Some(series)
    }

    /// Removes a series, for example when its topic is deleted, and makes room for another.
    pub fn remove(&self, label_values: &[&str]) {
        let key: LabelValues = label_values.iter().map(|value| Box::from(*value)).collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.remove(&key) {
            self.vec.forget(label_values);
        }
    }

    /// Returns how many series exist now.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
