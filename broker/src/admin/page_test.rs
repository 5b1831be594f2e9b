use super::*;

const CATALOGUE: &[Declared] = &[
    ("thalweg_a", Kind::Gauge, "A."),
    ("thalweg_b_total", Kind::Counter, "B."),
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
fn a_budget_gives_all_or_nothing_and_counts_what_it_refused() {
    let mut budget = SeriesBudget::new(10);
    assert!(budget.take(7));
    assert!(!budget.take(4));
    assert!(budget.take(3));
    assert!(!budget.take(1));
    assert_eq!((budget.left(), budget.dropped()), (0, 5));
}
