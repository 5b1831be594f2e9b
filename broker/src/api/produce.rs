//! Produce (key 0), versions 3–13. v3 transactional id, v4 KAFKA_STORAGE_ERROR, v5 log start offset, v8 record errors
//! (KIP-467), v9 flexible, v10 current leader (KIP-951), v13 topic ids (KIP-516).
//!
//! Versions 0–2 are advertised and refused: older librdkafka drops compression without them (KAFKA-18659).
//! acks=1 and acks=all are both answered after the flush. A batch that begins a transaction in its partition is
//! appended only when the transaction coordinator agrees (KIP-890): up to v11 it must know of the partition, from v12
//! on it adds the partition.
//!
//! A partition with the tagged field of [`thalweg_wire::mirror`] is a mirror link's operation, of which the records are
//! a part; see `partition/mirror`. It is none of the client's records, and nothing here looks into them.
//!
//! Checking a batch can take long (`partition::RecordChecks`); it is a part of stage 1, so a connection's batches are
//! appended in arrival order, and no other connection waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use thalweg_storage::commit::{SharedFrame, Ticket};
use thalweg_storage::engine::NoRoom;
use thalweg_storage::log::VerificationGuard;
use thalweg_storage::log::rows::WriteState;
use thalweg_types::{ErrorCode, Offset, PartitionIndex, TimestampMs};
use thalweg_wire::batch::BatchHeader;
use thalweg_wire::produce::{
    ProducePartition, ProducePartitionResponse, ProduceRequest, ProduceResponse, ProduceTopic,
    ProduceTopicResponse, RecordError, TopicKey, encode_produce_response, parse_produce_request,
};

use super::codec::{compression_limits, guard_limits, malformed};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, Response};
use crate::partition::{
    MirrorProgress, MirrorRequest, ProduceError, Produced, TransactionalBatch, admit, append_from_client,
};
use crate::topics::TopicView;

/// Frames up to this size, in bytes, are what producers send: a batch may be a small part of one.
const SHARED_FRAME_BYTES_MAX: usize = 1 << 20;
/// A batch that is less than this part of such a frame is copied out of it.
const SHARED_FRAME_PARTS_MAX: usize = 16;
/// The same of a larger frame.
const LARGE_FRAME_PARTS_MAX: usize = 4;

