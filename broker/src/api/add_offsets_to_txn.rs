//! AddOffsetsToTxn (key 25), versions 0–4 (KIP-98): a producer is about to commit offsets of a group.
//!
//! v2 PRODUCER_FENCED, v3 flexible, v4 TRANSACTION_ABORTABLE (KIP-890). The group's partition of `__consumer_offsets`
//! joins the transaction.

use std::sync::Arc;

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use thalweg_coordinator::group::TopicName;
use thalweg_coordinator::transaction::{AddPartitions, TransactionVersion, TransactionalId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange};
use super::transactional::{code_in_version, producer};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};
use crate::groups::OFFSETS_TOPIC;
use crate::transactions::Asked;

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: AddOffsetsToTxnRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let version = exchange.version();
    let asked = ask(&exchange, &body).await;
    let charged = exchange.charged();
    match asked {
        Err(code) => Ok(answer(charged, code)?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            let code = match asked.wait().await {
                Ok(()) => ErrorCode::None,
                Err(error) => code_in_version(error, version, FENCED_SINCE),
            };
            answer(charged, code)
        })),
    }
}

async fn ask(exchange: &Exchange, body: &AddOffsetsToTxnRequest) -> Result<Asked<AddPartitions>, ErrorCode> {
    if !exchange.may(
        Operation::Write,
        Resource::transactional_id(&body.transactional_id),
    ) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if !exchange.may(Operation::Read, Resource::group(&body.group_id)) {
        return Err(ErrorCode::GroupAuthorizationFailed);
    }
    let partition = exchange.context.groups.partition_of(&body.group_id).await;
    let partition = partition.map_err(|error| error.error_code())?;
    let request = AddPartitions {
        transactional_id: TransactionalId::from(body.transactional_id.as_str()),
        producer: producer(body.producer_id, body.producer_epoch),
        partitions: vec![(TopicName::from(OFFSETS_TOPIC), partition)],
        version: TransactionVersion::V0,
    };
    let asked = exchange.context.transactions.ask(request).await;
    asked.map_err(|error| error.error_code())
}

fn answer(charged: Charged, code: ErrorCode) -> Result<Response, ApiError> {
    let response = AddOffsetsToTxnResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(code.code());
    charged.answer(&response, code)
}
