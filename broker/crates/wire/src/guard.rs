//! The guard in front of the message decoder: proves, without allocating, that a body is well-formed and small.
//!
//! `kafka-protocol` reserves memory for whatever count the wire claims, so a body of a few bytes could ask for
//! hundreds of gigabytes. No byte from outside reaches it except through the functions `decode_*` of this module, which
//! first walk the body by the table in `schema.txt`. Owns limits, the walk's errors and the decode functions;
//! record batches inside bytes fields are checked elsewhere.
//!
//! Invariant: after a successful check, decoding reserves no more than [`GuardFacts::estimated_bytes`], consumes the
//! whole body and fails at most on a string that is not UTF-8.

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_protocol::protocol::{Decodable, Request};
use thiserror::Error;

pub use crate::cursor::Problem;
pub use crate::schema::Direction;
use crate::schema::{self, MessageSchema};
use crate::walk;

/// Upper bounds for one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardLimits {
    /// Elements of one array.
    pub array_elements_max: usize,
    /// Estimated bytes of the decoded message beside the frame itself (strings and records are views into the frame).
    pub decoded_bytes_max: usize,
    /// Tagged fields of one structure, known and unknown ones.
    pub tagged_fields_per_struct_max: usize,
    /// Tagged fields of the whole message that its version does not define (KIP-482 allows them).
    pub unknown_tagged_fields_max: usize,
}

impl Default for GuardLimits {
    /// Limits for peers that may use the broker: 1,000,000 elements in an array (as Kafka 4.4), 64 MiB decoded.
    fn default() -> Self {
        Self {
            array_elements_max: 1_000_000,
            decoded_bytes_max: 64 << 20,
            tagged_fields_per_struct_max: 64,
            unknown_tagged_fields_max: 10_000,
        }
    }
}

impl GuardLimits {
    /// Limits for connections that have not proven who they are: 1 MiB decoded, 10,000 elements.
    #[must_use]
    pub const fn before_authentication() -> Self {
        Self {
            array_elements_max: 10_000,
            decoded_bytes_max: 1 << 20,
            tagged_fields_per_struct_max: 64,
            unknown_tagged_fields_max: 64,
        }
    }
}

/// What the walk found out about a well-formed body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardFacts {
    /// Elements of all arrays together.
    pub array_elements: usize,
    /// Tagged fields that the version does not define.
    pub unknown_tagged_fields: usize,
    /// Memory that the decoded message takes beside the frame, in bytes; an upper bound of what decoding reserves.
    pub estimated_bytes: usize,
    /// Bytes of the message itself; a body may be longer where that is allowed.
    pub message_bytes: usize,
}

/// Why a body may not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GuardError {
    /// No message with this API key.
    #[error("there is no {direction} with API key {api_key}")]
    UnknownApi {
        /// Request or response.
        direction: Direction,
        /// The API key.
        api_key: i16,
    },
    /// The API has no such version, or not one that this program can read.
    #[error("{name} {direction} has no version {version}, only {first} to {last}")]
    UnsupportedVersion {
        /// Kafka's name of the API.
        name: &'static str,
        /// Request or response.
        direction: Direction,
        /// The version asked for.
        version: i16,
        /// The oldest version that can be read.
        first: i16,
        /// The newest version that can be read.
        last: i16,
    },
    /// The bytes are not such a message, or one above a limit.
    #[error("{name} v{version}: {path} at byte {position}: {problem}")]
    Malformed {
        /// Kafka's name of the message.
        name: &'static str,
        /// The version.
        version: i16,
        /// The field, as `topics[2].partitions[0].index`; `(end)` after the last one.
        path: String,
        /// Offset of the value in the body.
        position: usize,
        /// What is wrong there.
        problem: Problem,
    },
}

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The guard refused it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The decoder refused what the guard let through: a string is not UTF-8.
    #[error("{name} v{version}: {reason}")]
    Content {
        /// Kafka's name of the message.
        name: &'static str,
        /// The version.
        version: i16,
        /// The decoder's reason.
        reason: String,
    },
}

/// Checks the body of a request (the bytes after the request header).
///
/// # Errors
/// [`GuardError`] names the API, the field, its position and what is wrong.
pub fn check_request(
    api_key: i16,
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<GuardFacts, GuardError> {
    check_request_body(
        message(Direction::Request, api_key, version)?,
        (api_key, version),
        body,
        limits,
    )
}

/// Checks the body of a response (the bytes after the response header).
///
/// # Errors
/// As [`check_request`].
pub fn check_response(
    api_key: i16,
    version: i16,
    body: &[u8],
    limits: &GuardLimits,
) -> Result<GuardFacts, GuardError> {
    walk::check(
        message(Direction::Response, api_key, version)?,
        version,
        body,
        limits,
    )
}

/// Checks and decodes the body of a request of any API.
///
/// Strings and bytes of the result are views into `body`.
/// # Errors
/// [`DecodeError::Guard`] as [`check_request`], [`DecodeError::Content`] for a string that is not UTF-8.
pub fn decode_request(
    api_key: i16,
    version: i16,
    mut body: Bytes,
    limits: &GuardLimits,
) -> Result<RequestKind, DecodeError> {
    let schema = decodable(Direction::Request, api_key, version)?;
    let facts = check_request_body(schema, (api_key, version), &body, limits)?;
    body.truncate(facts.message_bytes);
    let key = known_key(Direction::Request, api_key)?;
    let decoded = RequestKind::decode(key, &mut body, version);
    finish(
        schema,
        version,
        decoded.map_err(|error| format!("{error:#}")),
        &body,
    )
}

/// Checks and decodes the body of a response of any API.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_response(
    api_key: i16,
    version: i16,
    mut body: Bytes,
    limits: &GuardLimits,
) -> Result<ResponseKind, DecodeError> {
    let schema = message(Direction::Response, api_key, version)?;
    walk::check(schema, version, &body, limits)?;
    let key = known_key(Direction::Response, api_key)?;
    let decoded = ResponseKind::decode(key, &mut body, version);
    finish(
        schema,
        version,
        decoded.map_err(|error| format!("{error:#}")),
        &body,
    )
}

