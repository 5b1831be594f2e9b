use super::*;

const CATALOGUE: &[Declared] = &[
    ("thalweg_a", MetricKind::Gauge, &["topic"], "A."),
    ("thalweg_b_total", MetricKind::Counter, &[], "B."),
    ("thalweg_c_seconds", MetricKind::Histogram, &[], "C."),
];

#[test]
fn families_without_series_are_left_out() {
    let mut page = Page::new(&[CATALOGUE]);
    page.add("thalweg_a", &[("topic", "x")], 1.5);
    page.add("thalweg_a", &[("topic", "y")], 2.0);
    let families = page.finish();
    assert_eq!(families.len(), 1);
    assert_eq!(families[0].get_metric().len(), 2);
    assert_eq!(families[0].get_metric()[0].get_label()[0].value(), "x");
}

#[test]
fn a_histogram_is_added_up_and_scaled() {
    let mut page = Page::new(&[CATALOGUE]);
    let seen = HistogramSnapshot {
        bounds: &[500, 2000],
        counts: vec![3, 0, 2],
        sum: 9000,
    };
    page.add_histogram("thalweg_c_seconds", &seen, 1000.0);
    let families = page.finish();
    let histogram = families[0].get_metric()[0].get_histogram();
    let buckets: Vec<(f64, u64)> = histogram
        .get_bucket()
        .iter()
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .collect();
    assert_eq!(buckets, [(0.5, 3), (2.0, 3)]);
    assert_eq!(
        (histogram.get_sample_count(), histogram.get_sample_sum()),
        (5, 9.0)
    );
}

#[test]
#[should_panic(expected = "other labels")]
fn a_series_with_other_labels_than_declared_is_found_in_tests() {
    Page::new(&[CATALOGUE]).add("thalweg_a", &[("group", "x")], 1.0);
}

#[test]
fn a_budget_gives_all_or_nothing_and_counts_what_it_refused() {
    let mut budget = SeriesBudget::new(10);
    assert!(budget.take(7));
    assert!(!budget.take(4));
    assert!(budget.take(3));
    assert!(!budget.take(1));
    assert_eq!((budget.left(), budget.dropped()), (0, 5));
}
