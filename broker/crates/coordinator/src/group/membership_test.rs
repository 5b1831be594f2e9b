use super::*;
use crate::group::testing::*;
use crate::group::{GenerationId, GroupConfig, GroupEvent, GroupReply, JoinGroup};

#[test]
fn heartbeats_keep_a_session_alive_and_silence_ends_it() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    for _ in 0..5 {
        desk.advance(i64::from(SESSION_MS) - 1);
        assert_eq!(desk.beat("orders", &id), Ok(()));
    }
    desk.advance(i64::from(SESSION_MS));
    assert_eq!(desk.state("orders"), GroupState::Empty);
    assert_eq!(desk.beat("orders", &id), Err(GroupError::UnknownMemberId));
    assert_eq!(desk.shard.stats().sessions_expired, 1);
    let cause = RemovalCause::SessionTimedOut;
    let expected = GroupEvent::MemberRemoved {
        group_id: "orders".into(),
        member_id: id,
        cause,
    };
    assert!(desk.events.contains(&expected));
}

#[test]
fn a_heartbeat_of_another_generation_is_illegal() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    let reply = desk.call(heartbeat("orders", &id, GenerationId(7)));
    assert_eq!(
        reply,
        GroupReply::Heartbeat(HeartbeatReply {
            outcome: Err(GroupError::IllegalGeneration)
        })
    );
    let reply = desk.call(heartbeat("nobody", &id, GenerationId(7)));
    assert_eq!(
        reply,
        GroupReply::Heartbeat(HeartbeatReply {
            outcome: Err(GroupError::UnknownMemberId)
        })
    );
}

#[test]
fn a_heartbeat_during_a_rebalance_says_so_and_counts() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    desk.send(join("orders").member(&ids[0]));
    for _ in 0..4 {
        desk.advance(9_000);
        assert_eq!(desk.beat("orders", &ids[1]), Err(GroupError::RebalanceInProgress));
    }
    assert_eq!(desk.members("orders").len(), 2);
}

#[test]
fn a_commit_keeps_a_session_alive() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    let generation = desk.generation("orders");
    for offset in 0..5 {
        desk.advance(9_000);
        assert_eq!(desk.commit(commit("orders", offset).by(&id, generation)), Ok(()));
    }
    assert_eq!(desk.beat("orders", &id), Ok(()));
}

#[test]
fn a_member_that_leaves_starts_a_rebalance_and_the_last_one_empties_the_group() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    assert_eq!(desk.leave("orders", &ids[0]), Ok(()));
    assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
    assert_eq!(desk.leave("orders", &ids[0]), Err(GroupError::UnknownMemberId));
    assert_eq!(desk.leave("orders", &ids[1]), Ok(()));
    assert_eq!(desk.state("orders"), GroupState::Empty);
    assert_eq!(desk.leave("nobody", &ids[1]), Err(GroupError::UnknownMemberId));
    let restarted = desk.restart(config());
    assert_eq!(restarted.state("orders"), GroupState::Empty);
    assert_eq!(restarted.generation("orders"), desk.generation("orders"));
}

#[test]
fn a_batch_of_leaving_members_starts_one_rebalance() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 3);
    let before = rebalances(&desk);
    let leaving = |id: &MemberId| LeavingMember {
        member_id: id.clone(),
        instance_id: None,
    };
    let members = vec![leaving(&ids[0]), leaving(&"stranger".into()), leaving(&ids[1])];
    let reply = desk.call(LeaveGroup {
        group_id: "orders".into(),
        members,
    });
    let GroupReply::Leave(reply) = reply else {
        panic!("{reply:?}")
    };
    let outcomes: Vec<_> = reply
        .outcome
        .unwrap()
        .iter()
        .map(|member| member.outcome)
        .collect();
    assert_eq!(outcomes, [Ok(()), Err(GroupError::UnknownMemberId), Ok(())]);
    assert_eq!(rebalances(&desk), before + 1);
    assert_eq!(desk.members("orders"), [ids[2].clone()]);
}

fn rebalances(desk: &Desk) -> usize {
    desk.events
        .iter()
        .filter(|event| matches!(event, GroupEvent::RebalanceStarted { .. }))
        .count()
}

#[test]
fn a_pending_id_that_leaves_disturbs_nobody_and_holds_up_nobody() {
    let mut desk = Desk::new();
    let first = desk.stable("orders", 1).remove(0);
    let pending = desk.pending("orders");
    assert_eq!(desk.leave("orders", &pending), Ok(()));
    assert_eq!(desk.state("orders"), GroupState::Stable);
    let pending = desk.pending("orders");
    let token = desk.send(join("orders").member(&first));
    assert_eq!(desk.join_reply(token), None);
    assert_eq!(desk.leave("orders", &pending), Ok(()));
    desk.joined(token);
}

