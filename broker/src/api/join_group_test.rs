use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest,
    OffsetDeleteRequest, SyncGroupRequest,
};

use super::super::testing::TestBroker;
use super::*;

fn request(group: &str, member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    JoinGroupRequest::default()
        .with_group_id(text(group).into())
        .with_session_timeout_ms(30_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_05_member_id_required_comes_from_version_4_on_only() {
    let broker = TestBroker::start();
    for version in 0..=9 {
        let group = format!("g{version}");
        let mut response = broker.call(version, &request(&group, "")).await;
        if version >= 4 {
            assert_eq!(
                response.error_code,
                ErrorCode::MemberIdRequired.code(),
                "v{version}"
            );
            assert_eq!(response.protocol_name.is_none(), version >= PROTOCOL_TYPE_SINCE);
            response = broker
                .call(version, &request(&group, response.member_id.as_str()))
                .await;
        }
        assert_eq!(
            (response.error_code, response.generation_id),
            (0, 1),
            "v{version}"
        );
        assert!(
            response.member_id.starts_with("test-"),
            "{}",
            response.member_id.as_str()
        );
        assert_eq!(response.leader, response.member_id);
        assert_eq!(
            response.protocol_name.as_ref().map(|name| name.as_str()),
            Some("range")
        );
        assert_eq!(response.protocol_type.is_some(), version >= PROTOCOL_TYPE_SINCE);
        assert_eq!(response.members[0].metadata, Bytes::from_static(b"subscription"));
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_lives_from_join_to_leave_in_the_oldest_and_newest_versions() {
    let broker = TestBroker::start();
    for [join, sync, heartbeat, leave, describe, list, delete] in [
        [0, 0, 0, 0, 0, 0, 0],
        [3, 3, 3, 2, 4, 3, 1],
        [9, 5, 4, 5, 6, 5, 2],
    ] {
        let group = format!("g{join}");
        let group_id = || kafka_protocol::messages::GroupId(text(group.as_str()));
        let mut joined = broker.call(join, &request(&group, "")).await;
        if joined.error_code != 0 {
            joined = broker
                .call(join, &request(&group, joined.member_id.as_str()))
                .await;
        }
        let member_id = joined.member_id;

        let given = SyncGroupRequestAssignment::default()
            .with_member_id(member_id.clone())
            .with_assignment(Bytes::from_static(b"all of it"));
        let mut request = SyncGroupRequest::default()
            .with_group_id(group_id())
            .with_generation_id(joined.generation_id)
            .with_member_id(member_id.clone())
            .with_assignments(vec![given]);
        if sync >= 5 {
            let refused = broker.call(sync, &request).await;
            assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol.code());
            request = request
                .with_protocol_type(Some(text("consumer")))
                .with_protocol_name(Some(text("range")));
        }
        let synced = broker.call(sync, &request).await;
        assert_eq!(
            (synced.error_code, synced.assignment),
            (0, Bytes::from_static(b"all of it"))
        );

        let mut beat = HeartbeatRequest::default()
            .with_group_id(group_id())
            .with_generation_id(joined.generation_id)
            .with_member_id(member_id.clone());
        assert_eq!(broker.call(heartbeat, &beat).await.error_code, 0);
        beat.generation_id += 1;
        let refused = broker.call(heartbeat, &beat).await;
        assert_eq!(refused.error_code, ErrorCode::IllegalGeneration.code());

        let request = DescribeGroupsRequest::default().with_groups(vec![group_id()]);
        let described = broker.call(describe, &request).await.groups.remove(0);
        assert_eq!(
            (described.error_code, described.group_state.as_str()),
            (0, "Stable")
        );
        assert_eq!(described.members[0].client_host.as_str(), "/127.0.0.1");
        let listed = broker.call(list, &ListGroupsRequest::default()).await;
        assert!(listed.groups.iter().any(|listed| listed.group_id == group_id()));

        let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id()]);
        let refused = broker.call(delete, &request).await;
        assert_eq!(refused.results[0].error_code, ErrorCode::NonEmptyGroup.code());

        let who = |id: &kafka_protocol::protocol::StrBytes| {
            let request = LeaveGroupRequest::default().with_group_id(group_id());
            if leave >= 3 {
                let member = MemberIdentity::default()
                    .with_member_id(id.clone())
                    .with_group_instance_id(None);
                request.with_members(vec![member])
            } else {
                request.with_member_id(id.clone())
            }
        };
        let gone = broker.call(leave, &who(&member_id)).await;
        assert_eq!(
            (
                gone.error_code,
                gone.members.first().map_or(0, |member| member.error_code)
            ),
            (0, 0)
        );
        let unknown = broker.call(leave, &who(&member_id)).await;
        // Below version 3 the member's error is that of the response.
        let codes = [
            unknown.error_code,
            unknown.members.first().map_or(0, |member| member.error_code),
        ];
        let expected = ErrorCode::UnknownMemberId.code();
        assert_eq!(
            codes,
            if leave < 3 { [expected, 0] } else { [0, expected] },
            "v{leave}"
        );
    }
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_group_is_dead_before_version_6_and_not_found_from_then_on() {
    let broker = TestBroker::start();
    let nobody = || kafka_protocol::messages::GroupId(text("nobody"));
    let not_found = ErrorCode::GroupIdNotFound.code();
    for version in 0..=6 {
        let mut request = DescribeGroupsRequest::default().with_groups(vec![nobody()]);
        request.include_authorized_operations = version >= 3;
        let described = broker.call(version, &request).await.groups.remove(0);
        assert_eq!(described.group_state.as_str(), "Dead");
        assert_eq!(
            described.error_code,
            if version >= 6 { not_found } else { 0 },
            "v{version}"
        );
        assert_eq!(described.error_message.is_some(), version >= 6);
        let has_operations = described.authorized_operations != i32::MIN;
        assert_eq!(has_operations, (3..6).contains(&version));
    }
    let request = DeleteGroupsRequest::default().with_groups_names(vec![nobody()]);
    assert_eq!(broker.call(2, &request).await.results[0].error_code, not_found);
    let request = OffsetDeleteRequest::default().with_group_id(nobody());
    assert_eq!(broker.call(0, &request).await.error_code, not_found);
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_groups_filters_by_state_and_type() {
    let broker = TestBroker::start();
    let _ = broker.call(3, &request("g", "")).await;
    for (states, types, count) in [
        (vec![], vec![], 1),
        (vec!["completingrebalance"], vec!["Classic"], 1),
        (vec!["Empty", "Stable"], vec![], 0),
        (vec![], vec!["consumer"], 0),
    ] {
        let filter = |names: Vec<&str>| names.into_iter().map(text).collect();
        let request = ListGroupsRequest::default()
            .with_states_filter(filter(states))
            .with_types_filter(filter(types));
        let listed = broker.call(5, &request).await;
        assert_eq!((listed.error_code, listed.groups.len()), (0, count));
        assert!(
            listed
                .groups
                .iter()
                .all(|group| group.group_type.as_str() == "classic")
        );
    }
    broker.running.stop().await;
}
