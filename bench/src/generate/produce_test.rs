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
