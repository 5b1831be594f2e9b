//! WriteTxnMarkers (key 27), version 1 (KIP-98): ends transactions in partitions, past their coordinator. Administrators
//! abort hanging transactions with it (KIP-664).
//!
//! Left out: version 2 (the marker's transaction version), which the message crate does not know.

use std::sync::Arc;

use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{ProducerId, TopicName, WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use thalweg_storage::commit::Ticket;
use thalweg_storage::log::{TransactionMarker, TransactionOutcome, TransactionVersion};
use thalweg_types::{ErrorCode, PartitionIndex, ProducerEpoch};

use super::errors::ToErrorCode;
use super::exchange::Exchange;
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode};

/// A partition's marker on its way.
type Progress = Result<Option<Ticket>, ErrorCode>;

/// One producer's markers on their way.
struct AskedMarker {
    producer_id: ProducerId,
    topics: Vec<(TopicName, Vec<(i32, Progress)>)>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: WriteTxnMarkersRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let access = if exchange.may(Operation::ClusterAction, Resource::CLUSTER)
        || exchange.may(Operation::Alter, Resource::CLUSTER)
    {
        Ok(())
    } else {
        Err(ErrorCode::ClusterAuthorizationFailed)
    };
    let asked: Vec<AskedMarker> = body
        .markers
        .into_iter()
        .map(|marker| append(&exchange, marker, access))
        .collect();
    let charged = exchange.charged();
    Ok(Reply::later(async move {
        let mut first_error = ErrorCode::None;
        let mut markers = Vec::with_capacity(asked.len());
        for marker in asked {
            let mut topics = Vec::with_capacity(marker.topics.len());
            for (name, partitions) in marker.topics {
                let mut results = Vec::with_capacity(partitions.len());
                for (index, progress) in partitions {
                    let code = finish(progress).await;
                    if first_error.is_none() {
                        first_error = code;
                    }
                    let result = WritableTxnMarkerPartitionResult::default()
                        .with_partition_index(index)
                        .with_error_code(code.code());
                    results.push(result);
                }
                let topic = WritableTxnMarkerTopicResult::default()
                    .with_name(name)
                    .with_partitions(results);
                topics.push(topic);
            }
            let result = WritableTxnMarkerResult::default()
                .with_producer_id(marker.producer_id)
                .with_topics(topics);
            markers.push(result);
        }
        let response = WriteTxnMarkersResponse::default().with_markers(markers);
        charged.answer(&response, first_error)
    }))
}

fn append(exchange: &Exchange, asked: WritableTxnMarker, access: Result<(), ErrorCode>) -> AskedMarker {
    let context = &exchange.context;
    let marker = TransactionMarker {
        producer_id: thalweg_types::ProducerId(asked.producer_id.0),
        producer_epoch: ProducerEpoch(asked.producer_epoch),
        coordinator_epoch: asked.coordinator_epoch,
        outcome: if asked.transaction_result {
            TransactionOutcome::Commit
        } else {
            TransactionOutcome::Abort
        },
        version: TransactionVersion::V1,
    };
    let append_one = |topic: &TopicName, index: i32| {
        access?;
        let target = context.transactions.marker_target();
        target
            .append(topic, PartitionIndex(index), marker, context.clock.now())
            .map_err(|error| error.error_code())
    };
    let topics = asked.topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.into_iter();
        let partitions = partitions.map(|index| (index, append_one(&topic.name, index)));
        let partitions = partitions.collect();
        (topic.name, partitions)
    });
    AskedMarker {
        producer_id: asked.producer_id,
        topics: topics.collect(),
    }
}

async fn finish(progress: Progress) -> ErrorCode {
    match progress {
        Err(code) => code,
        Ok(None) => ErrorCode::None,
        Ok(Some(ticket)) => match ticket.durable().await {
            Ok(()) => ErrorCode::None,
            Err(_) => ErrorCode::KafkaStorageError,
        },
    }
}
