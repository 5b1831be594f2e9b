//! Fetch (key 1), versions 4–18. v7 sessions (KIP-227), v9 leader epoch (KIP-320), v12 flexible, v13 topic ids
//! (KIP-516), v15 replica state (KIP-903), v16 node endpoints (KIP-951).
//!
//! Data comes from memory by reference; what needs the disk is read on a blocking thread. A long poll waits on
//! the logs' waiters and holds no request memory. A read-committed fetch ends at the last stable offset and names the
//! aborted transactions of its range (KIP-98). Left out: followers (refused by the log's single copy),
//! preferred read replica (KIP-392): there is one copy.

use std::sync::Arc;
use std::time::Duration;

use thalweg_storage::log::{
    MinOne, PartitionLog, ReadError, ReadLimit, ReadRequest, ReadResult, Waiter, Waiting,
};
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch};
use thalweg_wire::fetch::{
    FetchPartitionResponse, FetchRequest, FetchResponse, IsolationLevel, TopicKey, encode_fetch_response,
    parse_fetch_request,
};
use tokio::time::Instant;

use super::codec::parse;
use super::fetch_progress::{Advance, Progress};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, Response};
use crate::budget::MemoryPermit;
use crate::partition::SessionPartition;

/// One partition of the fetch, resolved.
struct Target {
    partition: SessionPartition,
    log: Result<Arc<PartitionLog>, ErrorCode>,
}

/// What all partitions of a fetch share.
#[derive(Clone, Copy)]
struct Limits {
    max_bytes: usize,
    min_bytes: usize,
    limit: ReadLimit,
}

/// One read over all partitions.
struct Round {
    /// Answers, each with its target's index.
    responses: Vec<(usize, FetchPartitionResponse)>,
    bytes: usize,
    answer_now: bool,
    memory: Option<MemoryPermit>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let header = request.header.clone();
    let fetch = parse(&request, parse_fetch_request)?;
    let deadline = Instant::from_std(request.received_at) + wait_max(&fetch);
    let connection = Arc::clone(&request.connection);
    // A long poll holds no request memory.
    drop(request);
    let begun = context.fetch_sessions.begin(&fetch, std::time::Instant::now());
    let session = match begun {
        Ok(session) if session.fits_version(header.api_version) => session,
        unfit => {
            let code = unfit.err().unwrap_or(ErrorCode::FetchSessionTopicIdError);
            let response = FetchResponse {
                error_code: code,
                ..FetchResponse::default()
            };
            let frame = encode_fetch_response(header.correlation_id, header.api_version, response)
                .map_err(|cause| ApiError::Encode { cause })?;
            return Ok(Response::new(frame).with_error(code).into());
        }
    };
    let targets: Vec<Target> = session
        .partitions
        .iter()
        .map(|partition| {
            let log = resolve(&context, &connection, partition);
            Target {
                partition: partition.clone(),
                log,
            }
        })
        .collect();
    let targets = Arc::new(targets);
    let limits = limits(&context, &fetch);
    Ok(Reply::later(async move {
        let round = poll(&context, &targets, limits, deadline).await;
        let charge = Charge::FetchBytes(round.bytes as u64);
        let throttle = context
            .throttle
            .charge(&connection, header.client_id.as_deref(), charge);
        let (session_id, topics) = context.fetch_sessions.finish(&session, round.responses);
        let response = FetchResponse {
            throttle_time_ms: i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX),
            session_id,
            topics,
            ..FetchResponse::default()
        };
        let frame = encode_fetch_response(header.correlation_id, header.api_version, response)
            .map_err(|cause| ApiError::Encode { cause })?;
        let response = Response::new(frame).throttled(throttle);
        Ok(match round.memory {
            Some(memory) => response.holding(memory),
            None => response,
        })
    }))
}

fn wait_max(fetch: &FetchRequest) -> Duration {
    Duration::from_millis(u64::try_from(fetch.max_wait_ms).unwrap_or(0))
}

