use bytes::Bytes;

use super::*;
use crate::group::testing::*;
use crate::group::{GenerationId, GroupEvent};

fn reasons(desk: &Desk) -> Vec<&RebalanceReason> {
    desk.events
        .iter()
        .filter_map(|event| match event {
            GroupEvent::RebalanceStarted { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}

#[test]
fn an_initial_delay_is_extended_by_each_new_member_up_to_the_rebalance_timeout() {
    let mut desk = Desk::with(GroupConfig::default());
    let request = || JoinGroup {
        rebalance_timeout_ms: 7_000,
        ..join("orders").version(3)
    };
    let first = desk.send(request());
    desk.advance(2_000);
    let second = desk.send(request());
    desk.advance(1_500);
    let third = desk.send(request());
    desk.advance(2_499);
    assert_eq!(desk.waiting.len(), 3, "the second wait is 3 s long");
    desk.advance(2);
    assert_eq!(desk.waiting.len(), 3, "the third wait is what is left of 7 s");
    desk.advance(999);
    for token in [first, second, third] {
        assert_eq!(desk.joined(token).1.generation, GenerationId(1));
    }
}

#[test]
fn an_initial_delay_without_another_member_ends_once() {
    let mut desk = Desk::with(GroupConfig::default());
    let token = desk.send(join("orders").version(3));
    desk.advance(2_999);
    assert_eq!(desk.join_reply(token), None);
    desk.advance(1);
    desk.joined(token);
}

#[test]
fn a_session_timeout_outside_the_bounds_is_refused() {
    let mut desk = Desk::new();
    for session_timeout_ms in [-1, 0, 5_999, 1_800_001, i32::MAX] {
        let request = JoinGroup {
            session_timeout_ms,
            ..join("orders")
        };
        assert_eq!(desk.refused_join(request), GroupError::InvalidSessionTimeout);
    }
    assert_eq!(desk.shard.groups().count(), 0);
    for session_timeout_ms in [6_000, 1_800_000] {
        let request = JoinGroup {
            session_timeout_ms,
            ..join("orders").version(3)
        };
        let token = desk.send(request);
        assert!(desk.waiting.contains(&token) || desk.join_reply(token).unwrap().outcome.is_ok());
    }
}

#[test]
fn another_protocol_type_or_no_common_protocol_is_inconsistent() {
    let mut desk = Desk::new();
    desk.stable("orders", 1);
    let refusals = [
        join("orders").protocol_type("connect"),
        join("orders").protocol_type(""),
        join("orders").protocols(vec![protocol("sticky", &["events"])]),
        join("orders").protocols(Vec::new()),
    ];
    for request in refusals {
        assert_eq!(desk.refused_join(request), GroupError::InconsistentGroupProtocol);
    }
    assert_eq!(desk.state("orders"), GroupState::Stable);
    let nothing = [join("new").protocol_type(""), join("new").protocols(Vec::new())];
    for request in nothing {
        assert_eq!(desk.refused_join(request), GroupError::InconsistentGroupProtocol);
    }
    assert_eq!(
        desk.state("new"),
        GroupState::Dead,
        "a refused first member makes no group"
    );
}

#[test]
fn an_empty_group_takes_another_protocol_type() {
    let mut desk = Desk::new();
    let member = desk.stable("orders", 1).remove(0);
    desk.leave("orders", &member).unwrap();
    assert_eq!(desk.state("orders"), GroupState::Empty);
    let token = desk.send(join("orders").version(3).protocol_type("connect"));
    assert_eq!(desk.joined(token).1.protocol_type.as_deref(), Some("connect"));
}

#[test]
fn the_protocol_most_members_prefer_is_chosen_among_those_all_support() {
    let mut desk = Desk::with(GroupConfig::default());
    let all = |names: &[&str]| names.iter().map(|name| protocol(name, &[])).collect::<Vec<_>>();
    let tokens = [
        desk.send(
            join("orders")
                .version(3)
                .protocols(all(&["only-mine", "range", "sticky"])),
        ),
        desk.send(join("orders").version(3).protocols(all(&["sticky", "range"]))),
        desk.send(join("orders").version(3).protocols(all(&["sticky", "range"]))),
    ];
    desk.advance(6_000);
    for token in tokens {
        assert_eq!(desk.joined(token).1.protocol_name.as_deref(), Some("sticky"));
    }
}

#[test]
fn a_member_with_an_id_of_no_group_is_unknown() {
    let mut desk = Desk::new();
    assert_eq!(
        desk.refused_join(join("orders").member(&"app-1".into())),
        GroupError::UnknownMemberId
    );
    assert_eq!(desk.shard.groups().count(), 0);
    desk.stable("orders", 1);
    assert_eq!(
        desk.refused_join(join("orders").member(&"app-1".into())),
        GroupError::UnknownMemberId
    );
    let id = desk.pending("orders");
    let with_instance = join("orders").member(&id).instance("node-1");
    assert_eq!(
        desk.refused_join(with_instance),
        GroupError::UnknownMemberId,
        "a pending id is not static"
    );
}

#[test]
fn a_full_group_refuses_new_members_and_keeps_the_old() {
    let mut desk = Desk::with(GroupConfig {
        group_size_max: 2,
        ..config()
    });
    let ids = desk.stable("orders", 2);
    assert_eq!(desk.refused_join(join("orders")), GroupError::GroupMaxSizeReached);
    assert_eq!(
        desk.refused_join(join("orders").instance("node-1")),
        GroupError::GroupMaxSizeReached
    );
    assert_eq!(desk.state("orders"), GroupState::Stable);
    let mut members = desk.members("orders");
    members.sort_by_key(|id| *id != ids[0]);
    assert_eq!(members, ids);
}

#[test]
fn a_group_loaded_above_its_limit_loses_the_last_ones_to_come_back() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 3);
    let mut desk = desk.restart(GroupConfig {
        group_size_max: 2,
        ..config()
    });
    assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
    assert_eq!(reasons(&desk), [&RebalanceReason::OverCapacity]);
    let first = desk.send(join("orders").member(&ids[0]));
    let second = desk.send(join("orders").member(&ids[1]));
    assert_eq!(
        desk.refused_join(join("orders").member(&ids[2])),
        GroupError::GroupMaxSizeReached
    );
    desk.joined(first);
    desk.joined(second);
    assert_eq!(desk.members("orders").len(), 2);
}

#[test]
fn a_pending_id_expires_after_its_session_timeout() {
    let mut desk = Desk::new();
    let id = desk.pending("orders");
    assert_eq!(desk.state("orders"), GroupState::Empty);
    desk.advance(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.state("orders"), GroupState::Empty);
    desk.advance(1);
    assert_eq!(desk.state("orders"), GroupState::Dead);
    assert_eq!(
        desk.refused_join(join("orders").member(&id)),
        GroupError::UnknownMemberId
    );
    assert!(desk.log.is_empty(), "handing out ids writes nothing");
}

#[test]
fn a_join_phase_waits_for_pending_ids_until_they_expire() {
    let mut desk = Desk::new();
    let first = desk.stable("orders", 1).remove(0);
    let pending = desk.pending("orders");
    let second = desk.pending("orders");
    let joins = [
        desk.send(join("orders").member(&second)),
        desk.send(join("orders").member(&first)),
    ];
    assert_eq!(desk.join_reply(joins[0]), None, "{pending} may still come");
    desk.advance(i64::from(SESSION_MS));
    for token in joins {
        desk.joined(token);
    }
}

#[test]
fn pending_ids_of_a_group_are_bounded() {
    let mut desk = Desk::with(GroupConfig {
        pending_members_max: 2,
        ..config()
    });
    let id = desk.pending("orders");
    desk.pending("orders");
    assert_eq!(desk.refused_join(join("orders")), GroupError::GroupMaxSizeReached);
    let token = desk.send(join("orders").member(&id));
    desk.joined(token);
    desk.pending("orders");
}

#[test]
fn member_metadata_beyond_the_limit_is_refused() {
    let mut desk = Desk::with(GroupConfig {
        member_metadata_bytes_max: 100,
        ..config()
    });
    let of = |bytes: usize| JoinProtocol {
        name: "range".to_owned(),
        metadata: vec![0; bytes].into(),
    };
    assert_eq!(
        desk.refused_join(join("orders").protocols(vec![of(96)])),
        GroupError::InvalidRequest
    );
    assert_eq!(
        desk.refused_join(join("orders").protocols(vec![of(45), of(46)])),
        GroupError::InvalidRequest
    );
    let token = desk.send(join("orders").version(3).protocols(vec![of(95)]));
    desk.joined(token);
    let long = "n".repeat(STRING_BYTES_MAX);
    assert_eq!(
        desk.refused_join(join("orders").instance(&long)),
        GroupError::InvalidRequest
    );
}

#[test]
fn a_member_that_would_make_the_record_too_long_is_refused() {
    let mut desk = Desk::with(GroupConfig {
        record_bytes_max: 1_024,
        ..config()
    });
    let fat = || {
        join("orders").version(3).protocols(vec![JoinProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from(vec![0; 500]),
        }])
    };
    let token = desk.send(fat());
    let (first, joined) = desk.joined(token);
    assert_eq!(desk.refused_join(fat()), GroupError::GroupMaxSizeReached);
    let grown = join("orders").member(&first).protocols(vec![JoinProtocol {
        name: "range".to_owned(),
        metadata: Bytes::from(vec![0; 1_000]),
    }]);
    assert_eq!(
        desk.refused_join(grown),
        GroupError::GroupMaxSizeReached,
        "nor may one grow that much"
    );
    desk.sync_all("orders", joined.generation, &first);
}

