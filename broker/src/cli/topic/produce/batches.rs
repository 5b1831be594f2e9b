//! Groups records into one batch for each partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use thalweg_client::{Cluster, ProducerIdentity, TopicCreation, TopicPartition};
use thalweg_types::{PartitionIndex, TimestampMs};
use thalweg_wire::batch::BatchError;
use thalweg_wire::compression::Compression;
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp};

use crate::cli::error::CliError;
use crate::cli::format::InputRecord;
use crate::cli::partitioner::{Sticky, partition_of_key};
use crate::cli::time::now_ms;

/// Bytes after which records without a key go to the next partition.
const STICKY_SIZE: usize = 64 << 10;

/// What records take that do not say it themselves.
pub struct Defaults {
    /// Their topic.
    pub topic: Option<String>,
    /// Their partition.
    pub partition: Option<i32>,
    /// Their key.
    pub key: Option<Vec<u8>>,
    /// Headers before their own.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether an empty value is null.
    pub tombstone: bool,
    /// Codec of the batches.
    pub compression: Compression,
    /// Size at which a batch is full, before compression.
    pub batch_size: usize,
    /// Whether the report shows keys or values, which costs memory.
    pub keeps_records: bool,
}

/// A record kept for the report.
#[derive(Debug, Default)]
pub struct Kept {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Its timestamp.
    pub timestamp_ms: i64,
}

/// A batch ready to be sent.
#[derive(Debug)]
pub struct Ready {
    /// Where it goes.
    pub partition: TopicPartition,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its records, for the report.
    pub kept: Vec<Kept>,
    /// Its codec.
    pub compression: Compression,
    /// Its producer.
    pub producer: Option<ProducerStamp>,
}

struct Open {
    builder: BatchBuilder,
    kept: Vec<Kept>,
    producer: Option<ProducerStamp>,
}

struct Topic {
    partitions: u32,
    sticky: Sticky,
}

/// Batches being filled.
pub struct Batches {
    cluster: Cluster,
    creation: TopicCreation,
    defaults: Defaults,
    producer: Option<ProducerIdentity>,
    topics: BTreeMap<String, Topic>,
    open: BTreeMap<TopicPartition, Open>,
    /// Sequence of the next record of each partition.
    sequences: BTreeMap<TopicPartition, i32>,
    size_bytes: usize,
    has_full_batch: bool,
}

impl Batches {
    /// Starts without any.
    pub fn new(
        cluster: Cluster,
        creation: TopicCreation,
        defaults: Defaults,
        producer: Option<ProducerIdentity>,
    ) -> Self {
        Self {
            cluster,
            creation,
            defaults,
            producer,
            topics: BTreeMap::new(),
            open: BTreeMap::new(),
            sequences: BTreeMap::new(),
            size_bytes: 0,
            has_full_batch: false,
        }
    }

    /// Returns the bytes that wait, before compression.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Reports whether a batch has reached its size.
    pub fn has_full_batch(&self) -> bool {
        self.has_full_batch
    }

