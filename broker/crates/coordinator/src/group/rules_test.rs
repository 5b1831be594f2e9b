//! The compatibility rules that other brokers broke, as far as they are about groups. Numbers are those of the list
//! of rules in the design notes.

use thalweg_types::{LeaderEpoch, Offset};

use super::testing::*;
use super::*;

#[test]
fn rule_02_offset_fetch_for_unknown_group_has_no_error() {
    let mut desk = Desk::new();
    let fetched = desk.fetch("nobody", "events", 0);
    assert_eq!(fetched.error, None);
    assert_eq!(fetched.offset, Offset::UNKNOWN);
    assert_eq!(fetched.leader_epoch, LeaderEpoch::UNKNOWN);
    assert_eq!(fetched.metadata, "");
    let all = OffsetFetch {
        group_id: "nobody".into(),
        topics: FetchTopics::All,
        stability: Stability::Stable,
    };
    let expected = OffsetFetchReply {
        group_id: "nobody".into(),
        outcome: Ok(Vec::new()),
    };
    assert_eq!(desk.call(all), GroupReply::OffsetFetch(expected));
}

#[test]
fn rule_03_join_group_v0_has_its_session_timeout_as_rebalance_timeout() {
    let mut desk = Desk::new();
    let request = JoinGroup {
        rebalance_timeout_ms: -1,
        ..join("orders").version(0)
    };
    let token = desk.send(request);
    desk.joined(token);
    let group = desk.shard.group("orders").unwrap();
    assert_eq!(group.members().next().unwrap().rebalance_timeout_ms(), SESSION_MS);
}

#[test]
fn rule_05_member_id_required_only_from_join_group_v4() {
    for api_version in 0..=9 {
        let mut desk = Desk::new();
        let token = desk.send(join("orders").version(api_version));
        let reply = desk.join_reply(token).unwrap();
        assert!(reply.member_id.starts_with("app-"), "{}", reply.member_id);
        if api_version >= 4 {
            assert_eq!(reply.outcome, Err(GroupError::MemberIdRequired));
            let token = desk.send(join("orders").version(api_version).member(&reply.member_id));
            assert_eq!(desk.joined(token).0, reply.member_id);
        } else {
            assert_eq!(reply.outcome.unwrap().leader, reply.member_id);
        }
    }
}

#[test]
fn rule_05_a_static_member_is_never_asked_to_come_back_with_an_id() {
    for api_version in 5..=9 {
        let mut desk = Desk::new();
        let token = desk.send(join("orders").version(api_version).instance("node-1"));
        let (member_id, _) = desk.joined(token);
        assert!(member_id.starts_with("node-1-"), "{member_id}");
    }
}

#[test]
fn rule_06_second_member_joining_does_not_lose_the_first() {
    let mut desk = Desk::new();
    let first = desk.stable("orders", 1).remove(0);
    let second = desk.pending("orders");
    let second_joins = desk.send(join("orders").member(&second));
    assert_eq!(desk.beat("orders", &first), Err(GroupError::RebalanceInProgress));
    assert_eq!(desk.join_reply(second_joins), None, "waits for the first");
    let first_joins = desk.send(join("orders").member(&first));

    let (_, told_first) = desk.joined(first_joins);
    let (_, told_second) = desk.joined(second_joins);
    assert_eq!(told_first.generation, told_second.generation);
    assert_eq!(told_first.leader, first, "the lead stays");
    assert_eq!(told_second.leader, first);
    let mut members: Vec<_> = told_first
        .members
        .iter()
        .map(|member| member.member_id.clone())
        .collect();
    members.sort();
    let mut both = vec![first.clone(), second];
    both.sort();
    assert_eq!(members, both);
    assert!(
        told_second.members.is_empty(),
        "only the leader is told of the members"
    );
    desk.sync_all("orders", told_first.generation, &first);
}

#[test]
fn rule_06_concurrent_first_joins_all_get_into_one_generation() {
    let mut desk = Desk::with(GroupConfig::default());
    let ids: Vec<_> = (0..5).map(|_| desk.pending("orders")).collect();
    let mut tokens: Vec<_> = ids
        .iter()
        .map(|id| desk.send(join("orders").member(id)))
        .collect();
    tokens.push(desk.send(join("orders").instance("node-1")));
    tokens.push(desk.send(join("orders").version(2)));
    desk.advance(2_999);
    assert_eq!(desk.waiting.len(), 7, "the group waits for more members");
    desk.advance(3_001);
    let joined: Vec<_> = tokens.into_iter().map(|token| desk.joined(token)).collect();
    let leaders: Vec<_> = joined.iter().filter(|(id, told)| told.leader == *id).collect();
    assert_eq!(leaders.len(), 1);
    assert_eq!(leaders[0].1.members.len(), 7);
    assert!(joined.iter().all(|(_, told)| told.generation == GenerationId(1)));
    desk.sync_all("orders", GenerationId(1), &leaders[0].0.clone());
}

#[test]
fn rule_06_a_static_id_joining_twice_at_once_keeps_the_newer_process() {
    let mut desk = Desk::with(GroupConfig::default());
    let older = desk.send(join("orders").instance("node-1"));
    let newer = desk.send(join("orders").instance("node-1"));
    let refused = desk.join_reply(older).unwrap();
    assert_eq!(refused.outcome, Err(GroupError::FencedInstanceId));
    desk.advance(3_000);
    let (member_id, joined) = desk.joined(newer);
    assert_eq!(joined.members.len(), 1);
    assert_ne!(member_id, refused.member_id);
}

#[test]
fn rule_19_commit_metadata_round_trips() {
    let mut desk = Desk::new();
    for metadata in ["", "a", "métadonnées ✓ 😀", &"x".repeat(4_096)] {
        assert_eq!(desk.commit(commit("orders", 42).metadata(metadata)), Ok(()));
        assert_eq!(desk.fetch("orders", "events", 0).metadata, metadata);
        let mut restarted = desk.restart(config());
        let fetched = restarted.fetch("orders", "events", 0);
        assert_eq!(fetched.metadata, metadata);
        assert_eq!(fetched.offset, Offset(42));
        assert_eq!(fetched.leader_epoch, LeaderEpoch(3));
    }
}
