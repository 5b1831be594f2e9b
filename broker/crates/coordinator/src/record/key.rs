//! Keys of `__consumer_offsets` records.

use bytes::Bytes;
use thalweg_types::PartitionIndex;

use super::codec::{DecodeError, Reader, Writer};

/// What a record is about, borrowed from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKey<'a> {
    /// A committed offset (key versions 0 and 1, which look the same).
    Offset {
        /// The group.
        group_id: &'a str,
        /// The topic.
        topic: &'a str,
        /// Its partition.
        partition: PartitionIndex,
    },
    /// A classic group (key version 2).
    Group {
        /// The group.
        group_id: &'a str,
    },
    /// A record of a newer protocol, or the key of a transaction marker: nothing of ours.
    Other {
        /// The key version.
        version: i16,
    },
}

const OFFSET: i16 = 1;
const GROUP: i16 = 2;

/// A control record's key is a version and a type, both 16 bits. No offset key is that short.
const CONTROL_KEY_BYTES: usize = 4;

impl<'a> RecordKey<'a> {
    /// Reads a key.
    ///
    /// # Errors
    /// [`DecodeError`] if a key of a known version is cut or holds no valid text. Bytes after the key are ignored.
    pub fn decode(key: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(key);
        match reader.int16()? {
            version @ (0 | 1) if key.len() == CONTROL_KEY_BYTES => Ok(Self::Other { version }),
            0 | OFFSET => Ok(Self::Offset {
                group_id: reader.string()?,
                topic: reader.string()?,
                partition: PartitionIndex(reader.int32()?),
            }),
            GROUP => Ok(Self::Group {
                group_id: reader.string()?,
            }),
            version => Ok(Self::Other { version }),
        }
    }

    /// Returns the size of [`RecordKey::encode_offset`]'s result.
    #[must_use]
    pub fn offset_size_bytes(group_id: &str, topic: &str) -> usize {
        2 + 2 + group_id.len() + 2 + topic.len() + 4
    }

    /// Writes the key of a committed offset (version 1). Names are at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode_offset(group_id: &str, topic: &str, partition: PartitionIndex) -> Bytes {
        let mut writer = Writer::with_capacity(Self::offset_size_bytes(group_id, topic));
        writer.int16(OFFSET);
        writer.string(group_id);
        writer.string(topic);
        writer.int32(partition.get());
        writer.finish()
    }

    /// Returns the size of [`RecordKey::encode_group`]'s result.
    #[must_use]
    pub fn group_size_bytes(group_id: &str) -> usize {
        2 + 2 + group_id.len()
    }

    /// Writes the key of a classic group (version 2). The id is at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode_group(group_id: &str) -> Bytes {
        let mut writer = Writer::with_capacity(Self::group_size_bytes(group_id));
        writer.int16(GROUP);
        writer.string(group_id);
        writer.finish()
    }
}

#[cfg(test)]
#[path = "key_test.rs"]
mod tests;
