//! SyncGroup (key 14), versions 0–5: the leader hands in the assignment, every member gets its part.
//!
//! v3 static members, v4 flexible, v5 protocol type and name, which then are mandatory. The answer comes when the
//! leader has assigned.

use std::sync::Arc;

use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use thalweg_coordinator::group::{
    GenerationId, GroupError, GroupId, MemberAssignment, MemberId, SyncGroup, SyncGroupReply,
};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::budget::MemoryBudget;
use crate::groups::keep;

/// First version with protocol type and name.
const PROTOCOL_TYPE_SINCE: i16 = 5;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: SyncGroupRequest = decode(&request)?;
    let sync = sync(&context.budget, &body);
    drop(body);
    let exchange = Exchange::new(context, request);
    let Some(sync) = sync else {
        return Ok(refused(exchange.charged(), ErrorCode::GroupMaxSizeReached)?.into());
    };
    if !exchange.may(Operation::Read, Resource::group(&sync.group_id)) {
        return Ok(refused(exchange.charged(), ErrorCode::GroupAuthorizationFailed)?.into());
    }
    if exchange.version() >= PROTOCOL_TYPE_SINCE
        && (sync.protocol_type.is_none() || sync.protocol_name.is_none())
    {
        return Ok(refused(exchange.charged(), ErrorCode::InconsistentGroupProtocol)?.into());
    }
    let asked = exchange.context.groups.ask(sync).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(refused(charged, error.error_code())?.into()),
        Ok(asked) => Ok(Reply::later(async move { answer(charged, asked.wait().await) })),
    }
}

/// Assignments outlive the request: they are copied, so that they do not hold the frame. `None` when groups may not
/// take more memory.
fn sync(budget: &MemoryBudget, body: &SyncGroupRequest) -> Option<SyncGroup> {
    let assignments = body.assignments.iter().map(|given| {
        let member_id = MemberId::from(given.member_id.as_str());
        Some(MemberAssignment {
            member_id,
            assignment: keep(budget, &given.assignment)?,
        })
    });
    Some(SyncGroup {
        group_id: GroupId::from(body.group_id.as_str()),
        generation: GenerationId(body.generation_id),
        member_id: MemberId::from(body.member_id.as_str()),
        instance_id: body.group_instance_id.as_ref().map(|id| id.as_str().into()),
        protocol_type: body.protocol_type.as_ref().map(ToString::to_string),
        protocol_name: body.protocol_name.as_ref().map(ToString::to_string),
        assignments: assignments.collect::<Option<_>>()?,
    })
}

fn answer(charged: Charged, reply: Result<SyncGroupReply, GroupError>) -> Result<Response, ApiError> {
    let synced = match reply.and_then(|reply| reply.outcome) {
        Ok(synced) => synced,
        Err(error) => return refused(charged, error.error_code()),
    };
    let mut response = SyncGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_assignment(synced.assignment);
    if charged.version() >= PROTOCOL_TYPE_SINCE {
        response.protocol_type = synced.protocol_type.map(text);
        response.protocol_name = synced.protocol_name.map(text);
    }
    charged.answer(&response, ErrorCode::None)
}

fn refused(charged: Charged, error: ErrorCode) -> Result<Response, ApiError> {
    let response = SyncGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code());
    charged.answer(&response, error)
}
