//! DescribeCluster (key 60), versions 0–2 (KIP-700). v1 kind of endpoint (KIP-919), v2 fenced brokers (KIP-1073).
//!
//! One broker, which is told as the controller too and is never fenced while it can answer.

use std::sync::Arc;

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};
use thalweg_types::ErrorCode;

use super::advertised::advertised;
use super::refusal::{Refusal, str_bytes, throttle_work};
use super::{ApiError, Context, Operation, Reply, Request, Resource, decode, respond};

/// `authorized_operations` when they were not asked for.
const NOT_ASKED: i32 = i32::MIN;
/// Kafka's numbers of the kinds of endpoint.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    let body: DescribeClusterRequest = decode(&request)?;
    let (mute, throttle_time_ms) = throttle_work(&context, &request);
    let response = DescribeClusterResponse::default().with_throttle_time_ms(throttle_time_ms);
    if let Err(refusal) = check_endpoint(body.endpoint_type) {
        let response = response
            .with_error_code(refusal.code.code())
            .with_error_message(refusal.text());
        return Ok(respond(&request.header, &response)?
            .throttled(mute)
            .with_error(refusal.code)
            .into());
    }
    let operations = if body.include_cluster_authorized_operations {
        context
            .authorizer
            .authorized_operations(&request.connection, Resource::CLUSTER)
    } else {
        NOT_ASKED
    };
    let settings = context.settings.current();
    let node_id = BrokerId(settings.node_id().get());
    let access = context
        .authorizer
        .authorize(&request.connection, Operation::Describe, Resource::CLUSTER);
    let operations = if access.is_allowed() || operations == NOT_ASKED {
        operations
    } else {
        0
    };
    let (host, port) = advertised(&settings, &request.connection.listener);
    let broker = DescribeClusterBroker::default()
        .with_broker_id(node_id)
        .with_host(str_bytes(host))
        .with_port(port)
        .with_rack(settings.broker_rack().map(str_bytes));
    let response = response
        .with_cluster_id(str_bytes(context.stamp.cluster_id.to_string()))
        .with_controller_id(node_id)
        .with_brokers(vec![broker])
        .with_cluster_authorized_operations(operations);
    Ok(respond(&request.header, &response)?.throttled(mute).into())
}

fn check_endpoint(endpoint_type: i8) -> Result<(), Refusal> {
    match endpoint_type {
        BROKERS => Ok(()),
        CONTROLLERS => Err(Refusal::new(
            ErrorCode::MismatchedEndpointType,
            "this is a broker; there is no controller to ask, so use --bootstrap-server",
        )),
        other => Err(Refusal::new(
            ErrorCode::UnsupportedEndpointType,
            format!("{other} is no kind of endpoint; 1 is brokers, 2 is controllers"),
        )),
    }
}

#[cfg(test)]
#[path = "describe_cluster_test.rs"]
mod tests;