fn limits(context: &Context, fetch: &FetchRequest) -> Limits {
    let settings = context.settings.current();
    let asked = usize::try_from(fetch.max_bytes).unwrap_or(0);
    let ours = usize::try_from(settings.fetch_max_bytes()).unwrap_or(usize::MAX);
    let budget = usize::try_from(context.budget.response_max()).unwrap_or(usize::MAX);
    let max_bytes = asked.min(ours).min(budget);
    Limits {
        max_bytes,
        min_bytes: usize::try_from(fetch.min_bytes)
            .unwrap_or(0)
            .min(max_bytes.max(1)),
        limit: match fetch.isolation_level {
            IsolationLevel::ReadUncommitted => ReadLimit::HighWatermark,
            IsolationLevel::ReadCommitted => ReadLimit::LastStable,
        },
    }
}

fn resolve(
    context: &Context,
    connection: &super::ConnectionInfo,
    partition: &SessionPartition,
) -> Result<Arc<PartitionLog>, ErrorCode> {
    let topic = match &partition.topic {
        TopicKey::Name(name) => context
            .topics
            .by_name(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => context.topics.by_id(*id).ok_or(ErrorCode::UnknownTopicId),
    }?;
    let access = context
        .authorizer
        .authorize(connection, Operation::Read, Resource::topic(&topic.name));
    if !access.is_allowed() {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let log = context.topics.log(&topic, partition.partition);
    let log = log.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let (current, asked) = (log.offsets().leader_epoch, partition.current_leader_epoch);
    if asked != LeaderEpoch::UNKNOWN && asked < current {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if asked != LeaderEpoch::UNKNOWN && asked > current {
        return Err(ErrorCode::UnknownLeaderEpoch);
    }
    Ok(log)
}

/// Reads until there is enough, an error, or no more time.
///
/// What was found is read again only when there may be enough: until then its size and end are remembered, and what
/// comes in is counted in memory. So a long poll holds no records, and does not read a disk at every append.
async fn poll(
    context: &Arc<Context>,
    targets: &Arc<Vec<Target>>,
    limits: Limits,
    deadline: Instant,
) -> Round {
    let round = read_round(context, targets, limits).await;
    if round.is_final(limits, deadline) || context.shutdown.is_requested() {
        return round;
    }
    drop(round);
    let waiter = Arc::new(Waiter::default());
    let logs = targets.iter().filter_map(|target| target.log.as_ref().ok());
    let _waiting: Vec<Waiting> = logs.map(|log| log.wait(&waiter)).collect();
    loop {
        // Registered first: what came in between is seen by this read.
        let round = read_round(context, targets, limits).await;
        if round.is_final(limits, deadline) || context.shutdown.is_requested() {
            return round;
        }
        let mut progress = progress_after(&round, targets, limits);
        if progress.ended_early {
            return round;
        }
        drop(round);
        loop {
            tokio::select! {
                () = waiter.fired() => {}
                () = tokio::time::sleep_until(deadline) => break,
                () = context.shutdown.requested() => break,
            }
            match progress.advance() {
                Advance::Waits => {}
                Advance::ReadAgain => break,
            }
        }
    }
}

/// Notes where each partition's records in the round end.
fn progress_after(round: &Round, targets: &[Target], limits: Limits) -> Progress {
    let mut progress = Progress::new(limits.min_bytes, limits.limit);
    for (index, response) in &round.responses {
        if let Some(Target {
            partition,
            log: Ok(log),
        }) = targets.get(*index)
        {
            let end = match limits.limit {
                ReadLimit::HighWatermark => response.high_watermark,
                ReadLimit::LastStable => response.last_stable_offset,
            };
            progress.add(log, partition.fetch_offset, &response.records, end);
        }
    }
    progress
}

impl Round {
    fn is_final(&self, limits: Limits, deadline: Instant) -> bool {
        self.answer_now || self.bytes >= limits.min_bytes || Instant::now() >= deadline
    }
}

async fn read_round(context: &Arc<Context>, targets: &Arc<Vec<Target>>, limits: Limits) -> Round {
    let granted = match read_all(targets, limits, Source::Memory) {
        Some(mut round) => {
            if round.bytes == 0 {
                return round;
            }
            let memory = context.budget.acquire_response(round.bytes as u64).await;
            if memory.bytes() >= round.bytes as u64 {
                round.memory = Some(memory);
                return round;
            }
            memory
        }
        // Reserved before the disk is read: the bytes will be ours alone.
        None => {
            let wanted: usize = targets
                .iter()
                .map(|target| target.partition.max_bytes)
                .fold(0, |sum: usize, bytes| sum.saturating_add(bytes))
                .min(limits.max_bytes);
            context.budget.acquire_response(wanted as u64).await
        }
    };
    read_within(targets, limits, granted).await
}

/// Reads what the memory that was granted has room for, and one batch at least.
async fn read_within(targets: &Arc<Vec<Target>>, mut limits: Limits, mut memory: MemoryPermit) -> Round {
    let room = usize::try_from(memory.bytes()).unwrap_or(usize::MAX);
    let is_cut = room < limits.max_bytes;
    limits.max_bytes = limits.max_bytes.min(room);
    let shared = Arc::clone(targets);
    let read = tokio::task::spawn_blocking(move || read_all(&shared, limits, Source::Disk)).await;
    let mut round = match read {
        Ok(Some(round)) => round,
        Ok(None) | Err(_) => Round::failed(targets),
    };
    // A reply that was cut may never get as large as the client wants it: it does not wait for more.
    round.answer_now |= is_cut && round.bytes > 0;
    memory.shrink_to(round.bytes as u64);
    round.memory = Some(memory);
    round
}

/// Where a round may read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Only what is in memory.
    Memory,
    /// Everywhere; blocks.
    Disk,
}

/// Reads every partition; `None` when one needs the disk and only memory is allowed.
fn read_all(targets: &[Target], limits: Limits, source: Source) -> Option<Round> {
    let mut round = Round {
        responses: Vec::with_capacity(targets.len()),
        bytes: 0,
        answer_now: false,
        memory: None,
    };
    for (index, target) in targets.iter().enumerate() {
        let left = limits.max_bytes.saturating_sub(round.bytes);
        let request = ReadRequest {
            offset: target.partition.fetch_offset,
            max_bytes: target.partition.max_bytes.min(left),
            limit: limits.limit,
            min_one: if round.bytes == 0 { MinOne::Yes } else { MinOne::No },
        };
        let response = match &target.log {
            Err(code) => Err(*code),
            Ok(log) => match source {
                Source::Memory => match log.read_memory(request) {
                    Ok(None) => return None,
                    Ok(Some(result)) => Ok(result),
                    Err(error) => Err(read_error_code(&error)),
                },
                Source::Disk => log.read(request).map_err(|error| read_error_code(&error)),
            },
        };
        let response = match response {
            Ok(result) => {
                round.bytes += result.bytes;
                answered(&target.partition, result, limits.limit)
            }
            Err(code) => {
                round.answer_now = true;
                refused(target, code)
            }
        };
        round.responses.push((index, response));
    }
    Some(round)
}

fn answered(partition: &SessionPartition, result: ReadResult, limit: ReadLimit) -> FetchPartitionResponse {
    let aborted = result
        .aborted
        .iter()
        .map(|aborted| (aborted.producer_id, aborted.first_offset));
    FetchPartitionResponse {
        aborted: (limit == ReadLimit::LastStable).then(|| aborted.collect()),
        high_watermark: result.offsets.high_watermark,
        last_stable_offset: result.offsets.last_stable_offset,
        log_start_offset: result.offsets.log_start_offset,
        preferred_read_replica: BrokerId(-1),
        records: result.batches,
        ..FetchPartitionResponse::refused(partition.partition, ErrorCode::None)
    }
}

fn refused(target: &Target, code: ErrorCode) -> FetchPartitionResponse {
    let mut response = FetchPartitionResponse::refused(target.partition.partition, code);
    if let (ErrorCode::OffsetOutOfRange, Ok(log)) = (code, &target.log) {
        let offsets = log.offsets();
        response.high_watermark = offsets.high_watermark;
        response.last_stable_offset = offsets.last_stable_offset;
        response.log_start_offset = offsets.log_start_offset;
    }
    response
}

/// Returns Kafka's code for a failed read.
fn read_error_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::Closed => ErrorCode::NotLeaderOrFollower,
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Corrupt { .. } | ReadError::Io { .. } => ErrorCode::KafkaStorageError,
    }
}

impl Round {
    fn failed(targets: &[Target]) -> Self {
        let responses = targets
            .iter()
            .enumerate()
            .map(|(index, target)| (index, refused(target, ErrorCode::KafkaStorageError)))
            .collect();
        Self {
            responses,
            bytes: 0,
            answer_now: true,
            memory: None,
        }
    }
}
