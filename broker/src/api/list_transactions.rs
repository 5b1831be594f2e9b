//! ListTransactions (key 66), versions 0–2 (KIP-664): the transactional ids of this coordinator.
//!
//! v1 only transactions open for longer (KIP-994), v2 only ids that match a pattern (KIP-1152), in the syntax of RE2.

use std::sync::Arc;

use kafka_protocol::messages::list_transactions_response::TransactionState as ListedState;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse, ProducerId};
use regex::{Regex, RegexBuilder};
use thalweg_coordinator::transaction::{ListTransactions, ListedTransaction, TransactionState};
use thalweg_types::{ErrorCode, ProducerId as DomainProducerId};

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

/// Memory of a compiled pattern, at most.
const PATTERN_BYTES_MAX: usize = 1 << 20;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: ListTransactionsRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let pattern = match compile(body.transactional_id_pattern.as_deref()) {
        Ok(pattern) => pattern,
        Err(code) => return Ok(answer(exchange.charged(), Vec::new(), Err(code))?.into()),
    };
    let (known, unknown): (Vec<_>, Vec<_>) = body
        .state_filters
        .into_iter()
        .partition(|name| TransactionState::KAFKA_NAMES.contains(&name.as_str()));
    let states: Vec<TransactionState> = TransactionState::ALL
        .into_iter()
        .filter(|state| known.iter().any(|name| name.as_str() == state.name()))
        .collect();
    let named_states = !known.is_empty() || !unknown.is_empty();
    if named_states && states.is_empty() {
        // Nothing is in a state that does not exist, or does not last.
        return Ok(answer(exchange.charged(), unknown, Ok(Vec::new()))?.into());
    }
    let list = ListTransactions {
        states,
        producer_ids: body
            .producer_id_filters
            .into_iter()
            .map(|id| DomainProducerId(id.0))
            .collect(),
        duration_ms: (body.duration_filter >= 0).then_some(body.duration_filter),
    };
    let asked = exchange.context.transactions.ask_lists(&list);
    let (context, connection) = (exchange.context.clone(), exchange.connection.clone());
    let charged = exchange.charged();
    let lists = match asked {
        Ok(lists) => lists,
        Err(error) => return Ok(answer(charged, unknown, Err(error.error_code()))?.into()),
    };
    Ok(Reply::later(async move {
        let is_wanted = |id: &str| {
            let access = context.authorizer.authorize(
                &connection,
                Operation::Describe,
                Resource::transactional_id(id),
            );
            access.is_allowed() && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
        };
        let mut listed = Vec::new();
        for list in lists {
            match list.wait().await {
                Ok(more) => listed.extend(more.into_iter().filter(|one| is_wanted(&one.transactional_id))),
                Err(error) => return answer(charged, unknown, Err(error.error_code())),
            }
        }
        answer(charged, unknown, Ok(listed))
    }))
}

/// Compiles a pattern that whole ids are to match; none and an empty one match all.
fn compile(pattern: Option<&str>) -> Result<Option<Regex>, ErrorCode> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else {
        return Ok(None);
    };
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build()
        .map(Some)
        .map_err(|_| ErrorCode::InvalidRegularExpression)
}

fn answer(
    charged: Charged,
    unknown: Vec<kafka_protocol::protocol::StrBytes>,
    listed: Result<Vec<ListedTransaction>, ErrorCode>,
) -> Result<Response, ApiError> {
    let code = listed.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let states = listed.unwrap_or_default().into_iter().map(|listed| {
        ListedState::default()
            .with_transactional_id(text(listed.transactional_id.as_str()).into())
            .with_producer_id(ProducerId(listed.producer_id.get()))
            .with_transaction_state(text(listed.state.name()))
    });
    let response = ListTransactionsResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(code.code())
        .with_unknown_state_filters(unknown)
        .with_transaction_states(states.collect());
    charged.answer(&response, code)
}
