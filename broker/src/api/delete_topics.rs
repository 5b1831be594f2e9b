//! DeleteTopics (key 20), versions 1–6. v3 TOPIC_DELETION_DISABLED, v4 flexible, v5 error messages (KIP-599), v6
//! topic ids (KIP-516).
//!
//! The broker's own topics cannot be deleted (Kafka lets an administrator do it and loses every committed offset).

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use thalweg_types::{ErrorCode, TopicId};
use uuid::Uuid;

use super::refusal::{Refusal, throttle, to_the_end, topic_name};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::{TopicError, TopicView};

/// First version that knows [`ErrorCode::TopicDeletionDisabled`].
const DELETION_DISABLED_SINCE: i16 = 3;
/// First version that names topics by id.
const TOPIC_IDS_SINCE: i16 = 6;

/// Topics are deleted in stage 1: what follows on the connection does not find them.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DeleteTopicsRequest = decode(&request)?;
    let version = request.header.api_version;
    let asked: Vec<DeleteTopicState> = if version >= TOPIC_IDS_SINCE {
        body.topics
    } else {
        let names = body.topic_names.into_iter();
        names
            .map(|name| DeleteTopicState::default().with_name(Some(name)))
            .collect()
    };
    let found: Vec<Result<Arc<TopicView>, Refusal>> = asked
        .iter()
        .map(|state| find(&context, &request, state))
        .collect();
    let mut times: HashMap<TopicId, u32> = HashMap::new();
    for view in found.iter().flatten() {
        *times.entry(view.id).or_default() += 1;
    }
    let mut deleted = 0u32;
    let mut responses = Vec::with_capacity(asked.len());
    for (state, found) in asked.into_iter().zip(found) {
        let result = DeletableTopicResult::default()
            .with_topic_id(state.topic_id)
            .with_name(state.name.clone());
        let (result, outcome) = match found {
            Err(refusal) => (result, Err(refusal)),
            Ok(view) => {
                let named = result
                    .with_name(Some(topic_name(&view.name)))
                    .with_topic_id(Uuid::from_bytes(view.id.0));
                let repeated = times.get(&view.id).is_some_and(|times| *times > 1);
                let outcome = if repeated {
                    let what = format!("topic '{}' is named twice", view.name);
                    Err(Refusal::new(ErrorCode::InvalidRequest, what))
                } else {
                    delete(&context, &request, &view).await
                };
                if outcome.is_ok() {
                    deleted = deleted.saturating_add(u32::try_from(view.partitions).unwrap_or(0));
                }
                (named, outcome)
            }
        };
        responses.push(match outcome {
            Ok(()) => result,
            Err(refusal) => {
                let name = result
                    .name
                    .as_ref()
                    .map(|name| name.to_string())
                    .unwrap_or_default();
                let refusal = refusal.noted("delete topic", &name);
                result
                    .with_error_code(refusal.code.code())
                    .with_error_message(refusal.text())
            }
        });
    }
    let (mute, throttle_time_ms) = throttle(&context, &request, Charge::TopicMutations(deleted));
    let response = DeleteTopicsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_responses(responses);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

fn find(context: &Context, request: &Request, state: &DeleteTopicState) -> Result<Arc<TopicView>, Refusal> {
    if !context.settings.current().delete_topic_enable() {
        let code = if request.header.api_version < DELETION_DISABLED_SINCE {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TopicDeletionDisabled
        };
        return Err(Refusal::new(
            code,
            "delete.topic.enable is false: topics cannot be deleted",
        ));
    }
    let id = TopicId(state.topic_id.into_bytes());
    let may = |operation, name: &str| {
        context
            .authorizer
            .authorize(&request.connection, operation, Resource::topic(name))
            .is_allowed()
    };
    let view = match &state.name {
        Some(_) if !id.is_zero() => {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "a topic is named by name or by id, not by both",
            ));
        }
        None if id.is_zero() => {
            return Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "neither the name nor the id of a topic is given",
            ));
        }
        Some(name) => {
            if !may(Operation::Delete, name) {
                return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
            }
            context.topics.by_name(name).ok_or(TopicError::Unknown)?
        }
        None => {
            let unknown = || Refusal::bare(ErrorCode::UnknownTopicId);
            let view = context.topics.by_id(id).ok_or_else(unknown)?;
            // Who may not see the topic is not told that the id has a name.
            if !may(Operation::Describe, &view.name) {
                return Err(unknown());
            }
            if !may(Operation::Delete, &view.name) {
                return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
            }
            view
        }
    };
    Ok(view)
}

async fn delete(context: &Arc<Context>, request: &Request, view: &TopicView) -> Result<(), Refusal> {
    let (topics, id) = (Arc::clone(&context.topics), view.id);
    to_the_end(async move { topics.delete(id).await }).await?;
    let principal = request.connection.principal();
    tracing::info!(topic = %view.name, partitions = view.partitions, %principal, "topic deleted");
    Ok(())
}
