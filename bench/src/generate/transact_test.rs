use super::*;
use clap::Parser;
use std::collections::BTreeSet;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: TransactOptions,
}

fn options(arguments: &[&str]) -> TransactOptions {
    let fixed = ["x", "--bootstrap", "b:1", "--topic", "t", "--partitions", "8"];
    Line::parse_from(fixed.iter().chain(arguments)).options
}

#[test]
fn each_transaction_writes_to_as_many_partitions_as_asked_for_and_all_partitions_get_the_same() {
    let options = options(&["--records", "10", "--spread", "4"]);
    let mut counts = [0; 8];
    for number in 0..8 {
        let partitions: BTreeSet<i32> = (0..10).map(|index| options.partition(number, index)).collect();
        assert_eq!(partitions.len(), 4);
        for partition in partitions {
            counts[usize::try_from(partition).unwrap()] += 1;
        }
    }
    assert_eq!(counts, [4; 8]);
}

#[test]
fn every_tenth_transaction_is_aborted_and_none_unless_asked_for() {
    let tenth = options(&["--abort-every", "10"]);
    assert_eq!((0..100).filter(|number| tenth.is_aborted(*number)).count(), 10);
    assert!((0..100).all(|number| !options(&[]).is_aborted(number)));
}

#[test]
fn progress_is_the_further_of_transactions_and_time() {
    let both = options(&["--transactions", "100", "--seconds", "10"]);
    assert!((both.progress(50, Duration::from_secs(1)) - 0.5).abs() < 1e-9);
    assert!((both.progress(10, Duration::from_secs(9)) - 0.9).abs() < 1e-9);
}

#[test]
fn a_load_without_end_or_with_an_impossible_spread_is_refused() {
    assert!(options(&[]).check().is_err());
    let limited = |more: &[&str]| options(&[&["--seconds", "1"], more].concat()).check();
    assert!(limited(&[]).is_ok());
    assert!(limited(&["--spread", "9"]).is_err());
    assert!(limited(&["--spread", "4", "--records", "3"]).is_err());
    assert!(limited(&["--producers", "0"]).is_err());
}
