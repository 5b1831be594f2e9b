use std::collections::HashSet;

use super::*;
use crate::group::testing::*;
use crate::group::{GroupState, MemberId};

impl GroupShard {
    /// Panics if groups, timers and parked requests disagree.
    pub(crate) fn check(&self) {
        assert_eq!(self.stats.impossible_moves, 0);
        let mut awaited = HashMap::new();
        let mut allowed: HashSet<TimerKey> = HashSet::new();
        let mut required: Vec<TimerKey> = Vec::new();
        for (group_id, group) in &self.groups {
            assert_eq!(group_id, &group.id);
            assert!(!group.is_vacant(), "{group_id} is vacant");
            group.check();
            if group.state == GroupState::Empty && !group.has_record {
                assert_eq!(
                    group.protocol_type, None,
                    "only a record makes {group_id} more than a store of offsets"
                );
            }
            for (member_id, member) in &group.members {
                let session = TimerKey::Session(group_id.clone(), member_id.clone());
                let tokens = [
                    (member.awaiting_join, Awaited::Join),
                    (member.awaiting_sync, Awaited::Sync),
                ];
                for (token, kind) in tokens {
                    if let Some(token) = token {
                        let parked = Parked {
                            group_id: group_id.clone(),
                            member_id: member_id.clone(),
                            awaited: kind,
                        };
                        assert_eq!(awaited.insert(token, parked), None, "one token, one member");
                    }
                }
                allowed.insert(session.clone());
                let waits = member.awaiting_join.is_some() || member.awaiting_sync.is_some();
                if !waits || member.knows != crate::group::member::Knows::Generation {
                    required.push(session);
                }
            }
            for member_id in &group.pending_join {
                required.push(TimerKey::Session(group_id.clone(), member_id.clone()));
            }
            if group.state == GroupState::PreparingRebalance {
                required.push(TimerKey::Join(group_id.clone()));
            }
            if !group.pending_sync.is_empty() {
                required.push(TimerKey::Sync(group_id.clone()));
            }
        }
        assert_eq!(
            awaited, self.parked,
            "parked requests are those that members wait for"
        );
        if self.phase == Phase::Active {
            required.push(TimerKey::Expiry);
            for key in &required {
                assert!(self.timers.is_scheduled(key), "{key:?} is not scheduled");
                allowed.insert(key.clone());
            }
            for key in self.timers.keys() {
                assert!(allowed.contains(key), "{key:?} belongs to nobody");
            }
        }
    }

    /// Panics unless the replica, fed with the records of this shard, holds the durable part of its state.
    pub(crate) fn check_durable(&self, replica: &GroupShard) {
        for (group_id, group) in &self.groups {
            let Some(replayed) = replica.groups.get(group_id) else {
                assert!(
                    !group.has_record && group.offsets.is_empty(),
                    "{group_id} is not durable"
                );
                continue;
            };
            assert_eq!(group.offsets, replayed.offsets, "offsets of {group_id}");
            assert_eq!(group.has_record, replayed.has_record, "record of {group_id}");
            let settled = matches!(group.state, GroupState::Empty | GroupState::Stable);
            if settled && group.has_record {
                assert_eq!(group.to_value(), replayed.to_value(), "{group_id}");
                assert_eq!(group.state, replayed.state, "state of {group_id}");
                assert_eq!(
                    group.subscribed, replayed.subscribed,
                    "subscription of {group_id}"
                );
                assert_eq!(
                    group.protocol_type, replayed.protocol_type,
                    "protocol type of {group_id}"
                );
            } else {
                assert!(
                    replayed.generation <= group.generation,
                    "generation of {group_id}"
                );
            }
        }
        for group_id in replica.groups.keys() {
            assert!(
                self.groups.contains_key(group_id),
                "{group_id} comes back from the log"
            );
        }
    }
}

fn every_request(group_id: &str) -> Vec<GroupRequest> {
    let member = MemberId::from("m");
    vec![
        join(group_id).into(),
        sync(group_id, &member, GenerationId(1)).into(),
        heartbeat(group_id, &member, GenerationId(1)).into(),
        LeaveGroup {
            group_id: group_id.into(),
            members: Vec::new(),
        }
        .into(),
        commit(group_id, 1).into(),
        OffsetFetch {
            group_id: group_id.into(),
            topics: crate::group::FetchTopics::All,
            stability: crate::group::Stability::Stable,
        }
        .into(),
        OffsetDelete {
            group_id: group_id.into(),
            topics: Vec::new(),
        }
        .into(),
        crate::group::DescribeGroup {
            group_id: group_id.into(),
            api_version: 5,
        }
        .into(),
        ListGroups::default().into(),
        DeleteGroup {
            group_id: group_id.into(),
        }
        .into(),
    ]
}

/// Reads the error of a reply, wherever it is.
fn error_of(reply: &GroupReply) -> Option<GroupError> {
    match reply {
        GroupReply::Join(reply) => reply.outcome.as_ref().err().copied(),
        GroupReply::Sync(reply) => reply.outcome.as_ref().err().copied(),
        GroupReply::Heartbeat(reply) => reply.outcome.err(),
        GroupReply::Leave(reply) => reply.first_error(),
        GroupReply::OffsetCommit(reply) => reply.topics[0].partitions[0].outcome.err(),
        GroupReply::OffsetFetch(reply) => reply.outcome.as_ref().err().copied(),
        GroupReply::OffsetDelete(reply) => reply.outcome.as_ref().err().copied(),
        GroupReply::Describe(reply) => reply.error,
        GroupReply::List(reply) => reply.outcome.as_ref().err().copied(),
        GroupReply::Delete(reply) => reply.outcome.err(),
    }
}

