//! A transactional producer: InitProducerId (key 22), AddPartitionsToTxn (24), Produce (0), EndTxn (26); KIP-98, KIP-360.
//!
//! One producer at a time has a transactional id: whoever asks for it last fences all before, and what they had open is
//! aborted. That makes the id a lock that survives crashes and pauses. Invariant: after [`TransactionError::Fenced`] or
//! [`TransactionError::Unsure`] the producer writes nothing more; a new one must be made, and it sees the end of every
//! earlier transaction.
//!
//! Versions that bump the epoch with every transaction (KIP-890) are left out: any broker since 2.5 serves these.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest,
    TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{BrokerId, ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp, Transactionality};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::produce::refusal_message;
use crate::{
    BrokerError, ClientError, Cluster, Connection, Isolation, ProducerIdentity, Resource, TopicPartition,
};

/// Version 5 begins the second kind of transactions (KIP-890); 4 batches them for brokers.
const ADD_PARTITIONS_VERSION_MAX: i16 = 3;
const END_TXN_VERSION_MAX: i16 = 4;
const PRODUCE_VERSION_MAX: i16 = 11;
/// The first version that carries transactions.
const PRODUCE_VERSION_MIN: i16 = 3;
const FIND_COORDINATOR_VERSION_MAX: i16 = 4;
const INIT_PRODUCER_ID_VERSION_MAX: i16 = 4;
const KEY_TYPE_TRANSACTION: i8 = 1;

/// A record of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` deletes the key in a compacted topic.
    pub value: Option<Bytes>,
}

/// A transaction did not commit, or nobody knows.
#[derive(Debug, Error)]
pub enum TransactionError {
    /// A newer producer has the transactional id; nothing of this transaction will be seen.
    #[error("a newer producer uses the transactional id '{transactional_id}'")]
    Fenced {
        /// The transactional id.
        transactional_id: String,
    },
    /// The commit was asked for, and its answer is not known: a new producer's reader sees whether it happened.
    #[error("whether the transaction was committed is not known: {0}")]
    Unsure(ClientError),
    /// It failed before its commit was asked for.
    #[error(transparent)]
    Failed(#[from] ClientError),
}

/// A producer with a transactional id.
#[derive(Debug)]
pub struct TransactionalProducer {
    cluster: Cluster,
    transactional_id: String,
    identity: ProducerIdentity,
    next_sequence: i32,
}

impl TransactionalProducer {
    /// Takes over a transactional id: fences its earlier producers and ends what they had open.
    ///
    /// On return every earlier transaction of the id is decided or is being aborted; a read-committed reader that goes to
    /// the end afterwards has seen all that was committed.
    ///
    /// # Errors
    /// The connection's, or the coordinator's after retries.
    pub async fn take_over(
        cluster: &Cluster,
        transactional_id: &str,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let mut tries = cluster.read_tries("InitProducerId");
        let identity = loop {
            match init(cluster, transactional_id, timeout).await {
                Ok(identity) => break identity,
                Err(error) => tries.pause_after(cluster, error).await?,
            }
        };
        Ok(Self {
            cluster: cluster.clone(),
            transactional_id: transactional_id.to_owned(),
            identity,
            next_sequence: 0,
        })
    }

    /// Writes records to one partition and commits them: all become visible, or none.
    ///
    /// # Errors
    /// [`TransactionError`]. Unless it is certain that nothing happened, the producer must not be used again; the caller
    /// drops it after any error.
    pub async fn write(
        &mut self,
        to: &TopicPartition,
        records: &[TransactionRecord],
        now: TimestampMs,
    ) -> Result<(), TransactionError> {
        let batch = self.batch(records, now)?;
        self.add_partition(to).await?;
        self.produce(to, batch).await?;
        let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
        self.next_sequence = self.next_sequence.wrapping_add(count) & i32::MAX;
        self.commit().await
    }

