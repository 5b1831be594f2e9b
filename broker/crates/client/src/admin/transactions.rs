//! Transactions: what a transactional producer asks for (KIP-98), and the end of those that others left open (KIP-664).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, EndTxnRequest,
    InitProducerIdRequest, ListTransactionsRequest, ProducerId as WireProducerId, TransactionalId,
    TxnOffsetCommitRequest,
};
use thalweg_types::{BrokerId, PartitionIndex, ProducerEpoch, ProducerId};
use thalweg_wire::records::TransactionOutcome;

use super::{CommitOffset, group_id, text, topic_name};
use crate::{BrokerError, ClientError, Cluster, Connection, ProducerIdentity, Resource, TopicPartition};

const KEY_TYPE_TRANSACTION: i8 = 1;
/// The last version in which a producer keeps its epoch over a transaction's end.
const INIT_VERSION_MAX: i16 = 5;
/// From version 4 on brokers send it, not clients.
const ADD_PARTITIONS_VERSION_MAX: i16 = 3;
const ADD_OFFSETS_VERSION_MAX: i16 = 3;
/// Version 5 ends transactions in KIP-890's way, with a new epoch each time.
const END_VERSION_MAX: i16 = 4;
const OFFSET_COMMIT_VERSION_MAX: i16 = 3;
const LIST_VERSION_MAX: i16 = 0;
/// What a fenced id's next producer may take for a transaction; it asks for its own time.
const FENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// What became of transactions that were open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedTransactions {
    /// Transactional ids whose producers were fenced, which aborts their transactions.
    pub fenced: BTreeSet<String>,
    /// Open transactions that no coordinator knows of: they hang until an administrator aborts them.
    pub hanging: Vec<(TopicPartition, ProducerId)>,
}

impl Cluster {
    /// Makes a producer the one of a transactional id: earlier ones are fenced, and a transaction that one of them left
    /// open is aborted, everywhere or nowhere. Returns when the abort is decided.
    ///
    /// # Errors
    /// Those of InitProducerId, after retries; the connection's.
    pub async fn init_transactions(
        &self,
        transactional_id: &str,
        timeout: Duration,
    ) -> Result<ProducerIdentity, ClientError> {
        const API: &str = "InitProducerId";
        self.retry_read(API, async || {
            let connection = self.transaction_coordinator(transactional_id).await?;
            let version = connection.negotiate::<InitProducerIdRequest>(INIT_VERSION_MAX)?;
            let request = InitProducerIdRequest::default()
                .with_transactional_id(Some(id(transactional_id)))
                .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
                .with_producer_id((-1).into())
                .with_producer_epoch(-1);
            let response = connection.send(version, &request).await?;
            check(API, response.error_code, transactional_id)?;
            Ok(ProducerIdentity {
                id: ProducerId(response.producer_id.0),
                epoch: ProducerEpoch(response.producer_epoch),
            })
        })
        .await
    }

    /// Returns a connection to the coordinator of a transactional id. Not retried.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE while there is none; the connection's.
    pub async fn transaction_coordinator(&self, transactional_id: &str) -> Result<Connection, ClientError> {
        let of = Resource::TransactionalId(transactional_id.to_owned());
        let coordinator = self.locate(KEY_TYPE_TRANSACTION, transactional_id, of).await?;
        self.broker(coordinator).await
    }

    /// Ends the transactions that are open in these partitions by fencing their producers, each as a whole.
    ///
    /// # Errors
    /// The first that stands in the way; some may have ended then, and it can be called again.
    pub async fn abort_open_transactions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<EndedTransactions, ClientError> {
        let open = self.open_transactions(partitions).await?;
        let mut ended = EndedTransactions::default();
        if open.is_empty() {
            return Ok(ended);
        }
        let producers: Vec<ProducerId> = open.values().flatten().copied().collect();
        let mut known = BTreeSet::new();
        for broker in self.brokers().await? {
            for (transactional_id, producer) in self.transactional_ids(broker.id, &producers).await? {
                self.init_transactions(&transactional_id, FENCE_TIMEOUT).await?;
                known.insert(producer);
                ended.fenced.insert(transactional_id);
            }
        }
        for (partition, producers) in open {
            let unknown = producers.into_iter().filter(|producer| !known.contains(producer));
            ended
                .hanging
                .extend(unknown.map(|producer| (partition.clone(), producer)));
        }
        Ok(ended)
    }

