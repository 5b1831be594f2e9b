//! FindCoordinator (key 10), versions 0–6: which broker serves a group or a transactional id.
//!
//! v1 key type and error text, v3 flexible, v4 many keys (KIP-699), v6 share
//! groups (KIP-932). This broker coordinates all of them; the topic they are kept in is made before it says so, or it
//! answers COORDINATOR_NOT_AVAILABLE.
//!
//! Left out: share groups (INVALID_REQUEST with a text).

use std::sync::Arc;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::ErrorCode;

use super::advertised::advertised;
use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};

/// First version with a list of keys.
const BATCHED_SINCE: i16 = 4;

/// What a key names; the code on the wire.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Says where the coordinator is not.
struct Refusal {
    error: ErrorCode,
    message: String,
}

impl Refusal {
    fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
        }
    }
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: FindCoordinatorRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let is_batched = exchange.version() >= BATCHED_SINCE;
    let keys = if is_batched {
        body.coordinator_keys
    } else {
        vec![body.key]
    };

    let mut coordinators = Vec::with_capacity(keys.len());
    for key in keys {
        let found = find(&exchange, body.key_type, &key).await;
        coordinators.push(coordinator(&exchange, key, found));
    }
    let error = coordinators
        .iter()
        .map(|found| found.error_code)
        .find(|code| *code != 0);
    let error = error.and_then(ErrorCode::from_code).unwrap_or(ErrorCode::None);

    let charged = exchange.charged();
    let mut response = FindCoordinatorResponse::default().with_throttle_time_ms(charged.throttle_ms());
    response.error_message = None;
    if is_batched {
        response.coordinators = coordinators;
    } else if let Some(only) = coordinators.pop() {
        response.error_code = only.error_code;
        response.error_message = only.error_message;
        response.node_id = only.node_id;
        response.host = only.host;
        response.port = only.port;
    }
    Ok(charged.answer(&response, error)?.into())
}

async fn find(exchange: &Exchange, key_type: i8, key: &str) -> Result<(), Refusal> {
    match key_type {
        GROUP => {}
        TRANSACTION => return find_for_transaction(exchange, key).await,
        SHARE => {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "share groups are not supported by this broker yet; use a consumer group",
            ));
        }
        other => {
            let message = format!("coordinator key type {other} is not known");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    }
    if !exchange.may(Operation::Describe, Resource::group(key)) {
        let error = ErrorCode::GroupAuthorizationFailed;
        return Err(Refusal::new(error, error.message()));
    }
    exchange
        .context
        .groups
        .ensure()
        .await
        .map_err(|error| Refusal::new(error.error_code(), error.to_string()))
}

async fn find_for_transaction(exchange: &Exchange, key: &str) -> Result<(), Refusal> {
    if !exchange.may(Operation::Describe, Resource::transactional_id(key)) {
        let error = ErrorCode::TransactionalIdAuthorizationFailed;
        return Err(Refusal::new(error, error.message()));
    }
    let ensured = exchange.context.transactions.ensure().await;
    ensured.map_err(|error| Refusal::new(error.error_code(), error.to_string()))
}

fn coordinator(exchange: &Exchange, key: StrBytes, found: Result<(), Refusal>) -> Coordinator {
    // Below version 4 the fields of this struct are moved to the top of the response.
    let coordinator = Coordinator::default().with_key(key);
    match found {
        Ok(()) => {
            let settings = exchange.context.settings.current();
            let (host, port) = advertised(&settings, &exchange.connection.listener);
            coordinator
                .with_node_id(BrokerId(settings.node_id().0))
                .with_host(text(host))
                .with_port(port)
                .with_error_message(None)
        }
        Err(refusal) => coordinator
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(refusal.error.code())
            .with_error_message(Some(text(refusal.message))),
    }
}

#[cfg(test)]
#[path = "find_coordinator_test.rs"]
mod tests;
