//! CreateTopics (key 19), versions 2–7. v4 −1 for the broker's defaults (KIP-464), v5 flexible and configs in the
//! response (KIP-525), v6 KIP-599, v7 topic ids (KIP-516).
//!
//! One machine holds one copy: the replication factor reported is 1. −1 means a default in every version.
//! `timeout_ms` is not needed: a topic is there when the response is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName};
use thalweg_settings::{Settings, describe_topic};
use thalweg_types::{BrokerId, ErrorCode, TopicId};
use uuid::Uuid;

use super::config_resources::Mode;
use super::placement;
use super::refusal::{Refusal, str_bytes, throttle, to_the_end};
use super::{ApiError, Charge, Context, Operation, Reply, Request, Resource, decode, respond};
use crate::topics::{NewTopic, ReplicationFactor};

/// Topics are created in stage 1: what follows on the connection finds them.
pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: CreateTopicsRequest = decode(&request)?;
    let mode = Mode::of(body.validate_only);
    let twice = named_twice(body.topics.iter().map(|topic| topic.name.as_str()));
    let mut results = Vec::with_capacity(body.topics.len());
    let mut created = 0u32;
    for name in &twice {
        let refusal = Refusal::new(
            ErrorCode::InvalidRequest,
            format!("topic '{name}' is named twice"),
        );
        results.push(refused(TopicName(str_bytes(name.clone())), &refusal));
    }
    for topic in body.topics {
        if twice.contains(topic.name.as_str()) {
            continue;
        }
        let name = topic.name.clone();
        match one(&context, &request, topic, mode).await {
            Ok(result) => {
                created = created.saturating_add(u32::try_from(result.num_partitions).unwrap_or(0));
                results.push(result);
            }
            Err(refusal) => results.push(refused(name.clone(), &refusal.noted("create topic", &name))),
        }
    }
    let (mute, throttle_time_ms) = throttle(&context, &request, Charge::TopicMutations(created));
    let response = CreateTopicsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_topics(results);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

async fn one(
    context: &Arc<Context>,
    request: &Request,
    topic: CreatableTopic,
    mode: Mode,
) -> Result<CreatableTopicResult, Refusal> {
    let may = |operation, resource| {
        context
            .authorizer
            .authorize(&request.connection, operation, resource)
            .is_allowed()
    };
    let resource = Resource::topic(&topic.name);
    if !may(Operation::Create, Resource::CLUSTER) && !may(Operation::Create, resource) {
        return Err(Refusal::bare(ErrorCode::TopicAuthorizationFailed));
    }
    let tells_configs = may(Operation::DescribeConfigs, resource);
    let settings = context.settings.current();
    let new = read(&topic, settings.node_id())?;
    let (id, partitions) = match mode {
        // A topic that is only checked has no id yet.
        Mode::Validate => (TopicId::ZERO, context.topics.check_new(&new)?.partitions),
        Mode::Apply => {
            let topics = Arc::clone(&context.topics);
            let asked = new.clone();
            let view = to_the_end(async move { topics.create(&asked).await }).await?;
            let principal = request.connection.principal();
            tracing::info!(topic = %view.name, partitions = view.partitions, %principal, "topic created");
            (view.id, view.partitions)
        }
    };
    let result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(Uuid::from_bytes(id.0))
        .with_error_message(None);
    if !tells_configs {
        return Ok(result.with_topic_config_error_code(ErrorCode::TopicAuthorizationFailed.code()));
    }
    Ok(result
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(Some(configs(&new.configs, &settings))))
}

/// Reads a topic as it is asked for; what its name, counts and settings may be is checked later.
fn read(topic: &CreatableTopic, node_id: BrokerId) -> Result<NewTopic, Refusal> {
    let (mut partitions, mut replication_factor) = (None, ReplicationFactor::Default);
    if topic.assignments.is_empty() {
        if topic.num_partitions != -1 {
            partitions = Some(topic.num_partitions);
        }
        if topic.replication_factor != -1 {
            replication_factor = ReplicationFactor::Count(topic.replication_factor.into());
        }
    } else {
        if topic.num_partitions != -1 || topic.replication_factor != -1 {
            let what =
                "assignments are given, so the number of partitions and the replication factor must be -1";
            return Err(Refusal::new(ErrorCode::InvalidRequest, what));
        }
        let brokers: Vec<(i32, Vec<i32>)> = topic
            .assignments
            .iter()
            .map(|one| {
                (
                    one.partition_index,
                    one.broker_ids.iter().map(|broker| broker.0).collect(),
                )
            })
            .collect();
        let assignments = brokers
            .iter()
            .map(|(partition, brokers)| (*partition, brokers.as_slice()));
        partitions = Some(placement::check_new_topic(assignments, node_id)?);
    }
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let what = format!(
                "{}: null is no value; leave the key out for the default",
                config.name
            );
            return Err(Refusal::new(ErrorCode::InvalidConfig, what));
        };
        // As in Kafka, of a key that comes twice the last one counts.
        configs.insert(config.name.to_string(), value.to_string());
    }
    Ok(NewTopic {
        name: topic.name.to_string(),
        partitions,
        replication_factor,
        configs,
    })
}

/// Every topic key with its source: Kafka's Java client stops at a null list or a negative source.
fn configs(overrides: &BTreeMap<String, String>, settings: &Settings) -> Vec<CreatableTopicConfigs> {
    let entries = describe_topic(overrides, settings).into_iter();
    entries
        .map(|entry| {
            CreatableTopicConfigs::default()
                .with_name(str_bytes(entry.name))
                .with_value(entry.value.map(str_bytes))
                .with_read_only(entry.read_only)
                .with_config_source(entry.source.id())
                .with_is_sensitive(entry.sensitive)
        })
        .collect()
}

fn refused(name: TopicName, refusal: &Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name)
        .with_error_code(refusal.code.code())
        .with_error_message(refusal.text())
}

/// Returns the names that come more than once.
fn named_twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    names
        .filter(|name| !seen.insert(*name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[path = "create_topics_test.rs"]
mod tests;