#[test]
fn a_shard_that_loads_asks_to_come_back_but_lets_hearts_beat() {
    let mut shard = GroupShard::new(config());
    for (index, request) in every_request("orders").into_iter().enumerate() {
        let token = ReplyToken(index as u64);
        let is_heartbeat = matches!(request, GroupRequest::Heartbeat(_));
        let step = shard.step(TimestampMs(0), &mut CountingIds::default(), request, token);
        assert_eq!(step.replies.len(), 1);
        assert_eq!(step.replies[0].0, token);
        let expected = if is_heartbeat {
            None
        } else {
            Some(GroupError::CoordinatorLoadInProgress)
        };
        assert_eq!(error_of(&step.replies[0].1), expected, "{:?}", step.replies[0].1);
        assert!(step.records.is_empty());
    }
    assert_eq!(shard.next_deadline(), None);
}

#[test]
fn an_unloaded_shard_answers_who_waits_and_sends_everybody_away() {
    let mut desk = Desk::with(GroupConfig::default());
    let first = desk.pending("orders");
    let waits = desk.send(join("orders").member(&first));
    let step = desk.shard.unload();
    assert_eq!(step.replies.len(), 1);
    assert_eq!(step.replies[0].0, waits);
    assert_eq!(error_of(&step.replies[0].1), Some(GroupError::NotCoordinator));
    assert_eq!(desk.shard.next_deadline(), None);
    assert_eq!(desk.shard.groups().count(), 0);
    for request in every_request("orders") {
        let step = desk.shard.step(
            TimestampMs(desk.now),
            &mut CountingIds::default(),
            request,
            ReplyToken(1_000),
        );
        assert_eq!(error_of(&step.replies[0].1), Some(GroupError::NotCoordinator));
    }
    assert!(desk.shard.forget(TimestampMs(desk.now), waits).is_empty());
}

#[test]
fn every_request_to_an_unknown_group_is_answered_and_leaves_no_group() {
    let mut desk = Desk::new();
    for request in every_request("orders") {
        match request {
            GroupRequest::Join(_) | GroupRequest::OffsetCommit(_) => continue,
            request => {
                desk.call(request);
            }
        }
        assert_eq!(desk.shard.groups().count(), 0);
    }
}

#[test]
fn an_empty_group_id_is_invalid_where_members_are_meant() {
    let mut desk = Desk::new();
    for request in every_request("") {
        let expected = match &request {
            GroupRequest::Join(_)
            | GroupRequest::Sync(_)
            | GroupRequest::Heartbeat(_)
            | GroupRequest::Leave(_)
            | GroupRequest::TxnOffsetCommit(_)
            | GroupRequest::OffsetDelete(_) => Some(GroupError::InvalidGroupId),
            // Old clients commit and fetch without a group.
            GroupRequest::OffsetCommit(_) | GroupRequest::OffsetFetch(_) | GroupRequest::Describe(_) => None,
            GroupRequest::List(_) | GroupRequest::Delete(_) => None,
        };
        let reply = desk.call(request);
        assert_eq!(error_of(&reply), expected, "{reply:?}");
    }
}

#[test]
fn a_group_beyond_the_limit_is_refused_and_known_ones_are_served() {
    let mut desk = Desk::with(GroupConfig {
        groups_max: 2,
        ..config()
    });
    assert_eq!(desk.commit(commit("a", 1)), Ok(()));
    desk.stable("b", 1);
    assert_eq!(desk.commit(commit("c", 1)), Err(GroupError::GroupsMaxReached));
    assert_eq!(desk.refused_join(join("c")), GroupError::GroupsMaxReached);
    assert_eq!(desk.commit(commit("a", 2)), Ok(()));
    assert_eq!(desk.shard.groups().count(), 2);
}

#[test]
fn a_group_id_that_no_record_can_hold_is_invalid() {
    let mut desk = Desk::new();
    let long = "g".repeat(STRING_BYTES_MAX + 1);
    assert_eq!(desk.refused_join(join(&long)), GroupError::InvalidGroupId);
    assert_eq!(desk.commit(commit(&long, 1)), Err(GroupError::InvalidGroupId));
    assert_eq!(desk.commit(commit(&long[1..], 1)), Ok(()));
}

#[test]
fn a_closed_connection_that_waits_for_nothing_is_ignored() {
    let mut desk = Desk::new();
    assert!(desk.shard.forget(TimestampMs(0), ReplyToken(99)).is_empty());
    assert_eq!(desk.shard.parked_count(), 0);
    desk.stable("orders", 1);
}

#[test]
fn topics_deleted_before_the_shard_is_loaded_change_nothing() {
    let mut shard = GroupShard::new(config());
    assert!(
        shard
            .topics_deleted(TimestampMs(0), &[TopicName::from("events")])
            .is_empty()
    );
}

#[path = "model_test.rs"]
mod model;

#[path = "random_test.rs"]
mod random;
