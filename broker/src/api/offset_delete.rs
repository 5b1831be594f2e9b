//! OffsetDelete (key 47), version 0: an administrator removes committed offsets of topics nobody reads (KIP-496).

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use thalweg_coordinator::group::{
    GroupError, GroupId, OffsetDelete, OffsetDeleteReply, TopicName, TopicPartitions,
};
use thalweg_types::{ErrorCode, PartitionIndex};

use super::errors::ToErrorCode;
use super::exchange::{Charged, Exchange, text};
use super::{ApiError, Context, Operation, Reply, Request, Resource, Response, decode};

/// A topic of the request in its order, with the error of each partition that is not put to the group.
type AskedTopic = (TopicName, Vec<(i32, Option<ErrorCode>)>);

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: OffsetDeleteRequest = decode(&request)?;
    let exchange = Exchange::new(context, request);
    let group_id = GroupId::from(body.group_id.as_str());
    if !exchange.may(Operation::Delete, Resource::group(&group_id)) {
        return Ok(refused(exchange.charged(), ErrorCode::GroupAuthorizationFailed)?.into());
    }
    let asked_topics: Vec<AskedTopic> = body.topics.iter().map(|topic| check(&exchange, topic)).collect();
    drop(body);
    let topics = asked_topics.iter().map(|(topic, partitions)| {
        let open = partitions.iter().filter(|(_, error)| error.is_none());
        TopicPartitions {
            topic: topic.clone(),
            partitions: open.map(|(index, _)| PartitionIndex(*index)).collect(),
        }
    });
    let topics = topics.filter(|topic| !topic.partitions.is_empty()).collect();
    // Asked for even if nothing is left: an unknown group is an error of its own.
    let asked = exchange
        .context
        .groups
        .ask(OffsetDelete { group_id, topics })
        .await;
    let charged = exchange.charged();
    match asked {
        Err(error) => Ok(refused(charged, error.error_code())?.into()),
        Ok(asked) => Ok(Reply::later(async move {
            answer(charged, asked_topics, asked.wait().await)
        })),
    }
}

fn check(exchange: &Exchange, topic: &OffsetDeleteRequestTopic) -> AskedTopic {
    let view = exchange.context.topics.by_name(&topic.name);
    let partition_count = view.map_or(0, |view| view.partitions);
    let may_read = exchange.may(Operation::Read, Resource::topic(&topic.name));
    let partitions = topic.partitions.iter().map(|partition| {
        let index = partition.partition_index;
        let error = if !may_read {
            Some(ErrorCode::TopicAuthorizationFailed)
        } else if !(0..partition_count).contains(&index) {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        };
        (index, error)
    });
    (TopicName::from(topic.name.as_str()), partitions.collect())
}

fn answer(
    charged: Charged,
    asked: Vec<AskedTopic>,
    reply: Result<OffsetDeleteReply, GroupError>,
) -> Result<Response, ApiError> {
    let topics = match reply.and_then(|reply| reply.outcome) {
        Ok(topics) => topics,
        Err(error) => return refused(charged, error.error_code()),
    };
    let mut outcomes = topics.into_iter().flat_map(|topic| topic.partitions);
    let topics = asked.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|(index, refused)| {
            let error = refused.unwrap_or_else(|| match outcomes.next().map(|deleted| deleted.outcome) {
                Some(Ok(())) => ErrorCode::None,
                Some(Err(error)) => error.error_code(),
                // A group answers every partition; were one missing, it must not read as deleted.
                None => ErrorCode::UnknownServerError,
            });
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error.code())
        });
        let partitions = partitions.collect();
        OffsetDeleteResponseTopic::default()
            .with_name(text(topic.as_str()).into())
            .with_partitions(partitions)
    });
    let topics = topics.collect();
    let response = OffsetDeleteResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_topics(topics);
    charged.answer(&response, ErrorCode::None)
}

fn refused(charged: Charged, error: ErrorCode) -> Result<Response, ApiError> {
    let response = OffsetDeleteResponse::default()
        .with_throttle_time_ms(charged.throttle_ms())
        .with_error_code(error.code());
    charged.answer(&response, error)
}
