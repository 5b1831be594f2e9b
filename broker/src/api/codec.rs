//! Bodies in, frames out: the only place in `api` that knows how messages are decoded and encoded.
//!
//! Fetch builds its own frame from slices (`thalweg_wire::fetch`) and wraps it with [`Response::new`].

use kafka_protocol::protocol::Encodable;
use thalweg_wire::frame::{Frame, encode_response};
use thalweg_wire::guard::{self, GuardLimits};

use super::{ApiError, Request, RequestHeader, Response};

/// Elements of one array of a request. A client that names more topics, groups or partitions asks in several
/// requests; without this bound, a megabyte of empty group names cost half a gigabyte of answers.
const REQUEST_ELEMENTS_MAX: usize = 100_000;

/// Decodes the body of a request as `T`, after the guard has proven it well-formed and bounded.
///
/// Strings and byte fields are views into the frame. The decoded message may take up to 32 times the size of
/// its frame, at least 1 MiB and at most 64 MiB, so that what the budget does not count stays in proportion
/// to what it counts.
///
/// # Errors
/// [`ApiError::Malformed`]; the connection closes, as Kafka's does, since the next frame cannot be trusted
/// either.
pub fn decode<T: kafka_protocol::protocol::Request>(request: &Request) -> Result<T, ApiError> {
    let defaults = GuardLimits::default();
    let limits = GuardLimits {
        decoded_bytes_max: request
            .body
            .len()
            .saturating_mul(32)
            .clamp(1 << 20, defaults.decoded_bytes_max),
        array_elements_max: REQUEST_ELEMENTS_MAX,
        ..defaults
    };
    guard::decode_request_as::<T>(request.header.api_version, request.body.clone(), &limits).map_err(
        |cause| ApiError::Malformed {
            api: request.header.api_key,
            cause,
        },
    )
}

/// Encodes the response to the request with this header, in its version.
///
/// # Errors
/// [`ApiError::Encode`] if a field is set that the version cannot carry: a mistake of the handler.
pub fn respond<T: Encodable>(header: &RequestHeader, body: &T) -> Result<Response, ApiError> {
    respond_in_version(header, body, header.api_version)
}

/// Encodes a response in another version than the request's; only ApiVersions has a reason to.
///
/// # Errors
/// As [`respond`].
pub fn respond_in_version<T: Encodable>(
    header: &RequestHeader,
    body: &T,
    version: i16,
) -> Result<Response, ApiError> {
    encode_response(header.correlation_id, header.api_key as i16, version, body)
        .map(|bytes| Response::new(Frame::from(bytes)))
        .map_err(|cause| ApiError::Encode { cause })
}

/// Returns how far a client's batch may be inflated.
#[must_use]
pub fn compression_limits(
    settings: &thalweg_settings::Settings,
) -> thalweg_wire::compression::CompressionLimits {
    thalweg_wire::compression::CompressionLimits {
        output_bytes_max: usize::try_from(settings.decompression_bytes_max()).unwrap_or(usize::MAX),
        ratio_max: usize::try_from(settings.decompression_ratio_max()).unwrap_or(usize::MAX),
    }
}
