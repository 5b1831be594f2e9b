//! ApiVersions (key 18), versions 0–4: which APIs and versions this broker serves, and which features.
//!
//! v1 throttle time, v2 KIP-219, v3 flexible, client software and features (KIP-511, KIP-584), v4 lists
//! features whose minimum is 0 as well. Any other version is answered in the form of v0 with
//! UNSUPPORTED_VERSION and the full list, from which the client starts again. The response header is always
//! v0: a client reads it before it knows anything.
//!
//! Two features are finalized and cannot be changed, so their epoch is always 0: `transaction.version` at 2 (KIP-890), and
//! our own `thalweg.mirror` at 1, by which a mirror link knows that it may produce with offsets. v5 (KIP-1242) is not in
//! the schemas of Kafka 4.3. Asks no authorization, as Kafka's.

use std::sync::Arc;

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::ErrorCode;
use thalweg_wire::mirror;

use super::codec::respond_in_version;
use super::request::{ClientSoftware, Request};
use super::table::{self, TABLE};
use super::{ApiError, Context, Reply, decode, respond};

/// First version that names the client library.
const CLIENT_SOFTWARE_SINCE: i16 = 3;

/// First version that lists features whose least level is 0; older clients would take that for a mistake.
const LEVEL_0_SINCE: i16 = 4;

/// The protocol of transactions, its levels, and the one in force.
const TRANSACTION_VERSION: &str = "transaction.version";
const TRANSACTION_LEVEL_MAX: i16 = 2;

/// Versions of the mirror extension of Produce.
const MIRROR_LEVEL_MIN: i16 = 1;

/// Longest name or version that is kept; both end up in logs and metric labels.
const SOFTWARE_TEXT_LENGTH_MAX: usize = 128;

pub(super) async fn handle(_context: Arc<Context>, request: Request) -> Result<Reply, ApiError> {
    answer(&request)
}

/// Answers without any handle of the context: what is said depends on the table alone.
pub(super) fn answer(request: &Request) -> Result<Reply, ApiError> {
    let header = &request.header;
    if !table::row(header.api_key as i16).is_some_and(|row| row.serves(header.api_version)) {
        let body = response(ErrorCode::UnsupportedVersion, 0);
        return Ok(respond_in_version(header, &body, 0)?
            .with_error(ErrorCode::UnsupportedVersion)
            .into());
    }
    let body: ApiVersionsRequest = decode(request)?;
    if header.api_version >= CLIENT_SOFTWARE_SINCE {
        let (name, version) = (
            body.client_software_name.as_str(),
            body.client_software_version.as_str(),
        );
        if !is_software_text(name) || !is_software_text(version) {
            let body = response(ErrorCode::InvalidRequest, header.api_version).with_api_keys(Vec::new());
            return Ok(respond(header, &body)?
                .with_error(ErrorCode::InvalidRequest)
                .into());
        }
        request.connection.set_client_software(ClientSoftware {
            name: name.into(),
            version: version.into(),
        });
    }
    Ok(respond(header, &response(ErrorCode::None, header.api_version))?.into())
}

fn response(error: ErrorCode, version: i16) -> ApiVersionsResponse {
    let api_keys = TABLE
        .iter()
        .map(|row| {
            ApiVersion::default()
                .with_api_key(row.key as i16)
                .with_min_version(row.advertised_min)
                .with_max_version(row.version_max)
        })
        .collect();
    let mut response = ApiVersionsResponse::default()
        .with_error_code(error.code())
        .with_api_keys(api_keys)
        .with_finalized_features_epoch(0);
    if version >= CLIENT_SOFTWARE_SINCE {
        response.finalized_features.push(
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str(TRANSACTION_VERSION))
                .with_min_version_level(TRANSACTION_LEVEL_MAX)
                .with_max_version_level(TRANSACTION_LEVEL_MAX),
        );
    }
    if version >= CLIENT_SOFTWARE_SINCE {
        response.finalized_features.push(
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str(mirror::FEATURE))
                .with_min_version_level(MIRROR_LEVEL_MIN)
                .with_max_version_level(mirror::FEATURE_VERSION),
        );
        response.supported_features.push(
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_static_str(mirror::FEATURE))
                .with_min_version(MIRROR_LEVEL_MIN)
                .with_max_version(mirror::FEATURE_VERSION),
        );
    }
    if version >= LEVEL_0_SINCE {
        response.supported_features.push(
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_static_str(TRANSACTION_VERSION))
                .with_min_version(0)
                .with_max_version(TRANSACTION_LEVEL_MAX),
        );
    }
    response
}

/// Decides whether a name or version matches KIP-511's pattern: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    bytes.len() <= SOFTWARE_TEXT_LENGTH_MAX
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
#[path = "api_versions_test.rs"]
mod tests;
