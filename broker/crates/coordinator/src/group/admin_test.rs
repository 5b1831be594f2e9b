use super::*;
use crate::group::testing::*;
use crate::group::{DeleteGroup, DeleteGroupReply, GenerationId, GroupReply, ListGroupsReply};
use thalweg_types::Offset;

fn describe(desk: &mut Desk, group_id: &str) -> DescribeGroupReply {
    match desk.call(DescribeGroup {
        api_version: 5,
        group_id: group_id.into(),
    }) {
        GroupReply::Describe(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn list(desk: &mut Desk, states: &[&str], types: &[&str]) -> Vec<String> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match desk.call(ListGroups {
        states: names(states),
        types: names(types),
    }) {
        GroupReply::List(ListGroupsReply { outcome: Ok(groups) }) => {
            groups.iter().map(|group| group.group_id.to_string()).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn delete(desk: &mut Desk, group_id: &str) -> Result<(), GroupError> {
    match desk.call(DeleteGroup {
        group_id: group_id.into(),
    }) {
        GroupReply::Delete(DeleteGroupReply { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_group_is_dead_and_from_v6_an_error() {
    let mut desk = Desk::new();
    for api_version in 0..=6 {
        let request = DescribeGroup {
            api_version,
            group_id: "nobody".into(),
        };
        let GroupReply::Describe(reply) = desk.call(request) else {
            panic!("a description")
        };
        assert_eq!(reply.state, GroupState::Dead);
        assert_eq!(
            reply.error,
            (api_version >= 6).then_some(GroupError::GroupIdNotFound)
        );
    }
}

#[test]
fn a_stable_group_is_described_with_its_protocol_and_assignments() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    let expected = DescribeGroupReply {
        error: None,
        group_id: "orders".into(),
        state: GroupState::Stable,
        protocol_type: "consumer".to_owned(),
        protocol_name: "range".to_owned(),
        members: vec![DescribedMember {
            member_id: id.clone(),
            instance_id: None,
            client_id: "app".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            metadata: subscription(&["events"]),
            assignment: Bytes::copy_from_slice(id.as_bytes()),
        }],
    };
    assert_eq!(describe(&mut desk, "orders"), expected);
    assert_eq!(
        describe(&mut desk.restart(config()), "orders"),
        expected,
        "also after a restart"
    );
}

#[test]
fn a_rebalancing_group_is_described_without_protocol_and_metadata() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    desk.send(join("orders").member(&ids[0]));
    let described = describe(&mut desk, "orders");
    assert_eq!(described.state, GroupState::PreparingRebalance);
    assert_eq!(described.protocol_name, "");
    assert_eq!(described.protocol_type, "consumer");
    assert_eq!(described.members.len(), 2);
    assert!(described.members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case_of_letters() {
    let mut desk = Desk::new();
    desk.stable("live", 1);
    desk.commit(commit("simple", 1)).unwrap();
    assert_eq!(list(&mut desk, &[], &[]), ["live", "simple"]);
    assert_eq!(list(&mut desk, &["Stable"], &[]), ["live"]);
    assert_eq!(list(&mut desk, &["stable", "EMPTY"], &[]), ["live", "simple"]);
    assert_eq!(list(&mut desk, &["Nonsense"], &[]), [""; 0]);
    assert_eq!(list(&mut desk, &[], &["classic"]), ["live", "simple"]);
    assert_eq!(list(&mut desk, &[], &["Consumer"]), [""; 0]);
    assert_eq!(list(&mut desk, &["empty"], &["Classic", "share"]), ["simple"]);
}

#[test]
fn only_an_empty_group_is_deleted_and_its_offsets_go_first() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    desk.commit(commit("orders", 5).by(&id, 1)).unwrap();
    assert_eq!(delete(&mut desk, "orders"), Err(GroupError::NonEmptyGroup));
    desk.leave("orders", &id).unwrap();
    let records = desk.log.len();
    assert_eq!(delete(&mut desk, "orders"), Ok(()));
    let written: Vec<_> = desk.log[records..]
        .iter()
        .map(|record| (record.key[1], record.value.is_some()))
        .collect();
    assert_eq!(written, [(1, false), (2, false)]);
    assert_eq!(delete(&mut desk, "orders"), Err(GroupError::GroupIdNotFound));
    let mut restarted = desk.restart(config());
    assert_eq!(restarted.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    assert_eq!(restarted.state("orders"), GroupState::Dead);
}

#[test]
fn deleting_a_group_somebody_is_about_to_join_takes_the_id_back() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    let pending = desk.pending("orders");
    assert_eq!(delete(&mut desk, "orders"), Ok(()));
    assert_eq!(
        desk.refused_join(join("orders").member(&pending)),
        GroupError::UnknownMemberId
    );
}

#[test]
fn a_deleted_group_starts_again_from_nothing() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    desk.leave("orders", &id).unwrap();
    assert_eq!(delete(&mut desk, "orders"), Ok(()));
    desk.stable("orders", 1);
    assert_eq!(desk.shard.group("orders").unwrap().generation(), GenerationId(1));
}

#[test]
fn a_summary_tells_what_metrics_need() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    desk.commit(commit("orders", 5).by(&id, 1)).unwrap();
    let group = desk.shard.group("orders").unwrap();
    assert_eq!(group.member_count(), 1);
    assert_eq!(group.protocol_name(), Some("range"));
    assert_eq!(group.leader(), Some(&id));
    assert!(group.is_subscribed_to("events") && !group.is_subscribed_to("other"));
    let member = group.members().next().unwrap();
    assert_eq!(member.assignment(), id.as_bytes());
    assert_eq!((member.client_id(), member.client_host()), ("app", "/127.0.0.1"));
    assert_eq!(
        (member.session_timeout_ms(), member.rebalance_timeout_ms()),
        (SESSION_MS, REBALANCE_MS)
    );
    let (topic, partition, committed) = group.offsets().next().unwrap();
    assert_eq!(
        (topic.as_str(), partition.get(), committed.offset),
        ("events", 0, Offset(5))
    );
    assert_eq!(committed.commit_timestamp.get(), desk.now);
    assert_eq!(group.state_timestamp().map(|time| time.get()), Some(desk.now));
    assert!(group.offset("events", partition).is_some());
}
