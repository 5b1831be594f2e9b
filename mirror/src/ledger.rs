//! A topic of one partition that the service itself writes: its memory, heartbeats, checkpoints.
//!
//! Owns making it, appending, and reading what is new in it. Records are small and few. Appending again after a lost
//! answer may leave a record twice, which changes nothing for readers that take the newest of a key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use thalweg_client::{
    ClientError, Cluster, FetchOptions, FetchTarget, Isolation, NewTopic, OffsetQuery, ProduceBatch,
    ProduceOptions, TopicCreation, TopicPartition, Validation,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};
use thalweg_wire::batch::{BatchError, split_batches, verify_crc};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{BatchBuilder, BatchOptions, decode_records};
use thiserror::Error;

/// Bytes of records in one batch; a single record may be larger.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Bytes of one fetch.
const FETCH_BYTES_MAX: i32 = 4 << 20;
/// How long the cluster may take to make a batch durable.
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the topic cannot be written or read.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// A call failed.
    #[error("topic '{topic}': {error}")]
    Call {
        /// The topic.
        topic: String,
        /// What happened.
        error: ClientError,
    },
    /// What is in it is no batch.
    #[error("topic '{topic}': {error}")]
    Broken {
        /// The topic.
        topic: String,
        /// What is wrong.
        error: BatchError,
    },
    /// The topic was deleted, or cut from behind.
    #[error("topic '{topic}' was deleted or made again: what it said is gone")]
    Lost {
        /// The topic.
        topic: String,
    },
}

/// A key and its newest value; `None` takes the key away.
pub type Entry = (Bytes, Option<Bytes>);

/// The topic at one cluster.
#[derive(Debug)]
pub struct Ledger {
    cluster: Cluster,
    at: TopicPartition,
    /// Where reading goes on; `None` before the first time.
    next: Option<Offset>,
    is_made: bool,
}

impl Ledger {
    /// Names it; asks nothing.
    #[must_use]
    pub fn new(cluster: Cluster, topic: impl Into<String>) -> Self {
        Self {
            cluster,
            at: TopicPartition::new(topic, PartitionIndex(0)),
            next: None,
            is_made: false,
        }
    }

    fn call(&self, error: ClientError) -> LedgerError {
        LedgerError::Call {
            topic: self.at.topic.clone(),
            error,
        }
    }

    /// Makes the topic, with `settings`, unless it is there. Asks the cluster once.
    ///
    /// # Errors
    /// [`LedgerError::Call`].
    pub async fn make(&mut self, settings: &[(&str, &str)]) -> Result<(), LedgerError> {
        if self.is_made {
            return Ok(());
        }
        let names = std::slice::from_ref(&self.at.topic);
        let known = self
            .cluster
            .metadata(thalweg_client::TopicSelection::Names(names), TopicCreation::Never)
            .await
            .map_err(|error| self.call(error))?;
        if !matches!(known.topics.get(&self.at.topic), Some(Ok(_))) {
            let topic = NewTopic {
                name: self.at.topic.clone(),
                partitions: Some(1),
                replication_factor: None,
                configs: settings
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            };
            let made = self
                .cluster
                .create_topics(&[topic], Validation::Apply)
                .await
                .map_err(|error| self.call(error))?;
            match made.into_values().next() {
                // Another instance was faster.
                Some(Err(error)) if error.code != ErrorCode::TopicAlreadyExists => {
                    return Err(self.call(error.into()));
                }
                _ => tracing::info!(topic = self.at.topic, "a topic of the service was made"),
            }
        }
        self.is_made = true;
        Ok(())
    }