/// One partition's answer, and what it waits for.
struct Outcome {
    response: ProducePartitionResponse,
    ticket: Option<Ticket>,
    mirror: Option<MirrorProgress>,
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
    let body_len = body.len();
    let limits = guard_limits(&body);
    let produce = parse_produce_request(header.api_version, body, &limits)
        .map_err(|cause| malformed(&header, cause.into()))?;
    let acks = produce.acks;
    let throttle = context.throttle.charge(
        &connection,
        header.client_id.as_deref(),
        Charge::ProduceBytes(body_len as u64),
    );
    let authorizer = &context.authorizer;
    let access = |resource: Resource<'_>| {
        let access = authorizer.authorize(&connection, Operation::Write, resource);
        access.is_allowed()
    };
    let refused = match refusal(&context, &produce, &access) {
        Some(code) => Some(code),
        None => wait_for_room(&context).await?,
    };
    let topics = produce.topics.into_iter();
    let mut resolved: Vec<Resolved> = topics
        .map(|topic| resolve(&context, topic, refused, &access))
        .collect();
    if let Some(id) = &produce.transactional_id {
        admit_transactions(&context, (id, header.api_version), &mut resolved).await;
    }
    let mut partitions = resolved.iter().flat_map(|topic| &topic.partitions);
    // Only a link is asked for a link's right: a client's Produce is none of its refusals.
    let is_link = partitions.any(|(partition, _)| partition.mirror.is_some());
    let whole = Whole {
        frame: SharedFrame::new(body_len),
        body_len,
        link_may_act: is_link
            && authorizer
                .authorize(&connection, Operation::ClusterAction, Resource::CLUSTER)
                .is_allowed(),
        fits_link: acks == -1 && produce.transactional_id.is_none(),
    };
    let mut topics = Vec::with_capacity(resolved.len());
    for topic in resolved {
        topics.push(produce_topic(&context, topic, &whole).await);
    }
    if acks == 0 {
        drop(memory);
        return Ok(answer_nothing(&topics, throttle));
    }
    Ok(Reply::later(async move {
        let answered = wait_for_answers(topics).await;
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

/// Waits until what was appended is durable.
async fn wait_for_answers(topics: Vec<(TopicKey, Vec<Outcome>)>) -> Vec<ProduceTopicResponse> {
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
            if let Some(progress) = outcome.mirror {
                note_answer(&mut outcome.response, progress).await;
            }
            partitions.push(outcome.response);
        }
        answered.push(ProduceTopicResponse { topic, partitions });
    }
    answered
}

/// A topic of the request: where its batches go, and whether they may.
struct Resolved {
    topic: TopicKey,
    view: Result<Arc<TopicView>, ErrorCode>,
    partitions: Vec<(ProducePartition, Result<Option<VerificationGuard>, ErrorCode>)>,
}

/// A reason that refuses every partition of the request.
fn refusal(
    context: &Context,
    produce: &ProduceRequest,
    access: &dyn Fn(Resource<'_>) -> bool,
) -> Option<ErrorCode> {
    if !matches!(produce.acks, -1..=1) {
        return Some(ErrorCode::InvalidRequiredAcks);
    }
    let mut partitions = produce.topics.iter().flat_map(|topic| &topic.partitions);
    let id = produce.transactional_id.as_deref();
    if partitions.any(|partition| transactional_header(partition).is_some())
        && !id.is_some_and(|id| access(Resource::transactional_id(id)))
    {
        return Some(ErrorCode::TransactionalIdAuthorizationFailed);
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

/// The header of a partition's batch, unchecked, if it belongs to a transaction.
fn transactional_header(partition: &ProducePartition) -> Option<BatchHeader> {
    if partition.mirror.is_some() {
        return None;
    }
    let header = BatchHeader::parse(partition.records.as_deref()?).ok()?;
    // A control batch is refused whatever it belongs to.
    (header.is_transactional() && !header.is_control()).then_some(header)
}

/// Asks the transaction coordinator for the batches that begin a transaction in their partition.
async fn admit_transactions(
    context: &Context,
    (transactional_id, api_version): (&str, i16),
    topics: &mut [Resolved],
) {
    let (mut batches, mut places) = (Vec::new(), Vec::new());
    for topic in topics.iter_mut() {
        let Ok(view) = &topic.view else { continue };
        for (partition, guard) in &mut topic.partitions {
            if let Some(header) = transactional_header(partition)
                && let Some(log) = context.topics.log(view, partition.index)
                // A transaction with a mirror's partition would wait for a marker that nobody may write there; a sealed one
                // takes nothing but repeats, about which nobody is asked.
                && log.write_state() == WriteState::Open
            {
                batches.push(TransactionalBatch { log, header });
                places.push(guard);
            }
        }
    }
    let gate = &*context.transaction_gate;
    let now = context.clock.now();
    let admitted = admit(gate, transactional_id, api_version, &batches, now).await;
    for (place, admitted) in places.into_iter().zip(admitted) {
        *place = admitted;
    }
}

fn resolve(
    context: &Context,
    topic: ProduceTopic,
    refused: Option<ErrorCode>,
    access: &dyn Fn(Resource<'_>) -> bool,
) -> Resolved {
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
            if !access(Resource::topic(&view.name)) {
                Err(ErrorCode::TopicAuthorizationFailed)
            } else if view.is_internal() {
                // A client's records there could be taken for the coordinator's.
                Err(ErrorCode::InvalidTopicException)
            } else {
                Ok(view)
            }
        }),
    };
    let partitions = topic.partitions.into_iter();
    Resolved {
        topic: topic.topic,
        view,
        partitions: partitions.map(|partition| (partition, Ok(None))).collect(),
    }
}

/// What all partitions of a request share.
struct Whole {
    frame: Arc<SharedFrame>,
    body_len: usize,
    /// Whether the client may act as a mirror link.
    link_may_act: bool,
    /// Whether the request's other fields fit a mirror link's operation.
    fits_link: bool,
}

impl Whole {
    /// A stored batch keeps its whole frame in memory, which it then answers for. One that is a small part of it is
    /// copied out, so that a batch that a slow consumer holds does not keep many times its size.
    fn part(&self, records: BytesMut) -> (BytesMut, Option<Arc<SharedFrame>>) {
        let parts_max = if self.body_len <= SHARED_FRAME_BYTES_MAX {
            SHARED_FRAME_PARTS_MAX
        } else {
            LARGE_FRAME_PARTS_MAX
        };
        if records.len().saturating_mul(parts_max) < self.body_len {
            (BytesMut::from(&records[..]), None)
        } else {
            (records, Some(Arc::clone(&self.frame)))
        }
    }

    /// As [`Whole::part`] for what nobody answers for.
    fn own(&self, records: BytesMut) -> BytesMut {
        if records.len().saturating_mul(LARGE_FRAME_PARTS_MAX) < self.body_len {
            BytesMut::from(&records[..])
        } else {
            records
        }
    }
}

async fn produce_topic(context: &Context, topic: Resolved, whole: &Whole) -> (TopicKey, Vec<Outcome>) {
    let view = topic.view;
    let mut outcomes = Vec::with_capacity(topic.partitions.len());
    for (partition, admitted) in topic.partitions {
        let index = partition.index;
        outcomes.push(match (&view, admitted) {
            (Ok(view), Ok(_)) if partition.mirror.is_some() => {
                mirror_partition(context, view, partition, whole)
            }
            (Ok(view), Ok(guard)) => produce_partition(context, view, (partition, guard), whole).await,
            (Err(code), _) => refuse(index, *code),
            (Ok(_), Err(code)) => refuse(index, code),
        });
    }
    (topic.topic, outcomes)
}

fn refuse(index: PartitionIndex, code: ErrorCode) -> Outcome {
    Outcome {
        response: ProducePartitionResponse::refused(index, code),
        ticket: None,
        mirror: None,
    }
}

fn mirror_partition(
    context: &Context,
    topic: &TopicView,
    partition: ProducePartition,
    whole: &Whole,
) -> Outcome {
    let index = partition.index;
    let Some(log) = context.topics.log(topic, index) else {
        return refuse(index, ErrorCode::UnknownTopicOrPartition);
    };
    if !whole.link_may_act {
        return refuse(index, ErrorCode::ClusterAuthorizationFailed);
    }
    let Some(command) = partition.mirror else {
        return refuse(index, ErrorCode::InvalidRequest);
    };
    let request = MirrorRequest {
        log,
        link: topic.mirror.as_ref().map(|link| link.id),
        command,
        records: partition.records.map(|records| whole.own(records)),
    };
    let progress = if whole.fits_link {
        request.begin(&context.mirrors, context.clock.now())
    } else {
        let what = "a mirror link produces with acks=all and without a transactional id";
        MirrorProgress::refused(request, &context.mirrors, what.to_owned())
    };
    Outcome {
        mirror: Some(progress),
        ..refuse(index, ErrorCode::None)
    }
}

/// Waits for a link's operation and puts it into the answer.
async fn note_answer(response: &mut ProducePartitionResponse, progress: MirrorProgress) {
    let answer = progress.finish().await;
    response.error_code = answer.error;
    response.error_message = answer.message;
    response.log_start_offset = answer.report.log_start;
    response.mirror = Some(answer.report);
}

async fn produce_partition(
    context: &Context,
    topic: &Arc<TopicView>,
    (partition, guard): (ProducePartition, Option<VerificationGuard>),
    whole: &Whole,
) -> Outcome {
    let index = partition.index;
    let Some(log) = context.topics.log(topic, index) else {
        return refuse(index, ErrorCode::UnknownTopicOrPartition);
    };
    if log.write_state() == WriteState::OwnedByLink {
        let mut outcome = refuse(index, ErrorCode::PolicyViolation);
        outcome.response.error_message = Some(topic.why_read_only());
        return outcome;
    }
    let Some(records) = partition.records else {
        return refuse(index, ErrorCode::InvalidRecord);
    };
    let limits = compression_limits(&context.settings.current());
    let (records, frame) = whole.part(records);
    let clock = &context.clock;
    let checks = &context.record_checks;
    let checked = checks.check(records, topic, clock.now(), limits).await;
    let append = |valid| append_from_client(&log, topic, (valid, frame), guard, clock.now());
    match checked.and_then(append) {
        Ok(produced) => appended(index, produced),
        Err(error) => {
            tracing::debug!(topic = %topic.name, partition = index.0, %error, "produce refused");
            checks.note_refused(&error);
            refuse_batch(index, &error)
        }
    }
}

fn appended(index: PartitionIndex, produced: Produced) -> Outcome {
    let mut response = ProducePartitionResponse::refused(index, ErrorCode::None);
    response.base_offset = produced.place.base_offset;
    response.log_append_time_ms = produced.log_append_time.unwrap_or(TimestampMs::NONE);
    response.log_start_offset = produced.place.log_start_offset;
    Outcome {
        response,
        ticket: produced.place.ticket,
        mirror: None,
    }
}

fn refuse_batch(index: PartitionIndex, error: &ProduceError) -> Outcome {
    let mut response = ProducePartitionResponse::refused(index, error.error_code());
    response.base_offset = Offset::UNKNOWN;
    response.error_message = Some(error.to_string());
    let records = error.records().iter().map(|record| RecordError {
        batch_index: i32::try_from(record.index).unwrap_or(i32::MAX),
        message: Some(record.message.clone()),
    });
    response.record_errors = records.collect();
    Outcome {
        response,
        ticket: None,
        mirror: None,
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
