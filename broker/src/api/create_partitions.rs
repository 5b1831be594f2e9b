//! CreatePartitions (key 37), versions 0–3. v2 flexible, v3 KIP-599.
//!
//! Partitions of a mirror topic are added by its link alone, which names itself in a tagged field of the topic.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use thalweg_types::ErrorCode;
use thalweg_wire::mirror;

use super::config_resources::Mode;
use super::placement;
use super::refusal::{Refusal, mirror_link, throttle, to_the_end};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::TopicError;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: CreatePartitionsRequest = decode(&request)?;
    let mode = Mode::of(body.validate_only);
    let mut times: HashMap<String, u32> = HashMap::new();
    for topic in &body.topics {
        *times.entry(topic.name.to_string()).or_default() += 1;
    }
    let mut added = 0u32;
    let mut results = Vec::with_capacity(times.len());
    for topic in &body.topics {
        let result = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        let outcome = match times.get_mut(topic.name.as_str()) {
            Some(1) => one(&context, &request, topic, mode).await,
            // A name that comes again gets one answer.
            Some(0) | None => continue,
            Some(times) => {
                *times = 0;
                let what = format!("topic '{}' is named twice", topic.name.as_str());
                Err(Refusal::new(ErrorCode::InvalidRequest, what))
            }
        };
        results.push(match outcome {
            Ok(count) => {
                added = added.saturating_add(count);
                result
            }
            Err(refusal) => {
                let refusal = refusal.noted("create partitions", &topic.name);
                result
                    .with_error_code(refusal.code.code())
                    .with_error_message(refusal.text())
            }
        });
    }
    let (mute, throttle_time_ms) = throttle(&context, &request, Charge::TopicMutations(added));
    let response = CreatePartitionsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_results(results);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

/// Adds the partitions of one topic; returns how many.
async fn one(
    context: &Arc<Context>,
    request: &Request,
    topic: &CreatePartitionsTopic,
    mode: Mode,
) -> Result<u32, Refusal> {
    let access = context.authorizer.authorize(
        &request.connection,
        Operation::Alter,
        Resource::topic(&topic.name),
    );
    if !access.is_allowed() {
        return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
    }
    let view = context.topics.by_name(&topic.name).ok_or(TopicError::Unknown)?;
    let link = mirror_link(topic.unknown_tagged_fields.get(&mirror::TAG))?;
    context.topics.check_acts(&view, link)?;
    let before = context.topics.check_partitions(view.id, topic.count)?.partitions;
    if let Some(assignments) = &topic.assignments {
        let brokers: Vec<Vec<i32>> = assignments
            .iter()
            .map(|one| one.broker_ids.iter().map(|broker| broker.0).collect())
            .collect();
        let node_id = context.settings.current().node_id();
        placement::check_added(brokers.iter().map(Vec::as_slice), before, topic.count, node_id)?;
    }
    if mode == Mode::Apply {
        let (topics, id, count) = (Arc::clone(&context.topics), view.id, topic.count);
        to_the_end(async move { topics.add_partitions(id, count).await }).await?;
        let principal = request.connection.principal();
        tracing::info!(topic = %view.name, before, partitions = count, %principal, "partitions added");
    }
    Ok(topic.count.abs_diff(before))
}
