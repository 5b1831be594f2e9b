//! What is stored about a topic while it lives, and what stays of it after its deletion.

use std::collections::BTreeMap;

use thalweg_types::{TimestampMs, TopicId};

use crate::codec::{Decoder, Encoder};
use crate::error::{MetadataError, RecordError};

const TOPIC_FORMAT: u8 = 1;
const TOMBSTONE_FORMAT: u8 = 1;
/// Kafka's longest topic name, in bytes.
const NAME_BYTES_MAX: usize = 249;

/// Whose topic it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Made by or for clients.
    Client,
    /// Made by the broker for itself (`__consumer_offsets`, `__transaction_state`); protected from clients.
    Internal,
}

/// A live topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// Never used again, not even after deletion.
    pub id: TopicId,
    /// 1–249 bytes of `a-z A-Z 0-9 . _ -`, not `.` or `..`.
    pub name: String,
    /// How many partitions it has, at least 1; never fewer than before.
    pub partitions: i32,
    /// Config keys set for this topic, and their texts.
    pub configs: BTreeMap<String, String>,
    /// Labels: unit of isolation on one broker, of placement in a cluster, of selection in a mirror.
    pub labels: BTreeMap<String, String>,
    /// When it was created.
    pub created: TimestampMs,
    /// Whose it is.
    pub kind: TopicKind,
}

/// What stays of a deleted topic until no log file and no directory names it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTombstone {
    /// The id it had.
    pub id: TopicId,
    /// The name it had; another topic may have it now.
    pub name: String,
    /// How many partitions it had.
    pub partitions: i32,
    /// When it was deleted.
    pub deleted: TimestampMs,
}

impl TopicRecord {
    /// Returns the record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::new(TOPIC_FORMAT)
            .raw(&self.id.0)
            .text(&self.name)
            .i32(self.partitions)
            .u8(match self.kind {
                TopicKind::Client => 0,
                TopicKind::Internal => 1,
            })
            .i64(self.created.get())
            .text_map(&self.configs)
            .text_map(&self.labels)
            .finish()
    }

    /// Reads a record's bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut decoder = Decoder::new("topic", bytes, TOPIC_FORMAT)?;
        let id = TopicId(decoder.array()?);
        let name = decoder.text()?;
        let partitions = decode_partitions(&mut decoder)?;
        let kind = match decoder.u8()? {
            0 => TopicKind::Client,
            1 => TopicKind::Internal,
            _ => return Err(decoder.malformed("its kind is unknown")),
        };
        let created = TimestampMs(decoder.i64()?);
        let configs = decoder.text_map()?;
        let labels = decoder.text_map()?;
        decoder.finish()?;
        Ok(Self {
            id,
            name,
            partitions,
            configs,
            labels,
            created,
            kind,
        })
    }

    /// Checks the record's own rules.
    pub(crate) fn validate(&self) -> Result<(), MetadataError> {
        let invalid = |detail: String| {
            Err(MetadataError::Invalid {
                what: format!("topic {:?}", self.name),
                detail,
            })
        };
        if self.id.is_zero() {
            return invalid("its id is the null id".to_owned());
        }
        if self.partitions < 1 {
            return invalid(format!("{} partitions; a topic has at least 1", self.partitions));
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX || !self.name.bytes().all(legal) {
            return invalid(format!("a name has 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ -"));
        }
        if self.name == "." || self.name == ".." {
            return invalid("a name is not . or ..".to_owned());
        }
        Ok(())
    }
}

impl TopicTombstone {
    /// Returns the tombstone's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::new(TOMBSTONE_FORMAT)
            .raw(&self.id.0)
            .text(&self.name)
            .i32(self.partitions)
            .i64(self.deleted.get())
            .finish()
    }

    /// Reads a tombstone's bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut decoder = Decoder::new("topic tombstone", bytes, TOMBSTONE_FORMAT)?;
        let id = TopicId(decoder.array()?);
        let name = decoder.text()?;
        let partitions = decode_partitions(&mut decoder)?;
        let deleted = TimestampMs(decoder.i64()?);
        decoder.finish()?;
        Ok(Self {
            id,
            name,
            partitions,
            deleted,
        })
    }
}

fn decode_partitions(decoder: &mut Decoder<'_>) -> Result<i32, RecordError> {
    match decoder.i32()? {
        partitions if partitions >= 1 => Ok(partitions),
        _ => Err(decoder.malformed("it has no partitions")),
    }
}

#[cfg(test)]
#[path = "topic_record_test.rs"]
pub(crate) mod tests;
