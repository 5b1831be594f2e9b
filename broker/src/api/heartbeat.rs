//! Heartbeat (key 12), versions 0–4: a member says that it lives, and hears whether it must join again.
//!
//! v3 static members, v4 flexible.

use std::sync::Arc;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use thalweg_coordinator::group::{GenerationId, GroupId, Heartbeat, MemberId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: HeartbeatRequest = decode(&request)?;
    let heartbeat = Heartbeat {
        group_id: GroupId::from(body.group_id.as_str()),
        generation: GenerationId(body.generation_id),
        member_id: MemberId::from(body.member_id.as_str()),
        instance_id: body.group_instance_id.as_ref().map(|id| id.as_str().into()),
    };
    drop(body);
    let exchange = Exchange::new(context, request);
    if !exchange.may(Operation::Read, Resource::group(&heartbeat.group_id)) {
        return Ok(answer(exchange.charged(), ErrorCode::GroupAuthorizationFailed)?.into());
    }
    let asked = exchange.context.groups.ask(heartbeat).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(answer(charged, error.error_code())?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            let outcome = asked.wait().await.and_then(|reply| reply.outcome);
            answer(
                charged,
                outcome.err().map_or(ErrorCode::None, |error| error.error_code()),
            )
        })),
    }
}

fn answer(charged: Charged, error: ErrorCode) -> Result<Response, ApiError> {
    let response = HeartbeatResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code());
    charged.answer(&response, error)
}