    fn batch(&self, records: &[TransactionRecord], now: TimestampMs) -> Result<Bytes, ClientError> {
        let failed = |error: thalweg_wire::batch::BatchError| ClientError::Encode {
            api: "Produce",
            version: PRODUCE_VERSION_MAX,
            reason: error.to_string(),
        };
        let mut builder = BatchBuilder::new(BatchOptions {
            producer: Some(ProducerStamp {
                id: self.identity.id,
                epoch: self.identity.epoch,
                base_sequence: self.next_sequence,
            }),
            transactionality: Transactionality::Transactional,
            ..BatchOptions::default()
        });
        for record in records {
            builder
                .push(now, record.key.as_deref(), record.value.as_deref(), &[])
                .map_err(failed)?;
        }
        Ok(builder.build().map_err(failed)?.freeze())
    }

    /// Tried again while the coordinator says that the last transaction is not over yet.
    async fn add_partition(&self, to: &TopicPartition) -> Result<(), TransactionError> {
        let mut tries = self.cluster.read_tries("AddPartitionsToTxn");
        while let Err(error) = self.add_partition_once(to).await {
            let paused = tries.pause_after(&self.cluster, error).await;
            paused.map_err(|error| self.fenced_or(error))?;
        }
        Ok(())
    }

    async fn add_partition_once(&self, to: &TopicPartition) -> Result<(), ClientError> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(&to.topic))
            .with_partitions(vec![to.partition.get()]);
        let connection = coordinator(&self.cluster, &self.transactional_id).await?;
        let version = connection.negotiate::<AddPartitionsToTxnRequest>(ADD_PARTITIONS_VERSION_MAX)?;
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(&self.transactional_id))
            .with_v3_and_below_producer_id(self.identity.id.get().into())
            .with_v3_and_below_producer_epoch(self.identity.epoch.get())
            .with_v3_and_below_topics(vec![topic]);
        let response = connection.send(version, &request).await?;
        let results = response.results_by_topic_v3_and_below.iter();
        for result in results.flat_map(|topic| &topic.results_by_partition) {
            check(
                "AddPartitionsToTxn",
                result.partition_error_code,
                &self.transactional_id,
            )?;
        }
        Ok(())
    }

    /// Sent again with the same sequence, so that it is never written twice.
    async fn produce(&self, to: &TopicPartition, batch: Bytes) -> Result<(), TransactionError> {
        let mut tries = self.cluster.read_tries("Produce");
        while let Err(error) = self.produce_once(to, batch.clone()).await {
            let paused = tries.pause_after(&self.cluster, error).await;
            paused.map_err(|error| self.fenced_or(error))?;
        }
        Ok(())
    }

    async fn produce_once(&self, to: &TopicPartition, batch: Bytes) -> Result<(), ClientError> {
        let connection = self.cluster.leader(to).await?;
        let version =
            connection.negotiate_range::<ProduceRequest>(PRODUCE_VERSION_MIN, PRODUCE_VERSION_MAX)?;
        let data = PartitionProduceData::default()
            .with_index(to.partition.get())
            .with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(topic_name(&to.topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(id(&self.transactional_id)))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![topic]);
        let response = connection.send(version, &request).await?;
        let answers = response.responses.iter();
        for answer in answers.flat_map(|topic| &topic.partition_responses) {
            // The same batch again: it is there.
            if answer.error_code != ErrorCode::DuplicateSequenceNumber.code() {
                let resource = || Resource::Partition(to.topic.clone(), to.partition);
                BrokerError::check("Produce", answer.error_code, refusal_message(answer), resource)?;
            }
        }
        Ok(())
    }

    /// A commit that is asked for twice is still one: the coordinator answers the second as the first.
    async fn commit(&self) -> Result<(), TransactionError> {
        let mut tries = self.cluster.read_tries("EndTxn");
        while let Err(error) = self.commit_once().await {
            let paused = tries.pause_after(&self.cluster, error).await;
            // Fenced during a commit says nothing about an earlier try whose answer was lost.
            paused.map_err(TransactionError::Unsure)?;
        }
        Ok(())
    }

    async fn commit_once(&self) -> Result<(), ClientError> {
        let connection = coordinator(&self.cluster, &self.transactional_id).await?;
        let version = connection.negotiate::<EndTxnRequest>(END_TXN_VERSION_MAX)?;
        let request = EndTxnRequest::default()
            .with_transactional_id(id(&self.transactional_id))
            .with_producer_id(self.identity.id.get().into())
            .with_producer_epoch(self.identity.epoch.get())
            .with_committed(true);
        let response = connection.send(version, &request).await?;
        check("EndTxn", response.error_code, &self.transactional_id)?;
        Ok(())
    }

    fn fenced_or(&self, error: ClientError) -> TransactionError {
        match error.code() {
            Some(
                ErrorCode::ProducerFenced
                | ErrorCode::InvalidProducerEpoch
                | ErrorCode::InvalidProducerIdMapping,
            ) => TransactionError::Fenced {
                transactional_id: self.transactional_id.clone(),
            },
            _ => TransactionError::Failed(error),
        }
    }

    /// Waits until every transaction that ended before now is visible up to the end of the partition: until its last
    /// stable offset has reached `end`.
    ///
    /// # Errors
    /// The connection's; [`ClientError::DeadlineExceeded`] if something stays open for longer than `patience`.
    pub async fn wait_for_stable(
        cluster: &Cluster,
        of: &TopicPartition,
        patience: Duration,
    ) -> Result<Offset, ClientError> {
        let deadline = Instant::now() + patience;
        let end = cluster.end_offset(of, Isolation::ReadUncommitted).await?;
        let mut attempts: u32 = 0;
        loop {
            let stable = cluster.end_offset(of, Isolation::ReadCommitted).await?;
            if stable >= end {
                return Ok(end);
            }
            attempts = attempts.saturating_add(1);
            if Instant::now() >= deadline {
                return Err(ClientError::DeadlineExceeded {
                    operation: "waiting for open transactions",
                    after: patience,
                    attempts,
                    last: Box::new(ClientError::Missing {
                        address: "the leader".to_owned(),
                        api: "EndTxn",
                        resource: Resource::Partition(of.topic.clone(), of.partition),
                    }),
                });
            }
            sleep(cluster.config().backoff.wait(attempts.min(4))).await;
        }
    }
}