#[test]
fn a_long_client_id_is_shortened_in_the_member_id() {
    let mut desk = Desk::new();
    let client_id = "é".repeat(STRING_BYTES_MAX / 2);
    let client = ClientInfoOf(&client_id).into();
    let token = desk.send(JoinGroup {
        client,
        ..join("orders")
    });
    let id = desk.join_reply(token).unwrap().member_id;
    assert!(
        id.len() <= STRING_BYTES_MAX && id.len() > STRING_BYTES_MAX - 4,
        "{}",
        id.len()
    );
    assert_eq!(shortened("héllo", 2), "h");
    assert_eq!(shortened("héllo", 3), "hé");
    assert_eq!(shortened("h", 30), "h");
}

struct ClientInfoOf<'a>(&'a str);

impl From<ClientInfoOf<'_>> for crate::group::ClientInfo {
    fn from(client: ClientInfoOf<'_>) -> Self {
        Self {
            client_id: client.0.to_owned(),
            client_host: "/127.0.0.1".to_owned(),
        }
    }
}

#[test]
fn a_member_that_missed_its_reply_is_told_the_same_generation() {
    let mut desk = Desk::new();
    let id = desk.pending("orders");
    let token = desk.send(join("orders").member(&id));
    let told = desk.joined(token);
    let token = desk.send(join("orders").member(&id));
    assert_eq!(desk.joined(token), told);
    assert_eq!(desk.state("orders"), GroupState::CompletingRebalance);
}

