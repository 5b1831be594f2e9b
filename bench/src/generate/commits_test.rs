use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: CommitsOptions,
}

fn options(arguments: &[&str]) -> CommitsOptions {
    let fixed = ["x", "--bootstrap", "b:1", "--topic", "t"];
    Line::parse_from(fixed.iter().chain(arguments)).options
}

#[test]
fn each_group_is_on_one_connection() {
    let options = options(&["--seconds", "1", "--groups", "10", "--connections", "3"]);
    let mut all: Vec<u64> = (0..3)
        .flat_map(|connection| options.groups_of(connection))
        .collect();
    assert_eq!(options.groups_of(2).collect::<Vec<_>>(), [2, 5, 8]);
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
}

#[test]
fn the_last_offset_of_a_group_is_the_round_in_which_it_came_last() {
    // Seven commits round three groups: 1 1 1, 2 2 2, 3.
    let last: Vec<u64> = (0..3).map(|place| last_offset(7, place, 3)).collect();
    assert_eq!(last, [3, 2, 2]);
    assert_eq!(last_offset(3, 2, 3), 1);
}

#[test]
fn a_load_that_cannot_be_is_refused() {
    assert!(options(&["--seconds", "1"]).check().is_ok());
    for wrong in [
        ["--seconds=1", "--groups=0"],
        ["--seconds=1", "--connections=0"],
        ["--seconds=1", "--pipelined=0"],
        ["--seconds=NaN", "--groups=100"],
        ["--seconds=1", "--groups=10"],
    ] {
        assert!(options(&wrong).check().is_err(), "{wrong:?}");
    }
}
