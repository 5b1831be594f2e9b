//! Frames: request and response headers around message bodies, and the 4-byte length in front.
//!
//! Owns header versions (KIP-482, KIP-511) and the assembly of outgoing frames. Knows nothing of sockets or of what
//! the bodies mean. A frame body is what follows the length: header, then message body.
//!
//! Invariant: a header is parsed without reserving memory for anything but the client id, which is bounded.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;
use thiserror::Error;

use crate::cursor::{Cursor, Problem};
use crate::schema::{self, Direction, Encoding, MessageSchema};

/// API key of ApiVersions, whose header rules differ (KIP-511).
pub const API_VERSIONS_KEY: i16 = 18;

/// The longest client id that is taken, in bytes. The wire allows 32,767.
pub const CLIENT_ID_SIZE_MAX: usize = 4096;

/// The most tagged fields that a header may carry. Kafka defines none so far.
pub const HEADER_TAGGED_FIELDS_MAX: u32 = 64;

/// What stands in front of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api_key: i16,
    /// Which version of it.
    pub api_version: i16,
    /// Chosen by the client, repeated in the response.
    pub correlation_id: i32,
    /// The client's name for itself, for logs and quotas; at most [`CLIENT_ID_SIZE_MAX`] bytes.
    pub client_id: Option<String>,
}

/// Why a header could not be read or a frame not be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// No API with this key.
    #[error("there is no API with key {api_key}")]
    UnknownApi {
        /// The key.
        api_key: i16,
    },
    /// The header is not well-formed.
    #[error("header: {field} at byte {position}: {problem}")]
    Malformed {
        /// The header's field.
        field: &'static str,
        /// Offset in the frame body.
        position: usize,
        /// What is wrong there.
        problem: Problem,
    },
    /// The length in front of the frame is negative or above the limit of the connection.
    #[error("a frame of {len} bytes was announced, 0 to {max} are allowed")]
    Length {
        /// The length on the wire.
        len: i32,
        /// The limit.
        max: usize,
    },
    /// The message cannot be written in this version.
    #[error("{name} v{version} cannot be encoded: {reason}")]
    Encode {
        /// Kafka's name of the message.
        name: &'static str,
        /// The version.
        version: i16,
        /// What does not fit.
        reason: String,
    },
    /// The frame would be longer than a 4-byte length can say.
    #[error("a frame of {len} bytes is longer than the protocol allows ({max})", max = i32::MAX)]
    TooLong {
        /// Bytes after the length.
        len: usize,
    },
}

/// An outgoing frame, its 4-byte length included: slices to be written one after the other.
///
/// Record data is in there by reference; nothing has been copied into one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The slices, none of them empty, ready for one vectored write.
    pub parts: Vec<Bytes>,
    /// Bytes of all slices together.
    pub len: usize,
}

impl From<Bytes> for Frame {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        let parts = if bytes.is_empty() { Vec::new() } else { vec![bytes] };
        Self { parts, len }
    }
}

impl Frame {
    /// Copies all slices into one; for tests and for frames known to be small.
    #[must_use]
    pub fn to_contiguous(&self) -> Bytes {
        match self.parts.as_slice() {
            [only] => only.clone(),
            parts => {
                let mut bytes = BytesMut::with_capacity(self.len);
                parts.iter().for_each(|part| bytes.put_slice(part));
                bytes.freeze()
            }
        }
    }
}

/// Reads the length in front of a frame: how many bytes of frame body follow.
///
/// A length within the limit is a claim; whoever reads the body lets its buffer grow with what has arrived.
///
/// # Errors
/// [`FrameError::Length`] if it is negative or above `max`.
pub fn frame_body_len(prefix: [u8; 4], max: usize) -> Result<usize, FrameError> {
    let len = i32::from_be_bytes(prefix);
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= max)
        .ok_or(FrameError::Length { len, max })
}

/// Reads API key and version from the first four bytes of a frame body, before the rest has arrived.
///
/// `None` if fewer than four bytes are there. Neither number has been checked.
#[must_use]
pub fn peek_api(frame_body: &[u8]) -> Option<(i16, i16)> {
    let mut cursor = Cursor::new(frame_body);
    Some((cursor.i16().ok()?, cursor.i16().ok()?))
}

/// Returns the version of the request header that goes with this API version: 2 (flexible) or 1.
///
/// `None` if the key is unknown. Versions newer than the known ones count as flexible if the newest known one is.
#[must_use]
pub fn request_header_version(api_key: i16, api_version: i16) -> Option<i16> {
    let schema = schema::message(Direction::Request, api_key)?;
    Some(match schema.encoding(api_version) {
        Encoding::Flexible => 2,
        Encoding::Plain => 1,
    })
}

