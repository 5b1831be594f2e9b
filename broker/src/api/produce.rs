//! Produce (key 0), versions 3–13. v3 transactional id, v4 KAFKA_STORAGE_ERROR, v5 log start offset, v8 record errors
//! (KIP-467), v9 flexible, v10 current leader (KIP-951), v13 topic ids (KIP-516).
//!
//! Versions 0–2 are advertised and refused: older librdkafka drops compression without them (KAFKA-18659).
//! acks=1 and acks=all are both answered after the flush. Left out: transactions (a named error), v11–12's
//! implicit transaction partitions (KIP-890) with them.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use thalweg_storage::commit::Ticket;
use thalweg_storage::engine::NoRoom;
use thalweg_types::{ErrorCode, Offset, TimestampMs};
use thalweg_wire::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, RecordError, TopicKey, encode_produce_response, parse_produce_request,
};

use super::codec::{compression_limits, guard_limits, malformed};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, Response};
use crate::partition::{ProduceError, append_from_client};
use crate::topics::TopicView;

/// A batch smaller than this fraction of its request is copied out of it.
const FRAME_SHARE_MIN: u64 = 4;

/// One partition's answer, and what it waits for.
struct Outcome {
    response: ProducePartitionResponse,
    ticket: Option<Ticket>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let Request {
        header,
        body,
        connection,
        memory,
        ..
    } = request;
    // The frame is this request's alone, so its bytes can be patched in place; a shared one is copied.
    let body = body
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    let body_len = body.len() as u64;
    let limits = guard_limits(&body);
    let produce = parse_produce_request(header.api_version, body, &limits)
        .map_err(|cause| malformed(&header, cause.into()))?;
    let acks = produce.acks;
    let throttle = context.throttle.charge(
        &connection,
        header.client_id.as_deref(),
        Charge::ProduceBytes(body_len),
    );
    let refused = match refusal(&context, &produce) {
        Some(code) => Some(code),
        None => wait_for_room(&context).await?,
    };
    let mut topics = Vec::with_capacity(produce.topics.len());
    for topic in produce.topics {
        let access = |name: &str| {
            context
                .authorizer
                .authorize(&connection, Operation::Write, Resource::topic(name))
                .is_allowed()
        };
        topics.push(produce_topic(&context, topic, (refused, body_len), &access));
    }
    if acks == 0 {
        drop(memory);
        return Ok(answer_nothing(&topics, throttle));
    }
    Ok(Reply::later(async move {
        let mut answered = Vec::with_capacity(topics.len());
        for (topic, outcomes) in topics {
            let mut partitions = Vec::with_capacity(outcomes.len());
            for mut outcome in outcomes {
                if let Some(ticket) = &outcome.ticket
                    && ticket.durable().await.is_err()
                {
                    let index = outcome.response.index;
                    outcome.response = ProducePartitionResponse::refused(index, ErrorCode::KafkaStorageError);
                }
                partitions.push(outcome.response);
            }
            answered.push(ProduceTopicResponse { topic, partitions });
        }
        drop(memory);
        let response = ProduceResponse {
            topics: answered,
            throttle_time_ms: i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX),
            node_endpoints: Vec::new(),
        };
        let first_error = response
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| partition.error_code)
            .find(|code| !code.is_none());
        let bytes = encode_produce_response(header.correlation_id, header.api_version, &response)
            .map_err(|cause| ApiError::Encode { cause })?;
        Ok(Response::new(bytes.into())
            .throttled(throttle)
            .with_error(first_error.unwrap_or(ErrorCode::None)))
    }))
}

/// A reason that refuses every partition of the request.
fn refusal(context: &Context, produce: &ProduceRequest) -> Option<ErrorCode> {
    if !matches!(produce.acks, -1..=1) {
        return Some(ErrorCode::InvalidRequiredAcks);
    }
    if produce.transactional_id.is_some() {
        return Some(ProduceError::Transactional.error_code());
    }
    // Clients do not produce to internal topics, so the gate closes for the whole request.
    if !context.disk_gate.is_open() {
        return Some(ErrorCode::KafkaStorageError);
    }
    None
}

