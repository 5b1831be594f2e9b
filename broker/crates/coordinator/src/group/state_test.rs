use super::GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
use super::*;

#[test]
fn the_moves_are_exactly_those_of_the_table() {
    let allowed = [
        (Empty, PreparingRebalance),
        (Empty, Dead),
        (PreparingRebalance, Empty),
        (PreparingRebalance, CompletingRebalance),
        (CompletingRebalance, PreparingRebalance),
        (CompletingRebalance, Stable),
        (Stable, PreparingRebalance),
    ];
    for from in GroupState::ALL {
        for to in GroupState::ALL {
            assert_eq!(
                from.may_become(to),
                allowed.contains(&(from, to)),
                "{from} to {to}"
            );
        }
    }
}

#[test]
fn names_are_kafkas() {
    let names: Vec<_> = GroupState::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Empty",
            "PreparingRebalance",
            "CompletingRebalance",
            "Stable",
            "Dead"
        ]
    );
}
