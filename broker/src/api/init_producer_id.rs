//! InitProducerId (key 22), versions 0–5 (KIP-98). v2 flexible, v3 present id and epoch (KIP-360), v4 PRODUCER_FENCED,
//! v5 KIP-890. Left out: v6, which is not stable in Kafka 4.3.
//!
//! A producer without a transactional id always gets a new id with epoch 0, as in Kafka, whatever it had before:
//! it raises the epoch by itself and comes here only when its epochs are used up. With a transactional id, the
//! transaction coordinator decides: an open transaction is aborted first.

use std::sync::Arc;

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use thalweg_coordinator::transaction::{
    InitProducerId as InitTransactional, ProducerIdAndEpoch, TransactionError, TransactionalId,
};
use thalweg_types::{ErrorCode, ProducerEpoch};

use super::refusal::{Refusal, throttle_work};
use super::transactional::{code_in_version, producer};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode, respond};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 4;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: InitProducerIdRequest = decode(&request)?;
    if let Err(refusal) = judge(&body) {
        return answer(&context, &request, Err(refusal));
    }
    let Some(transactional_id) = &body.transactional_id else {
        let id = new_id(&context, &request).await;
        return answer(&context, &request, id.map(first_epoch));
    };
    let access = context.authorizer.authorize(
        &request.connection,
        Operation::Write,
        Resource::transactional_id(transactional_id),
    );
    if !access.is_allowed() {
        let refusal = Refusal::bare(ErrorCode::TransactionalIdAuthorizationFailed);
        return answer(&context, &request, Err(refusal));
    }
    let init = InitTransactional {
        transactional_id: TransactionalId::from(transactional_id.as_str()),
        timeout_ms: body.transaction_timeout_ms,
        expected: (body.producer_id.0 != thalweg_types::ProducerId::NONE.get())
            .then(|| producer(body.producer_id, body.producer_epoch)),
    };
    let version = request.header.api_version;
    let refusal = move |error: TransactionError| {
        Refusal::new(code_in_version(error, version, FENCED_SINCE), error.to_string())
    };
    match context.transactions.ask(init).await {
        Err(error) => answer(&context, &request, Err(refusal(error))),
        Ok(asked) => Ok(Reply::later(async move {
            let producer = asked.wait().await.map_err(refusal);
            respond_with(&context, &request, producer)
        })),
    }
}

fn first_epoch(id: ProducerId) -> ProducerIdAndEpoch {
    producer(id, 0)
}

fn answer(
    context: &Context,
    request: &Request,
    outcome: Result<ProducerIdAndEpoch, Refusal>,
) -> Result<Reply, ApiError> {
    Ok(respond_with(context, request, outcome)?.into())
}

fn respond_with(
    context: &Context,
    request: &Request,
    outcome: Result<ProducerIdAndEpoch, Refusal>,
) -> Result<Response, ApiError> {
    let (mute, throttle_time_ms) = throttle_work(context, request);
    let response = InitProducerIdResponse::default().with_throttle_time_ms(throttle_time_ms);
    let (response, error) = match outcome {
        Ok(producer) => (
            response
                .with_producer_id(ProducerId(producer.id.get()))
                .with_producer_epoch(producer.epoch.get()),
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
        .with_error(error))
}

/// Judges the request by itself. Pure.
fn judge(body: &InitProducerIdRequest) -> Result<(), Refusal> {
    let invalid = |what: &str| Err(Refusal::new(ErrorCode::InvalidRequest, what));
    if body.transactional_id.as_ref().is_some_and(|id| id.is_empty()) {
        return invalid("transactional.id is empty; leave it out");
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
