//! ListConfigResources (key 74), versions 0–1. v0 lists client metrics subscriptions (KIP-714), v1 any type of
//! resource that has configs (KIP-1142).
//!
//! Client metrics, groups and loggers have no configs here: asking for them is answered with none.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use thalweg_types::ErrorCode;

use super::config_resources::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::refusal::{str_bytes, throttle_work};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

/// First version that names types.
const TYPES_SINCE: i16 = 1;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: ListConfigResourcesRequest = decode(&request)?;
    let access =
        context
            .authorizer
            .authorize(&request.connection, Operation::DescribeConfigs, Resource::CLUSTER);
    let types = wanted(request.header.api_version, &body.resource_types);
    let (error, resources) = match types {
        _ if !access.is_allowed() => (ErrorCode::ClusterAuthorizationFailed, Vec::new()),
        None => (ErrorCode::UnsupportedVersion, Vec::new()),
        Some(types) => (ErrorCode::None, list(&context, &types)),
    };
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = ListConfigResourcesResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_error_code(error.code())
        .with_config_resources(resources);
    Ok(respond(&request.header, &response)?
        .throttled(mute)
        .with_error(error)
        .into())
}

/// Returns the types to list, each once; `None` if one is no type of Kafka's.
fn wanted(version: i16, asked: &[i8]) -> Option<BTreeSet<i8>> {
    let known = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    if version < TYPES_SINCE {
        return Some(BTreeSet::from([CLIENT_METRICS]));
    }
    if asked.is_empty() {
        return Some(BTreeSet::from(known));
    }
    let asked: BTreeSet<i8> = asked.iter().copied().collect();
    asked.iter().all(|one| known.contains(one)).then_some(asked)
}

fn list(context: &Context, types: &BTreeSet<i8>) -> Vec<ConfigResource> {
    let resource = |resource_type, name: String| {
        ConfigResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(str_bytes(name))
    };
    let mut resources = Vec::new();
    if types.contains(&TOPIC) {
        let topics = context.topics.all();
        resources.extend(topics.iter().map(|topic| resource(TOPIC, topic.name.to_string())));
    }
    if types.contains(&BROKER) {
        resources.push(resource(BROKER, context.settings.current().node_id().to_string()));
    }
    resources
}

#[cfg(test)]
#[path = "list_config_resources_test.rs"]
mod tests;
