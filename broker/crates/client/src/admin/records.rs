//! DeleteRecords (key 21, KIP-107): moves the log start of partitions.

use std::collections::BTreeMap;

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use thalweg_types::{Offset, PartitionIndex};

use super::{CHANGE_TIMEOUT_MS, topic_name};
use crate::{BrokerError, ClientError, Cluster, Connection, Resource, TopicPartition};

const API: &str = "DeleteRecords";
const VERSION_MAX: i16 = 2;

/// What became of each partition: its new log start offset, or why it is unchanged.
type Trimmed = BTreeMap<TopicPartition, Result<Offset, ClientError>>;

impl Cluster {
    /// Deletes the records before the given offsets. [`Offset::UNKNOWN`] (-1) stands for the high watermark.
    ///
    /// Moving a log start is idempotent, so failures of the network are retried too.
    ///
    /// # Errors
    /// Failure to find a leader. What befell the partitions of one broker is in the results.
    pub async fn delete_records(&self, before: &[(TopicPartition, Offset)]) -> Result<Trimmed, ClientError> {
        let partitions: Vec<TopicPartition> = before.iter().map(|(partition, _)| partition.clone()).collect();
        let offsets: BTreeMap<&TopicPartition, Offset> = before
            .iter()
            .map(|(partition, offset)| (partition, *offset))
            .collect();
        let groups = self
            .retry_read("Metadata", async || self.group_by_leader(&partitions).await)
            .await?;
        let mut results = Trimmed::new();
        for (_, members) in groups {
            for partition in members {
                let Some(offset) = offsets.get(&partition).copied() else {
                    continue;
                };
                let result = self
                    .retry_read(API, async || self.delete_before(&partition, offset).await)
                    .await;
                results.insert(partition, result);
            }
        }
        Ok(results)
    }

    async fn delete_before(&self, of: &TopicPartition, offset: Offset) -> Result<Offset, ClientError> {
        let connection = self.leader(of).await?;
        let version = connection.negotiate::<DeleteRecordsRequest>(VERSION_MAX)?;
        let partition = DeleteRecordsPartition::default()
            .with_partition_index(of.partition.get())
            .with_offset(offset.get());
        let topic = DeleteRecordsTopic::default()
            .with_name(topic_name(&of.topic))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(CHANGE_TIMEOUT_MS);
        let response = connection.send(version, &request).await?;
        let answers = response
            .topics
            .into_iter()
            .filter(|topic| topic.name.as_str() == of.topic);
        let answer = answers
            .flat_map(|topic| topic.partitions)
            .find(|partition| partition.partition_index == of.partition.get())
            .ok_or_else(|| missing(&connection, of))?;
        BrokerError::check(API, answer.error_code, None, || {
            Resource::Partition(of.topic.clone(), PartitionIndex(answer.partition_index))
        })?;
        Ok(Offset(answer.low_watermark))
    }
}

fn missing(connection: &Connection, of: &TopicPartition) -> ClientError {
    let resource = Resource::Partition(of.topic.clone(), of.partition);
    ClientError::Missing {
        address: connection.address().to_owned(),
        api: API,
        resource,
    }
}
