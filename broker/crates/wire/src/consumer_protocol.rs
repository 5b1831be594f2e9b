//! The structures that consumers put into classic group messages: subscription and assignment.
//!
//! JoinGroup carries a subscription per member and protocol, SyncGroup an assignment per member, both as bytes that
//! the broker passes on unread. It reads them only to know which topics a group uses (OffsetDelete) and to describe
//! groups. Owns their decoding behind the guard.
//!
//! Invariant: a version newer than the newest known one is read as that one, and what follows is ignored, as Kafka's
//! own clients do; so members of different age understand each other.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::Decodable;

use crate::cursor::{Cursor, Problem};
use crate::guard::{DecodeError, GuardError, GuardLimits};
use crate::schema::{self, MessageSchema};
use crate::walk;

/// The protocol type of groups whose members are consumers; other types carry other structures.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Decodes the metadata of a member: which topics it wants, what it owns, its rack.
///
/// # Errors
/// [`DecodeError`] if the bytes are no subscription.
pub fn decode_subscription(
    metadata: Bytes,
    limits: &GuardLimits,
) -> Result<ConsumerProtocolSubscription, DecodeError> {
    decode(schema::subscription(), metadata, limits)
}

/// Decodes the assignment of a member: which partitions it reads.
///
/// # Errors
/// [`DecodeError`] if the bytes are no assignment.
pub fn decode_assignment(
    assignment: Bytes,
    limits: &GuardLimits,
) -> Result<ConsumerProtocolAssignment, DecodeError> {
    decode(schema::assignment(), assignment, limits)
}

fn decode<T: Decodable>(
    schema: &'static MessageSchema,
    mut data: Bytes,
    limits: &GuardLimits,
) -> Result<T, DecodeError> {
    let bad_version = |problem| {
        let path = "version".to_owned();
        GuardError::Malformed {
            name: schema.name,
            version: 0,
            path,
            position: 0,
            problem,
        }
    };
    let mut cursor = Cursor::new(&data);
    let stated = cursor.i16().map_err(bad_version)?;
    if stated < schema.versions.first {
        return Err(bad_version(Problem::UnknownValue(i64::from(stated))).into());
    }
    data.advance(cursor.position());
    let version = stated.min(schema.versions.last);
    walk::check_prefix(schema, version, &data, limits)?;
    T::decode(&mut data, version).map_err(|error| DecodeError::Content {
        name: schema.name,
        version,
        reason: format!("{error:#}"),
    })
}

#[cfg(test)]
#[path = "consumer_protocol_test.rs"]
mod tests;
