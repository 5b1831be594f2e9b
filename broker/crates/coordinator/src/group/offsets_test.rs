use super::*;
use crate::group::testing::*;
use crate::group::{GroupConfig, GroupReply, MemberId, OffsetFetchReply};

#[test]
fn a_consumer_that_assigns_its_own_partitions_commits_to_a_group_without_members() {
    let mut desk = Desk::new();
    assert_eq!(desk.commit(commit("orders", 5)), Ok(()));
    let group = desk.shard.group("orders").unwrap();
    assert_eq!(group.state(), GroupState::Empty);
    assert_eq!(group.protocol_type(), None);
    assert_eq!(
        desk.log.len(),
        1,
        "the offset makes the group; it needs no record of its own"
    );
    let fetched = desk.fetch("orders", "events", 0);
    assert_eq!(
        (fetched.offset, fetched.leader_epoch, fetched.error),
        (Offset(5), LeaderEpoch(3), None)
    );
    assert_eq!(
        desk.fetch("orders", "events", 1),
        FetchedOffset::none(PartitionIndex(1))
    );
    assert_eq!(
        desk.fetch("orders", "other", 0),
        FetchedOffset::none(PartitionIndex(0))
    );
}

#[test]
fn a_consumer_without_membership_cannot_commit_beside_live_members() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    assert_eq!(desk.commit(commit("orders", 5)), Err(GroupError::UnknownMemberId));
    desk.leave("orders", &id).unwrap();
    assert_eq!(desk.commit(commit("orders", 5)), Ok(()));
}

#[test]
fn a_commit_needs_the_member_and_its_generation() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    let generation = desk.generation("orders");
    assert_eq!(desk.commit(commit("orders", 5).by(&id, generation)), Ok(()));
    assert_eq!(
        desk.commit(commit("orders", 5).by(&id, generation - 1)),
        Err(GroupError::IllegalGeneration)
    );
    assert_eq!(
        desk.commit(commit("orders", 5).by(&id, -1)),
        Err(GroupError::IllegalGeneration)
    );
    let stranger = MemberId::from("stranger");
    assert_eq!(
        desk.commit(commit("orders", 5).by(&stranger, generation)),
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(
        desk.commit(commit("orders", 5).by(&MemberId::unknown(), generation)),
        Err(GroupError::UnknownMemberId)
    );
    desk.leave("orders", &id).unwrap();
    assert_eq!(
        desk.commit(commit("orders", 5).by(&id, generation)),
        Err(GroupError::UnknownMemberId)
    );
}

#[test]
fn a_generation_of_an_unknown_group_is_illegal_and_from_v9_not_found() {
    let mut desk = Desk::new();
    let request = commit("orders", 5).by(&"m".into(), 3);
    assert_eq!(desk.commit(request.clone()), Err(GroupError::IllegalGeneration));
    assert_eq!(
        desk.commit(OffsetCommit {
            api_version: 9,
            ..request
        }),
        Err(GroupError::GroupIdNotFound)
    );
    assert_eq!(desk.state("orders"), GroupState::Dead);
}

#[test]
fn commits_are_taken_while_members_join_but_not_while_they_wait_for_the_assignment() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let generation = desk.generation("orders");
    let token = desk.send(join("orders").member(&ids[0]));
    assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
    assert_eq!(desk.commit(commit("orders", 5).by(&ids[1], generation)), Ok(()));
    let other = desk.send(join("orders").member(&ids[1]));
    desk.joined(token);
    desk.joined(other);
    assert_eq!(
        desk.commit(commit("orders", 6).by(&ids[1], generation + 1)),
        Err(GroupError::RebalanceInProgress)
    );
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
}

#[test]
fn metadata_beyond_the_limit_refuses_its_partition_only() {
    let mut desk = Desk::new();
    let mut request = commit("orders", 5).metadata(&"x".repeat(4_097));
    request.topics[0].partitions.push(OffsetCommitPartition {
        partition: PartitionIndex(1),
        offset: Offset(6),
        leader_epoch: LeaderEpoch::UNKNOWN,
        metadata: Some("x".repeat(4_096)),
    });
    let GroupReply::OffsetCommit(reply) = desk.call(request) else {
        panic!("a commit")
    };
    let outcomes: Vec<_> = reply.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.outcome)
        .collect();
    assert_eq!(outcomes, [Err(GroupError::OffsetMetadataTooLarge), Ok(())]);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    assert_eq!(desk.fetch("orders", "events", 1).offset, Offset(6));
}

