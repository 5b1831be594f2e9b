//! InitProducerId (key 22), versions 0–5 (KIP-98). v2 flexible, v3 present id and epoch (KIP-360), v4 PRODUCER_FENCED,
//! v5 KIP-890. Left out: v6, which is not stable in Kafka 4.3.
//!
//! A producer without a transactional id always gets a new id with epoch 0, as in Kafka, whatever it had before:
//! it raises the epoch by itself and comes here only when its epochs are used up. Transactional ids are refused by
//! name until there are transactions; to accept one would promise what is not kept.

use std::sync::Arc;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use thalweg_types::{ErrorCode, ProducerEpoch};

use super::refusal::{Refusal, throttle_work};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: InitProducerIdRequest = decode(&request)?;
    let outcome = match judge(&body) {
        Ok(()) => new_id(&context, &request).await,
        Err(refusal) => Err(refusal),
    };
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = InitProducerIdResponse::default().with_throttle_time_ms(throttle_time_ms);
    let (response, error) = match outcome {
        Ok(id) => (
            response.with_producer_id(id).with_producer_epoch(0),
            ErrorCode::None,
        ),
        Err(refusal) => {
            // The response has no room for the words.
            tracing::warn!(
                connection = %request.connection,
                client_id = request.header.client_id.as_deref(),
                code = %refusal.code,
                "no producer id: {}", refusal.message
            );
            let refused = response
                .with_error_code(refusal.code.code())
                .with_producer_id(ProducerId(thalweg_types::ProducerId::NONE.get()))
                .with_producer_epoch(ProducerEpoch::NONE.get());
            (refused, refusal.code)
        }
    };
    Ok(respond(&request.header, &response)?
        .throttled(mute)
        .with_error(error)
        .into())
}

/// Judges the request by itself. Pure.
fn judge(body: &InitProducerIdRequest) -> Result<(), Refusal> {
    let invalid = |what: &str| Err(Refusal::new(ErrorCode::InvalidRequest, what));
    if let Some(id) = &body.transactional_id {
        return if id.is_empty() {
            invalid("transactional.id is empty; leave it out")
        } else {
            // Clients take this code as final; on any other they ask again until they time out.
            Err(Refusal::new(
                ErrorCode::TransactionalIdAuthorizationFailed,
                "transactions are not supported by this broker yet; produce without a transactional.id",
            ))
        };
    }
    let has_id = body.producer_id.0 != thalweg_types::ProducerId::NONE.get();
    let has_epoch = body.producer_epoch != ProducerEpoch::NONE.get();
    if has_id != has_epoch {
        return invalid("a producer id and its epoch are given both or neither");
    }
    Ok(())
}

async fn new_id(context: &Context, request: &Request) -> Result<ProducerId, Refusal> {
    let access =
        context
            .authorizer
            .authorize(&request.connection, Operation::IdempotentWrite, Resource::CLUSTER);
    if !access.is_allowed() {
        return Err(Refusal::bare(ErrorCode::ClusterAuthorizationFailed));
    }
    let id = context.producer_ids.next().await?;
    Ok(ProducerId(id.get()))
}

#[cfg(test)]
#[path = "init_producer_id_test.rs"]
mod tests;
