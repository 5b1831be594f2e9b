//! Groups records into one batch for each partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use thalweg_client::{Cluster, ConfigResource, ProducerIdentity, TopicCreation, TopicPartition};
use thalweg_types::{PartitionIndex, TimestampMs};
use thalweg_wire::batch::{BatchError, HEADER_LEN};
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
    /// Size at which a batch is full, before compression. A topic's own limit may be smaller.
    pub batch_size: usize,
    /// What is kept of each record.
    pub keep: Keep,
}

/// What the report needs of each record; more costs memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing is reported.
    Nothing,
    /// Its place and time.
    Timestamp,
    /// Its key, value or headers too.
    Content,
}

/// A record with everything decided.
#[derive(Debug)]
pub struct Prepared {
    target: TopicPartition,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    timestamp_ms: i64,
}

impl Prepared {
    /// Returns at least as many bytes as the record takes in a batch.
    fn size_max(&self) -> usize {
        // Lengths and deltas are varints of at most ten bytes.
        const FIELD: usize = 10;
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self
            .headers
            .iter()
            .map(|(key, value)| key.len() + value.len() + 2 * FIELD);
        length(&self.key) + length(&self.value) + headers.sum::<usize>() + 6 * FIELD
    }
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
    /// Number of its records.
    pub record_count: usize,
    /// Its records, as far as the report needs them.
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
    /// Largest batch, in bytes.
    batch_size: usize,
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

    /// Decides where a record goes and what it consists of.
    ///
    /// # Errors
    /// A record without a topic, a topic or partition that does not exist.
    pub async fn prepare(&mut self, record: InputRecord) -> Result<Prepared, CliError> {
        let topic = record
            .topic
            .or_else(|| self.defaults.topic.clone())
            .ok_or_else(|| {
                let text = "no topic is given: name one, or read it from the input with %t in --format";
                CliError::Usage(text.to_owned())
            })?;
        let key = record.key.or_else(|| self.defaults.key.clone());
        let value = record
            .value
            .filter(|value| !(self.defaults.tombstone && value.is_empty()));
        let headers = self
            .defaults
            .headers
            .iter()
            .cloned()
            .chain(record.headers)
            .collect();
        let size = key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len);
        let asked = record.partition.or(self.defaults.partition);
        let partition = self.choose_partition(&topic, asked, key.as_deref(), size).await?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(now_ms);
        Ok(Prepared {
            target: TopicPartition { topic, partition },
            key,
            value,
            headers,
            timestamp_ms,
        })
    }

    /// Reports whether a record fits the batch of its partition. An empty batch takes any record.
    pub fn has_room(&self, record: &Prepared) -> bool {
        let limit = self.batch_size(&record.target.topic);
        self.open.get(&record.target).is_none_or(|open| {
            let size = open.builder.records_bytes().saturating_add(record.size_max());
            size.saturating_add(HEADER_LEN) <= limit
        })
    }

    /// Adds a record to the batch of its partition.
    ///
    /// # Errors
    /// A record that does not fit the format.
    pub fn push(&mut self, record: Prepared) -> Result<(), CliError> {
        let limit = self.batch_size(&record.target.topic);
        let keep = self.defaults.keep;
        let open = self.open(&record.target);
        let before = open.builder.records_bytes();
        let headers: Vec<(&[u8], Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|(key, value)| (key.as_slice(), Some(value.as_slice())))
            .collect();
        let timestamp = TimestampMs(record.timestamp_ms);
        open.builder
            .push(
                timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .map_err(|error| does_not_fit(&record.target, &error))?;
        let bytes = open.builder.records_bytes();
        open.kept.extend(kept(record, keep));
        self.size_bytes = self.size_bytes.saturating_add(bytes.saturating_sub(before));
        self.has_full_batch |= bytes.saturating_add(HEADER_LEN) >= limit;
        Ok(())
    }

    fn batch_size(&self, topic: &str) -> usize {
        self.topics
            .get(topic)
            .map_or(self.defaults.batch_size, |topic| topic.batch_size)
    }

    fn open(&mut self, target: &TopicPartition) -> &mut Open {
        if !self.open.contains_key(target) {
            let sequence = self.sequences.get(target).copied().unwrap_or(0);
            let producer = self.producer.map(|producer| ProducerStamp {
                id: producer.id,
                epoch: producer.epoch,
                base_sequence: sequence,
            });
            let options = BatchOptions {
                compression: self.defaults.compression,
                producer,
                ..BatchOptions::default()
            };
            let open = Open {
                builder: BatchBuilder::new(options),
                kept: Vec::new(),
                producer,
            };
            self.open.insert(target.clone(), open);
        }
        self.open
            .get_mut(target)
            .expect("it was inserted above if it was not there")
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
            let record_count = open.builder.record_count();
            let count = i32::try_from(record_count).unwrap_or(i32::MAX);
            let sequence = self.sequences.entry(partition.clone()).or_insert(0);
            *sequence = next_sequence(*sequence, count);
            let bytes = open
                .builder
                .build()
                .map_err(|error| does_not_fit(&partition, &error))?
                .freeze();
            ready.push(Ready {
                partition,
                bytes,
                record_count,
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
            let batch_size = self
                .defaults
                .batch_size
                .min(max_message_bytes(&self.cluster, topic).await);
            self.topics.insert(
                topic.to_owned(),
                Topic {
                    partitions,
                    sticky,
                    batch_size,
                },
            );
        }
        let Some(known) = self.topics.get_mut(topic) else {
            return Ok(PartitionIndex(0));
        };
        let chosen = match (asked, key) {
            (Some(asked), _) => match u32::try_from(asked) {
                Ok(asked) if asked < known.partitions => asked,
                _ => {
                    let count = known.partitions;
                    let text =
                        format!("topic '{topic}' has no partition {asked}: it has {count}, counted from 0");
                    return Err(CliError::Failed(text));
                }
            },
            (None, Some(key)) => partition_of_key(key, known.partitions),
            (None, None) => known.sticky.next(size),
        };
        Ok(PartitionIndex(i32::try_from(chosen).unwrap_or(i32::MAX)))
    }
}

fn kept(record: Prepared, keep: Keep) -> Option<Kept> {
    let timestamp_ms = record.timestamp_ms;
    match keep {
        Keep::Nothing => None,
        Keep::Timestamp => Some(Kept {
            timestamp_ms,
            ..Kept::default()
        }),
        Keep::Content => {
            let header = |(key, value): (Vec<u8>, Vec<u8>)| (key.into(), Some(value.into()));
            let headers = record.headers.into_iter().map(header).collect();
            Some(Kept {
                key: record.key,
                value: record.value,
                headers,
                timestamp_ms,
            })
        }
    }
}

/// Returns the largest batch a topic takes; without a limit where the cluster does not say.
async fn max_message_bytes(cluster: &Cluster, topic: &str) -> usize {
    let Ok(entries) = cluster.describe_configs(&ConfigResource::topic(topic)).await else {
        return usize::MAX;
    };
    let entry = entries
        .into_iter()
        .find(|entry| entry.name == "max.message.bytes");
    entry
        .and_then(|entry| entry.value?.parse().ok())
        .unwrap_or(usize::MAX)
}

/// Sequences go from 0 to 2^31-1 and start again at 0 (KIP-98).
fn next_sequence(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

fn does_not_fit(of: &TopicPartition, error: &BatchError) -> CliError {
    CliError::Failed(format!(
        "a record for topic '{}' partition {} cannot be sent: {error}",
        of.topic, of.partition
    ))
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
