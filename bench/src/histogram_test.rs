use super::*;

#[test]
fn each_value_lies_in_its_place_and_the_place_is_narrow() {
    let mut values: Vec<u64> = (0..1_000).collect();
    for bits in 10..64 {
        let power = 1u64 << bits;
        values.extend([power - 1, power, power + power / 3]);
    }
    values.push(u64::MAX);
    for value in values {
        let upper = upper_end(place(value));
        assert!(
            upper >= value,
            "{value} lies above its place, which ends at {upper}"
        );
        assert!(
            upper - value <= value / STEPS,
            "the place of {value} is too wide: {upper}"
        );
    }
}

#[test]
fn places_rise_with_values() {
    let values: Vec<u64> = (0..20_000).map(|n: u64| n * n).collect();
    assert!(values.windows(2).all(|pair| place(pair[0]) <= place(pair[1])));
}

#[test]
fn percentiles_count_from_below() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.percentile(50.0), 0);
    for value in 1..=50 {
        histogram.note(value, 1);
    }
    histogram.note(1_000_000, 50);
    assert_eq!(histogram.total(), 100);
    assert_eq!(histogram.percentile(1.0), 1);
    assert_eq!(histogram.percentile(50.0), 50);
    assert_eq!(histogram.percentile(51.0), 1_000_000);
    assert_eq!(histogram.percentile(100.0), histogram.max());
}

#[test]
fn two_histograms_together_are_one_of_all_values() {
    let (mut all, mut one, mut other) = Default::default();
    let note = |histogram: &mut Histogram, value| histogram.note(value, 2);
    for value in [3, 1_000, 70_000] {
        note(&mut all, value);
        note(&mut one, value);
    }
    for value in [5, 900_000] {
        note(&mut all, value);
        note(&mut other, value);
    }
    one.add(&other);
    assert_eq!((one.total(), one.max()), (all.total(), all.max()));
    assert!(
        (0..=100).all(|percent| one.percentile(f64::from(percent)) == all.percentile(f64::from(percent)))
    );
}