#[test]
fn a_follower_that_joins_again_unchanged_starts_no_rebalance() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let generation = desk.generation("orders");
    let token = desk.send(join("orders").member(&ids[1]));
    let (_, told) = desk.joined(token);
    assert_eq!(told.generation.get(), generation);
    assert_eq!(told.leader, ids[0]);
    assert_eq!(desk.state("orders"), GroupState::Stable);
    let token = desk.send(sync("orders", &ids[1], told.generation));
    assert_eq!(
        desk.sync_reply(token).unwrap().unwrap().assignment,
        ids[1].as_bytes()
    );
}

#[test]
fn a_leader_that_joins_again_or_a_changed_member_starts_a_rebalance() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let requests = [
        (
            join("orders").member(&ids[0]),
            RebalanceReason::LeaderRejoined(ids[0].clone()),
        ),
        (
            join("orders")
                .member(&ids[1])
                .protocols(vec![protocol("range", &["other"])]),
            RebalanceReason::MemberChanged(ids[1].clone()),
        ),
    ];
    for (request, reason) in requests {
        let generation = desk.generation("orders");
        let token = desk.send(request.clone());
        assert_eq!(reasons(&desk).last(), Some(&&reason));
        assert_eq!(desk.state("orders"), GroupState::PreparingRebalance);
        let other = ids.iter().find(|id| **id != request.member_id).unwrap();
        let other = desk.send(join("orders").member(other));
        let (_, told) = desk.joined(token);
        let (_, _) = desk.joined(other);
        assert_eq!(told.generation.get(), generation + 1);
        desk.sync_all("orders", told.generation, &told.leader);
    }
}

