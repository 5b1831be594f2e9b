use super::*;

#[test]
fn a_value_falls_into_the_first_bucket_that_includes_it() {
    let histogram = Histogram::new(&[10, 20]);
    for value in [0, 10, 11, 20, 21, 1000] {
        histogram.observe(value);
    }
    let seen = histogram.snapshot();
    assert_eq!(seen.counts, [2, 2, 2]);
    assert_eq!((seen.count(), seen.sum), (6, 1062));
}

#[test]
fn the_tables_of_bounds_rise() {
    for bounds in [LATENCY_BOUNDS_NANOS, GROUP_BOUNDS_BYTES] {
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
    }
}

#[test]
fn nothing_is_lost_when_threads_observe_at_once() {
    let histogram = Histogram::new(LATENCY_BOUNDS_NANOS);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for value in 0..10_000 {
                    histogram.observe_duration(Duration::from_micros(value));
                }
            });
        }
    });
    let seen = histogram.snapshot();
    assert_eq!(seen.count(), 40_000);
    assert_eq!(seen.sum, 4 * 1000 * (0..10_000).sum::<u64>());
}
