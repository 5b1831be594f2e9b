use super::*;
use crate::group::testing::*;
use crate::group::{GenerationId, GroupEvent, GroupShard, InstanceId, MemberId};
use crate::record::MemberMetadata;
use bytes::Bytes;
use thalweg_types::{LeaderEpoch, PartitionIndex};

fn shard() -> GroupShard {
    GroupShard::new(config())
}

fn feed(shard: &mut GroupShard, key: &[u8], value: Option<&[u8]>) -> Result<Replayed, ReplayError> {
    shard.replay(key, value, Offset(77), TimestampMs(1))
}

fn member(member_id: &str, instance_id: Option<&str>) -> MemberMetadata {
    MemberMetadata {
        member_id: member_id.into(),
        instance_id: instance_id.map(InstanceId::from),
        client_id: "app".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: REBALANCE_MS,
        session_timeout_ms: SESSION_MS,
        subscription: subscription(&["events"]),
        assignment: Bytes::from_static(b"a"),
    }
}

fn value(members: Vec<MemberMetadata>) -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: "consumer".to_owned(),
        generation: GenerationId(9),
        protocol_name: Some("range".to_owned()),
        leader: Some("m-1".into()),
        state_timestamp: Some(TimestampMs(500)),
        members,
    }
}

#[test]
fn a_loaded_group_is_stable_with_its_members_and_assignments() {
    let mut shard = shard();
    let key = RecordKey::encode_group("orders");
    let stored = value(vec![member("m-1", None), member("m-2", Some("node-2"))]).encode();
    assert_eq!(feed(&mut shard, &key, Some(&stored)), Ok(Replayed::Group));
    let group = shard.group("orders").unwrap();
    assert_eq!(group.state(), GroupState::Stable);
    assert_eq!(group.generation(), GenerationId(9));
    assert_eq!(group.leader(), Some(&MemberId::from("m-1")));
    assert_eq!(group.member_count(), 2);
    assert!(group.is_subscribed_to("events"));
    assert_eq!(feed(&mut shard, &key, None), Ok(Replayed::Group));
    assert!(shard.group("orders").is_none());
}

#[test]
fn a_group_value_of_the_first_version_loads() {
    let mut shard = shard();
    let stored = crate::record::hex::bytes(
        "00000008636f6e73756d657200000003000572616e676500036d2d310000000200036d2d31000163000a2f3132372e302e302e310000afc800000003000102000000010900036d2d3200016400042f3a3a31000017700000000000000000",
    );
    assert_eq!(
        feed(&mut shard, &RecordKey::encode_group("orders"), Some(&stored)),
        Ok(Replayed::Group)
    );
    let group = shard.group("orders").unwrap();
    assert_eq!(group.state_timestamp(), None);
    assert_eq!(group.members().next().unwrap().rebalance_timeout_ms(), 45_000);
}

#[test]
fn offsets_survive_a_later_record_of_their_group() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    desk.stable("orders", 1);
    assert_eq!(
        desk.restart(config()).fetch("orders", "events", 0).offset,
        Offset(5)
    );
}

#[test]
fn offsets_that_outlive_the_record_of_their_group_are_kept() {
    let mut shard = shard();
    let group = RecordKey::encode_group("orders");
    let offset = RecordKey::encode_offset("orders", "events", PartitionIndex(0));
    let committed = OffsetCommitValue {
        offset: Offset(5),
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: String::new(),
        commit_timestamp: TimestampMs(1),
        expire_timestamp: None,
        topic_id: None,
    };
    feed(
        &mut shard,
        &group,
        Some(&value(vec![member("m-1", None)]).encode()),
    )
    .unwrap();
    feed(&mut shard, &offset, Some(&committed.encode())).unwrap();
    feed(&mut shard, &group, None).unwrap();
    let kept = shard.group("orders").unwrap();
    assert_eq!(
        (kept.state(), kept.protocol_type(), kept.offset_count()),
        (GroupState::Empty, None, 1)
    );
    feed(&mut shard, &offset, None).unwrap();
    assert!(shard.group("orders").is_none());
}