#[test]
fn a_dynamic_member_that_does_not_join_again_in_time_is_out() {
    let mut desk = Desk::new();
    let ids = desk.stable("orders", 2);
    let token = desk.send(join("orders").member(&ids[1]));
    // Only the leader's own join would start a rebalance; a change of the follower does.
    desk.joined(token);
    let changed = join("orders")
        .member(&ids[1])
        .protocols(vec![protocol("range", &["other"])]);
    let token = desk.send(changed);
    for _ in 0..7 {
        desk.advance(8_500);
        let _ = desk.beat("orders", &ids[0]);
    }
    assert_eq!(desk.join_reply(token), None, "the old leader still beats");
    desk.advance(500);
    let (id, told) = desk.joined(token);
    assert_eq!(told.leader, id, "the lead falls to who is there");
    assert_eq!(told.members.len(), 1);
    assert_eq!(desk.beat("orders", &ids[0]), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_second_join_of_the_same_member_answers_the_first() {
    let mut desk = Desk::with(GroupConfig::default());
    let id = desk.pending("orders");
    let first = desk.send(join("orders").member(&id));
    let second = desk.send(join("orders").member(&id));
    let reply = desk.join_reply(first).unwrap();
    assert_eq!(reply.outcome, Err(GroupError::RebalanceInProgress));
    assert_eq!(reply.member_id, id, "it keeps its id");
    desk.advance(6_000);
    desk.joined(second);
}

#[test]
fn a_new_member_is_not_kept_waiting_for_ever() {
    let mut desk = Desk::new();
    let first = JoinGroup {
        rebalance_timeout_ms: i32::MAX,
        ..join("orders").version(3)
    };
    let token = desk.send(first);
    let (first, joined) = desk.joined(token);
    desk.sync_all("orders", joined.generation, &first);
    let second = desk.send(join("orders").version(3));
    for _ in 0..59 {
        desk.advance(5_000);
        let _ = desk.beat("orders", &first);
    }
    assert_eq!(desk.join_reply(second), None);
    desk.advance(5_000);
    assert_eq!(
        desk.join_reply(second).unwrap().outcome,
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(desk.members("orders"), [first]);
}

#[test]
fn an_id_source_that_repeats_itself_makes_no_two_members_one() {
    struct Stuck;
    impl IdSource for Stuck {
        fn random_bytes(&mut self) -> [u8; 16] {
            [7; 16]
        }
    }
    let mut desk = Desk::new();
    let now = thalweg_types::TimestampMs(desk.now);
    let mut answer = |token| {
        let step = desk
            .shard
            .step(now, &mut Stuck, join("orders").into(), ReplyToken(token));
        match step.replies.into_iter().next().unwrap().1 {
            crate::group::GroupReply::Join(reply) => reply.outcome.unwrap_err(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(answer(1), GroupError::MemberIdRequired);
    assert_eq!(answer(2), GroupError::CoordinatorNotAvailable);
}

#[test]
fn a_member_with_very_many_protocols_is_refused() {
    let mut desk = Desk::new();
    let empty = JoinProtocol {
        name: String::new(),
        metadata: Bytes::new(),
    };
    let many = |count: usize| join("orders").version(3).protocols(vec![empty.clone(); count]);
    assert_eq!(
        desk.refused_join(many(PROTOCOLS_MAX + 1)),
        GroupError::InvalidRequest
    );
    let token = desk.send(many(PROTOCOLS_MAX));
    desk.joined(token);
}
