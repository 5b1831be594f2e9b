//! ListOffsets (key 2), versions 1–10. v2 isolation level (KIP-98), v4 leader epochs (KIP-320), v6 flexible, v7
//! largest timestamp (KIP-734), v8 earliest local offset (KIP-405), v9 latest tiered offset (KIP-1005), v10
//! timeout (KIP-1075; nothing here waits for another tier).
//!
//! Ends of a log are answered at once; searches by time read the disk, in stage 2, on a thread of their own.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use thalweg_storage::log::{FoundOffset, LogOffsets, PartitionLog, ReadError, ReadLimit, SearchError};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::fetch::IsolationLevel;

use super::codec::compression_limits;
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

/// First offset that may be read.
const EARLIEST: i64 = -2;
/// End of what may be read.
const LATEST: i64 = -1;
/// First record with the largest timestamp.
const MAX_TIMESTAMP: i64 = -3;
/// First offset on the broker's own disks.
const EARLIEST_LOCAL: i64 = -4;
/// Last offset that was copied to the tier.
const LATEST_TIERED: i64 = -5;

/// What a request asks of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Earliest,
    Latest,
    MaxTimestamp,
    LatestTiered,
    At(TimestampMs),
}

impl Wish {
    /// Reads the timestamp field; `None` if the version gives the number no meaning.
    fn parse(timestamp: i64, version: i16) -> Option<Self> {
        match timestamp {
            EARLIEST => Some(Self::Earliest),
            LATEST => Some(Self::Latest),
            MAX_TIMESTAMP if version >= 7 => Some(Self::MaxTimestamp),
            // Nothing is tiered: what is local is everything.
            EARLIEST_LOCAL if version >= 8 => Some(Self::Earliest),
            LATEST_TIERED if version >= 9 => Some(Self::LatestTiered),
            at if at >= 0 => Some(Self::At(TimestampMs(at))),
            _ => None,
        }
    }
}

/// A search that reads the disk.
struct Search {
    /// Where its answer goes: topic and partition of the response.
    place: (usize, usize),
    log: Arc<PartitionLog>,
    wish: Wish,
}

