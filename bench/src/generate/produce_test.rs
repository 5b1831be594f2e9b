use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: ProduceOptions,
}

fn options(arguments: &[&str]) -> ProduceOptions {
    let fixed = ["x", "--bootstrap", "b:1", "--topics", "t"];
    Line::parse_from(fixed.iter().chain(arguments)).options
}

#[test]
fn progress_is_the_further_of_records_and_time() {
    let both = options(&["--records", "100", "--seconds", "10"]);
    assert!((both.progress(50, Duration::from_secs(1)) - 0.5).abs() < 1e-9);
    assert!((both.progress(10, Duration::from_secs(9)) - 0.9).abs() < 1e-9);
    let by_time = options(&["--seconds", "2"]);
    assert!(by_time.progress(1_000_000, Duration::from_secs(1)) < 1.0);
}

#[test]
fn a_load_without_end_is_refused() {
    assert!(run(&options(&[])).is_err());
}

#[test]
fn a_quarter_of_the_keys_comes_once_and_the_others_over_and_over() {
    let mut counts = std::collections::HashMap::new();
    for number in 0..4_000 {
        *counts.entry(key(number, 50)).or_insert(0) += 1;
    }
    let once = counts.iter().filter(|(key, _)| key.starts_with("once")).count();
    assert_eq!((once, counts.len()), (1_000, 1_050));
    assert!(counts.values().all(|count| *count < 200));
    assert_eq!(kept(4_000, 50), 1_050);
}

#[test]
fn hot_keys_that_never_came_are_not_kept() {
    assert_eq!(kept(4, 1_000_000), 4);
}
