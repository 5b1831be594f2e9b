//! Metadata (key 3), versions 0–13. v1 null = all topics, v4 auto-creation flag, v7 leader epoch, v8 authorized
//! operations (KIP-430), v9 flexible, v10 topic ids (KIP-516), v13 top-level error (KIP-1102).
//!
//! One machine: every partition's leader, replica and in-sync replica is this broker.

use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use thalweg_types::{ErrorCode, PartitionIndex, TopicId};
use uuid::Uuid;

use super::advertised::advertised;
use super::errors::ToErrorCode;
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::{NewTopic, ReplicationFactor, TopicError, TopicView, check_topic_name, is_internal_name};

/// `authorized_operations` when they were not asked for.
const NOT_ASKED: i32 = i32::MIN;
const AUTO_CREATION_FLAG_SINCE: i16 = 4;

/// Asked topics are created at once, in stage 1: a produce that follows on the connection finds them.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: MetadataRequest = decode(&request)?;
    let version = request.header.api_version;
    let settings = context.settings.current();
    let asked = match body.topics {
        None => None,
        // Before v1 an empty list meant all.
        Some(topics) if version == 0 && topics.is_empty() => None,
        Some(topics) => Some(topics),
    };
    let mut topics = Vec::new();
    match asked {
        None => {
            for view in context.topics.all() {
                let access = context.authorizer.authorize(
                    &request.connection,
                    Operation::Describe,
                    Resource::topic(&view.name),
                );
                if access.is_allowed() {
                    topics.push(found(&context, &view));
                }
            }
        }
        Some(asked) => {
            let flag = version < AUTO_CREATION_FLAG_SINCE || body.allow_auto_topic_creation;
            let create = if flag && settings.auto_create_topics_enable() {
                Missing::Create
            } else {
                Missing::Refuse
            };
            for topic in asked {
                topics.push(one(&context, &request, topic, create).await);
            }
        }
    }
    if body.include_topic_authorized_operations {
        for topic in &mut topics {
            let name = topic
                .name
                .as_ref()
                .map(|name| name.to_string())
                .unwrap_or_default();
            let resource = Resource::topic(&name);
            topic.topic_authorized_operations = context
                .authorizer
                .authorized_operations(&request.connection, resource);
        }
    }
    let (host, port) = advertised(&settings, &request.connection.listener);
    let node_id = BrokerId(settings.node_id().0);
    let broker = MetadataResponseBroker::default()
        .with_node_id(node_id)
        .with_host(StrBytes::from_string(host))
        .with_port(port)
        .with_rack(
            settings
                .broker_rack()
                .map(|rack| StrBytes::from_string(rack.to_owned())),
        );
    let cluster_operations = if body.include_cluster_authorized_operations {
        context
            .authorizer
            .authorized_operations(&request.connection, Resource::CLUSTER)
    } else {
        NOT_ASKED
    };
    let response = MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(StrBytes::from_string(context.stamp.cluster_id.to_string())))
        .with_controller_id(node_id)
        .with_cluster_authorized_operations(cluster_operations)
        .with_topics(topics);
    Ok(respond(&request.header, &response)?.into())
}

/// What to do about a topic that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Create,
    Refuse,
}

async fn one(
    context: &Arc<Context>,
    request: &Request,
    asked: MetadataRequestTopic,
    missing: Missing,
) -> MetadataResponseTopic {
    let Some(name) = asked.name else {
        return by_id(context, TopicId(asked.topic_id.into_bytes()));
    };
    let refuse = |code: ErrorCode| refused(Some(name.clone()), TopicId::ZERO, code);
    if check_topic_name(&name).is_err() {
        return refuse(ErrorCode::InvalidTopicException);
    }
    let access =
        context
            .authorizer
            .authorize(&request.connection, Operation::Describe, Resource::topic(&name));
    if !access.is_allowed() {
        return refuse(ErrorCode::TopicAuthorizationFailed);
    }
    if let Some(view) = context.topics.by_name(&name) {
        return found(context, &view);
    }
    if missing == Missing::Refuse || is_internal_name(&name) {
        return refuse(ErrorCode::UnknownTopicOrPartition);
    }
    let new = NewTopic {
        name: name.to_string(),
        partitions: None,
        replication_factor: ReplicationFactor::Default,
        configs: BTreeMap::new(),
    };
    match context.topics.create(&new).await {
        Ok(view) => {
            tracing::info!(topic = %view.name, partitions = view.partitions, "topic created on first use");
            found(context, &view)
        }
        // Another connection was faster.
        Err(TopicError::Exists { .. }) => match context.topics.by_name(&name) {
            Some(view) => found(context, &view),
            None => refuse(ErrorCode::UnknownTopicOrPartition),
        },
        Err(error) => {
            tracing::warn!(topic = %name.as_str(), %error, "topic not created on first use");
            refuse(error.error_code())
        }
    }
}

fn by_id(context: &Context, id: TopicId) -> MetadataResponseTopic {
    match context.topics.by_id(id) {
        Some(view) => found(context, &view),
        None => refused(None, id, ErrorCode::UnknownTopicId),
    }
}

fn refused(name: Option<TopicName>, id: TopicId, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(code.code())
        // Versions below 12 cannot say that there is no name.
        .with_name(Some(name.unwrap_or_default()))
        .with_topic_id(Uuid::from_bytes(id.0))
        .with_topic_authorized_operations(NOT_ASKED)
}

fn found(context: &Context, view: &TopicView) -> MetadataResponseTopic {
    let node_id = BrokerId(context.settings.current().node_id().0);
    let epoch = context.topics.engine().leader_epoch();
    let partitions = (0..view.partitions).map(|index| {
        let log = context.topics.log(view, PartitionIndex(index));
        // A mirror truncation may have raised this partition's epoch above the broker's.
        let epoch = log.map_or(epoch, |log| log.offsets().leader_epoch);
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(node_id)
            .with_leader_epoch(epoch.0)
            .with_replica_nodes(vec![node_id])
            .with_isr_nodes(vec![node_id])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(view.name.to_string()))))
        .with_topic_id(Uuid::from_bytes(view.id.0))
        .with_is_internal(view.is_internal())
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(NOT_ASKED)
}
