//! OffsetForLeaderEpoch (API key 23, KIP-101): where a leader epoch ends in a log.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex};

use crate::{BrokerError, ClientError, Connection, Resource, TopicPartition};

const API: &str = "OffsetForLeaderEpoch";
const VERSION_MAX: i16 = 4;
/// Version 2 is the first whose answer needs no right on the cluster (KIP-320).
const VERSION_MIN: i16 = 2;
/// Replica id of a consumer.
const CONSUMER: i32 = -1;

/// The largest epoch not above the one asked for, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch; [`LeaderEpoch::UNKNOWN`] if the log has none so low.
    pub leader_epoch: LeaderEpoch,
    /// The offset after its last record; [`Offset::UNKNOWN`] with an unknown epoch.
    pub end_offset: Offset,
}

type Ends = BTreeMap<TopicPartition, Result<EpochEnd, BrokerError>>;

impl Connection {
    /// Asks the leader of these partitions where epochs end.
    ///
    /// Partitions the broker does not mention are not in the result.
    ///
    /// # Errors
    /// Those of [`Connection::send`]; [`ClientError::Unsupported`] before Kafka 2.1.
    pub async fn epoch_ends(&self, queries: &[(TopicPartition, LeaderEpoch)]) -> Result<Ends, ClientError> {
        let version = self.negotiate_range::<OffsetForLeaderEpochRequest>(VERSION_MIN, VERSION_MAX)?;
        let mut topics: BTreeMap<&str, Vec<OffsetForLeaderPartition>> = BTreeMap::new();
        for (of, epoch) in queries {
            let partition = OffsetForLeaderPartition::default()
                .with_partition(of.partition.get())
                .with_current_leader_epoch(LeaderEpoch::UNKNOWN.get())
                .with_leader_epoch(epoch.get());
            topics.entry(&of.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            OffsetForLeaderTopic::default()
                .with_topic(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions)
        });
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(if version >= 3 { CONSUMER } else { -2 }.into())
            .with_topics(topics.collect());
        let response = self.send(version, &request).await?;
        let mut ends = Ends::new();
        for topic in response.topics {
            for answer in topic.partitions {
                let partition = PartitionIndex(answer.partition);
                let resource = || Resource::Partition(topic.topic.to_string(), partition);
                let end = BrokerError::check(API, answer.error_code, None, resource).map(|()| EpochEnd {
                    leader_epoch: LeaderEpoch(answer.leader_epoch),
                    end_offset: Offset(answer.end_offset),
                });
                ends.insert(TopicPartition::new(topic.topic.as_str(), partition), end);
            }
        }
        Ok(ends)
    }
}
