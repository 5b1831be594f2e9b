//! LeaveGroup (key 13), versions 0–5: a member leaves, or an administrator removes some.
//!
//! v0–2 one member, whose error is that of the response; v3 many members, each with its own (KIP-345); v4 flexible;
//! v5 reason.
//!
//! Left out: the reason of v5 is not kept.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use thalweg_coordinator::group::{GroupError, GroupId, LeaveGroup, LeaveGroupReply, LeavingMember, MemberId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

/// First version with a list of members.
const MEMBERS_SINCE: i16 = 3;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: LeaveGroupRequest = decode(&request)?;
    let leave = leave(&body, request.header.api_version);
    drop(body);
    let exchange = Exchange::new(context, request);
    if !exchange.may(Operation::Read, Resource::group(&leave.group_id)) {
        return Ok(refused(exchange.charged(), ErrorCode::GroupAuthorizationFailed)?.into());
    }
    let asked = exchange.context.groups.ask(leave).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(refused(charged, error.error_code())?.into()),
        Ok(asked) => Ok(Reply::later(async move { answer(charged, asked.wait().await) })),
    }
}

fn leave(body: &LeaveGroupRequest, version: i16) -> LeaveGroup {
    let members = if version >= MEMBERS_SINCE {
        let members = body.members.iter().map(|member| LeavingMember {
            member_id: MemberId::from(member.member_id.as_str()),
            instance_id: member.group_instance_id.as_ref().map(|id| id.as_str().into()),
        });
        members.collect()
    } else {
        vec![LeavingMember {
            member_id: MemberId::from(body.member_id.as_str()),
            instance_id: None,
        }]
    };
    LeaveGroup {
        group_id: GroupId::from(body.group_id.as_str()),
        members,
    }
}

fn answer(charged: Charged, reply: Result<LeaveGroupReply, GroupError>) -> Result<Response, ApiError> {
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => return refused(charged, error.error_code()),
    };
    if charged.version() < MEMBERS_SINCE {
        let error = reply
            .first_error()
            .map_or(ErrorCode::None, |error| error.error_code());
        return refused(charged, error);
    }
    let members = match reply.outcome {
        Ok(members) => members,
        Err(error) => return refused(charged, error.error_code()),
    };
    let members = members.into_iter().map(|member| {
        MemberResponse::default()
            .with_member_id(text(member.member_id.as_str()))
            .with_group_instance_id(member.instance_id.map(|id| text(id.as_str())))
            .with_error_code(member.outcome.err().map_or(0, |error| error.error_code().code()))
    });
    let response = LeaveGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_members(members.collect());
    charged.answer(&response, ErrorCode::None)
}

/// The whole answer in one code, which below version 3 may be that of success.
fn refused(charged: Charged, error: ErrorCode) -> Result<Response, ApiError> {
    let response = LeaveGroupResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code());
    charged.answer(&response, error)
}
