//! Guarded decoding of every message: API key and version come from the first bytes.

use crate::input::Input;
use crate::memory::{self, SLACK_BYTES};
use bytes::{Bytes, BytesMut};
use thalweg_wire::consumer_protocol::{decode_assignment, decode_subscription};
use thalweg_wire::guard::{
    self, DecodeError, Direction, GuardError, GuardLimits, decode_request, decode_response,
};
use thalweg_wire::markers::{MARKERS_KEY, parse_write_txn_markers_request};
use thalweg_wire::offsets::{COMMIT_KEY, FETCH_KEY, parse_offset_commit_request, parse_offset_fetch_request};

/// API keys end below this.
const API_KEYS: u8 = 96;

/// Byte 0: what is decoded and under which limits; byte 1: API key; byte 2: which of its versions; then the body.
///
/// Beyond "no panic": a body that is refused takes no memory, one that is taken no more than the guard's estimate; what
/// was decoded can be encoded so that it decodes to the same.
pub fn request(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, key, version) = (input.u8(), input.u8(), input.u8());
    let limits = if choice & 1 == 0 {
        GuardLimits::default()
    } else {
        GuardLimits::before_authentication()
    };
    let direction = if choice & 2 == 0 {
        Direction::Request
    } else {
        Direction::Response
    };
    let body = Bytes::copy_from_slice(input.rest());
    if choice & 0xf0 == 0xf0 {
        return consumer_protocol(body, &limits);
    }
    let key = i16::from(key % API_KEYS);
    let Some((first, last)) = guard::supported_versions(direction, key) else {
        return;
    };
    let version = first + i16::from(version) % (last - first + 1);
    let check = match direction {
        Direction::Request => guard::check_request,
        Direction::Response => guard::check_response,
    };
    let facts = memory::within(0, "the guard", || check(key, version, &body, &limits));
    let allowed = facts.as_ref().map_or(0, |facts| facts.estimated_bytes);
    assert!(
        allowed <= limits.decoded_bytes_max,
        "{allowed} bytes are above the limit"
    );
    let name = format!("{direction} {key} v{version}");
    if has_own_parser(direction, key) {
        let parsed = memory::within(2 * allowed, &name, || parse_here(key, version, &body, &limits));
        assert!(
            parsed.is_err() || facts.is_ok(),
            "{name}: parsed what the guard refuses"
        );
    }
    let codec = Codec { key, version, limits };
    let (first_bytes, bytes) = memory::measure(|| codec.decode(direction, body.clone()));
    let decoded = match first_bytes {
        Ok(decoded) => decoded,
        Err(DecodeError::Guard(error)) => {
            let own = matches!(error, GuardError::UnsupportedVersion { .. })
                && (has_own_parser(direction, key) || key == MARKERS_KEY);
            assert!(
                facts.is_err() || own,
                "{name}: the guard changed its mind: {error}"
            );
            return;
        }
        // The error's own text and place come on top.
        Err(DecodeError::Content { .. }) => return,
    };
    assert!(facts.is_ok(), "{name}: decoded what the guard refuses");
    assert!(
        bytes <= allowed + SLACK_BYTES,
        "{name} took {bytes} bytes, {allowed} were estimated"
    );
    let Some(encoded) = decoded.encode(version) else {
        return;
    };
    let again = codec
        .decode(direction, encoded.clone())
        .unwrap_or_else(|error| panic!("{name}: its own encoding is refused: {error}"));
    assert_eq!(
        again.encode(version),
        Some(encoded),
        "{name}: decoded and encoded twice"
    );
}

/// The message crate does not know the newest version of these.
fn has_own_parser(direction: Direction, key: i16) -> bool {
    direction == Direction::Request && [COMMIT_KEY, FETCH_KEY, MARKERS_KEY].contains(&key)
}

fn parse_here(key: i16, version: i16, body: &[u8], limits: &GuardLimits) -> Result<(), GuardError> {
    match key {
        COMMIT_KEY => parse_offset_commit_request(version, body, limits).map(drop),
        MARKERS_KEY => parse_write_txn_markers_request(version, body, limits).map(drop),
        _ => parse_offset_fetch_request(version, body, limits).map(drop),
    }
}

struct Codec {
    key: i16,
    version: i16,
    limits: GuardLimits,
}

enum Message {
    Request(kafka_protocol::messages::RequestKind),
    Response(kafka_protocol::messages::ResponseKind),
}

impl Codec {
    fn decode(&self, direction: Direction, body: Bytes) -> Result<Message, DecodeError> {
        match direction {
            Direction::Request => {
                decode_request(self.key, self.version, body, &self.limits).map(Message::Request)
            }
            Direction::Response => {
                decode_response(self.key, self.version, body, &self.limits).map(Message::Response)
            }
        }
    }
}

impl Message {
    /// `None` when the encoder refuses, as it does for some fields that its decoder takes.
    fn encode(&self, version: i16) -> Option<Bytes> {
        let mut bytes = BytesMut::new();
        let done = match self {
            Self::Request(message) => message.encode(&mut bytes, version),
            Self::Response(message) => message.encode(&mut bytes, version),
        };
        done.ok().map(|()| bytes.freeze())
    }
}

fn consumer_protocol(body: Bytes, limits: &GuardLimits) {
    let allowed = limits.decoded_bytes_max;
    let (subscription, assignment) = (body.clone(), body);
    let _ = memory::within(allowed, "a subscription", || {
        decode_subscription(subscription, limits)
    });
    let _ = memory::within(allowed, "an assignment", || decode_assignment(assignment, limits));
}