/// Returns the version of the response header that goes with this API version: 1 (flexible) or 0.
///
/// ApiVersions is always answered with header version 0, so that a client which sent a version unknown to us can
/// read the answer (KIP-511). `None` if the key is unknown.
#[must_use]
pub fn response_header_version(api_key: i16, api_version: i16) -> Option<i16> {
    let schema = schema::message(Direction::Response, api_key)?;
    if api_key == API_VERSIONS_KEY {
        return Some(0);
    }
    Some(match schema.encoding(api_version) {
        Encoding::Flexible => 1,
        Encoding::Plain => 0,
    })
}

/// Reads the header of a request from a frame body; returns it and where the message body starts.
///
/// The API version may be one that we do not know: whoever handles the request refuses it. An ApiVersions request of
/// an unknown version is read as far as possible, because it must be answered (error 35 in the format of version 0):
/// if the part behind the correlation id makes no sense, the client id is `None` and the body empty.
///
/// # Errors
/// [`FrameError::UnknownApi`] for an unknown key (Kafka closes the connection), [`FrameError::Malformed`] for bytes
/// that are no header or a client id above [`CLIENT_ID_SIZE_MAX`].
pub fn parse_request_header(frame_body: &[u8]) -> Result<(RequestHeader, usize), FrameError> {
    let mut cursor = Cursor::new(frame_body);
    let api_key = field(&mut cursor, "api_key", Cursor::i16)?;
    let api_version = field(&mut cursor, "api_version", Cursor::i16)?;
    let correlation_id = field(&mut cursor, "correlation_id", Cursor::i32)?;
    let schema = schema::message(Direction::Request, api_key).ok_or(FrameError::UnknownApi { api_key })?;
    let encoding = schema.encoding(api_version);
    match parse_rest_of_header(&mut cursor, encoding) {
        Ok(client_id) => Ok((
            RequestHeader {
                api_key,
                api_version,
                correlation_id,
                client_id,
            },
            cursor.position(),
        )),
        Err(_) if api_key == API_VERSIONS_KEY && !schema.versions.contains(api_version) => {
            let header = RequestHeader {
                api_key,
                api_version,
                correlation_id,
                client_id: None,
            };
            Ok((header, frame_body.len()))
        }
        Err(error) => Err(error),
    }
}

fn parse_rest_of_header(cursor: &mut Cursor<'_>, encoding: Encoding) -> Result<Option<String>, FrameError> {
    // The client id keeps its plain encoding in the flexible header too (KIP-482).
    let client_id = field(cursor, "client_id", |cursor| {
        let client_id = cursor.nullable_string(Encoding::Plain)?;
        match client_id {
            Some(id) if id.len() > CLIENT_ID_SIZE_MAX => Err(Problem::StringTooLong {
                len: id.len(),
                limit: CLIENT_ID_SIZE_MAX,
            }),
            id => Ok(id.map(str::to_owned)),
        }
    })?;
    field(cursor, "tagged fields", |cursor| {
        skip_header_tags(cursor, encoding)
    })?;
    Ok(client_id)
}

/// Reads the header of a response from a frame body; returns the correlation id and where the message body starts.
///
/// # Errors
/// [`FrameError::UnknownApi`] and [`FrameError::Malformed`] as for a request.
pub fn parse_response_header(
    api_key: i16,
    api_version: i16,
    frame_body: &[u8],
) -> Result<(i32, usize), FrameError> {
    let version = response_header_version(api_key, api_version).ok_or(FrameError::UnknownApi { api_key })?;
    let encoding = if version >= 1 {
        Encoding::Flexible
    } else {
        Encoding::Plain
    };
    let mut cursor = Cursor::new(frame_body);
    let correlation_id = field(&mut cursor, "correlation_id", Cursor::i32)?;
    field(&mut cursor, "tagged fields", |cursor| {
        skip_header_tags(cursor, encoding)
    })?;
    Ok((correlation_id, cursor.position()))
}

fn skip_header_tags(cursor: &mut Cursor<'_>, encoding: Encoding) -> Result<(), Problem> {
    if encoding == Encoding::Plain {
        return Ok(());
    }
    let count = cursor.varint()?;
    if count > HEADER_TAGGED_FIELDS_MAX {
        let limit = HEADER_TAGGED_FIELDS_MAX as usize;
        return Err(Problem::TooManyTaggedFields {
            count: count as usize,
            limit,
        });
    }
    for _ in 0..count {
        cursor.varint()?;
        let size = cursor.varint()? as usize;
        cursor.take(size)?;
    }
    Ok(())
}