/// Waits until the log takes clients' records; returns why it does not.
async fn wait_for_room(context: &Context) -> Result<Option<ErrorCode>, ApiError> {
    match context.topics.engine().client_room().await {
        Ok(()) => Ok(None),
        Err(NoRoom::DiskFull) => Ok(Some(ErrorCode::KafkaStorageError)),
        Err(NoRoom::Failed(_)) => Err(ApiError::refused("the write-ahead log failed")),
    }
}

fn produce_topic(
    context: &Context,
    topic: ProduceTopic,
    (refused, body_len): (Option<ErrorCode>, u64),
    access: &dyn Fn(&str) -> bool,
) -> (TopicKey, Vec<Outcome>) {
    let view = match &topic.topic {
        TopicKey::Name(name) => context
            .topics
            .by_name(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => context.topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId),
    };
    let view = match refused {
        Some(code) => Err(code),
        None => view.and_then(|view| {
            if !access(&view.name) {
                Err(ErrorCode::TopicAuthorizationFailed)
            } else if view.is_internal() {
                // A client's records there could be taken for the coordinator's.
                Err(ErrorCode::InvalidTopicException)
            } else {
                Ok(view)
            }
        }),
    };
    let outcomes = topic.partitions.into_iter().map(|partition| {
        let index = partition.index;
        match &view {
            Ok(view) => produce_partition(context, view, unpinned(partition, body_len)),
            Err(code) => Outcome {
                response: ProducePartitionResponse::refused(index, *code),
                ticket: None,
            },
        }
    });
    let outcomes = outcomes.collect();
    (topic.topic, outcomes)
}

/// A stored batch keeps its whole frame in memory: one that is a small part of it is copied out, so that a large
/// request with one small valid batch does not stay.
fn unpinned(mut partition: ProducePartition, body_len: u64) -> ProducePartition {
    if let Some(records) = &mut partition.records
        && (records.len() as u64).saturating_mul(FRAME_SHARE_MIN) < body_len
    {
        *records = BytesMut::from(&records[..]);
    }
    partition
}

fn produce_partition(context: &Context, topic: &TopicView, partition: ProducePartition) -> Outcome {
    let index = partition.index;
    let refuse = |code| Outcome {
        response: ProducePartitionResponse::refused(index, code),
        ticket: None,
    };
    let Some(log) = context.topics.log(topic, index) else {
        return refuse(ErrorCode::UnknownTopicOrPartition);
    };
    let Some(records) = partition.records else {
        return refuse(ErrorCode::InvalidRecord);
    };
    let limits = compression_limits(&context.settings.current());
    match append_from_client(&log, topic, records, context.clock.now(), &limits) {
        Ok(produced) => {
            let mut response = ProducePartitionResponse::refused(index, ErrorCode::None);
            response.base_offset = produced.place.base_offset;
            response.log_append_time_ms = produced.log_append_time.unwrap_or(TimestampMs::NONE);
            response.log_start_offset = produced.place.log_start_offset;
            Outcome {
                response,
                ticket: produced.place.ticket,
            }
        }
        Err(error) => {
            tracing::debug!(topic = %topic.name, partition = index.0, %error, "produce refused");
            let mut response = ProducePartitionResponse::refused(index, error.error_code());
            response.base_offset = Offset::UNKNOWN;
            response.error_message = Some(error.to_string());
            if let ProduceError::InvalidRecords { records, .. } = error {
                response.record_errors = records
                    .into_iter()
                    .map(|record| RecordError {
                        batch_index: i32::try_from(record.index).unwrap_or(i32::MAX),
                        message: Some(record.message),
                    })
                    .collect();
            }
            Outcome {
                response,
                ticket: None,
            }
        }
    }
}

/// acks=0: a client learns of a failure only by losing its connection, as with Kafka.
fn answer_nothing(topics: &[(TopicKey, Vec<Outcome>)], throttle: Duration) -> Reply {
    let failed = topics
        .iter()
        .flat_map(|(_, outcomes)| outcomes)
        .find(|o| !o.response.error_code.is_none());
    match failed {
        Some(outcome) => {
            let code = outcome.response.error_code.name();
            Reply::Close(format!("produce with acks=0 failed: {code}"))
        }
        None => Reply::None { throttle },
    }
}
