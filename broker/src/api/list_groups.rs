//! ListGroups (key 16), versions 0–5: every group of this broker.
//!
//! v3 flexible, v4 states (KIP-518), v5 types (KIP-848). Who may describe the cluster sees all groups, others those
//! that they may describe.

use std::sync::Arc;

use kafka_protocol::messages::list_groups_response::ListedGroup as WireGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use thalweg_coordinator::group::{GroupError, ListGroups, ListedGroup};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::groups::Asked;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: ListGroupsRequest = decode(&request)?;
    let list = ListGroups {
        states: body.states_filter.iter().map(ToString::to_string).collect(),
        types: body.types_filter.iter().map(ToString::to_string).collect(),
    };
    drop(body);
    let exchange = Exchange::new(context, request);
    let asked = exchange.context.groups.ask_lists(&list);
    let context = Arc::clone(&exchange.context);
    let connection = Arc::clone(&exchange.connection);
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let listed = match gather(asked).await {
            Ok(listed) => listed,
            Err(error) => return answer(charged, Vec::new(), error.error_code()),
        };
        let may = |resource: Resource<'_>| -> bool {
            context
                .authorizer
                .authorize(&connection, Operation::Describe, resource)
                .is_allowed()
        };
        let sees_all = may(Resource::CLUSTER);
        let visible = listed
            .into_iter()
            .filter(|group| sees_all || may(Resource::group(&group.group_id)));
        answer(charged, visible.collect(), ErrorCode::None)
    }))
}

/// Puts the shards' lists together. A shard that has moved away has no groups; one that is being loaded makes the
/// whole list incomplete, so the client asks again.
async fn gather(asked: Vec<Asked<ListGroups>>) -> Result<Vec<ListedGroup>, GroupError> {
    let mut listed = Vec::new();
    for shard in asked {
        match shard.wait().await.and_then(|reply| reply.outcome) {
            Ok(groups) => listed.extend(groups),
            Err(GroupError::NotCoordinator) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

fn answer(charged: Charged, listed: Vec<ListedGroup>, error: ErrorCode) -> Result<Response, ApiError> {
    // Fields of later versions are left out by the encoder.
    let groups = listed.into_iter().map(|group| {
        WireGroup::default()
            .with_group_id(text(group.group_id.as_str()).into())
            .with_protocol_type(text(group.protocol_type))
            .with_group_state(text(group.state.name()))
            .with_group_type(text(ListedGroup::GROUP_TYPE))
    });
    let response = ListGroupsResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code())
        .with_groups(groups.collect());
    charged.answer(&response, error)
}
