//! EndTxn (key 26), versions 0–5 (KIP-98): a producer commits or aborts.
//!
//! v2 PRODUCER_FENCED, v3 flexible, v4 TRANSACTION_ABORTABLE, v5 KIP-890: the answer says who the producer is from now
//! on. Answered when the decision is durable; the markers follow, and until they are written the next transaction waits.

use std::sync::Arc;

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};
use thalweg_coordinator::transaction::{EndTransaction, Outcome, ProducerIdAndEpoch, TransactionalId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange};
use super::transactional::{code_in_version, producer, protocol_of};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

/// First version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// First version that raises the epoch.
const BUMPS_SINCE: i16 = 5;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: EndTxnRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let version = exchange.version();
    if !exchange.may(
        Operation::Write,
        Resource::transactional_id(&body.transactional_id),
    ) {
        let refused = Err(ErrorCode::TransactionalIdAuthorizationFailed);
        return Ok(answer(exchange.charged(), refused)?.into());
    }
    let end = EndTransaction {
        transactional_id: TransactionalId::from(body.transactional_id.as_str()),
        producer: producer(body.producer_id, body.producer_epoch),
        outcome: if body.committed {
            Outcome::Commit
        } else {
            Outcome::Abort
        },
        version: protocol_of(version, BUMPS_SINCE),
    };
    let asked = exchange.context.transactions.ask(end).await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(answer(charged, Err(error.error_code()))?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            let ended = asked.wait().await;
            answer(
                charged,
                ended.map_err(|error| code_in_version(error, version, FENCED_SINCE)),
            )
        })),
    }
}

fn answer(charged: Charged, ended: Result<ProducerIdAndEpoch, ErrorCode>) -> Result<Response, ApiError> {
    let code = ended.err().unwrap_or(ErrorCode::None);
    let mut response = EndTxnResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(code.code());
    if charged.version() >= BUMPS_SINCE {
        let producer = ended.unwrap_or(ProducerIdAndEpoch::NONE);
        response.producer_id = ProducerId(producer.id.get());
        response.producer_epoch = producer.epoch.get();
    }
    charged.answer(&response, code)
}
