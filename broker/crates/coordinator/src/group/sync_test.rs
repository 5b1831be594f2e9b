use super::*;
use crate::group::testing::*;
use crate::group::{GenerationId, GroupConfig};

/// Two members of a generation that is not assigned yet: the leader, the follower.
fn completing(desk: &mut Desk) -> (MemberId, MemberId, GenerationId) {
    let ids = desk.stable("orders", 2);
    let tokens = [
        desk.send(join("orders").member(&ids[0])),
        desk.send(join("orders").member(&ids[1])),
    ];
    let (_, told) = desk.joined(tokens[0]);
    desk.joined(tokens[1]);
    assert_eq!(desk.state("orders"), GroupState::CompletingRebalance);
    (ids[0].clone(), ids[1].clone(), told.generation)
}

#[test]
fn followers_wait_for_the_leader_and_the_record_comes_with_the_replies() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let waits = desk.send(sync("orders", &follower, generation));
    assert_eq!(desk.sync_reply(waits), None);
    let records = desk.log.len();
    let leads = desk.send(sync("orders", &leader, generation).assign(&[leader.clone(), follower.clone()]));
    assert_eq!(desk.log.len(), records + 1);
    let to_follower = desk.sync_reply(waits).unwrap().unwrap();
    assert_eq!(to_follower.assignment, follower.as_bytes());
    assert_eq!(to_follower.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(to_follower.protocol_name.as_deref(), Some("range"));
    assert_eq!(
        desk.sync_reply(leads).unwrap().unwrap().assignment,
        leader.as_bytes()
    );
}

#[test]
fn a_member_the_leader_left_out_gets_an_empty_assignment() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let stranger = MemberId::from("stranger");
    let leads = desk.send(sync("orders", &leader, generation).assign(&[leader.clone(), stranger]));
    assert!(desk.sync_reply(leads).unwrap().is_ok());
    let late = desk.send(sync("orders", &follower, generation));
    assert!(desk.sync_reply(late).unwrap().unwrap().assignment.is_empty());
}

#[test]
fn assignments_of_a_follower_are_ignored() {
    let mut desk = Desk::new();
    let (_, follower, generation) = completing(&mut desk);
    let token = desk.send(sync("orders", &follower, generation).assign(std::slice::from_ref(&follower)));
    assert_eq!(desk.sync_reply(token), None);
    assert_eq!(desk.state("orders"), GroupState::CompletingRebalance);
}

#[test]
fn another_generation_is_illegal() {
    let mut desk = Desk::new();
    let (leader, _, generation) = completing(&mut desk);
    for other in [
        GenerationId(generation.get() - 1),
        generation.next(),
        GenerationId::NONE,
    ] {
        let token = desk.send(sync("orders", &leader, other));
        assert_eq!(desk.sync_reply(token), Some(Err(GroupError::IllegalGeneration)));
    }
}

#[test]
fn another_protocol_than_the_chosen_one_is_inconsistent() {
    let mut desk = Desk::new();
    let (leader, _, generation) = completing(&mut desk);
    let wrong_type = SyncGroup {
        protocol_type: Some("connect".to_owned()),
        ..sync("orders", &leader, generation)
    };
    let wrong_name = SyncGroup {
        protocol_name: Some("sticky".to_owned()),
        ..sync("orders", &leader, generation)
    };
    for request in [wrong_type, wrong_name] {
        let token = desk.send(request);
        assert_eq!(
            desk.sync_reply(token),
            Some(Err(GroupError::InconsistentGroupProtocol))
        );
    }
    let right = SyncGroup {
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        ..sync("orders", &leader, generation)
    };
    let token = desk.send(right);
    assert!(desk.sync_reply(token).unwrap().is_ok());
}

#[test]
fn a_sync_while_members_join_must_join_too() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    desk.send(join("orders").member(&ids[0]));
    let generation = GenerationId(desk.generation("orders"));
    let token = desk.send(sync("orders", &ids[1], generation));
    assert_eq!(desk.sync_reply(token), Some(Err(GroupError::RebalanceInProgress)));
}

