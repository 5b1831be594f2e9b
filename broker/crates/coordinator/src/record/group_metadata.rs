//! Value of a classic group: its generation and members.

use bytes::Bytes;
use thalweg_types::TimestampMs;

use super::codec::{DecodeError, Reader, Writer};
use crate::group::{GenerationId, InstanceId, MemberId};

/// A group as it is stored after a rebalance.
///
/// Versions: 1 adds the rebalance timeout, 2 the time of the last change of state (KIP-211), 3 the instance id
/// (KIP-345), 4 is flexible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadataValue {
    /// `consumer`, `connect`, …; empty if the group never had members.
    pub protocol_type: String,
    /// The generation.
    pub generation: GenerationId,
    /// The chosen protocol.
    pub protocol_name: Option<String>,
    /// The member that assigned.
    pub leader: Option<MemberId>,
    /// When the group came into its state, if known.
    pub state_timestamp: Option<TimestampMs>,
    /// The members with their assignments.
    pub members: Vec<MemberMetadata>,
}

/// One member as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    /// Its id.
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// How long it may take to join again.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata under the chosen protocol.
    pub subscription: Bytes,
    /// What the leader assigned.
    pub assignment: Bytes,
}

const CURRENT: i16 = 3;
const NEWEST: i16 = 4;

impl GroupMetadataValue {
    /// Reads versions 0 to 4. Bytes are copied: nothing keeps the input alive.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are cut, malformed, or of a newer version.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let version = reader.int16()?;
        match version {
            0..=CURRENT => Self::decode_plain(&mut reader, version),
            NEWEST => Self::decode_flexible(&mut reader),
            _ => Err(DecodeError::Version {
                version,
                newest: NEWEST,
            }),
        }
    }

    fn decode_plain(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let protocol_type = reader.string()?.to_owned();
        let generation = GenerationId(reader.int32()?);
        let protocol_name = reader.nullable_string()?.map(str::to_owned);
        let leader = reader.nullable_string()?.map(MemberId::from);
        let state_timestamp = if version >= 2 {
            known_time(reader.int64()?)
        } else {
            None
        };
        let mut members = Vec::new();
        // A null list is read as an empty one; no reservation by the count, the loop ends with the bytes.
        for _ in 0..reader.int32()?.max(0) {
            let member_id = MemberId::from(reader.string()?);
            let instance_id = if version >= 3 {
                reader.nullable_string()?.map(InstanceId::from)
            } else {
                None
            };
            let client_id = reader.string()?.to_owned();
            let client_host = reader.string()?.to_owned();
            let rebalance_timeout_ms = if version >= 1 { reader.int32()? } else { -1 };
            let session_timeout_ms = reader.int32()?;
            members.push(MemberMetadata {
                member_id,
                instance_id,
                client_id,
                client_host,
                rebalance_timeout_ms: or_session(rebalance_timeout_ms, session_timeout_ms),
                session_timeout_ms,
                subscription: Bytes::copy_from_slice(reader.byte_field()?),
                assignment: Bytes::copy_from_slice(reader.byte_field()?),
            });
        }
        Ok(Self {
            protocol_type,
            generation,
            protocol_name,
            leader,
            state_timestamp,
            members,
        })
    }

    fn decode_flexible(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let protocol_type = reader.compact_string()?.to_owned();
        let generation = GenerationId(reader.int32()?);
        let protocol_name = reader.compact_nullable_string()?.map(str::to_owned);
        let leader = reader.compact_nullable_string()?.map(MemberId::from);
        let state_timestamp = known_time(reader.int64()?);
        let mut members = Vec::new();
        for _ in 1..reader.unsigned_varint()? {
            let member_id = MemberId::from(reader.compact_string()?);
            let instance_id = reader.compact_nullable_string()?.map(InstanceId::from);
            let client_id = reader.compact_string()?.to_owned();
            let client_host = reader.compact_string()?.to_owned();
            let rebalance_timeout_ms = reader.int32()?;
            let session_timeout_ms = reader.int32()?;
            members.push(MemberMetadata {
                member_id,
                instance_id,
                client_id,
                client_host,
                rebalance_timeout_ms: or_session(rebalance_timeout_ms, session_timeout_ms),
                session_timeout_ms,
                subscription: Bytes::copy_from_slice(reader.compact_byte_field()?),
                assignment: Bytes::copy_from_slice(reader.compact_byte_field()?),
            });
            reader.skip_tagged_fields()?;
        }
        reader.skip_tagged_fields()?;
        Ok(Self {
            protocol_type,
            generation,
            protocol_name,
            leader,
            state_timestamp,
            members,
        })
    }

    /// Returns the size of [`GroupMetadataValue::encode`]'s result.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let members: usize = self.members.iter().map(MemberMetadata::size_bytes).sum();
        let leader = self.leader.as_ref().map_or(0, |leader| leader.len());
        let protocol_name = self.protocol_name.as_ref().map_or(0, String::len);
        Self::FIXED_BYTES + self.protocol_type.len() + protocol_name + leader + members
    }

    /// Size of a group without its names and members.
    pub(crate) const FIXED_BYTES: usize = 2 + 2 + 4 + 2 + 2 + 8 + 4;

    /// Writes version 3. Names are at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.size_bytes());
        writer.int16(CURRENT);
        writer.string(&self.protocol_type);
        writer.int32(self.generation.get());
        writer.nullable_string(self.protocol_name.as_deref());
        writer.nullable_string(self.leader.as_deref());
        writer.int64(self.state_timestamp.unwrap_or(TimestampMs::NONE).get());
        writer.int32(i32::try_from(self.members.len()).expect("a group has at most i32::MAX members"));
        for member in &self.members {
            member.encode(&mut writer);
        }
        writer.finish()
    }
}

impl MemberMetadata {
    /// Size of a member without its names and bytes.
    pub(crate) const FIXED_BYTES: usize = 2 + 2 + 2 + 2 + 4 + 4 + 4 + 4;

    fn size_bytes(&self) -> usize {
        let instance_id = self
            .instance_id
            .as_ref()
            .map_or(0, |instance_id| instance_id.len());
        Self::FIXED_BYTES
            + self.member_id.len()
            + instance_id
            + self.client_id.len()
            + self.client_host.len()
            + self.subscription.len()
            + self.assignment.len()
    }

    fn encode(&self, writer: &mut Writer) {
        writer.string(&self.member_id);
        writer.nullable_string(self.instance_id.as_deref());
        writer.string(&self.client_id);
        writer.string(&self.client_host);
        writer.int32(self.rebalance_timeout_ms);
        writer.int32(self.session_timeout_ms);
        writer.byte_field(&self.subscription);
        writer.byte_field(&self.assignment);
    }
}

fn known_time(time: i64) -> Option<TimestampMs> {
    Some(TimestampMs(time)).filter(|time| *time != TimestampMs::NONE)
}

/// Before version 1 members had no rebalance timeout of their own.
fn or_session(rebalance_timeout_ms: i32, session_timeout_ms: i32) -> i32 {
    if rebalance_timeout_ms == -1 {
        session_timeout_ms
    } else {
        rebalance_timeout_ms
    }
}

#[cfg(test)]
#[path = "group_metadata_test.rs"]
mod tests;
