//! Value of a committed offset.

use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, TimestampMs, TopicId};

use super::codec::{DecodeError, Reader, Writer};

/// A committed offset as it is stored.
///
/// Versions: 1 has an expiry time, 2 has not (KIP-211), 3 adds the leader epoch (KIP-320), 4 is flexible and may
/// carry the topic's id as tagged field 0 (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitValue {
    /// The next offset to read.
    pub offset: Offset,
    /// Epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Text of the client's own.
    pub metadata: String,
    /// When it was committed.
    pub commit_timestamp: TimestampMs,
    /// When it expires, if the commit said so.
    pub expire_timestamp: Option<TimestampMs>,
    /// Id of the topic, in version 4. Never written.
    pub topic_id: Option<TopicId>,
}

const WITH_EXPIRY: i16 = 1;
const CURRENT: i16 = 3;
const NEWEST: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;

impl OffsetCommitValue {
    /// Reads versions 0 to 4.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are cut, malformed, or of a newer version.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let version = reader.int16()?;
        if !(0..=NEWEST).contains(&version) {
            return Err(DecodeError::Version {
                version,
                newest: NEWEST,
            });
        }
        let offset = Offset(reader.int64()?);
        let leader_epoch = if version >= 3 {
            LeaderEpoch(reader.int32()?)
        } else {
            LeaderEpoch::UNKNOWN
        };
        let metadata = if version >= 4 {
            reader.compact_string()?
        } else {
            reader.string()?
        }
        .to_owned();
        let commit_timestamp = TimestampMs(reader.int64()?);
        let expire_timestamp = match version {
            WITH_EXPIRY => Some(TimestampMs(reader.int64()?)).filter(|expires| *expires != TimestampMs::NONE),
            _ => None,
        };
        let topic_id = if version >= 4 {
            read_topic_id(&mut reader)?
        } else {
            None
        };
        Ok(Self {
            offset,
            leader_epoch,
            metadata,
            commit_timestamp,
            expire_timestamp,
            topic_id,
        })
    }

    /// Returns the size of [`OffsetCommitValue::encode`]'s result.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let epoch_or_expiry = if self.expire_timestamp.is_some() { 8 } else { 4 };
        2 + 8 + 2 + self.metadata.len() + 8 + epoch_or_expiry
    }

    /// Writes version 3, or version 1 if there is an expiry time (the leader epoch is then lost, as in Kafka). The
    /// metadata is at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.size_bytes());
        writer.int16(if self.expire_timestamp.is_some() {
            WITH_EXPIRY
        } else {
            CURRENT
        });
        writer.int64(self.offset.get());
        if self.expire_timestamp.is_none() {
            writer.int32(self.leader_epoch.get());
        }
        writer.string(&self.metadata);
        writer.int64(self.commit_timestamp.get());
        if let Some(expires) = self.expire_timestamp {
            writer.int64(expires.get());
        }
        writer.finish()
    }
}

fn read_topic_id(reader: &mut Reader<'_>) -> Result<Option<TopicId>, DecodeError> {
    let mut topic_id = None;
    for _ in 0..reader.unsigned_varint()? {
        let tag = reader.unsigned_varint()?;
        let field = {
            let size = reader.unsigned_varint()?;
            reader.take(size as usize)?
        };
        if tag == TOPIC_ID_TAG {
            topic_id = field.try_into().ok().map(TopicId).filter(|id| !id.is_zero());
        }
    }
    Ok(topic_id)
}

#[cfg(test)]
#[path = "offset_commit_test.rs"]
mod tests;
