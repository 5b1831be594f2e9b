//! MirrorMaker 2's checkpoints at the target, so that `RemoteClusterUtils` and `MirrorClient` find a group's offsets there.
//!
//! Owns the topic `ALIAS.checkpoints.internal`: one partition, compacted, records in the old struct encoding of Kafka
//! (big-endian; a string is int16 length and UTF-8). The offset upstream and the one here are the same, since a mirror has
//! the source's offsets. What this process sent is remembered; after a restart each is sent once more.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use thalweg_client::{Cluster, TopicPartition};
use thalweg_types::Offset;

use crate::groups::decision::Mark;
use crate::ledger::{Ledger, LedgerError};

/// Shortest pause between two batches of checkpoints; MirrorMaker's is a minute.
const PAUSE: Duration = Duration::from_secs(5);
/// Version of the value.
const VERSION: i16 = 0;
const SETTINGS: &[(&str, &str)] = &[("cleanup.policy", "compact")];

/// The topic of checkpoints from a cluster.
#[must_use]
pub fn topic(source_alias: &str) -> String {
    format!("{source_alias}.checkpoints.internal")
}

/// What was sent and what is to be sent.
#[derive(Debug)]
pub struct Checkpoints {
    ledger: Ledger,
    sent: HashMap<(String, TopicPartition), Mark>,
    waiting: BTreeMap<(String, TopicPartition), (Offset, String)>,
    next_at: Option<Instant>,
}

impl Checkpoints {
    /// Prepares; asks nothing.
    #[must_use]
    pub fn new(target: Cluster, source_alias: &str) -> Self {
        Self {
            ledger: Ledger::new(target, topic(source_alias)),
            sent: HashMap::new(),
            waiting: BTreeMap::new(),
            next_at: None,
        }
    }

    /// Notes a group's offset in a partition, by the target's name. An older one that was not sent yet is forgotten.
    pub fn note(&mut self, group: &str, partition: &TopicPartition, offset: Offset, metadata: &str) {
        let key = (group.to_owned(), partition.clone());
        if self.sent.get(&key) != Some(&Mark::new(offset, metadata)) {
            self.waiting.insert(key, (offset, metadata.to_owned()));
        }
    }

    /// Sends what waits, unless something was sent a moment ago.
    ///
    /// # Errors
    /// [`LedgerError`]; what waits is sent with the next call.
    pub async fn send(&mut self, now: Instant) -> Result<(), LedgerError> {
        if self.waiting.is_empty() || self.next_at.is_some_and(|next| now < next) {
            return Ok(());
        }
        self.ledger.make(SETTINGS).await?;
        let records: Vec<(Bytes, Option<Bytes>)> = self
            .waiting
            .iter()
            .map(|((group, partition), (offset, metadata))| {
                (key(group, partition), Some(value(*offset, metadata)))
            })
            .collect();
        self.ledger.append(&records).await?;
        for (key, (offset, metadata)) in std::mem::take(&mut self.waiting) {
            self.sent.insert(key, Mark::new(offset, &metadata));
        }
        self.next_at = Some(now + PAUSE);
        Ok(())
    }
}

/// Group, topic as the target names it, partition.
fn key(group: &str, partition: &TopicPartition) -> Bytes {
    let mut key = BytesMut::new();
    put_text(&mut key, group);
    put_text(&mut key, &partition.topic);
    key.put_i32(partition.partition.get());
    key.freeze()
}

/// Version, offset at the source, offset here, the client's text.
fn value(offset: Offset, metadata: &str) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(VERSION);
    value.put_i64(offset.get());
    value.put_i64(offset.get());
    put_text(&mut value, metadata);
    value.freeze()
}

/// A string as Kafka's old structs have it. Longer ones than the format can say do not come from a broker.
pub(crate) fn put_text(to: &mut BytesMut, text: &str) {
    let end = (0..=text.len().min(i16::MAX as usize))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    let text = text.get(..end).unwrap_or_default();
    to.put_i16(i16::try_from(text.len()).unwrap_or_default());
    to.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_has_mirrormakers_bytes() {
        let partition = TopicPartition::new("A.t", thalweg_types::PartitionIndex(3));
        let expected = b"\x00\x01g\x00\x03A.t\x00\x00\x00\x03";
        assert_eq!(key("g", &partition).as_ref(), expected);
        let expected = b"\0\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x07\0\0";
        assert_eq!(value(Offset(7), "").as_ref(), expected);
        assert_eq!(topic("A"), "A.checkpoints.internal");
    }
}
