use super::*;

#[test]
fn states_have_kafkas_numbers_and_names() {
    for (number, state) in TransactionState::ALL.into_iter().enumerate() {
        assert_eq!(usize::try_from(state.number()).unwrap(), number);
        assert_eq!(TransactionState::from_number(state.number()), Some(state));
        assert_eq!(TransactionState::KAFKA_NAMES[number], state.name());
    }
    assert_eq!(TransactionState::from_number(6), None);
    assert_eq!(TransactionState::from_number(-1), None);
}

#[test]
fn what_is_decided_can_only_be_done() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        for next in TransactionState::ALL {
            let may = outcome.prepare().may_become(next);
            assert_eq!(may, next == outcome.complete(), "{outcome:?} to {next}");
        }
        assert_eq!(outcome.prepare().prepared(), Some(outcome));
        assert_eq!(outcome.complete().prepared(), None);
    }
}

#[test]
fn a_level_from_the_future_is_the_newest_known() {
    for version in [
        TransactionVersion::V0,
        TransactionVersion::V1,
        TransactionVersion::V2,
    ] {
        assert_eq!(TransactionVersion::from_level(version.level()), version);
    }
    assert_eq!(TransactionVersion::from_level(9), TransactionVersion::V2);
    assert_eq!(TransactionVersion::from_level(-1), TransactionVersion::V0);
}