/// Checks and decodes the body of a request of one API, as `decode_request_as::<MetadataRequest>(…)`.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_request_as<R: Request>(
    version: i16,
    body: Bytes,
    limits: &GuardLimits,
) -> Result<R, DecodeError> {
    let schema = decodable(Direction::Request, R::KEY, version)?;
    let facts = check_request_body(schema, (R::KEY, version), &body, limits)?;
    decode_checked(schema, version, body.slice(..facts.message_bytes))
}

/// Checks and decodes the response to a request of one API, as `decode_response_as::<MetadataRequest>(…)`.
///
/// # Errors
/// As [`decode_request`].
pub fn decode_response_as<R: Request>(
    version: i16,
    body: Bytes,
    limits: &GuardLimits,
) -> Result<R::Response, DecodeError> {
    let schema = message(Direction::Response, R::KEY, version)?;
    walk::check(schema, version, &body, limits)?;
    decode_checked(schema, version, body)
}

/// Returns the oldest and newest version of an API's message that can be read, or `None` for an unknown key.
///
/// What a broker advertises is its own choice within the ranges of the request and of the response.
#[must_use]
pub fn supported_versions(direction: Direction, api_key: i16) -> Option<(i16, i16)> {
    schema::message(direction, api_key).map(|schema| (schema.versions.first, schema.versions.last))
}

fn decode_checked<T: Decodable>(
    schema: &'static MessageSchema,
    version: i16,
    mut body: Bytes,
) -> Result<T, DecodeError> {
    let decoded = T::decode(&mut body, version).map_err(|error| format!("{error:#}"));
    finish(schema, version, decoded, &body)
}

/// Walks the body of a request. Bytes behind it are refused: whoever wrote them meant something that is not understood.
pub(crate) fn check_request_body(
    schema: &'static MessageSchema,
    (api_key, version): (i16, i16),
    body: &[u8],
    limits: &GuardLimits,
) -> Result<GuardFacts, GuardError> {
    walk::check_up_to(
        schema,
        version,
        body,
        (limits, leftover_max(api_key, version, body)),
    )
}

fn finish<T>(
    schema: &'static MessageSchema,
    version: i16,
    decoded: Result<T, String>,
    rest: &[u8],
) -> Result<T, DecodeError> {
    let content = |reason| DecodeError::Content {
        name: schema.name,
        version,
        reason,
    };
    let value = decoded.map_err(content)?;
    // The table and the decoder would disagree: refused rather than served with half of its fields.
    if !rest.is_empty() {
        return Err(content(format!("the decoder left {} bytes", rest.len())));
    }
    Ok(value)
}

/// Returns the schema of a message, or why there is none.
pub(crate) fn message(
    direction: Direction,
    api_key: i16,
    version: i16,
) -> Result<&'static MessageSchema, GuardError> {
    let schema = schema::message(direction, api_key).ok_or(GuardError::UnknownApi { direction, api_key })?;
    if !schema.versions.contains(version) {
        return Err(GuardError::UnsupportedVersion {
            name: schema.name,
            direction,
            version,
            first: schema.versions.first,
            last: schema.versions.last,
        });
    }
    Ok(schema)
}

/// How many bytes behind the end of a request are let pass, since a client in use leaves them there: one case is known.
///
/// librdkafka (2.12 at least) asks for the metadata of all topics in v9 and later with a count of topics in four bytes
/// of zero instead of one. The first says "all topics", the other three are read as the flags and the tagged fields,
/// and the real ones are left over: 3 bytes.
fn leftover_max(api_key: i16, version: i16, body: &[u8]) -> usize {
    const METADATA: i16 = 3;
    match (api_key, version, body.first()) {
        (METADATA, 9.., Some(0)) => 3,
        _ => 0,
    }
}

/// Returns the schema of a message that `kafka-protocol` decodes.
fn decodable(direction: Direction, api_key: i16, version: i16) -> Result<&'static MessageSchema, GuardError> {
    let schema = message(direction, api_key, version)?;
    if schema::is_parsed_here_only(direction, api_key, version) {
        return Err(GuardError::UnsupportedVersion {
            name: schema.name,
            direction,
            version,
            first: schema.versions.first,
            last: version - 1,
        });
    }
    Ok(schema)
}

fn known_key(direction: Direction, api_key: i16) -> Result<ApiKey, GuardError> {
    ApiKey::try_from(api_key).map_err(|()| GuardError::UnknownApi { direction, api_key })
}

#[cfg(test)]
#[path = "guard_test.rs"]
mod tests;
