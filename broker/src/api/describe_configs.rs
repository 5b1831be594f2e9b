//! DescribeConfigs (key 32), versions 1–4. v1 synonyms and sources (KIP-226), v3 types and documentation (KIP-569),
//! v4 flexible.
//!
//! Topics, this broker (by id) and the defaults of all brokers (empty name). Left out: loggers, client metrics,
//! groups. An empty list of keys means all, as null does.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use thalweg_settings::{
    ConfigEntry, DynamicScope, describe_broker, describe_cluster_default, describe_topic,
};

use super::config_resources::{Target, find};
use super::refusal::{Refusal, str_bytes, throttle_work};
use super::{ApiError, Context, Operation, Reply, Request, decode, respond};

/// What is told about each key besides its value.
#[derive(Clone, Copy, Debug)]
struct Detail {
    synonyms: Synonyms,
    documentation: Documentation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Synonyms {
    Told,
    LeftOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Documentation {
    Told,
    LeftOut,
}

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeConfigsRequest = decode(&request)?;
    let detail = Detail {
        synonyms: if body.include_synonyms {
            Synonyms::Told
        } else {
            Synonyms::LeftOut
        },
        documentation: if body.include_documentation {
            Documentation::Told
        } else {
            Documentation::LeftOut
        },
    };
    // Each resource is answered once, or a small request could ask for an unbounded response.
    let mut seen = HashSet::new();
    let mut results = Vec::new();
    for resource in &body.resources {
        if !seen.insert((resource.resource_type, resource.resource_name.as_str())) {
            continue;
        }
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match entries(&context, &request, resource) {
            Ok(entries) => {
                let entries = filtered(entries, resource).map(|entry| told(entry, detail));
                result.with_error_message(None).with_configs(entries.collect())
            }
            Err(refusal) => result
                .with_error_code(refusal.code.code())
                .with_error_message(refusal.text()),
        });
    }
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = DescribeConfigsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_results(results);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

fn entries(
    context: &Context,
    request: &Request,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, Refusal> {
    let named = (resource.resource_type, resource.resource_name.as_str());
    let settings = context.settings.current();
    Ok(match find(context, request, Operation::DescribeConfigs, named)? {
        Target::Topic(view) => describe_topic(&view.overrides, &settings),
        Target::Broker(DynamicScope::Broker) => describe_broker(&settings),
        Target::Broker(DynamicScope::ClusterDefault) => describe_cluster_default(&settings),
    })
}

/// Keeps the keys that are asked for; names that are no keys are passed over, as in Kafka.
fn filtered(
    entries: Vec<ConfigEntry>,
    resource: &DescribeConfigsResource,
) -> impl Iterator<Item = ConfigEntry> {
    let wanted: Option<HashSet<&str>> = resource
        .configuration_keys
        .as_ref()
        .filter(|keys| !keys.is_empty())
        .map(|keys| keys.iter().map(|key| key.as_str()).collect());
    entries
        .into_iter()
        .filter(move |entry| wanted.as_ref().is_none_or(|wanted| wanted.contains(entry.name)))
}

fn told(entry: ConfigEntry, detail: Detail) -> DescribeConfigsResourceResult {
    let synonyms = match detail.synonyms {
        Synonyms::LeftOut => Vec::new(),
        Synonyms::Told => entry
            .synonyms
            .into_iter()
            .map(|synonym| {
                DescribeConfigsSynonym::default()
                    .with_name(str_bytes(synonym.name))
                    .with_value(synonym.value.map(str_bytes))
                    .with_source(synonym.source.id())
            })
            .collect(),
    };
    DescribeConfigsResourceResult::default()
        .with_name(str_bytes(entry.name))
        .with_value(entry.value.map(str_bytes))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.id())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms)
        .with_config_type(entry.config_type)
        .with_documentation(match detail.documentation {
            Documentation::Told => Some(str_bytes(entry.doc)),
            Documentation::LeftOut => None,
        })
}

#[cfg(test)]
#[path = "describe_configs_test.rs"]
mod tests;
