//! DescribeProducers (key 61), version 0 (KIP-664): which producers a partition knows, and their open transactions.
//!
//! The tool that finds hanging transactions compares it with what the coordinators say.

use std::sync::Arc;

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState as ProducerAnswer, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};
use kafka_protocol::protocol::StrBytes;
use thalweg_storage::log::ProducerState;
use thalweg_types::{ErrorCode, Offset, PartitionIndex};

use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

/// Needs no disk: what a log knows of its producers is in memory.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeProducersRequest = decode(&request)?;
    let mut topics = Vec::with_capacity(body.topics.len());
    for topic in body.topics {
        let name = topic.name.as_str();
        let access =
            context
                .authorizer
                .authorize(&request.connection, Operation::Read, Resource::topic(name));
        let view = context.topics.by_name(name);
        let partitions = topic.partition_indexes.iter().map(|index| {
            let answer = PartitionResponse::default().with_partition_index(*index);
            if !access.is_allowed() {
                return refused(answer, ErrorCode::TopicAuthorizationFailed);
            }
            let log = view
                .as_ref()
                .and_then(|view| context.topics.log(view, PartitionIndex(*index)));
            match log {
                Some(log) => answer.with_active_producers(log.transactions().into_iter().map(told).collect()),
                None => refused(answer, ErrorCode::UnknownTopicOrPartition),
            }
        });
        let partitions = partitions.collect();
        topics.push(
            TopicResponse::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    let response = DescribeProducersResponse::default().with_topics(topics);
    Ok(respond(&request.header, &response)?.into())
}

fn refused(answer: PartitionResponse, code: ErrorCode) -> PartitionResponse {
    answer
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_static_str(code.message())))
}

fn told(state: ProducerState) -> ProducerAnswer {
    ProducerAnswer::default()
        .with_producer_id(ProducerId(state.producer_id.get()))
        .with_producer_epoch(state.epoch.get().into())
        .with_last_sequence(state.last_sequence)
        .with_last_timestamp(state.last_timestamp.get())
        .with_coordinator_epoch(state.coordinator_epoch)
        .with_current_txn_start_offset(state.transaction_start.unwrap_or(Offset::UNKNOWN).get())
}