#[test]
fn a_member_that_waits_and_is_removed_is_answered() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let waits = desk.send(join("orders").member(&ids[0]));
    assert_eq!(desk.leave("orders", &ids[0]), Ok(()));
    let reply = desk.join_reply(waits).unwrap();
    assert_eq!(reply.outcome, Err(GroupError::UnknownMemberId));
    assert!(reply.member_id.is_unknown());
}

#[test]
fn everybody_leaving_during_the_initial_delay_empties_the_group_at_once() {
    let mut desk = Desk::with(GroupConfig::default());
    let id = desk.pending("orders");
    let token = desk.send(join("orders").member(&id));
    assert_eq!(desk.leave("orders", &id), Ok(()));
    assert_eq!(
        desk.join_reply(token).unwrap().outcome,
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(desk.state("orders"), GroupState::Empty);
}

#[test]
fn a_closed_connection_removes_a_member_that_cannot_know_its_id() {
    let mut desk = Desk::with(GroupConfig::default());
    let token = desk.send(join("orders").version(3));
    desk.forget(token);
    assert_eq!(desk.state("orders"), GroupState::Empty);
    assert!(desk.waiting.is_empty());
}

#[test]
fn a_closed_connection_gives_a_member_with_an_id_its_session_timeout_to_come_back() {
    let mut desk = Desk::with(GroupConfig::default());
    let id = desk.pending("orders");
    let token = desk.send(join("orders").member(&id));
    desk.forget(token);
    assert_eq!(desk.members("orders"), std::slice::from_ref(&id));
    let token = desk.send(join("orders").member(&id));
    desk.advance(3_000);
    assert_eq!(desk.joined(token).0, id);
    let mut desk = Desk::with(GroupConfig {
        initial_rebalance_delay_ms: 60_000,
        ..config()
    });
    let id = desk.pending("orders");
    let token = desk.send(join("orders").member(&id));
    desk.forget(token);
    desk.advance(i64::from(SESSION_MS));
    assert_eq!(desk.state("orders"), GroupState::Empty);
}

#[test]
fn a_join_phase_waits_for_a_member_whose_connection_closed() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let lost = desk.send(join("orders").member(&ids[0]));
    desk.forget(lost);
    let other = desk.send(join("orders").member(&ids[1]));
    assert_eq!(
        desk.join_reply(other),
        None,
        "nobody tells a leader that is not there"
    );
    let back = desk.send(join("orders").member(&ids[0]));
    desk.joined(back);
    desk.joined(other);
}

#[test]
fn a_closed_connection_while_waiting_for_the_assignment_can_ask_again() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let tokens = [
        desk.send(join("orders").member(&ids[0])),
        desk.send(join("orders").member(&ids[1])),
    ];
    let (_, told) = desk.joined(tokens[0]);
    let waits = desk.send(sync("orders", &ids[1], told.generation));
    desk.forget(waits);
    desk.sync_all("orders", told.generation, &ids[0]);
}

#[test]
fn a_static_member_whose_connection_closed_before_its_first_reply_keeps_its_place() {
    let mut desk = Desk::with(GroupConfig::default());
    let token = desk.send(join("orders").instance("node-1"));
    desk.forget(token);
    assert_eq!(desk.members("orders").len(), 1);
    let token = desk.send(join("orders").instance("node-1"));
    desk.advance(6_000);
    desk.joined(token);
}

#[test]
fn a_loaded_member_has_its_session_timeout_to_show_that_it_lives() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let mut desk = desk.restart(config());
    assert_eq!(desk.state("orders"), GroupState::Stable);
    desk.advance(9_000);
    assert_eq!(desk.beat("orders", &ids[0]), Ok(()));
    desk.advance(1_000);
    assert_eq!(desk.members("orders"), [ids[0].clone()]);
    assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
}

#[test]
fn a_rebalance_timeout_of_zero_does_not_spin() {
    let mut desk = Desk::new();
    let request = JoinGroup {
        rebalance_timeout_ms: 0,
        ..join("orders").instance("node-1")
    };
    let token = desk.send(request.clone());
    let (id, told) = desk.joined(token);
    let token = desk.send(sync("orders", &id, told.generation));
    assert!(desk.sync_reply(token).unwrap().is_ok());
    let token = desk.send(JoinGroup {
        member_id: id,
        ..request.clone()
    });
    desk.joined(token);
    desk.advance(120_000);
    assert_eq!(desk.state("orders"), GroupState::Empty);
}