async fn init(
    cluster: &Cluster,
    transactional_id: &str,
    timeout: Duration,
) -> Result<ProducerIdentity, ClientError> {
    let connection = coordinator(cluster, transactional_id).await?;
    let version = connection.negotiate::<InitProducerIdRequest>(INIT_PRODUCER_ID_VERSION_MAX)?;
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id(transactional_id)))
        .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let response = connection.send(version, &request).await?;
    check("InitProducerId", response.error_code, transactional_id)?;
    Ok(ProducerIdentity {
        id: ProducerId(response.producer_id.0),
        epoch: ProducerEpoch(response.producer_epoch),
    })
}

/// Returns a connection to the coordinator of a transactional id. Not retried.
async fn coordinator(cluster: &Cluster, transactional_id: &str) -> Result<Connection, ClientError> {
    const API: &str = "FindCoordinator";
    let connection = cluster.any_broker().await?;
    let version = connection.negotiate_range::<FindCoordinatorRequest>(1, FIND_COORDINATOR_VERSION_MAX)?;
    let request = FindCoordinatorRequest::default().with_key_type(KEY_TYPE_TRANSACTION);
    let key = StrBytes::from_string(transactional_id.to_owned());
    let request = match version {
        4.. => request.with_coordinator_keys(vec![key]),
        _ => request.with_key(key),
    };
    let response = connection.send(version, &request).await?;
    let (node, code) = match response.coordinators.first() {
        Some(found) => (found.node_id.0, found.error_code),
        None => (response.node_id.0, response.error_code),
    };
    check(API, code, transactional_id)?;
    cluster.broker(BrokerId(node)).await
}

fn check(api: &'static str, code: i16, transactional_id: &str) -> Result<(), BrokerError> {
    BrokerError::check(api, code, None, || {
        Resource::TransactionalId(transactional_id.to_owned())
    })
}

fn id(transactional_id: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(transactional_id.to_owned()))
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
