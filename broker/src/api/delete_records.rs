//! DeleteRecords (key 21), versions 0–2 (KIP-107). v2 flexible.
//!
//! Answered when the new log start is durable: no restart brings the records back. `timeout_ms` is not needed, the
//! flush is all there is to wait for.

use std::sync::Arc;

use kafka_protocol::messages::delete_records_request::DeleteRecordsPartition;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use thalweg_storage::commit::Ticket;
use thalweg_types::{ErrorCode, Offset, PartitionIndex};

use super::refusal::{Refusal, throttle_work};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::partition::append_error_code;
use crate::topics::{TopicError, TopicView};

/// One partition's answer, and what it waits for.
struct Outcome {
    result: DeleteRecordsPartitionResult,
    ticket: Option<Ticket>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DeleteRecordsRequest = decode(&request)?;
    let mut topics: Vec<(TopicName, Vec<Outcome>)> = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let found = find(&context, &request, &topic.name);
        let outcomes = topic.partitions.iter().map(|partition| {
            let outcome = found.as_ref().map_err(Refusal::clone);
            let outcome = outcome.and_then(|view| delete(&context, view, partition));
            outcome.unwrap_or_else(|refusal| {
                let refusal = refusal.noted("delete records", &topic.name);
                Outcome {
                    result: refused(partition.partition_index, refusal.code),
                    ticket: None,
                }
            })
        });
        let outcomes = outcomes.collect();
        topics.push((topic.name, outcomes));
    }
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let header = request.header.clone();
    drop(request);
    Ok(Reply::later(async move {
        let mut results = Vec::with_capacity(topics.len());
        for (name, outcomes) in topics {
            let mut partitions = Vec::with_capacity(outcomes.len());
            for Outcome { result, ticket } in outcomes {
                let durable = match &ticket {
                    Some(ticket) => ticket.durable().await,
                    None => Ok(()),
                };
                partitions.push(match durable {
                    Ok(()) => result,
                    Err(_) => refused(result.partition_index, ErrorCode::KafkaStorageError),
                });
            }
            results.push(
                DeleteRecordsTopicResult::default()
                    .with_name(name)
                    .with_partitions(partitions),
            );
        }
        let response = DeleteRecordsResponse::default()
            .with_throttle_time_ms(throttle_time_ms)
            .with_topics(results);
        Ok(respond(&header, &response)?.throttled(mute))
    }))
}

fn find(context: &Context, request: &Request, name: &str) -> Result<Arc<TopicView>, Refusal> {
    let access = context
        .authorizer
        .authorize(&request.connection, Operation::Delete, Resource::topic(name));
    if !access.is_allowed() {
        return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
    }
    let view = context.topics.by_name(name).ok_or(TopicError::Unknown)?;
    if view.is_internal() {
        let what = "records of the broker's own topics cannot be deleted";
        return Err(Refusal::new(ErrorCode::InvalidTopicException, what));
    }
    context.topics.check_writable(&view)?;
    if !view.config.cleanup_policy.delete {
        let what = "cleanup.policy has no delete: the topic keeps the newest record of every key";
        return Err(Refusal::new(ErrorCode::PolicyViolation, what));
    }
    Ok(view)
}

fn delete(context: &Context, view: &TopicView, asked: &DeleteRecordsPartition) -> Result<Outcome, Refusal> {
    let index = PartitionIndex(asked.partition_index);
    let log = context.topics.log(view, index).ok_or(TopicError::Unknown)?;
    // -1 is the high watermark, for the log as on the wire.
    let (low_watermark, ticket) = log
        .delete_records(Offset(asked.offset))
        .map_err(|error| Refusal::new(append_error_code(&error), error.to_string()))?;
    tracing::debug!(topic = %view.name, partition = index.get(), %low_watermark, "records deleted");
    let result = DeleteRecordsPartitionResult::default()
        .with_partition_index(index.get())
        .with_low_watermark(low_watermark.get());
    Ok(Outcome { result, ticket })
}

fn refused(index: i32, code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult::default()
        .with_partition_index(index)
        .with_low_watermark(Offset::UNKNOWN.get())
        .with_error_code(code.code())
}