#[test]
fn tombstones_of_what_is_not_there_change_nothing() {
    let mut shard = shard();
    let offset = RecordKey::encode_offset("orders", "events", PartitionIndex(0));
    assert_eq!(feed(&mut shard, &offset, None), Ok(Replayed::Offset));
    assert_eq!(
        feed(&mut shard, &RecordKey::encode_group("orders"), None),
        Ok(Replayed::Group)
    );
    assert_eq!(shard.groups().count(), 0);
}

#[test]
fn records_of_other_kinds_are_skipped_and_counted() {
    let mut shard = shard();
    for version in [3u8, 4, 5, 6, 7, 8, 10, 16, 23, 99] {
        assert_eq!(
            feed(&mut shard, &[0, version, 0, 1, b'g'], Some(b"?")),
            Ok(Replayed::Skipped)
        );
    }
    assert_eq!(
        feed(&mut shard, &[0, 0, 0, 1], Some(&[0, 0, 0, 0, 0, 0])),
        Ok(Replayed::Skipped)
    );
    assert_eq!(shard.stats().records_skipped, 11);
    assert_eq!(shard.groups().count(), 0);
}

#[test]
fn a_broken_record_is_named_and_changes_nothing() {
    let mut shard = shard();
    let offset_key = RecordKey::encode_offset("orders", "events", PartitionIndex(0));
    let group_key = RecordKey::encode_group("orders");
    let cases = [
        (&b""[..], None, "key"),
        (&offset_key[..9], None, "key"),
        (&offset_key[..], Some(&[0u8, 9][..]), "offset commit value"),
        (&group_key[..], Some(&[0, 3, 0][..]), "group metadata value"),
    ];
    for (key, value, named) in cases {
        let Err(ReplayError::Malformed { offset, part, .. }) = feed(&mut shard, key, value) else {
            panic!("{key:?} was read");
        };
        assert_eq!((offset, part), (Offset(77), named));
    }
    assert_eq!(shard.groups().count(), 0);
}

#[test]
fn a_record_that_names_a_member_or_an_instance_twice_loads_it_once() {
    let mut shard = shard();
    let key = RecordKey::encode_group("orders");
    let members = vec![
        member("m-1", None),
        member("m-1", None),
        member("m-2", Some("node")),
        member("m-3", Some("node")),
    ];
    feed(&mut shard, &key, Some(&value(members).encode())).unwrap();
    let ids: Vec<_> = shard
        .group("orders")
        .unwrap()
        .members()
        .map(|member| member.member_id.to_string())
        .collect();
    assert_eq!(ids, ["m-1", "m-3"]);
    let _ = shard.loaded(TimestampMs(1));
    shard.check();
}

#[test]
fn a_leader_that_is_no_member_is_replaced() {
    let mut shard = shard();
    let stored = GroupMetadataValue {
        leader: Some("gone".into()),
        ..value(vec![member("m-2", None)])
    };
    feed(
        &mut shard,
        &RecordKey::encode_group("orders"),
        Some(&stored.encode()),
    )
    .unwrap();
    assert_eq!(
        shard.group("orders").unwrap().leader(),
        Some(&MemberId::from("m-2"))
    );
}

#[test]
fn an_unfinished_rebalance_is_forgotten_by_a_restart() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let generation = desk.generation("orders");
    desk.send(join("orders").member(&ids[0]));
    let mut desk = desk.restart(config());
    assert_eq!(
        (desk.state("orders"), desk.generation("orders")),
        (GroupState::Stable, generation)
    );
    assert_eq!(desk.beat("orders", &ids[1]), Ok(()));
    assert!(
        !desk
            .events
            .iter()
            .any(|event| matches!(event, GroupEvent::RebalanceStarted { .. }))
    );
}
