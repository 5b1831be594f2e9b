//! Metadata: brokers, topics, leaders (API key 3).
//!
//! A [`Metadata`] is a snapshot; [`crate::Cluster`] keeps the newest and decides when it is stale.

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicId};

use crate::error::code_or_unknown;
use crate::{Address, BrokerError, ClientError, Connection, Resource};

const API: &str = "Metadata";
/// Version 13 adds an error code for the whole answer (KIP-1102).
const VERSION_MAX: i16 = 13;

/// One broker of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerNode {
    /// Its id.
    pub id: BrokerId,
    /// Where it is, as it advertises itself.
    pub address: Address,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// One partition as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Number of the partition.
    pub partition: PartitionIndex,
    /// Its leader; `None` while there is none.
    pub leader: Option<BrokerId>,
    /// Term of the leader; [`LeaderEpoch::UNKNOWN`] before version 7.
    pub leader_epoch: LeaderEpoch,
    /// All replicas.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub in_sync_replicas: Vec<BrokerId>,
    /// Replicas that are offline.
    pub offline_replicas: Vec<BrokerId>,
    /// The partition's own error code, `ErrorCode::None` if all is well.
    pub error: ErrorCode,
}

/// One topic as the cluster sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its id; [`TopicId::ZERO`] before version 10.
    pub id: TopicId,
    /// A topic of the broker's own, as `__consumer_offsets`.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionMetadata>,
}

/// What to do about a topic that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicCreation {
    /// Answer UNKNOWN_TOPIC_OR_PARTITION.
    Never,
    /// Create it, if the broker's settings allow it.
    IfAllowed,
}

/// Which topics to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicSelection<'a> {
    /// No topic, only brokers.
    None,
    /// All topics the caller may see.
    All,
    /// These, by name.
    Names(&'a [String]),
}

/// A cluster at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Id of the cluster, if it has one.
    pub cluster_id: Option<String>,
    /// Broker that takes administrative requests.
    pub controller: Option<BrokerId>,
    /// Brokers by id.
    pub brokers: BTreeMap<BrokerId, BrokerNode>,
    /// Topics by name, or why there is no answer for one.
    pub topics: BTreeMap<String, Result<TopicMetadata, BrokerError>>,
}

impl Connection {
    /// Asks this broker for the cluster's metadata.
    ///
    /// # Errors
    /// Those of [`Connection::send`]. Errors of single topics are in [`Metadata::topics`].
    pub async fn metadata(
        &self,
        selection: TopicSelection<'_>,
        creation: TopicCreation,
    ) -> Result<Metadata, ClientError> {
        // Version 1 is the first where null means all topics and an empty list none.
        let version = self.negotiate_range::<MetadataRequest>(1, VERSION_MAX)?;
        let topics = match selection {
            TopicSelection::All => None,
            TopicSelection::None => Some(Vec::new()),
            TopicSelection::Names(names) => Some(names.iter().map(|name| requested_topic(name)).collect()),
        };
        // Before version 4 the flag cannot be sent and a broker creates what it is asked for.
        let creation = version < 4 || creation == TopicCreation::IfAllowed;
        let request = MetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(creation);
        let response = self.send(version, &request).await?;
        BrokerError::check(API, response.error_code, None, || Resource::Cluster)?;
        Ok(Metadata::from_response(response))
    }
}

/// Reads the leader that an answer names beside an error (KIP-951); -1 stands for none.
pub(crate) fn leader_hint(leader_id: i32, leader_epoch: i32) -> Option<(BrokerId, LeaderEpoch)> {
    if leader_id < 0 {
        None
    } else {
        Some((BrokerId(leader_id), LeaderEpoch(leader_epoch)))
    }
}

fn requested_topic(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
}

impl Metadata {
    fn from_response(response: MetadataResponse) -> Self {
        let brokers = response
            .brokers
            .into_iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                let id = BrokerId(broker.node_id.0);
                let address = Address {
                    host: broker.host.to_string(),
                    port,
                };
                Some((
                    id,
                    BrokerNode {
                        id,
                        address,
                        rack: broker.rack.map(|rack| rack.to_string()),
                    },
                ))
            })
            .collect();
        let topics = response.topics.into_iter().map(named_topic).collect();
        Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller: (response.controller_id.0 >= 0).then_some(BrokerId(response.controller_id.0)),
            brokers,
            topics,
        }
    }

    /// Returns a partition of a topic, or why it is not known.
    ///
    /// # Errors
    /// The topic's own error, or [`ClientError::NoPartition`]. `Ok(None)` if the topic was not asked for.
    pub fn partition(
        &self,
        topic: &str,
        partition: PartitionIndex,
    ) -> Result<Option<&PartitionMetadata>, ClientError> {
        let Some(found) = self.topics.get(topic) else {
            return Ok(None);
        };
        let found = found
            .as_ref()
            .map_err(|error| ClientError::Broker(error.clone()))?;
        found
            .partitions
            .iter()
            .find(|candidate| candidate.partition == partition)
            .map(Some)
            .ok_or_else(|| ClientError::NoPartition {
                topic: topic.to_owned(),
                partition,
                count: found.partitions.len(),
            })
    }
}

fn named_topic(topic: MetadataResponseTopic) -> (String, Result<TopicMetadata, BrokerError>) {
    let id = TopicId(*topic.topic_id.as_bytes());
    let name = topic
        .name
        .as_ref()
        .map_or_else(|| id.to_string(), |name| name.to_string());
    let checked = BrokerError::check(API, topic.error_code, None, || Resource::Topic(name.clone()));
    let result = checked.map(|()| {
        let mut partitions: Vec<PartitionMetadata> = topic.partitions.into_iter().map(partition).collect();
        partitions.sort_by_key(|partition| partition.partition);
        TopicMetadata {
            name: name.clone(),
            id,
            is_internal: topic.is_internal,
            partitions,
        }
    });
    (name, result)
}

fn partition(partition: MetadataResponsePartition) -> PartitionMetadata {
    let ids =
        |nodes: Vec<kafka_protocol::messages::BrokerId>| nodes.into_iter().map(|id| BrokerId(id.0)).collect();
    PartitionMetadata {
        partition: PartitionIndex(partition.partition_index),
        leader: (partition.leader_id.0 >= 0).then_some(BrokerId(partition.leader_id.0)),
        leader_epoch: LeaderEpoch(partition.leader_epoch),
        replicas: ids(partition.replica_nodes),
        in_sync_replicas: ids(partition.isr_nodes),
        offline_replicas: ids(partition.offline_replicas),
        error: code_or_unknown(partition.error_code),
    }
}