    /// Appends, and returns when everything is acknowledged.
    ///
    /// # Errors
    /// [`LedgerError`]; after one, any of the entries may be there.
    pub async fn append(&mut self, entries: &[Entry]) -> Result<(), LedgerError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let mut batch = BatchBuilder::new(BatchOptions::default());
        for (key, value) in entries {
            let size = key.len() + value.as_ref().map_or(0, Bytes::len);
            if !batch.is_empty() && batch.records_bytes() + size > BATCH_BYTES_MAX {
                let full = std::mem::replace(&mut batch, BatchBuilder::new(BatchOptions::default()));
                self.send(full).await?;
            }
            batch
                .push(TimestampMs(now), Some(key), value.as_deref(), &[])
                .map_err(|error| self.broken(error))?;
        }
        match batch.is_empty() {
            true => Ok(()),
            false => self.send(batch).await,
        }
    }

    fn broken(&self, error: BatchError) -> LedgerError {
        LedgerError::Broken {
            topic: self.at.topic.clone(),
            error,
        }
    }

    async fn send(&mut self, batch: BatchBuilder) -> Result<(), LedgerError> {
        let records = batch.build().map_err(|error| self.broken(error))?.freeze();
        let options = ProduceOptions {
            timeout: PRODUCE_TIMEOUT,
            ..ProduceOptions::default()
        };
        let sent = self
            .cluster
            .retry_read("Produce", async || {
                let connection = self.cluster.leader(&self.at).await?;
                let batch = ProduceBatch {
                    partition: self.at.clone(),
                    records: records.clone(),
                };
                for answer in connection.produce(vec![batch], options).await? {
                    answer.result?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = sent {
            // It may have been deleted: then it is made again.
            self.is_made = false;
            return Err(self.call(error));
        }
        Ok(())
    }

    /// Hands out what was appended since the last call, in order: everything at the first.
    ///
    /// # Errors
    /// [`LedgerError::Lost`] if the topic is not what it was: the next call begins at its start.
    pub async fn read_new(&mut self, mut each: impl FnMut(Bytes, Option<Bytes>)) -> Result<(), LedgerError> {
        let mut at = match self.next {
            Some(next) => next,
            None => self.start().await?,
        };
        loop {
            let fetched = match self.fetch(at).await {
                Err(LedgerError::Call { error, .. }) if error.code() == Some(ErrorCode::OffsetOutOfRange) => {
                    self.next = None;
                    self.is_made = false;
                    return Err(LedgerError::Lost {
                        topic: self.at.topic.clone(),
                    });
                }
                fetched => fetched?,
            };
            let before = at;
            for batch in split_batches(&fetched.records) {
                // The last one may be cut: it is fetched again.
                let Ok(batch) = batch else { break };
                if batch.header.next_offset() <= at {
                    continue;
                }
                at = batch.header.next_offset();
                if batch.header.is_control() {
                    continue;
                }
                verify_crc(batch.bytes).map_err(|error| self.broken(error))?;
                let records = decode_records(batch.bytes, &CompressionLimits::default())
                    .map_err(|error| self.broken(error))?;
                for record in records {
                    if let Some(key) = record.key {
                        each(key, record.value);
                    }
                }
            }
            self.next = Some(at);
            // Nothing came: either this is the end, or compaction left nothing before it.
            if at >= fetched.high_watermark || at == before {
                return Ok(());
            }
        }
    }

    async fn start(&self) -> Result<Offset, LedgerError> {
        let query = [(self.at.clone(), OffsetQuery::Earliest)];
        let listed = self
            .cluster
            .list_offsets(&query, Isolation::ReadUncommitted)
            .await;
        let listed = listed.map_err(|error| self.call(error))?;
        Ok(listed
            .get(&self.at)
            .map_or(Offset::ZERO, |found| found.offset.max(Offset::ZERO)))
    }

    async fn fetch(&self, at: Offset) -> Result<thalweg_client::FetchedRecords, LedgerError> {
        let target = FetchTarget {
            partition: self.at.clone(),
            topic_id: TopicId::ZERO,
            offset: at,
            leader_epoch: LeaderEpoch::UNKNOWN,
            size_bytes_max: FETCH_BYTES_MAX,
        };
        let options = FetchOptions {
            wait_max: Duration::ZERO,
            size_bytes_min: 0,
            size_bytes_max: FETCH_BYTES_MAX,
            isolation: Isolation::ReadUncommitted,
        };
        let fetched = self
            .cluster
            .retry_read("Fetch", async || {
                let connection = self.cluster.leader(&self.at).await?;
                let answers = connection.fetch(std::slice::from_ref(&target), options).await?;
                match answers.into_iter().next() {
                    Some(answer) => Ok(answer.result?),
                    None => Err(ClientError::Missing {
                        address: connection.address().to_owned(),
                        api: "Fetch",
                        resource: thalweg_client::Resource::Topic(self.at.topic.clone()),
                    }),
                }
            })
            .await;
        fetched.map_err(|error| self.call(error))
    }
}