/// Stage 1 judges every partition and answers what needs no disk.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: ListOffsetsRequest = decode(&request)?;
    let Some(isolation) = IsolationLevel::from_code(body.isolation_level) else {
        return Err(ApiError::refused(format!(
            "isolation level {} has no meaning",
            body.isolation_level
        )));
    };
    let limit = match isolation {
        IsolationLevel::ReadUncommitted => ReadLimit::HighWatermark,
        IsolationLevel::ReadCommitted => ReadLimit::LastStable,
    };
    let version = request.header.api_version;
    let counts = count_partitions(&body);
    let mut searches = Vec::new();
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in &body.topics {
        let name = topic.name.as_str();
        let access =
            context
                .authorizer
                .authorize(&request.connection, Operation::Describe, Resource::topic(name));
        let view = context.topics.by_name(name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let judged = if !access.is_allowed() {
                Err(ErrorCode::TopicAuthorizationFailed)
            } else if counts
                .get(&(name, asked.partition_index))
                .is_some_and(|count| *count > 1)
            {
                Err(ErrorCode::InvalidRequest)
            } else {
                let wish = Wish::parse(asked.timestamp, version).ok_or(ErrorCode::UnsupportedVersion);
                let index = PartitionIndex(asked.partition_index);
                let log = view.as_ref().and_then(|view| context.topics.log(view, index));
                wish.and_then(|wish| Ok((wish, log.ok_or(ErrorCode::UnknownTopicOrPartition)?)))
                    .and_then(|(wish, log)| judge(asked, wish, log, limit))
            };
            partitions.push(match judged {
                Ok(Answer::Now(found)) => answer(asked.partition_index, version, found),
                Ok(Answer::Search(wish, log)) => {
                    searches.push(Search {
                        place: (topics.len(), partitions.len()),
                        log,
                        wish,
                    });
                    answer(asked.partition_index, version, NOT_FOUND)
                }
                Err(code) => refused(asked.partition_index, code),
            });
        }
        topics.push(
            ListOffsetsTopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    let mut response = ListOffsetsResponse::default().with_topics(topics);
    if searches.is_empty() {
        return Ok(respond(&request.header, &response)?.into());
    }
    let inflate = compression_limits(&context.settings.current());
    let header = request.header.clone();
    // The search stops when the client is gone and this future with it.
    let wanted = Arc::new(());
    let still_wanted = Arc::downgrade(&wanted);
    let found = tokio::task::spawn_blocking(move || search_all(searches, limit, &inflate, &still_wanted));
    Ok(Reply::later(async move {
        let found = found
            .await
            .map_err(|error| ApiError::refused(format!("the search stopped: {error}")))?;
        drop(wanted);
        for ((topic, partition), outcome) in found {
            let slot = response
                .topics
                .get_mut(topic)
                .and_then(|topic| topic.partitions.get_mut(partition));
            if let Some(slot) = slot {
                *slot = match outcome {
                    Ok(found) => answer(slot.partition_index, version, found.unwrap_or(NOT_FOUND)),
                    Err(code) => refused(slot.partition_index, code),
                };
            }
        }
        respond(&header, &response)
    }))
}

/// Judged, and answered if that needs no disk.
enum Answer {
    Now(FoundOffset),
    Search(Wish, Arc<PartitionLog>),
}

/// No record fits.
const NOT_FOUND: FoundOffset = FoundOffset {
    offset: Offset::UNKNOWN,
    timestamp: TimestampMs::NONE,
    leader_epoch: LeaderEpoch::UNKNOWN,
};

fn judge(
    asked: &ListOffsetsPartition,
    wish: Wish,
    log: Arc<PartitionLog>,
    limit: ReadLimit,
) -> Result<Answer, ErrorCode> {
    let offsets = log.offsets();
    check_leader_epoch(LeaderEpoch(asked.current_leader_epoch), offsets.leader_epoch)?;
    let at = |offset, leader_epoch| FoundOffset {
        offset,
        timestamp: TimestampMs::NONE,
        leader_epoch,
    };
    Ok(match wish {
        Wish::Latest => Answer::Now(at(end(&offsets, limit), offsets.leader_epoch)),
        Wish::Earliest => {
            let start = offsets.log_start_offset;
            // The epoch of the record that is there; an empty log has none.
            let epoch = log.epoch_at(start).filter(|_| start < offsets.high_watermark);
            Answer::Now(at(start, epoch.unwrap_or(LeaderEpoch::UNKNOWN)))
        }
        Wish::LatestTiered => Answer::Now(NOT_FOUND),
        Wish::MaxTimestamp | Wish::At(_) if offsets.log_start_offset >= end(&offsets, limit) => {
            Answer::Now(NOT_FOUND)
        }
        Wish::MaxTimestamp | Wish::At(_) => Answer::Search(wish, log),
    })
}

const fn end(offsets: &LogOffsets, limit: ReadLimit) -> Offset {
    match limit {
        ReadLimit::HighWatermark => offsets.high_watermark,
        ReadLimit::LastStable => offsets.last_stable_offset,
    }
}

/// Compares the epoch a client believes in with the true one (KIP-320); −1 is not compared.
fn check_leader_epoch(believed: LeaderEpoch, current: LeaderEpoch) -> Result<(), ErrorCode> {
    if believed == LeaderEpoch::UNKNOWN || believed == current {
        Ok(())
    } else if believed < current {
        Err(ErrorCode::FencedLeaderEpoch)
    } else {
        Err(ErrorCode::UnknownLeaderEpoch)
    }
}

type Found = ((usize, usize), Result<Option<FoundOffset>, ErrorCode>);

/// Searches one log after the other, so that a request occupies one thread. Blocks on the disk.
fn search_all(
    searches: Vec<Search>,
    limit: ReadLimit,
    inflate: &CompressionLimits,
    still_wanted: &Weak<()>,
) -> Vec<Found> {
    let mut found = Vec::with_capacity(searches.len());
    for search in searches {
        if still_wanted.strong_count() == 0 {
            break;
        }
        let outcome = match search.wish {
            Wish::At(target) => search.log.find_by_timestamp(target, limit, inflate),
            _ => search.log.find_max_timestamp(limit, inflate),
        };
        let end = end(&search.log.offsets(), limit);
        let outcome = outcome
            .map(|found| found.filter(|found| found.offset < end))
            .map_err(|error| {
                let code = search_error_code(&error);
                if code == ErrorCode::KafkaStorageError || code == ErrorCode::CorruptMessage {
                    tracing::error!(log = ?search.log, %error, "a search by timestamp failed");
                }
                code
            });
        found.push((search.place, outcome));
    }
    found
}

fn search_error_code(error: &SearchError) -> ErrorCode {
    match error {
        // Deleted while it was searched.
        SearchError::Read(ReadError::Closed) => ErrorCode::UnknownTopicOrPartition,
        SearchError::Read(ReadError::OutOfRange { .. }) => ErrorCode::OffsetOutOfRange,
        SearchError::Read(ReadError::Corrupt { .. } | ReadError::Io { .. }) => ErrorCode::KafkaStorageError,
        SearchError::Batch(_) => ErrorCode::CorruptMessage,
    }
}

/// How often the request names each partition: one named twice is refused, both times.
fn count_partitions(body: &ListOffsetsRequest) -> HashMap<(&str, i32), usize> {
    let mut counts = HashMap::new();
    for topic in &body.topics {
        for partition in &topic.partitions {
            *counts
                .entry((topic.name.as_str(), partition.partition_index))
                .or_insert(0) += 1;
        }
    }
    counts
}

fn answer(index: i32, version: i16, found: FoundOffset) -> ListOffsetsPartitionResponse {
    let epoch = if version >= 4 {
        found.leader_epoch
    } else {
        LeaderEpoch::UNKNOWN
    };
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_timestamp(found.timestamp.get())
        .with_offset(found.offset.get())
        .with_leader_epoch(epoch.get())
}

fn refused(index: i32, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_timestamp(TimestampMs::NONE.get())
        .with_offset(Offset::UNKNOWN.get())
        .with_leader_epoch(LeaderEpoch::UNKNOWN.get())
}

#[cfg(test)]
#[path = "list_offsets_test.rs"]
mod tests;
