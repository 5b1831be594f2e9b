//! IncrementalAlterConfigs (key 44), versions 0–1 (KIP-339). v1 flexible.
//!
//! Each resource is changed whole or not at all; one that fails does not hold up the others. What a mirror topic takes
//! over from its source is changed by its link alone, which names itself in a tagged field of the resource.

use std::sync::Arc;

use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use thalweg_types::ErrorCode;
use thalweg_wire::mirror;

use super::config_resources::{Edit, KeyChange, Mode, alter, repeated};
use super::refusal::{Refusal, mirror_link, throttle_work};
use super::{ApiError, Context, Reply, Request, decode, respond};

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: IncrementalAlterConfigsRequest = decode(&request)?;
    let mode = Mode::of(body.validate_only);
    let named = body
        .resources
        .iter()
        .map(|one| (one.resource_type, one.resource_name.as_str()));
    let twice = repeated(named);
    let mut responses = Vec::with_capacity(body.resources.len());
    for resource in &body.resources {
        let (resource_type, name) = (resource.resource_type, resource.resource_name.as_str());
        let changes = resource.configs.iter().map(|config| {
            let change = KeyChange::read(&config.name, config.config_operation, config.value.as_ref())?;
            Ok((config.name.to_string(), change))
        });
        let outcome = if twice.contains(&(resource_type, name.to_owned())) {
            Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("resource '{name}' is named twice"),
            ))
        } else {
            match Edit::keys(changes) {
                Ok(edit) => match mirror_link(resource.unknown_tagged_fields.get(&mirror::TAG)) {
                    Ok(link) => alter(&context, &request, (resource_type, name), (edit, link), mode).await,
                    Err(refusal) => Err(refusal),
                },
                Err(refusal) => Err(refusal),
            }
        };
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(resource_type)
            .with_resource_name(resource.resource_name.clone());
        responses.push(
            match outcome.map_err(|refusal| refusal.noted("alter configs", name)) {
                Ok(()) => response.with_error_message(None),
                Err(refusal) => response
                    .with_error_code(refusal.code.code())
                    .with_error_message(refusal.text()),
            },
        );
    }
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = IncrementalAlterConfigsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_responses(responses);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}
