//! OffsetForLeaderEpoch (key 23), versions 2–4. v2 current leader epoch (KIP-320), v3 consumers may ask with
//! Describe, v4 flexible.
//!
//! A client that comes back asks where the epoch of its last record ended; if that is before its position, the
//! log was cut and it starts again there.

use std::sync::Arc;

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use thalweg_storage::log::PartitionLog;
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};

use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

/// Needs no disk: the epochs of a log are in memory.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: OffsetForLeaderEpochRequest = decode(&request)?;
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let name = topic.topic.as_str();
        let access =
            context
                .authorizer
                .authorize(&request.connection, Operation::Describe, Resource::topic(name));
        let view = context.topics.by_name(name);
        let partitions = topic.partitions.iter().map(|asked| {
            let outcome = if access.is_allowed() {
                let index = PartitionIndex(asked.partition);
                let log = view.as_ref().and_then(|view| context.topics.log(view, index));
                log.ok_or(ErrorCode::UnknownTopicOrPartition)
                    .and_then(|log| end_of(asked, &log))
            } else {
                Err(ErrorCode::TopicAuthorizationFailed)
            };
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            match outcome {
                Ok((epoch, end)) => answer.with_leader_epoch(epoch.get()).with_end_offset(end.get()),
                Err(code) => answer
                    .with_error_code(code.code())
                    .with_leader_epoch(LeaderEpoch::UNKNOWN.get())
                    .with_end_offset(Offset::UNKNOWN.get()),
            }
        });
        let partitions = partitions.collect();
        topics.push(
            OffsetForLeaderTopicResult::default()
                .with_topic(topic.topic.clone())
                .with_partitions(partitions),
        );
    }
    let response = OffsetForLeaderEpochResponse::default().with_topics(topics);
    Ok(respond(&request.header, &response)?.into())
}

/// An epoch the log does not know is no error: both numbers are −1.
fn end_of(asked: &OffsetForLeaderPartition, log: &PartitionLog) -> Result<(LeaderEpoch, Offset), ErrorCode> {
    let believed = LeaderEpoch(asked.current_leader_epoch);
    let current = log.offsets().leader_epoch;
    if believed != LeaderEpoch::UNKNOWN && believed < current {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if believed > current {
        return Err(ErrorCode::UnknownLeaderEpoch);
    }
    let end = log.end_offset_for_epoch(LeaderEpoch(asked.leader_epoch));
    Ok(end.unwrap_or((LeaderEpoch::UNKNOWN, Offset::UNKNOWN)))
}