#[test]
fn members_that_never_sync_are_out_after_the_rebalance_timeout() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let leads = desk.send(sync("orders", &leader, generation));
    assert!(desk.sync_reply(leads).unwrap().is_ok());
    for _ in 0..11 {
        desk.advance(5_000);
        assert_eq!(desk.beat("orders", &follower), Ok(()), "it lives but never asks");
        assert_eq!(desk.beat("orders", &leader), Ok(()));
    }
    desk.advance(5_000);
    assert_eq!(desk.beat("orders", &follower), Err(GroupError::UnknownMemberId));
    assert_eq!(desk.beat("orders", &leader), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_leader_that_never_syncs_is_out_and_who_waited_joins_again() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let waits = desk.send(sync("orders", &follower, generation));
    for _ in 0..11 {
        desk.advance(5_000);
        assert_eq!(desk.beat("orders", &leader), Ok(()));
    }
    desk.advance(5_000);
    assert_eq!(desk.sync_reply(waits), Some(Err(GroupError::RebalanceInProgress)));
    let token = desk.send(join("orders").member(&follower));
    let (_, told) = desk.joined(token);
    assert_eq!(told.leader, follower);
}

#[test]
fn a_second_sync_of_the_same_member_answers_the_first() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let first = desk.send(sync("orders", &follower, generation));
    let second = desk.send(sync("orders", &follower, generation));
    assert_eq!(desk.sync_reply(first), Some(Err(GroupError::RebalanceInProgress)));
    desk.send(sync("orders", &leader, generation).assign(std::slice::from_ref(&follower)));
    assert_eq!(
        desk.sync_reply(second).unwrap().unwrap().assignment,
        follower.as_bytes()
    );
}

#[test]
fn an_assignment_no_record_can_hold_is_refused_and_changes_nothing() {
    let mut desk = Desk::with(GroupConfig {
        record_bytes_max: 1_024,
        ..config()
    });
    let (leader, follower, generation) = completing(&mut desk);
    let waits = desk.send(sync("orders", &follower, generation));
    let records = desk.log.len();
    let assigning = |bytes: usize| SyncGroup {
        assignments: vec![MemberAssignment {
            member_id: follower.clone(),
            assignment: vec![1; bytes].into(),
        }],
        ..sync("orders", &leader, generation)
    };
    let token = desk.send(assigning(1_000));
    assert_eq!(desk.sync_reply(token), Some(Err(GroupError::GroupRecordTooLarge)));
    assert_eq!(desk.log.len(), records);
    assert_eq!(desk.state("orders"), GroupState::CompletingRebalance);
    assert_eq!(desk.sync_reply(waits), None);
    let token = desk.send(assigning(500));
    assert!(desk.sync_reply(token).unwrap().is_ok());
    assert_eq!(desk.sync_reply(waits).unwrap().unwrap().assignment.len(), 500);
}

#[test]
fn the_session_of_a_member_that_waits_for_the_leader_does_not_end() {
    let mut desk = Desk::new();
    let (leader, follower, generation) = completing(&mut desk);
    let waits = desk.send(sync("orders", &follower, generation));
    for _ in 0..5 {
        desk.advance(9_000);
        assert_eq!(desk.beat("orders", &leader), Ok(()));
    }
    desk.send(sync("orders", &leader, generation).assign(std::slice::from_ref(&follower)));
    assert!(desk.sync_reply(waits).unwrap().is_ok());
    desk.advance(9_999);
    assert_eq!(
        desk.beat("orders", &follower),
        Ok(()),
        "it starts again with the reply"
    );
}

#[test]
fn the_assignment_of_the_generation_before_takes_no_room() {
    let mut desk = Desk::with(GroupConfig {
        record_bytes_max: 1_024,
        ..config()
    });
    let (leader, follower, mut generation) = completing(&mut desk);
    for _ in 0..3 {
        let waits = desk.send(sync("orders", &follower, generation));
        let request = SyncGroup {
            assignments: vec![MemberAssignment {
                member_id: follower.clone(),
                assignment: vec![1; 500].into(),
            }],
            ..sync("orders", &leader, generation)
        };
        let token = desk.send(request);
        assert!(desk.sync_reply(token).unwrap().is_ok());
        assert!(desk.sync_reply(waits).unwrap().is_ok());
        let tokens = [
            desk.send(join("orders").member(&leader)),
            desk.send(join("orders").member(&follower)),
        ];
        generation = desk.joined(tokens[0]).1.generation;
        desk.joined(tokens[1]);
    }
}
