//! JoinGroup (key 11), versions 0–9: a member asks for a place in the next generation of its group.
//!
//! v1 rebalance timeout, v4 MEMBER_ID_REQUIRED (KIP-394), v5 static members (KIP-345), v6 flexible, v7 protocol type,
//! v8 reason, v9 skip assignment (KIP-814). The answer comes when the generation is formed.
//!
//! Left out: the reason of v8 is not kept.

use std::sync::Arc;

use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use thalweg_coordinator::group::{
    ClientInfo, GroupError, GroupId, JoinGroup, JoinGroupReply, JoinProtocol, MemberId,
};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::budget::MemoryBudget;
use crate::groups::keep;

/// First version in which the protocol name may be null and the protocol type is there.
const PROTOCOL_TYPE_SINCE: i16 = 7;
/// First version with `skip_assignment`.
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: JoinGroupRequest = decode(&request)?;
    let join = join(&context.budget, &request, &body);
    let member_id = MemberId::from(body.member_id.as_str());
    drop(body);
    let exchange = Exchange::new(context, request);
    let Some(join) = join else {
        return Ok(refused(exchange.charged(), &member_id, ErrorCode::GroupMaxSizeReached)?.into());
    };
    if !exchange.may(Operation::Read, Resource::group(&join.group_id)) {
        return Ok(refused(
            exchange.charged(),
            &member_id,
            ErrorCode::GroupAuthorizationFailed,
        )?
        .into());
    }
    let asked = exchange.context.groups.ask(join).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(refused(charged, &member_id, error.error_code())?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            answer(charged, &member_id, asked.wait().await)
        })),
    }
}

/// The member's metadata outlives the request: it is copied, so that it does not hold the frame. `None` when groups
/// may not take more memory.
fn join(budget: &MemoryBudget, request: &Request, body: &JoinGroupRequest) -> Option<JoinGroup> {
    let protocols = body.protocols.iter().map(|protocol| {
        Some(JoinProtocol {
            name: protocol.name.to_string(),
            metadata: keep(budget, &protocol.metadata)?,
        })
    });
    Some(JoinGroup {
        api_version: request.header.api_version,
        group_id: GroupId::from(body.group_id.as_str()),
        client: ClientInfo {
            client_id: request.header.client_id.as_deref().unwrap_or_default().to_owned(),
            client_host: format!("/{}", request.connection.peer.ip().to_canonical()),
        },
        member_id: MemberId::from(body.member_id.as_str()),
        instance_id: body.group_instance_id.as_ref().map(|id| id.as_str().into()),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        protocol_type: body.protocol_type.to_string(),
        protocols: protocols.collect::<Option<_>>()?,
    })
}

fn answer(
    charged: Charged,
    asked_as: &MemberId,
    reply: Result<JoinGroupReply, GroupError>,
) -> Result<Response, ApiError> {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => return refused(charged, asked_as, error.error_code()),
    };
    let joined = match reply.outcome {
        Ok(joined) => joined,
        Err(error) => return refused(charged, &reply.member_id, error.error_code()),
    };
    let version = charged.version();
    let members = joined.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id.as_str()))
            .with_group_instance_id(member.instance_id.map(|id| text(id.as_str())))
            .with_metadata(member.metadata)
    });
    let mut response = JoinGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_generation_id(joined.generation.get())
        .with_leader(text(joined.leader.as_str()))
        .with_member_id(text(reply.member_id.as_str()))
        .with_skip_assignment(joined.skip_assignment && version >= SKIP_ASSIGNMENT_SINCE)
        .with_members(members.collect());
    if version >= PROTOCOL_TYPE_SINCE {
        response.protocol_type = joined.protocol_type.map(text);
        response.protocol_name = joined.protocol_name.map(text);
    } else {
        response.protocol_name = Some(text(joined.protocol_name.unwrap_or_default()));
    }
    charged.answer(&response, ErrorCode::None)
}

fn refused(charged: Charged, member_id: &MemberId, error: ErrorCode) -> Result<Response, ApiError> {
    let mut response = JoinGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code())
        .with_generation_id(-1)
        .with_member_id(text(member_id.as_str()));
    response.protocol_name = (charged.version() < PROTOCOL_TYPE_SINCE).then(|| text(""));
    charged.answer(&response, error)
}

#[cfg(test)]
#[path = "join_group_test.rs"]
mod tests;
