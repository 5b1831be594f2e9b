//! Key and value of a `__transaction_state` record.

use bytes::Bytes;
use thalweg_types::{PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use super::codec::{DecodeError, Reader, Writer};

const KEY_VERSION: i16 = 0;
const PLAIN: i16 = 0;
const FLEXIBLE: i16 = 1;

const TAG_PREVIOUS_PRODUCER_ID: u32 = 0;
const TAG_NEXT_PRODUCER_ID: u32 = 1;
const TAG_CLIENT_VERSION: u32 = 2;

/// Which transactional id a record is about, borrowed from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionLogKey<'a> {
    /// Key version 0.
    TransactionalId(&'a str),
    /// A key of a version that nobody writes yet.
    Other {
        /// The version.
        version: i16,
    },
}

impl<'a> TransactionLogKey<'a> {
    /// Reads a key.
    ///
    /// # Errors
    /// [`DecodeError`] if a key of version 0 is cut or holds no valid text.
    pub fn decode(key: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(key);
        match reader.int16()? {
            KEY_VERSION => Ok(Self::TransactionalId(reader.string()?)),
            version => Ok(Self::Other { version }),
        }
    }

    /// Writes the key of a transactional id, which is at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode(transactional_id: &str) -> Bytes {
        let mut writer = Writer::with_capacity(4 + transactional_id.len());
        writer.int16(KEY_VERSION);
        writer.string(transactional_id);
        writer.finish()
    }
}

/// The partitions of one topic in a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionPartitions {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// A transactional id as it is stored.
///
/// Versions: 0 is plain, 1 flexible with the tagged fields 0 to 2 (KIP-890). Written is 1, which Kafka 4 writes once
/// `transaction.version` is above 0; unknown tagged fields are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionLogValue {
    /// The producer id.
    pub producer_id: ProducerId,
    /// The id before the last change of it, else [`ProducerId::NONE`].
    pub previous_producer_id: ProducerId,
    /// The id that the end of this transaction brings, else [`ProducerId::NONE`].
    pub next_producer_id: ProducerId,
    /// The epoch.
    pub producer_epoch: ProducerEpoch,
    /// Longest time a transaction may be open.
    pub timeout_ms: i32,
    /// The state, by its number.
    pub status: i8,
    /// Partitions of the transaction; `None` in the state Empty.
    pub partitions: Option<Vec<TransactionPartitions>>,
    /// When the id was last used.
    pub last_update: TimestampMs,
    /// When the transaction began, else [`TimestampMs::NONE`].
    pub start: TimestampMs,
    /// The transaction version of the client that wrote last.
    pub client_version: i16,
}

impl TransactionLogValue {
    /// Reads versions 0 and 1.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are cut, malformed, or of a newer version.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let version = reader.int16()?;
        if !(PLAIN..=FLEXIBLE).contains(&version) {
            return Err(DecodeError::Version {
                version,
                newest: FLEXIBLE,
            });
        }
        let mut read = Self {
            producer_id: ProducerId(reader.int64()?),
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(reader.int16()?),
            timeout_ms: reader.int32()?,
            status: reader.int8()?,
            partitions: read_partitions(&mut reader, version)?,
            last_update: TimestampMs(reader.int64()?),
            start: TimestampMs(reader.int64()?),
            client_version: 0,
        };
        if version >= FLEXIBLE {
            read.read_tagged_fields(&mut reader)?;
        }
        Ok(read)
    }

    fn read_tagged_fields(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        for _ in 0..reader.unsigned_varint()? {
            let tag = reader.unsigned_varint()?;
            let size = reader.unsigned_varint()?;
            let mut field = Reader::new(reader.take(size as usize)?);
            match tag {
                TAG_PREVIOUS_PRODUCER_ID => self.previous_producer_id = ProducerId(field.int64()?),
                TAG_NEXT_PRODUCER_ID => self.next_producer_id = ProducerId(field.int64()?),
                TAG_CLIENT_VERSION => self.client_version = field.int16()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns a bound of the size of [`TransactionLogValue::encode`]'s result.
    #[must_use]
    pub fn size_bytes_max(&self) -> usize {
        let topics = self.partitions.iter().flatten();
        let partitions: usize = topics
            .map(|topic| topic.topic.len() + topic.partitions.len() * 4 + 11)
            .sum();
        // Numbers, lengths and all tagged fields.
        80 + partitions
    }

    /// Writes version 1. Names are at most [`super::STRING_BYTES_MAX`] long.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.size_bytes_max());
        writer.int16(FLEXIBLE);
        writer.int64(self.producer_id.get());
        writer.int16(self.producer_epoch.get());
        writer.int32(self.timeout_ms);
        writer.int8(self.status);
        match &self.partitions {
            None => writer.unsigned_varint(0),
            Some(topics) => {
                writer.compact_len(topics.len());
                for topic in topics {
                    writer.compact_string(&topic.topic);
                    writer.compact_len(topic.partitions.len());
                    for partition in &topic.partitions {
                        writer.int32(partition.get());
                    }
                    writer.unsigned_varint(0);
                }
            }
        }
        writer.int64(self.last_update.get());
        writer.int64(self.start.get());
        self.write_tagged_fields(&mut writer);
        writer.finish()
    }

    /// A field that has its default is left out, as in Kafka.
    fn write_tagged_fields(&self, writer: &mut Writer) {
        let ids = [
            (TAG_PREVIOUS_PRODUCER_ID, self.previous_producer_id),
            (TAG_NEXT_PRODUCER_ID, self.next_producer_id),
        ];
        let has_version = self.client_version != 0;
        let count = ids.iter().filter(|(_, id)| *id != ProducerId::NONE).count() + usize::from(has_version);
        writer.unsigned_varint(u32::try_from(count).unwrap_or(0));
        for (tag, id) in ids {
            if id != ProducerId::NONE {
                writer.unsigned_varint(tag);
                writer.unsigned_varint(8);
                writer.int64(id.get());
            }
        }
        if has_version {
            writer.unsigned_varint(TAG_CLIENT_VERSION);
            writer.unsigned_varint(2);
            writer.int16(self.client_version);
        }
    }
}

fn read_partitions(
    reader: &mut Reader<'_>,
    version: i16,
) -> Result<Option<Vec<TransactionPartitions>>, DecodeError> {
    let Some(count) = array_len(reader, version)? else {
        return Ok(None);
    };
    let mut topics = Vec::new();
    // Every element takes bytes, so both loops end with the input whatever the counts say.
    for _ in 0..count {
        let topic = match version {
            PLAIN => reader.string()?,
            _ => reader.compact_string()?,
        };
        let mut partitions = Vec::new();
        for _ in 0..array_len(reader, version)?.unwrap_or(0) {
            partitions.push(PartitionIndex(reader.int32()?));
        }
        if version >= FLEXIBLE {
            reader.skip_tagged_fields()?;
        }
        topics.push(TransactionPartitions {
            topic: topic.to_owned(),
            partitions,
        });
    }
    Ok(Some(topics))
}

fn array_len(reader: &mut Reader<'_>, version: i16) -> Result<Option<u32>, DecodeError> {
    match version {
        PLAIN => reader.nullable_array_len(),
        _ => reader.compact_nullable_array_len(),
    }
}

#[cfg(test)]
#[path = "transaction_log_test.rs"]
mod tests;
