use super::*;
use crate::group::testing::*;
use crate::group::{GenerationId, GroupConfig, JoinGroup, LeaveGroup, LeavingMember, ReplyToken};

/// A stable group of one static member.
fn stable_static(desk: &mut Desk) -> MemberId {
    desk.add("orders", join("orders").instance("node-1"))
}

#[test]
fn a_static_member_comes_back_under_a_new_id_without_a_rebalance() {
    let mut desk = Desk::new();
    let leader = desk.stable("orders", 1).remove(0);
    let old = stable_static(&mut desk);
    let generation = desk.generation("orders");
    let records = desk.log.len();

    let token = desk.send(join("orders").instance("node-1"));
    let (new, told) = desk.joined(token);
    assert_ne!(new, old);
    assert_eq!(told.generation.get(), generation);
    assert_eq!(told.leader, leader);
    assert!(told.members.is_empty());
    assert_eq!(desk.state("orders"), GroupState::Stable);
    assert_eq!(desk.log.len(), records + 1, "the new id survives a restart");
    let restarted = desk.restart(config());
    assert!(restarted.members("orders").contains(&new));

    let token = desk.send(sync("orders", &new, told.generation).instance("node-1"));
    assert_eq!(
        desk.sync_reply(token).unwrap().unwrap().assignment,
        old.as_bytes(),
        "it keeps its assignment"
    );
    assert_eq!(desk.beat("orders", &new), Ok(()));
    assert_eq!(desk.beat("orders", &leader), Ok(()));
}