fn field<'a, T>(
    cursor: &mut Cursor<'a>,
    field: &'static str,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Problem>,
) -> Result<T, FrameError> {
    let position = cursor.position();
    read(cursor).map_err(|problem| FrameError::Malformed {
        field,
        position,
        problem,
    })
}

/// Encodes a whole response frame: length, header of the right version, body.
///
/// # Errors
/// [`FrameError::UnknownApi`]; [`FrameError::Encode`] if a field is set that the version does not have or a string is
/// too long for it; [`FrameError::TooLong`] above 2 GiB.
pub fn encode_response<T: Encodable>(
    correlation_id: i32,
    api_key: i16,
    api_version: i16,
    body: &T,
) -> Result<Bytes, FrameError> {
    let schema = schema::message(Direction::Response, api_key).ok_or(FrameError::UnknownApi { api_key })?;
    let header_version =
        response_header_version(api_key, api_version).ok_or(FrameError::UnknownApi { api_key })?;
    let mut header = BytesMut::with_capacity(9);
    // The length, filled in when it is known.
    header.put_i32(0);
    header.put_i32(correlation_id);
    if header_version >= 1 {
        header.put_u8(0);
    }
    finish_frame(schema, api_version, header, body)
}

/// Encodes a whole request frame: length, header of the right version, body.
///
/// # Errors
/// As [`encode_response`]; [`FrameError::Malformed`] if the client id is above [`CLIENT_ID_SIZE_MAX`].
pub fn encode_request<T: Encodable>(header: &RequestHeader, body: &T) -> Result<Bytes, FrameError> {
    let api_key = header.api_key;
    let schema = schema::message(Direction::Request, api_key).ok_or(FrameError::UnknownApi { api_key })?;
    let client_id = header.client_id.as_deref();
    let client_id_len = match client_id {
        None => -1,
        Some(id) => i16::try_from(id.len())
            .ok()
            .filter(|_| id.len() <= CLIENT_ID_SIZE_MAX)
            .ok_or(FrameError::Malformed {
                field: "client_id",
                position: 8,
                problem: Problem::StringTooLong {
                    len: id.len(),
                    limit: CLIENT_ID_SIZE_MAX,
                },
            })?,
    };
    let mut bytes = BytesMut::with_capacity(15 + client_id.map_or(0, str::len));
    bytes.put_i32(0);
    bytes.put_i16(api_key);
    bytes.put_i16(header.api_version);
    bytes.put_i32(header.correlation_id);
    bytes.put_i16(client_id_len);
    bytes.put_slice(client_id.unwrap_or_default().as_bytes());
    if schema.encoding(header.api_version) == Encoding::Flexible {
        bytes.put_u8(0);
    }
    finish_frame(schema, header.api_version, bytes, body)
}

/// Appends the body to a frame that has its header and a length of zero, and fills in the length.
fn finish_frame<T: Encodable>(
    schema: &'static MessageSchema,
    version: i16,
    mut frame: BytesMut,
    body: &T,
) -> Result<Bytes, FrameError> {
    let cannot = |reason| FrameError::Encode {
        name: schema.name,
        version,
        reason,
    };
    let size = body
        .compute_size(version)
        .map_err(|error| cannot(format!("{error:#}")))?;
    let len = checked_frame_len(frame.len().saturating_sub(4).saturating_add(size))?;
    frame.reserve(size);
    body.encode(&mut frame, version)
        .map_err(|error| cannot(format!("{error:#}")))?;
    // A size that was computed wrongly would put every later response of the connection out of step.
    if frame.len().checked_sub(4) != usize::try_from(len).ok() {
        return Err(cannot(format!(
            "{size} bytes were computed, {} written",
            frame.len()
        )));
    }
    patch_len(&mut frame, len);
    Ok(frame.freeze())
}

/// Returns the length of a frame body as it is written in front of it.
pub(crate) fn checked_frame_len(len: usize) -> Result<i32, FrameError> {
    i32::try_from(len).map_err(|_| FrameError::TooLong { len })
}

/// Writes the length over the first four bytes of a frame.
pub(crate) fn patch_len(frame: &mut BytesMut, len: i32) {
    if let Some(prefix) = frame.first_chunk_mut::<4>() {
        *prefix = len.to_be_bytes();
    }
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod tests;