    async fn open_transactions(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Vec<ProducerId>>, ClientError> {
        const API: &str = "DescribeProducers";
        let mut open: BTreeMap<TopicPartition, Vec<ProducerId>> = BTreeMap::new();
        for (leader, partitions) in self.group_by_leader(partitions).await? {
            let connection = self.broker(leader).await?;
            let version = connection.negotiate::<DescribeProducersRequest>(0)?;
            let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
            for partition in &partitions {
                let indexes = topics.entry(&partition.topic).or_default();
                indexes.push(partition.partition.get());
            }
            let topics = topics.into_iter().map(|(name, indexes)| {
                TopicRequest::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(indexes)
            });
            let request = DescribeProducersRequest::default().with_topics(topics.collect());
            let response = connection.send(version, &request).await?;
            for topic in response.topics {
                for found in topic.partitions {
                    let of = TopicPartition::new(topic.name.as_str(), PartitionIndex(found.partition_index));
                    BrokerError::check(API, found.error_code, None, || {
                        Resource::Partition(of.topic.clone(), of.partition)
                    })?;
                    let producers = found.active_producers.into_iter();
                    let producers = producers.filter(|producer| producer.current_txn_start_offset >= 0);
                    let producers: Vec<ProducerId> = producers
                        .map(|producer| ProducerId(producer.producer_id.0))
                        .collect();
                    if !producers.is_empty() {
                        open.insert(of, producers);
                    }
                }
            }
        }
        Ok(open)
    }

    /// The transactional ids of these producers that one broker coordinates.
    async fn transactional_ids(
        &self,
        broker: BrokerId,
        producers: &[ProducerId],
    ) -> Result<Vec<(String, ProducerId)>, ClientError> {
        const API: &str = "ListTransactions";
        self.retry_read(API, async || {
            let connection = self.broker(broker).await?;
            let version = connection.negotiate::<ListTransactionsRequest>(LIST_VERSION_MAX)?;
            let filters = producers.iter().map(|producer| WireProducerId(producer.get()));
            let request = ListTransactionsRequest::default().with_producer_id_filters(filters.collect());
            let response = connection.send(version, &request).await?;
            BrokerError::check(API, response.error_code, None, || Resource::Broker(broker))?;
            let found = response.transaction_states.into_iter();
            Ok(found
                .map(|state| {
                    (
                        state.transactional_id.to_string(),
                        ProducerId(state.producer_id.0),
                    )
                })
                .collect())
        })
        .await
    }
}

impl Connection {
    /// Adds partitions to a producer's transaction, or begins it with them; asked of its coordinator.
    ///
    /// # Errors
    /// The first partition's error; CONCURRENT_TRANSACTIONS while the transaction before is ending.
    pub async fn add_partitions_to_transaction(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        partitions: &[TopicPartition],
    ) -> Result<(), ClientError> {
        const API: &str = "AddPartitionsToTxn";
        let version = self.negotiate::<AddPartitionsToTxnRequest>(ADD_PARTITIONS_VERSION_MAX)?;
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            let indexes = topics.entry(&partition.topic).or_default();
            indexes.push(partition.partition.get());
        }
        let topics = topics.into_iter().map(|(name, indexes)| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(name))
                .with_partitions(indexes)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(transactional_id))
            .with_v3_and_below_producer_id(producer.id.get().into())
            .with_v3_and_below_producer_epoch(producer.epoch.get())
            .with_v3_and_below_topics(topics.collect());
        let response = self.send(version, &request).await?;
        for topic in response.results_by_topic_v3_and_below {
            for found in topic.results_by_partition {
                let index = PartitionIndex(found.partition_index);
                BrokerError::check(API, found.partition_error_code, None, || {
                    Resource::Partition(topic.name.to_string(), index)
                })?;
            }
        }
        Ok(())
    }

    /// Adds a group's offsets to a producer's transaction; asked of the transaction's coordinator, before
    /// [`Connection::commit_transaction_offsets`].
    ///
    /// # Errors
    /// As [`Connection::add_partitions_to_transaction`].
    pub async fn add_offsets_to_transaction(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        group: &str,
    ) -> Result<(), ClientError> {
        let version = self.negotiate::<AddOffsetsToTxnRequest>(ADD_OFFSETS_VERSION_MAX)?;
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id(transactional_id))
            .with_producer_id(producer.id.get().into())
            .with_producer_epoch(producer.epoch.get())
            .with_group_id(group_id(group));
        let response = self.send(version, &request).await?;
        check("AddOffsetsToTxn", response.error_code, transactional_id)
    }

    /// Commits a group's offsets with a transaction; asked of the group's coordinator.
    ///
    /// # Errors
    /// The first partition's error, or the connection's.
    pub async fn commit_transaction_offsets(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        (group, offsets): (&str, &[CommitOffset]),
    ) -> Result<(), ClientError> {
        const API: &str = "TxnOffsetCommit";
        let version = self.negotiate::<TxnOffsetCommitRequest>(OFFSET_COMMIT_VERSION_MAX)?;
        let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for commit in offsets {
            let partition = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(commit.partition.partition.get())
                .with_committed_offset(commit.offset.get())
                .with_committed_leader_epoch(if version >= 2 {
                    commit.leader_epoch.get()
                } else {
                    -1
                })
                .with_committed_metadata(Some(text(&commit.metadata)));
            topics.entry(&commit.partition.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            TxnOffsetCommitRequestTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions)
        });
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id(transactional_id))
            .with_group_id(group_id(group))
            .with_producer_id(producer.id.get().into())
            .with_producer_epoch(producer.epoch.get())
            .with_topics(topics.collect());
        let response = self.send(version, &request).await?;
        for topic in response.topics {
            for found in topic.partitions {
                let index = PartitionIndex(found.partition_index);
                BrokerError::check(API, found.error_code, None, || {
                    Resource::Partition(topic.name.to_string(), index)
                })?;
            }
        }
        Ok(())
    }

    /// Ends a producer's transaction; asked of its coordinator. When it returns the outcome is decided and will not change.
    ///
    /// # Errors
    /// The coordinator's; after [`ClientError::Closed`] or [`ClientError::Timeout`] it may be decided, and asking again tells.
    pub async fn end_transaction(
        &self,
        transactional_id: &str,
        producer: ProducerIdentity,
        outcome: TransactionOutcome,
    ) -> Result<(), ClientError> {
        let version = self.negotiate::<EndTxnRequest>(END_VERSION_MAX)?;
        let request = EndTxnRequest::default()
            .with_transactional_id(id(transactional_id))
            .with_producer_id(producer.id.get().into())
            .with_producer_epoch(producer.epoch.get())
            .with_committed(outcome == TransactionOutcome::Commit);
        let response = self.send(version, &request).await?;
        check("EndTxn", response.error_code, transactional_id)
    }
}

fn id(transactional_id: &str) -> TransactionalId {
    TransactionalId(text(transactional_id))
}

fn check(api: &'static str, code: i16, transactional_id: &str) -> Result<(), ClientError> {
    BrokerError::check(api, code, None, || {
        Resource::TransactionalId(transactional_id.to_owned())
    })?;
    Ok(())
}