#[test]
fn requests_of_the_process_that_was_replaced_are_fenced() {
    let mut desk = Desk::new();
    let old = stable_static(&mut desk);
    let token = desk.send(join("orders").instance("node-1"));
    let (_, told) = desk.joined(token);

    let beat = crate::group::Heartbeat {
        instance_id: Some("node-1".into()),
        ..heartbeat("orders", &old, told.generation)
    };
    let expected = crate::group::HeartbeatReply {
        outcome: Err(GroupError::FencedInstanceId),
    };
    assert_eq!(desk.call(beat), crate::group::GroupReply::Heartbeat(expected));
    let token = desk.send(sync("orders", &old, told.generation).instance("node-1"));
    assert_eq!(desk.sync_reply(token), Some(Err(GroupError::FencedInstanceId)));
    assert_eq!(
        desk.refused_join(join("orders").member(&old).instance("node-1")),
        GroupError::FencedInstanceId
    );
    let mut commit = commit("orders", 1).by(&old, told.generation.get());
    commit.instance_id = Some("node-1".into());
    assert_eq!(desk.commit(commit), Err(GroupError::FencedInstanceId));
    let leaving = LeavingMember {
        member_id: old,
        instance_id: Some("node-1".into()),
    };
    let reply = desk.call(LeaveGroup {
        group_id: "orders".into(),
        members: vec![leaving],
    });
    match reply {
        crate::group::GroupReply::Leave(reply) => {
            assert_eq!(reply.first_error(), Some(GroupError::FencedInstanceId));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_instance_id_is_an_unknown_member() {
    let mut desk = Desk::new();
    let old = stable_static(&mut desk);
    let generation = GenerationId(desk.generation("orders"));
    let token = desk.send(sync("orders", &old, generation).instance("node-2"));
    assert_eq!(desk.sync_reply(token), Some(Err(GroupError::UnknownMemberId)));
}

#[test]
fn a_static_leader_that_comes_back_is_told_to_skip_the_assignment_from_v9() {
    let mut desk = Desk::new();
    let old = stable_static(&mut desk);
    let token = desk.send(join("orders").version(9).instance("node-1"));
    let (new, told) = desk.joined(token);
    assert_eq!(told.leader, new);
    assert!(told.skip_assignment);
    assert_eq!(told.members.len(), 1);
    assert_eq!(told.members[0].member_id, new);
    assert_ne!(new, old);
}

#[test]
fn a_static_leader_that_comes_back_before_v9_is_told_its_old_id_leads() {
    let mut desk = Desk::new();
    let old = stable_static(&mut desk);
    let token = desk.send(join("orders").version(8).instance("node-1"));
    let (new, told) = desk.joined(token);
    assert_ne!(new, old);
    assert_eq!(told.leader, old, "so that it does not assign");
    assert!(!told.skip_assignment && told.members.is_empty());
    assert_eq!(desk.shard.group("orders").unwrap().leader(), Some(&new));
}

#[test]
fn a_static_member_with_another_subscription_or_protocol_starts_a_rebalance() {
    for request in [
        join("orders")
            .instance("node-1")
            .protocols(vec![protocol("range", &["other"])]),
        join("orders").instance("node-1").protocols(vec![
            protocol("sticky", &["events"]),
            protocol("range", &["events"]),
        ]),
    ] {
        let mut desk = Desk::new();
        let first = join("orders").instance("node-1").protocols(vec![
            protocol("range", &["events"]),
            protocol("sticky", &["events"]),
        ]);
        desk.add("orders", first);
        let generation = desk.generation("orders");
        let token = desk.send(request);
        let (_, told) = desk.joined(token);
        assert_eq!(told.generation.get(), generation + 1);
        assert_eq!(desk.state("orders"), GroupState::CompletingRebalance);
    }
}

#[test]
fn metadata_beyond_the_topics_is_no_change_of_subscription() {
    let mut desk = Desk::new();
    stable_static(&mut desk);
    let mut metadata = subscription(&["events"]).to_vec();
    metadata.extend([1, 2, 3]);
    let protocols = vec![crate::group::JoinProtocol {
        name: "range".to_owned(),
        metadata: metadata.into(),
    }];
    let generation = desk.generation("orders");
    let token = desk.send(join("orders").instance("node-1").protocols(protocols));
    assert_eq!(desk.joined(token).1.generation.get(), generation);
    assert_eq!(desk.state("orders"), GroupState::Stable);
}

#[test]
fn a_static_member_that_comes_back_during_the_assignment_starts_over() {
    let mut desk = Desk::new();
    let leader = desk.stable("orders", 1).remove(0);
    let old_joins = desk.send(join("orders").instance("node-1"));
    let leader_joins = desk.send(join("orders").member(&leader));
    let (old, told) = desk.joined(old_joins);
    desk.joined(leader_joins);
    let old_syncs = desk.send(sync("orders", &old, told.generation).instance("node-1"));

    let new_joins = desk.send(join("orders").instance("node-1"));
    assert_eq!(
        desk.sync_reply(old_syncs),
        Some(Err(GroupError::FencedInstanceId))
    );
    assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
    let late = desk.send(sync("orders", &leader, told.generation).assign(&[leader.clone(), old]));
    assert_eq!(desk.sync_reply(late), Some(Err(GroupError::RebalanceInProgress)));
    let leader_joins = desk.send(join("orders").member(&leader));
    let (_, told) = desk.joined(new_joins);
    desk.joined(leader_joins);
    desk.sync_all("orders", told.generation, &leader);
}

#[test]
fn a_static_member_keeps_its_place_through_a_rebalance_it_misses() {
    let mut desk = Desk::new();
    let short = JoinGroup {
        rebalance_timeout_ms: 6_000,
        session_timeout_ms: 60_000,
        ..join("orders")
    };
    let leader = desk.pending("orders");
    desk.add(
        "orders",
        JoinGroup {
            member_id: leader.clone(),
            ..short.clone()
        },
    );
    let absent = desk.add(
        "orders",
        JoinGroup {
            instance_id: Some("node-1".into()),
            ..short.clone()
        },
    );
    // The leader's timeouts were replaced by those of its second join; give it short ones again.
    let token = desk.send(JoinGroup {
        member_id: leader.clone(),
        ..short
    });
    desk.advance(i64::from(REBALANCE_MS));
    let (_, told) = desk.joined(token);
    let members: Vec<_> = told
        .members
        .iter()
        .map(|member| member.member_id.clone())
        .collect();
    assert!(members.contains(&absent), "it is assigned to although it is away");
    desk.advance(120_000);
    assert_eq!(desk.state("orders"), GroupState::Empty, "until its session ends");
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut desk = Desk::new();
    let leader = desk.stable("orders", 1).remove(0);
    stable_static(&mut desk);
    let by_instance = |instance: &str| LeavingMember {
        member_id: MemberId::unknown(),
        instance_id: Some(instance.into()),
    };
    let members = vec![by_instance("node-1"), by_instance("node-2")];
    let reply = desk.call(LeaveGroup {
        group_id: "orders".into(),
        members,
    });
    match reply {
        crate::group::GroupReply::Leave(reply) => {
            let outcomes: Vec<_> = reply
                .outcome
                .unwrap()
                .iter()
                .map(|member| member.outcome)
                .collect();
            assert_eq!(outcomes, [Ok(()), Err(GroupError::UnknownMemberId)]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.members("orders"), std::slice::from_ref(&leader));
    assert_eq!(desk.beat("orders", &leader), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_static_member_that_would_make_the_stored_assignment_too_long_is_refused() {
    let mut desk = Desk::with(GroupConfig {
        record_bytes_max: 1_024,
        ..config()
    });
    let token = desk.send(join("orders").instance("node-1"));
    let (old, told) = desk.joined(token);
    let mut request = sync("orders", &old, told.generation);
    request.assignments = vec![crate::group::MemberAssignment {
        member_id: old.clone(),
        assignment: vec![0; 700].into(),
    }];
    let token: ReplyToken = desk.send(request);
    assert!(desk.sync_reply(token).unwrap().is_ok());
    let metadata = [subscription(&["events"]), vec![0; 300].into()].concat();
    let fat = vec![crate::group::JoinProtocol {
        name: "range".to_owned(),
        metadata: metadata.into(),
    }];
    let refused = desk.refused_join(join("orders").instance("node-1").protocols(fat));
    assert_eq!(refused, GroupError::GroupMaxSizeReached);
    assert_eq!(desk.members("orders"), [old]);
}

#[test]
fn a_static_member_whose_subscription_becomes_readable_starts_a_rebalance() {
    let mut desk = Desk::new();
    let garbage = vec![crate::group::JoinProtocol {
        name: "range".to_owned(),
        metadata: vec![1; 30].into(),
    }];
    desk.add(
        "orders",
        join("orders").instance("node-1").protocols(garbage.clone()),
    );
    let generation = desk.generation("orders");
    let token = desk.send(join("orders").instance("node-1").protocols(garbage));
    assert_eq!(
        desk.joined(token).1.generation.get(),
        generation,
        "still nothing to read"
    );
    let token = desk.send(
        join("orders")
            .instance("node-1")
            .protocols(vec![protocol("range", &[])]),
    );
    assert_eq!(desk.joined(token).1.generation.get(), generation + 1);
}

#[test]
fn a_static_member_that_owes_a_sync_still_owes_it_under_its_new_id() {
    let mut desk = Desk::new();
    let leader = desk.stable("orders", 1).remove(0);
    let member_joins = desk.send(join("orders").instance("node-1"));
    let leader_joins = desk.send(join("orders").member(&leader));
    let (_, told) = desk.joined(member_joins);
    desk.joined(leader_joins);
    let leader_syncs = desk.send(sync("orders", &leader, told.generation));
    assert!(desk.sync_reply(leader_syncs).unwrap().is_ok());
    let token = desk.send(join("orders").instance("node-1"));
    let (new, _) = desk.joined(token);
    for _ in 0..11 {
        desk.advance(5_000);
        assert_eq!(desk.beat("orders", &leader), Ok(()));
        assert_eq!(desk.beat("orders", &new), Ok(()), "it lives but never asks");
    }
    desk.advance(5_000);
    assert_eq!(desk.members("orders"), [leader]);
}
