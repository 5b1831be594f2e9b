//! DescribeTransactions (key 65), version 0 (KIP-664): what the coordinator knows of transactional ids.
//!
//! Partitions of topics that the client may not see are left out.

use std::sync::Arc;

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId,
    TransactionalId as WireTransactionalId,
};
use thalweg_coordinator::transaction::{DescribeTransaction, DescribedTransaction, TransactionalId};
use thalweg_types::ErrorCode;

use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};
use crate::transactions::Asked;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeTransactionsRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let mut asked = Vec::with_capacity(body.transactional_ids.len());
    for id in body.transactional_ids {
        let progress = ask(&exchange, &id).await;
        asked.push((id, progress));
    }
    let (context, connection) = (exchange.context.clone(), exchange.connection.clone());
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let may_see = |topic: &str| {
            let access =
                context
                    .authorizer
                    .authorize(&connection, Operation::Describe, Resource::topic(topic));
            access.is_allowed()
        };
        let mut first_error = ErrorCode::None;
        let mut states = Vec::with_capacity(asked.len());
        for (id, progress) in asked {
            let described = match progress {
                Ok(asked) => asked.wait().await.map_err(|error| error.error_code()),
                Err(code) => Err(code),
            };
            if let (Err(code), true) = (&described, first_error.is_none()) {
                first_error = *code;
            }
            states.push(state(id, described, &may_see));
        }
        let response = DescribeTransactionsResponse::default()
            .with_throttle_time_ms(charged.throttle_ms())
            .with_transaction_states(states);
        charged.answer(&response, first_error)
    }))
}

async fn ask(exchange: &Exchange, id: &WireTransactionalId) -> Result<Asked<DescribeTransaction>, ErrorCode> {
    if !exchange.may(Operation::Describe, Resource::transactional_id(id)) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let describe = DescribeTransaction {
        transactional_id: TransactionalId::from(id.as_str()),
    };
    let asked = exchange.context.transactions.ask(describe).await;
    asked.map_err(|error| error.error_code())
}

fn state(
    id: WireTransactionalId,
    described: Result<DescribedTransaction, ErrorCode>,
    may_see: &dyn Fn(&str) -> bool,
) -> TransactionState {
    let state = TransactionState::default().with_transactional_id(id);
    let described = match described {
        Ok(described) => described,
        Err(code) => return state.with_error_code(code.code()),
    };
    let topics = described
        .partitions
        .into_iter()
        .filter(|(topic, _)| may_see(topic))
        .map(|(topic, partitions)| {
            TopicData::default()
                .with_topic(text(topic.as_str()).into())
                .with_partitions(partitions.into_iter().map(|index| index.0).collect())
        });
    state
        .with_transaction_state(text(described.state.name()))
        .with_transaction_timeout_ms(described.timeout_ms)
        .with_transaction_start_time_ms(described.started_at.get())
        .with_producer_id(ProducerId(described.producer.id.get()))
        .with_producer_epoch(described.producer.epoch.get())
        .with_topics(topics.collect())
}
