//! DeleteGroups (key 42), versions 0–2: groups without members go, with their offsets (KIP-229).
//!
//! v2 flexible. Each group has its own result.

use std::sync::Arc;

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};
use thalweg_coordinator::group::{DeleteGroup, GroupId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};
use crate::groups::Asked;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DeleteGroupsRequest = decode(&request)?;
    let group_ids: Vec<GroupId> = body
        .groups_names
        .iter()
        .map(|id| GroupId::from(id.as_str()))
        .collect();
    drop(body);
    let exchange = Exchange::new(context, request);
    let mut asked = Vec::with_capacity(group_ids.len());
    for group_id in group_ids {
        let progress = ask(&exchange, &group_id).await;
        asked.push((group_id, progress));
    }
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let mut first_error = ErrorCode::None;
        let mut results = Vec::with_capacity(asked.len());
        for (group_id, progress) in asked {
            let error = match progress {
                Err(error) => error,
                Ok(asked) => match asked.wait().await.and_then(|reply| reply.outcome) {
                    Ok(()) => ErrorCode::None,
                    Err(error) => error.error_code(),
                },
            };
            if first_error == ErrorCode::None {
                first_error = error;
            }
            results.push(
                DeletableGroupResult::default()
                    .with_group_id(text(group_id.as_str()).into())
                    .with_error_code(error.code()),
            );
        }
        let response = DeleteGroupsResponse::default()
            .with_throttle_time_ms(charged.throttle_ms())
            .with_results(results);
        charged.answer(&response, first_error)
    }))
}

async fn ask(exchange: &Exchange, group_id: &GroupId) -> Result<Asked<DeleteGroup>, ErrorCode> {
    if !exchange.may(Operation::Delete, Resource::group(group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let delete = DeleteGroup {
        group_id: group_id.clone(),
    };
    exchange
        .context
        .groups
        .ask(delete)
        .await
        .map_err(|error| error.error_code())
}