    /// Adds a record to the batch of its partition.
    ///
    /// # Errors
    /// A record without a topic, a topic or partition that does not exist, a record that does not fit the format.
    pub async fn add(&mut self, record: InputRecord) -> Result<(), CliError> {
        let topic = record.topic.clone().or_else(|| self.defaults.topic.clone());
        let topic = topic.ok_or_else(|| {
            CliError::Usage("no topic is given: name one, or read it from the input with %t in --format".to_owned())
        })?;
        let key = record.key.or_else(|| self.defaults.key.clone());
        let value = record.value.filter(|value| !(self.defaults.tombstone && value.is_empty()));
        let headers: Vec<(Vec<u8>, Vec<u8>)> = self.defaults.headers.iter().cloned().chain(record.headers).collect();
        let size = key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len);
        let asked = record.partition.or(self.defaults.partition);
        let partition = self.choose_partition(&topic, asked, key.as_deref(), size).await?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(now_ms);
        let target = TopicPartition { topic, partition };
        let open = self.open(&target);
        let before = open.builder.records_bytes();
        let borrowed: Vec<(&[u8], Option<&[u8]>)> =
            headers.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice()))).collect();
        open.builder
            .push(TimestampMs(timestamp_ms), key.as_deref(), value.as_deref(), &borrowed)
            .map_err(|error| does_not_fit(&target, &error))?;
        let bytes = open.builder.records_bytes();
        let kept = Kept {
            key,
            value,
            headers: headers.into_iter().map(|(key, value)| (key.into(), Some(value.into()))).collect(),
            timestamp_ms,
        };
        let kept = if self.defaults.keeps_records { kept } else { Kept { timestamp_ms, ..Kept::default() } };
        if let Some(open) = self.open.get_mut(&target) {
            open.kept.push(kept);
        }
        self.size_bytes = self.size_bytes.saturating_add(bytes.saturating_sub(before));
        self.has_full_batch |= bytes >= self.defaults.batch_size;
        Ok(())
    }

    fn open(&mut self, target: &TopicPartition) -> &mut Open {
        if !self.open.contains_key(target) {
            let sequence = self.sequences.get(target).copied().unwrap_or(0);
            let producer = self
                .producer
                .map(|producer| ProducerStamp { id: producer.id, epoch: producer.epoch, base_sequence: sequence });
            let options =
                BatchOptions { compression: self.defaults.compression, producer, ..BatchOptions::default() };
            let open = Open { builder: BatchBuilder::new(options), kept: Vec::new(), producer };
            self.open.insert(target.clone(), open);
        }
        self.open.get_mut(target).expect("it was inserted above if it was not there")
    }

    /// Takes all batches to send them.
    ///
    /// # Errors
    /// A batch that cannot be encoded.
    pub fn take(&mut self) -> Result<Vec<Ready>, CliError> {
        self.size_bytes = 0;
        self.has_full_batch = false;
        let mut ready = Vec::new();
        for (partition, open) in std::mem::take(&mut self.open) {
            let count = i32::try_from(open.builder.record_count()).unwrap_or(i32::MAX);
            let sequence = self.sequences.entry(partition.clone()).or_insert(0);
            *sequence = next_sequence(*sequence, count);
            let bytes = open.builder.build().map_err(|error| does_not_fit(&partition, &error))?.freeze();
            ready.push(Ready {
                partition,
                bytes,
                kept: open.kept,
                compression: self.defaults.compression,
                producer: open.producer,
            });
        }
        Ok(ready)
    }

    async fn choose_partition(
        &mut self,
        topic: &str,
        asked: Option<i32>,
        key: Option<&[u8]>,
        size: usize,
    ) -> Result<PartitionIndex, CliError> {
        if !self.topics.contains_key(topic) {
            let found = self.cluster.topic(topic, self.creation).await?;
            let partitions = u32::try_from(found.partitions.len()).unwrap_or(u32::MAX).max(1);
            // Many short runs of this program must not all fill the same partition.
            let first = u32::try_from(now_ms() & 0xffff).unwrap_or(0);
            let sticky = Sticky::new(partitions, first, STICKY_SIZE);
            self.topics.insert(topic.to_owned(), Topic { partitions, sticky });
        }
        let Some(known) = self.topics.get_mut(topic) else { return Ok(PartitionIndex(0)) };
        let chosen = match (asked, key) {
            (Some(asked), _) => match u32::try_from(asked) {
                Ok(asked) if asked < known.partitions => asked,
                _ => {
                    let count = known.partitions;
                    let text = format!("topic '{topic}' has no partition {asked}: it has {count}, counted from 0");
                    return Err(CliError::Failed(text));
                }
            },
            (None, Some(key)) => partition_of_key(key, known.partitions),
            (None, None) => known.sticky.next(size),
        };
        Ok(PartitionIndex(i32::try_from(chosen).unwrap_or(i32::MAX)))
    }
}

/// Sequences go from 0 to 2^31-1 and start again at 0 (KIP-98).
fn next_sequence(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

fn does_not_fit(of: &TopicPartition, error: &BatchError) -> CliError {
    CliError::Failed(format!("a record for topic '{}' partition {} cannot be sent: {error}", of.topic, of.partition))
}

#[cfg(test)]
mod tests {
    use super::next_sequence;

    #[test]
    fn sequences_wrap_to_zero_after_the_largest() {
        assert_eq!(next_sequence(5, 3), 8);
        assert_eq!(next_sequence(i32::MAX, 1), 0);
        assert_eq!(next_sequence(i32::MAX - 1, 5), 3);
    }
}
