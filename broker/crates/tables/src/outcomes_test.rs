use super::*;

fn members(set: Outcomes) -> Vec<Truth> {
    Truth::ALL.into_iter().filter(|truth| set.has(*truth)).collect()
}

fn of(truths: impl Iterator<Item = Truth>) -> Outcomes {
    truths.fold(Outcomes::NONE, |set, truth| set.union(Outcomes::only(truth)))
}

#[test]
fn operations_on_sets_are_those_on_every_member() {
    for left in (0..8).map(Outcomes) {
        assert_eq!(left.negated(), of(members(left).into_iter().map(Truth::negated)));
        for right in (0..8).map(Outcomes) {
            let pairs = || {
                members(left)
                    .into_iter()
                    .flat_map(|a| members(right).into_iter().map(move |b| (a, b)))
            };
            assert_eq!(
                left.and(right),
                of(pairs().map(|(a, b)| a.and(b))),
                "{left:?} AND {right:?}"
            );
            assert_eq!(
                left.or(right),
                of(pairs().map(|(a, b)| a.or(b))),
                "{left:?} OR {right:?}"
            );
        }
    }
}