#[test]
fn metadata_is_counted_in_utf16_units() {
    assert!(!is_too_long(&"é".repeat(10), 10));
    assert!(is_too_long(&"😀".repeat(10), 19));
    assert!(!is_too_long(&"😀".repeat(10), 20));
    assert!(
        is_too_long(&"x".repeat(STRING_BYTES_MAX + 1), usize::MAX),
        "no record holds it"
    );
}

#[test]
fn an_offset_no_record_can_hold_is_refused() {
    let mut desk = Desk::with(GroupConfig {
        record_bytes_max: 1_024,
        ..config()
    });
    assert_eq!(
        desk.commit(commit("orders", 5).metadata(&"x".repeat(1_000))),
        Err(GroupError::OffsetMetadataTooLarge)
    );
    assert_eq!(
        desk.state("orders"),
        GroupState::Dead,
        "nothing was committed, so there is no group"
    );
    assert_eq!(
        desk.commit(commit("orders", 5).metadata(&"x".repeat(900))),
        Ok(())
    );
    let topic = "t".repeat(STRING_BYTES_MAX + 1);
    assert_eq!(
        desk.commit(commit("orders", 5).topic(&topic)),
        Err(GroupError::InvalidRequest)
    );
}

#[test]
fn the_last_commit_counts_and_older_offsets_may_be_committed() {
    let mut desk = Desk::new();
    for offset in [5, 100, 3] {
        assert_eq!(desk.commit(commit("orders", offset)), Ok(()));
        assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(offset));
    }
    assert_eq!(desk.shard.group("orders").unwrap().offset_count(), 1);
    assert_eq!(desk.shard.stats().offsets_committed, 3);
}

#[test]
fn a_fetch_of_everything_is_sorted_by_topic_and_partition() {
    let mut desk = Desk::new();
    for (topic, partition) in [("b", 1), ("a", 10), ("b", 0), ("a", 2)] {
        let mut request = commit("orders", i64::from(partition)).topic(topic);
        request.topics[0].partitions[0].partition = PartitionIndex(partition);
        assert_eq!(desk.commit(request), Ok(()));
    }
    let request = OffsetFetch {
        group_id: "orders".into(),
        topics: FetchTopics::All,
        stability: Stability::Stable,
    };
    let GroupReply::OffsetFetch(OffsetFetchReply {
        outcome: Ok(topics), ..
    }) = desk.call(request)
    else {
        panic!("a fetch");
    };
    let found: Vec<_> = topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .iter()
                .map(|fetched| (topic.topic.as_str(), fetched.partition.get()))
        })
        .collect();
    assert_eq!(found, [("a", 2), ("a", 10), ("b", 0), ("b", 1)]);
}

#[test]
fn a_commit_with_its_own_retention_is_stored_with_its_expiry_time() {
    let mut desk = Desk::new();
    let request = OffsetCommit {
        retention_time_ms: Some(5_000),
        api_version: 4,
        ..commit("orders", 5)
    };
    assert_eq!(desk.commit(request), Ok(()));
    let stored = desk.log.last().unwrap().value.clone().unwrap();
    assert_eq!(stored[..2], [0, 1], "only version 1 has room for it");
    let (_, _, committed) = desk.shard.group("orders").unwrap().offsets().next().unwrap();
    assert_eq!(committed.expire_timestamp, Some(TimestampMs(desk.now + 5_000)));
}

