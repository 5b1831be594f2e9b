//! Through the real table: ApiVersions needs no other part of the broker.

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, StrBytes};
use thalweg_types::ErrorCode;
use thalweg_wire::frame::{RequestHeader, encode_request};

use super::*;
use crate::api;
use crate::api::table::TABLE;

async fn start() -> Server {
    let dispatcher: Dispatcher = Arc::new(|request| Box::pin(api::answer_api_versions(request)));
    Server::start(Setup::default(), dispatcher).await
}

fn versions_request(version: i16, software: &str) -> Bytes {
    let header = RequestHeader {
        api_key: 18,
        api_version: version,
        correlation_id: 5,
        client_id: Some("t".to_owned()),
    };
    let body = if version >= 3 {
        ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_string(software.to_owned()))
            .with_client_software_version(StrBytes::from_static_str("1.0"))
    } else {
        ApiVersionsRequest::default()
    };
    encode_request(&header, &body).unwrap()
}

async fn ask(client: &mut Client, request: &[u8], version: i16) -> ApiVersionsResponse {
    client.send(request).await;
    let (id, body) = client.receive().await;
    assert_eq!(id, 5);
    let mut body = Bytes::from(body);
    let response = ApiVersionsResponse::decode(&mut body, version).unwrap();
    assert!(body.is_empty(), "v{version} leaves {} bytes", body.len());
    response
}

fn assert_lists_the_table(response: &ApiVersionsResponse) {
    let listed: Vec<_> = response
        .api_keys
        .iter()
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    let table: Vec<_> = TABLE
        .iter()
        .map(|row| (row.key as i16, row.advertised_min, row.version_max))
        .collect();
    assert_eq!(listed, table);
}

#[tokio::test]
async fn api_versions_lists_the_table_in_every_version() {
    let server = start().await;
    let mut client = server.connect().await;
    for version in 0..=4 {
        let response = ask(&mut client, &versions_request(version, "librdkafka"), version).await;
        assert_eq!(response.error_code, ErrorCode::None.code(), "v{version}");
        assert_lists_the_table(&response);
    }
}

#[tokio::test]
async fn rule_04_api_versions_of_an_unknown_version_is_answered_in_v0_with_error_35() {
    let server = start().await;
    let mut client = server.connect().await;
    for version in [5, 99, -1, i16::MAX] {
        for junk in [&b""[..], b"\xff\xff\xff\xff\xff\xff\xff"] {
            let request = raw_request((18, version), 5, junk);
            let response = ask(&mut client, &request, 0).await;
            assert_eq!(
                response.error_code,
                ErrorCode::UnsupportedVersion.code(),
                "v{version}"
            );
            assert_lists_the_table(&response);
        }
    }
}

#[tokio::test]
async fn api_versions_with_a_bad_software_name_is_an_invalid_request() {
    let server = start().await;
    let mut client = server.connect().await;
    let response = ask(&mut client, &versions_request(3, "-bad name"), 3).await;
    assert_eq!(response.error_code, ErrorCode::InvalidRequest.code());
    let response = ask(&mut client, &versions_request(3, "good-name"), 3).await;
    assert_eq!(response.error_code, ErrorCode::None.code());
}

#[tokio::test]
async fn a_malformed_body_closes_the_connection() {
    let server = start().await;
    let mut client = server.connect().await;
    // A compact string that claims more than there is.
    client.send(&raw_request((18, 3), 5, b"\xff\xff\x03")).await;
    client.is_closed().await;
}
