//! DescribeCluster (key 60) and DescribeLogDirs (key 35).

use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeLogDirsRequest};
use thalweg_types::{BrokerId, PartitionIndex};

use super::owned;
use crate::{
    Address, BrokerError, ClientError, Cluster, Resource, TopicCreation, TopicPartition, TopicSelection,
};

const DESCRIBE_CLUSTER_VERSION_MAX: i16 = 2;
const DESCRIBE_LOG_DIRS_VERSION_MAX: i16 = 4;

/// One broker of a described cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedBroker {
    /// Its id.
    pub id: BrokerId,
    /// Where it is.
    pub address: Address,
    /// Its rack.
    pub rack: Option<String>,
    /// It is registered but takes no part (KIP-1073).
    pub is_fenced: bool,
}

/// A cluster's name and members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Id of the cluster.
    pub cluster_id: String,
    /// Broker that takes administrative changes.
    pub controller: Option<BrokerId>,
    /// Brokers, by id.
    pub brokers: Vec<DescribedBroker>,
}

/// One replica in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirReplica {
    /// Which partition.
    pub partition: TopicPartition,
    /// Size of its segments, in bytes.
    pub size_bytes: i64,
    /// How many records it is behind.
    pub offset_lag: i64,
}

/// One log directory of one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedLogDir {
    /// Its broker.
    pub broker: BrokerId,
    /// Its path on the broker.
    pub path: String,
    /// Size of its volume, in bytes; `None` before version 4 (KIP-827).
    pub total_bytes: Option<i64>,
    /// What is left on the volume, in bytes; `None` before version 4.
    pub usable_bytes: Option<i64>,
    /// The replicas in it.
    pub replicas: Vec<LogDirReplica>,
    /// Why the directory is not in use.
    pub error: Option<BrokerError>,
}

impl Cluster {
    /// Describes the cluster. Brokers without the API are asked for metadata instead.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        const API: &str = "DescribeCluster";
        let described = self
            .retry_read(API, async || {
                let connection = self.any_broker().await?;
                let version = connection.negotiate::<DescribeClusterRequest>(DESCRIBE_CLUSTER_VERSION_MAX)?;
                let request = DescribeClusterRequest::default().with_include_fenced_brokers(version >= 2);
                let response = connection.send(version, &request).await?;
                let message = owned(response.error_message);
                BrokerError::check(API, response.error_code, message, || Resource::Cluster)?;
                let mut brokers: Vec<DescribedBroker> = response
                    .brokers
                    .into_iter()
                    .map(|broker| DescribedBroker {
                        id: BrokerId(broker.broker_id.0),
                        address: address(&broker.host, broker.port),
                        rack: owned(broker.rack),
                        is_fenced: broker.is_fenced,
                    })
                    .collect();
                brokers.sort_by_key(|broker| broker.id);
                let controller =
                    (response.controller_id.0 >= 0).then_some(BrokerId(response.controller_id.0));
                Ok(ClusterDescription {
                    cluster_id: response.cluster_id.to_string(),
                    controller,
                    brokers,
                })
            })
            .await;
        match described {
            Err(ClientError::Unsupported { .. }) => self.describe_by_metadata().await,
            other => other,
        }
    }

    async fn describe_by_metadata(&self) -> Result<ClusterDescription, ClientError> {
        let metadata = self.metadata(TopicSelection::None, TopicCreation::Never).await?;
        let brokers = metadata.brokers.into_values().map(|broker| DescribedBroker {
            id: broker.id,
            address: broker.address,
            rack: broker.rack,
            is_fenced: false,
        });
        Ok(ClusterDescription {
            cluster_id: metadata.cluster_id.unwrap_or_default(),
            controller: metadata.controller,
            brokers: brokers.collect(),
        })
    }

    /// Describes the log directories of one broker with everything in them.
    ///
    /// # Errors
    /// The broker's refusal, or the connection's error. Errors of single directories are in the result.
    pub async fn describe_log_dirs(&self, broker: BrokerId) -> Result<Vec<DescribedLogDir>, ClientError> {
        const API: &str = "DescribeLogDirs";
        self.retry_read(API, async || {
            let connection = self.broker(broker).await?;
            let version = connection.negotiate::<DescribeLogDirsRequest>(DESCRIBE_LOG_DIRS_VERSION_MAX)?;
            let request = DescribeLogDirsRequest::default().with_topics(None);
            let response = connection.send(version, &request).await?;
            BrokerError::check(API, response.error_code, None, || Resource::Broker(broker))?;
            Ok(response
                .results
                .into_iter()
                .map(|result| log_dir(broker, result))
                .collect())
        })
        .await
    }
}

fn log_dir(broker: BrokerId, result: DescribeLogDirsResult) -> DescribedLogDir {
    let path = result.log_dir.to_string();
    let resource = || Resource::LogDir(path.clone());
    let error = BrokerError::check("DescribeLogDirs", result.error_code, None, resource).err();
    let replicas = result.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic
            .partitions
            .into_iter()
            .filter(|partition| !partition.is_future_key)
            .map(move |partition| LogDirReplica {
                partition: TopicPartition::new(name.clone(), PartitionIndex(partition.partition_index)),
                size_bytes: partition.partition_size,
                offset_lag: partition.offset_lag,
            })
    });
    DescribedLogDir {
        broker,
        total_bytes: (result.total_bytes >= 0).then_some(result.total_bytes),
        usable_bytes: (result.usable_bytes >= 0).then_some(result.usable_bytes),
        replicas: replicas.collect(),
        error,
        path,
    }
}

fn address(host: &str, port: i32) -> Address {
    // A port outside the range cannot be connected to; 0 says so without failing the whole description.
    Address {
        host: host.to_owned(),
        port: u16::try_from(port).unwrap_or(0),
    }
}
