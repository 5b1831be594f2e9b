//! Bodies in, frames out: the only place in `api` that knows how messages are decoded and encoded.
//!
//! Fetch builds its own frame from slices (`thalweg_wire::fetch`) and wraps it with [`Response::new`].

use kafka_protocol::protocol::Encodable;
use thalweg_wire::frame::{Frame, encode_response};
use thalweg_wire::guard::{self, DecodeError, GuardError, GuardLimits};

use super::{ApiError, Request, RequestHeader, Response};

/// Returns what the body of a request may cost: decoded, up to 32 times its size, at least 1 MiB and at most 64 MiB.
#[must_use]
pub fn guard_limits(body: &[u8]) -> GuardLimits {
    let defaults = GuardLimits::default();
    GuardLimits {
        decoded_bytes_max: body
            .len()
            .saturating_mul(32)
            .clamp(1 << 20, defaults.decoded_bytes_max),
        ..defaults
    }
}

/// Decodes the body of a request as `T`, after the guard has proven it well-formed and bounded, see [`guard_limits`].
///
/// Strings and byte fields are views into the frame.
///
/// # Errors
/// [`ApiError::Malformed`]; the connection closes, as Kafka's does, since the next frame cannot be trusted
/// either.
pub fn decode<T: kafka_protocol::protocol::Request>(request: &Request) -> Result<T, ApiError> {
    let limits = guard_limits(&request.body);
    guard::decode_request_as::<T>(request.header.api_version, request.body.clone(), &limits)
        .map_err(|cause| malformed(&request.header, cause))
}

/// Reads the body of a request with a parser of `thalweg_wire`.
///
/// # Errors
/// As [`decode`].
pub fn parse<T>(
    request: &Request,
    parser: fn(i16, &[u8], &GuardLimits) -> Result<T, GuardError>,
) -> Result<T, ApiError> {
    let limits = guard_limits(&request.body);
    parser(request.header.api_version, &request.body, &limits)
        .map_err(|cause| malformed(&request.header, cause.into()))
}

/// Says which request could not be read.
#[must_use]
pub fn malformed(header: &RequestHeader, cause: DecodeError) -> ApiError {
    ApiError::Malformed {
        api: header.api_key,
        cause,
    }
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
