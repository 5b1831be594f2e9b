use super::*;

const NODE: BrokerId = BrokerId(7);

fn new_topic(assignments: &[(i32, &[i32])]) -> Result<i32, ErrorCode> {
    check_new_topic(assignments.iter().copied(), NODE).map_err(|refusal| refusal.code)
}

#[test]
fn partitions_may_come_in_any_order_and_each_lies_on_this_broker() {
    assert_eq!(new_topic(&[(1, &[7]), (0, &[7]), (2, &[7])]), Ok(3));
}

#[test]
fn gaps_repeats_and_negative_partitions_are_refused() {
    for wrong in [
        &[(1, &[7][..])][..],
        &[(0, &[7]), (2, &[7])],
        &[(0, &[7]), (0, &[7])],
        &[(-1, &[7]), (0, &[7])],
        &[(i32::MAX, &[7])],
    ] {
        assert_eq!(
            new_topic(wrong),
            Err(ErrorCode::InvalidReplicaAssignment),
            "{wrong:?}"
        );
    }
}

#[test]
fn no_broker_another_broker_and_the_same_broker_twice_are_refused() {
    for brokers in [&[][..], &[8], &[7, 8], &[7, 7], &[-1]] {
        let refusal = check_replicas(0, brokers, NODE).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::InvalidReplicaAssignment, "{brokers:?}");
        assert!(refusal.message.contains("partition 0"), "{}", refusal.message);
    }
}

#[test]
fn added_partitions_need_as_many_assignments() {
    let code = |count: usize, present, wanted| {
        let assignments = vec![&[7][..]; count];
        check_added(assignments.into_iter(), present, wanted, NODE).map_err(|refusal| refusal.code)
    };
    assert_eq!(code(2, 1, 3), Ok(()));
    assert_eq!(code(1, 1, 3), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(code(3, 1, 3), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(
        code(1, i32::MAX, i32::MIN),
        Err(ErrorCode::InvalidReplicaAssignment)
    );
}
