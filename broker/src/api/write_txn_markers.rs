//! WriteTxnMarkers (key 27), versions 1–2 (KIP-98): ends transactions in partitions, past their coordinator.
//! Administrators abort hanging transactions with it (KIP-664).
//!
//! v2 the marker's transaction version (KIP-1228): with 2 its epoch is the raised one (KIP-890), and a marker that does
//! not raise it is refused as late.

use std::sync::Arc;

use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{ProducerId, TopicName, WriteTxnMarkersResponse};
use thalweg_storage::commit::Ticket;
use thalweg_storage::log::{TransactionMarker, TransactionOutcome, TransactionVersion};
use thalweg_types::{ErrorCode, PartitionIndex};
use thalweg_wire::markers::{WritableMarker, parse_write_txn_markers_request};

use super::codec::parse;
use super::errors::ToErrorCode;
use super::exchange::{Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource};

/// The newest version that the message crate can write; newer answers have its form.
const ANSWER_FORM: i16 = 1;

/// A partition's marker on its way.
type Progress = Result<Option<Ticket>, ErrorCode>;

/// One producer's markers on their way.
struct AskedMarker {
    producer_id: ProducerId,
    topics: Vec<(TopicName, Vec<(i32, Progress)>)>,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let markers = parse(&request, parse_write_txn_markers_request)?;
    let exchange = Exchange::new(context, request);
    let access = if exchange.may(Operation::ClusterAction, Resource::CLUSTER)
        || exchange.may(Operation::Alter, Resource::CLUSTER)
    {
        Ok(())
    } else {
        Err(ErrorCode::ClusterAuthorizationFailed)
    };
    let asked: Vec<AskedMarker> = markers
        .into_iter()
        .map(|marker| append(&exchange, marker, access))
        .collect();
    let charged = exchange.charged().in_form_of(ANSWER_FORM);
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

fn append(exchange: &Exchange, asked: WritableMarker, access: Result<(), ErrorCode>) -> AskedMarker {
    let context = &exchange.context;
    let marker = TransactionMarker {
        producer_id: asked.producer_id,
        producer_epoch: asked.producer_epoch,
        coordinator_epoch: asked.coordinator_epoch,
        outcome: if asked.is_commit {
            TransactionOutcome::Commit
        } else {
            TransactionOutcome::Abort
        },
        version: match asked.transaction_version {
            ..=1 => TransactionVersion::V1,
            _ => TransactionVersion::V2,
        },
    };
    let append_one = |topic: &TopicName, index: PartitionIndex| {
        access?;
        let target = context.transactions.marker_target();
        target
            .append(topic, index, marker, context.clock.now())
            .map_err(|error| error.error_code())
    };
    let topics = asked.topics.into_iter().map(|topic| {
        let name = TopicName(text(topic.name));
        let partitions = topic.partitions.into_iter();
        let partitions = partitions.map(|index| (index.0, append_one(&name, index)));
        let partitions = partitions.collect();
        (name, partitions)
    });
    AskedMarker {
        producer_id: ProducerId(asked.producer_id.0),
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