#[test]
fn offsets_of_topics_nobody_reads_are_deleted_and_stay_deleted() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5).topic("old")).unwrap();
    desk.commit(commit("orders", 5).topic("events")).unwrap();
    desk.stable("orders", 1);
    let request = OffsetDelete {
        group_id: "orders".into(),
        topics: vec![topic_partitions("events", &[0]), topic_partitions("old", &[0, 1])],
    };
    let GroupReply::OffsetDelete(reply) = desk.call(request) else {
        panic!("a deletion")
    };
    let topics = reply.outcome.unwrap();
    assert_eq!(
        topics[0].partitions[0].outcome,
        Err(GroupError::GroupSubscribedToTopic)
    );
    assert_eq!(topics[1].partitions[0].outcome, Ok(()));
    assert_eq!(
        topics[1].partitions[1].outcome,
        Ok(()),
        "deleting what is not there succeeds"
    );
    for desk in [&mut desk.restart(config()), &mut desk] {
        assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
        assert_eq!(desk.fetch("orders", "old", 0).offset, Offset::UNKNOWN);
    }
}

#[test]
fn offsets_of_a_live_group_that_is_no_consumer_group_are_not_deleted() {
    let mut desk = Desk::new();
    let connect = |group_id: &str| join(group_id).protocol_type("connect").version(3);
    desk.commit(commit("workers", 5)).unwrap();
    let token = desk.send(connect("workers"));
    let (id, _) = desk.joined(token);
    let request = OffsetDelete {
        group_id: "workers".into(),
        topics: vec![topic_partitions("events", &[0])],
    };
    let refused = OffsetDeleteReply {
        outcome: Err(GroupError::NonEmptyGroup),
    };
    assert_eq!(desk.call(request.clone()), GroupReply::OffsetDelete(refused));
    desk.leave("workers", &id).unwrap();
    let GroupReply::OffsetDelete(reply) = desk.call(request) else {
        panic!("a deletion")
    };
    assert_eq!(reply.outcome.unwrap()[0].partitions[0].outcome, Ok(()));
    assert_eq!(desk.fetch("workers", "events", 0).offset, Offset::UNKNOWN);
    let unknown = OffsetDelete {
        group_id: "nobody".into(),
        topics: Vec::new(),
    };
    let refused = OffsetDeleteReply {
        outcome: Err(GroupError::GroupIdNotFound),
    };
    assert_eq!(desk.call(unknown), GroupReply::OffsetDelete(refused));
}

#[test]
fn a_subscription_that_cannot_be_read_protects_every_topic() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    let garbage = crate::group::JoinProtocol {
        name: "range".to_owned(),
        metadata: vec![0, 0, 255].into(),
    };
    let token = desk.send(join("orders").version(3).protocols(vec![garbage]));
    desk.joined(token);
    let request = OffsetDelete {
        group_id: "orders".into(),
        topics: vec![topic_partitions("events", &[0])],
    };
    let GroupReply::OffsetDelete(reply) = desk.call(request) else {
        panic!("a deletion")
    };
    let outcome = reply.outcome.unwrap()[0].partitions[0].outcome;
    assert_eq!(outcome, Err(GroupError::GroupSubscribedToTopic));
}

#[test]
fn offsets_of_a_deleted_topic_go_from_every_group_subscribed_or_not() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    desk.commit(commit("orders", 5).topic("other")).unwrap();
    desk.stable("orders", 1);
    desk.commit(commit("simple", 5)).unwrap();
    desk.topics_deleted(&["events", "unknown"]);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    assert_eq!(desk.fetch("orders", "other", 0).offset, Offset(5));
    assert_eq!(desk.state("simple"), GroupState::Dead, "nothing was left of it");
    let mut restarted = desk.restart(config());
    assert_eq!(restarted.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    assert_eq!(desk.shard.stats().offsets_deleted, 2);
}

#[test]
fn a_partition_a_commit_repeats_is_written_once_with_its_last_offset() {
    let mut desk = Desk::new();
    let mut request = commit("orders", 5);
    let again = OffsetCommitPartition {
        offset: Offset(9),
        ..request.topics[0].partitions[0].clone()
    };
    request.topics[0].partitions.push(again);
    request.topics.push(request.topics[0].clone());
    let GroupReply::OffsetCommit(reply) = desk.call(request) else {
        panic!("a commit")
    };
    assert_eq!(
        reply
            .topics
            .iter()
            .map(|topic| topic.partitions.len())
            .sum::<usize>(),
        4
    );
    assert_eq!(desk.log.len(), 1);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(9));
}
