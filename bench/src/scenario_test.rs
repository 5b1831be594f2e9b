use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_unique_and_have_a_group() {
    let names: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), SCENARIOS.len());
    assert!(SCENARIOS.iter().all(|scenario| scenario.name.contains('.')));
}

#[test]
fn scenarios_are_chosen_by_group_and_by_a_part_of_the_name() {
    let names = |groups: &[&str], only| -> Vec<&str> {
        chosen(groups, only)
            .iter()
            .map(|scenario| scenario.name)
            .collect()
    };
    assert_eq!(names(&["fetch"], Some("cold")), ["fetch.cold"]);
    assert_eq!(names(&["start"], None), ["start.empty"]);
    assert!(names(&["fetch"], Some("produce")).is_empty());
}

#[test]
fn profiles_are_drawn_of_each_way_that_records_take_unless_others_are_asked_for() {
    let names = |only| -> Vec<&str> { profiled(only).iter().map(|scenario| scenario.name).collect() };
    assert_eq!(names(None), PROFILED);
    assert_eq!(
        names(Some("spread.100")),
        ["spread.100", "spread.1000", "spread.10000"]
    );
    assert_eq!(names(Some("txn.rate")), ["txn.rate"]);
    assert!(names(Some("start")).is_empty());
}

#[test]
fn a_quick_run_is_smaller_in_bytes_and_time() {
    let load = Produce::USUAL.over(10);
    let quick = Scale::Quick.produce(load);
    assert!(quick.records() * 8 == load.records() && quick.seconds_max < load.seconds_max);
}

#[test]
fn long_scenarios_are_repeated_less_often() {
    let rounds = |name| chosen(&["produce", "spread"], Some(name))[0].rounds_max().min(3);
    assert_eq!(
        (
            rounds("produce.1k-16k"),
            rounds("produce.100b-16k"),
            rounds("spread.10000")
        ),
        (3, 2, 1)
    );
}
