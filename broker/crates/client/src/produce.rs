//! Raw produce (API key 0) and producer ids (API key 22).
//!
//! Batches are taken encoded and sent as they are. Only acknowledged produce is offered: a request without an
//! acknowledgement has no answer, so nothing could tell its failure.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs};

use crate::metadata::leader_hint;
use crate::{BrokerError, ClientError, Cluster, Connection, Resource, TopicPartition};

const API: &str = "Produce";
/// Version 13 names topics by id only (KIP-516).
const VERSION_MAX: i16 = 12;
/// From version 12 on a batch adds its partition to the transaction by itself, and the transaction ends in another way
/// (KIP-890).
const TRANSACTION_VERSION_MAX: i16 = 11;
/// Version 6 is not stable.
const INIT_PRODUCER_ID_VERSION_MAX: i16 = 5;

/// When a batch counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Acks {
    /// All in-sync replicas have it.
    #[default]
    All,
    /// The leader has it.
    Leader,
}

/// One encoded record batch for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceBatch {
    /// Where it goes.
    pub partition: TopicPartition,
    /// The batch, format version 2, with its CRC.
    pub records: Bytes,
}

/// How to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceOptions {
    /// When a batch counts as written.
    pub acks: Acks,
    /// How long the broker may take to satisfy `acks`.
    pub timeout: Duration,
}

impl Default for ProduceOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            timeout: Duration::from_secs(30),
        }
    }
}

/// Where a batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceAck {
    /// Offset of its first record. [`Offset::UNKNOWN`] for a duplicate whose place the broker no longer knows.
    pub base_offset: Offset,
    /// Time of appending, if the topic stamps it; else [`TimestampMs::NONE`].
    pub log_append_time: TimestampMs,
    /// First offset kept in the partition.
    pub log_start_offset: Offset,
}

/// The answer for one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducedPartition {
    /// Which partition.
    pub partition: TopicPartition,
    /// Where the batch is, or why it was refused.
    pub result: Result<ProduceAck, BrokerError>,
    /// The leader the broker names, if it is not the one asked (KIP-951).
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
}

/// An idempotent producer's identity (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

impl Connection {
    /// Sends batches for partitions this broker leads, one batch per partition.
    ///
    /// # Errors
    /// Those of [`Connection::send`]. After [`ClientError::Closed`] or [`ClientError::Timeout`] the batches may have been
    /// written: only an idempotent producer may send them again without making duplicates.
    pub async fn produce(
        &self,
        batches: Vec<ProduceBatch>,
        options: ProduceOptions,
    ) -> Result<Vec<ProducedPartition>, ClientError> {
        self.send_batches(batches, options, None).await
    }

    /// As [`Connection::produce`], for batches of a transaction that has these partitions.
    ///
    /// # Errors
    /// Those of [`Connection::produce`].
    pub async fn produce_in_transaction(
        &self,
        transactional_id: &str,
        batches: Vec<ProduceBatch>,
        options: ProduceOptions,
    ) -> Result<Vec<ProducedPartition>, ClientError> {
        self.send_batches(batches, options, Some(transactional_id)).await
    }

    async fn send_batches(
        &self,
        batches: Vec<ProduceBatch>,
        options: ProduceOptions,
        transactional_id: Option<&str>,
    ) -> Result<Vec<ProducedPartition>, ClientError> {
        let version = self.negotiate::<ProduceRequest>(match transactional_id {
            Some(_) => TRANSACTION_VERSION_MAX,
            None => VERSION_MAX,
        })?;
        let id = transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let request = ProduceRequest::default()
            .with_transactional_id(id)
            .with_acks(match options.acks {
                Acks::All => -1,
                Acks::Leader => 1,
            })
            .with_timeout_ms(i32::try_from(options.timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(topics(batches));
        let response = self.send_patiently(version, &request, options.timeout).await?;
        let topics = response.responses.into_iter();
        Ok(topics
            .flat_map(|topic| {
                let name = topic.name.to_string();
                topic
                    .partition_responses
                    .into_iter()
                    .map(move |partition| produced_partition(&name, partition))
            })
            .collect())
    }
}

impl Cluster {
    /// Asks for a producer id without transactions.
    ///
    /// # Errors
    /// Those of the connection and of InitProducerId, after retries.
    pub async fn init_producer_id(&self) -> Result<ProducerIdentity, ClientError> {
        self.retry_read("InitProducerId", async || {
            let connection = self.any_broker().await?;
            let version = connection.negotiate::<InitProducerIdRequest>(INIT_PRODUCER_ID_VERSION_MAX)?;
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000)
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            let response = connection.send(version, &request).await?;
            BrokerError::check("InitProducerId", response.error_code, None, || Resource::Cluster)?;
            let id = ProducerId(response.producer_id.0);
            Ok(ProducerIdentity {
                id,
                epoch: ProducerEpoch(response.producer_epoch),
            })
        })
        .await
    }
}

fn topics(batches: Vec<ProduceBatch>) -> Vec<TopicProduceData> {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    for batch in batches {
        let data = PartitionProduceData::default()
            .with_index(batch.partition.partition.get())
            .with_records(Some(batch.records));
        match topics
            .iter_mut()
            .find(|topic| topic.name.as_str() == batch.partition.topic)
        {
            Some(topic) => topic.partition_data.push(data),
            None => topics.push(
                TopicProduceData::default()
                    .with_name(TopicName(StrBytes::from_string(batch.partition.topic)))
                    .with_partition_data(vec![data]),
            ),
        }
    }
    topics
}

fn produced_partition(topic: &str, answer: PartitionProduceResponse) -> ProducedPartition {
    let index = PartitionIndex(answer.index);
    let current_leader = leader_hint(
        answer.current_leader.leader_id.0,
        answer.current_leader.leader_epoch,
    );
    let message = refusal_message(&answer);
    let result = BrokerError::check(API, answer.error_code, message, || {
        Resource::Partition(topic.to_owned(), index)
    })
    .map(|()| ProduceAck {
        base_offset: Offset(answer.base_offset),
        log_append_time: TimestampMs(answer.log_append_time_ms),
        log_start_offset: Offset(answer.log_start_offset),
    });
    ProducedPartition {
        partition: TopicPartition::new(topic, index),
        result,
        current_leader,
    }
}

/// Joins what the broker says of single records and of the whole batch.
pub(crate) fn refusal_message(answer: &PartitionProduceResponse) -> Option<String> {
    // Which record is at fault (KIP-467) matters more than the sentence about the batch.
    let faults: Vec<String> = answer
        .record_errors
        .iter()
        .filter_map(|fault| {
            let text = fault.batch_index_error_message.as_ref()?;
            Some(format!("record {}: {text}", fault.batch_index))
        })
        .collect();
    match (answer.error_message.as_ref(), faults.is_empty()) {
        (Some(message), true) => Some(message.to_string()),
        // One sentence about the record and the batch needs to be said once.
        (Some(message), false) => {
            let said = faults.iter().all(|fault| fault.ends_with(message.as_str()));
            let faults = faults.join("; ");
            Some(if said {
                faults
            } else {
                format!("{message} ({faults})")
            })
        }
        (None, true) => None,
        (None, false) => Some(faults.join("; ")),
    }
}
