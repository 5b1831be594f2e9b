//! AlterConfigs (key 33), versions 0–2 (KIP-133). v2 flexible.
//!
//! Replaces the whole set of a resource: what the request does not name goes back to its default. Clients since
//! Kafka 2.3 use IncrementalAlterConfigs.

use std::sync::Arc;

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use thalweg_types::ErrorCode;

use super::config_resources::{Edit, Mode, alter, repeated};
use super::refusal::{Refusal, throttle_work};
use super::{ApiError, Context, Reply, Request, decode, respond};

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: AlterConfigsRequest = decode(&request)?;
    let mode = Mode::of(body.validate_only);
    let named = body
        .resources
        .iter()
        .map(|one| (one.resource_type, one.resource_name.as_str()));
    let twice = repeated(named);
    let mut responses = Vec::with_capacity(body.resources.len());
    for resource in &body.resources {
        let (resource_type, name) = (resource.resource_type, resource.resource_name.as_str());
        let entries = resource
            .configs
            .iter()
            .map(|config| (&config.name, config.value.as_ref()));
        let outcome = if twice.contains(&(resource_type, name.to_owned())) {
            Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format!("resource '{name}' is named twice"),
            ))
        } else {
            match Edit::whole(entries) {
                Ok(edit) => alter(&context, &request, (resource_type, name), (edit, None), mode).await,
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
    let response = AlterConfigsResponse::default()
        .with_throttle_time_ms(throttle_time_ms)
        .with_responses(responses);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}
