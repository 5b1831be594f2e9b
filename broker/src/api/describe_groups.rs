//! DescribeGroups (key 15), versions 0–6: members and state of groups.
//!
//! v3 authorized operations (KIP-430), v4 static members, v5 flexible, v6 GROUP_ID_NOT_FOUND with a text (KIP-1043);
//! before it an unknown group is one in state `Dead`.

use std::sync::Arc;

use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
use thalweg_coordinator::group::{DescribeGroup, DescribeGroupReply, GroupId, GroupState};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};
use crate::groups::Asked;

/// First version with authorized operations.
const OPERATIONS_SINCE: i16 = 3;
/// First version with an error text.
const MESSAGE_SINCE: i16 = 6;

/// One group of the request on its way.
struct AskedGroup {
    group_id: GroupId,
    /// KIP-430; `None` = not asked for.
    operations: Option<i32>,
    progress: Result<Asked<DescribeGroup>, ErrorCode>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeGroupsRequest = decode(&request)?;
    let group_ids: Vec<GroupId> = body.groups.iter().map(|id| GroupId::from(id.as_str())).collect();
    let wants_operations = body.include_authorized_operations;
    drop(body);
    let exchange = Exchange::new(context, request);
    let mut asked = Vec::with_capacity(group_ids.len());
    for group_id in group_ids {
        asked.push(ask(&exchange, group_id, wants_operations).await);
    }
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let version = charged.version();
        let mut groups = Vec::with_capacity(asked.len());
        for group in asked {
            let described = match group.progress {
                Ok(asked) => asked.wait().await.map_err(|error| error.error_code()),
                Err(error) => Err(error),
            };
            let mut described = match described {
                Ok(reply) => described_group(reply, version),
                Err(error) => refused(&group.group_id, error, version),
            };
            if version >= OPERATIONS_SINCE
                && let Some(operations) = group.operations
                && described.error_code == 0
            {
                described.authorized_operations = operations;
            }
            groups.push(described);
        }
        let error = groups
            .iter()
            .map(|group| group.error_code)
            .find(|code| *code != 0);
        let error = error.and_then(ErrorCode::from_code).unwrap_or(ErrorCode::None);
        let response = DescribeGroupsResponse::default()
            .with_throttle_time_ms(charged.throttle_ms())
            .with_groups(groups);
        charged.answer(&response, error)
    }))
}

async fn ask(exchange: &Exchange, group_id: GroupId, wants_operations: bool) -> AskedGroup {
    let resource = Resource::group(&group_id);
    if !exchange.may(Operation::Describe, resource) {
        let progress = Err(ErrorCode::GroupAuthorizationFailed);
        return AskedGroup {
            group_id,
            operations: None,
            progress,
        };
    }
    let authorizer = &exchange.context.authorizer;
    let operations =
        wants_operations.then(|| authorizer.authorized_operations(&exchange.connection, resource));
    let describe = DescribeGroup {
        api_version: exchange.version(),
        group_id: group_id.clone(),
    };
    let progress = exchange
        .context
        .groups
        .ask(describe)
        .await
        .map_err(|error| error.error_code());
    AskedGroup {
        group_id,
        operations,
        progress,
    }
}

fn described_group(reply: DescribeGroupReply, version: i16) -> DescribedGroup {
    let members = reply.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.member_id.as_str()))
            .with_group_instance_id(member.instance_id.map(|id| text(id.as_str())))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    let mut described = DescribedGroup::default()
        .with_group_id(text(reply.group_id.as_str()).into())
        .with_group_state(text(reply.state.name()))
        .with_protocol_type(text(reply.protocol_type))
        .with_protocol_data(text(reply.protocol_name))
        .with_members(members.collect());
    if let Some(error) = reply.error {
        described.error_code = error.error_code().code();
        described.error_message = (version >= MESSAGE_SINCE).then(|| text(error.to_string()));
    }
    described
}

fn refused(group_id: &GroupId, error: ErrorCode, version: i16) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(text(group_id.as_str()).into())
        .with_group_state(text(GroupState::Dead.name()))
        .with_error_code(error.code())
        .with_error_message((version >= MESSAGE_SINCE).then(|| text(error.message())))
}
