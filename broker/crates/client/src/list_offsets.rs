//! ListOffsets (API key 2): first, last and by time.

use std::collections::BTreeMap;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{ListOffsetsRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

use crate::{BrokerError, ClientError, Cluster, Connection, Isolation, Resource, TopicPartition};

const API: &str = "ListOffsets";
const VERSION_MAX: i16 = 10;
/// How long the broker may look, in milliseconds (version 10 and later, for tiered logs).
const TIMEOUT_MS: i32 = 30_000;

/// Which offset of a partition is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The first kept.
    Earliest,
    /// The one the next record will get; with [`Isolation::ReadCommitted`] the last stable one.
    Latest,
    /// The first whose record is not older than this.
    AtTime(TimestampMs),
    /// The one of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// The first on local disk (KIP-405).
    EarliestLocal,
    /// The last one moved to the object store (KIP-1005).
    LatestTiered,
}

impl OffsetQuery {
    /// The wire's timestamp field, and the first version that knows it.
    const fn code(self) -> (i64, i16) {
        match self {
            Self::AtTime(timestamp) => (timestamp.get(), 1),
            Self::Latest => (-1, 1),
            Self::Earliest => (-2, 1),
            Self::MaxTimestamp => (-3, 7),
            Self::EarliestLocal => (-4, 8),
            Self::LatestTiered => (-5, 9),
        }
    }
}

/// An offset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; [`Offset::UNKNOWN`] if no record fits (no record is young enough).
    pub offset: Offset,
    /// Timestamp of its record, where the query is about one; else [`TimestampMs::NONE`].
    pub timestamp: TimestampMs,
    /// Leader epoch of its record; [`LeaderEpoch::UNKNOWN`] before version 4.
    pub leader_epoch: LeaderEpoch,
}

type Listed = BTreeMap<TopicPartition, Result<ListedOffset, BrokerError>>;

impl Connection {
    /// Asks the leader of these partitions for offsets.
    ///
    /// # Errors
    /// Those of [`Connection::send`]; [`ClientError::Unsupported`] if the broker is too old for the query.
    pub async fn list_offsets(
        &self,
        queries: &[(TopicPartition, OffsetQuery)],
        isolation: Isolation,
    ) -> Result<Listed, ClientError> {
        let min = queries.iter().map(|(_, query)| query.code().1).max().unwrap_or(1);
        let version = self.negotiate_range::<ListOffsetsRequest>(min, VERSION_MAX)?;
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for (of, query) in queries {
            let partition = ListOffsetsPartition::default()
                .with_partition_index(of.partition.get())
                .with_timestamp(query.code().0);
            topics.entry(&of.topic).or_default().push(partition);
        }
        let topics = topics.into_iter().map(|(name, partitions)| {
            ListOffsetsTopic::default()
                .with_name(TopicName(StrBytes::from_string(name.to_owned())))
                .with_partitions(partitions)
        });
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(if version >= 2 { isolation.code() } else { 0 })
            .with_timeout_ms(if version >= 10 { TIMEOUT_MS } else { 0 })
            .with_topics(topics.collect());
        let response = self.send(version, &request).await?;
        let mut listed = Listed::new();
        for topic in response.topics {
            for answer in topic.partitions {
                let partition = PartitionIndex(answer.partition_index);
                let resource = || Resource::Partition(topic.name.to_string(), partition);
                let result =
                    BrokerError::check(API, answer.error_code, None, resource).map(|()| ListedOffset {
                        offset: Offset(answer.offset),
                        timestamp: TimestampMs(answer.timestamp),
                        leader_epoch: LeaderEpoch(answer.leader_epoch),
                    });
                listed.insert(TopicPartition::new(topic.name.as_str(), partition), result);
            }
        }
        Ok(listed)
    }
}

impl Cluster {
    /// Finds offsets of partitions anywhere in the cluster, with retries.
    ///
    /// # Errors
    /// The first error that retries do not cure, of any partition.
    pub async fn list_offsets(
        &self,
        queries: &[(TopicPartition, OffsetQuery)],
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, ClientError> {
        self.retry_read(API, async || {
            let partitions: Vec<TopicPartition> =
                queries.iter().map(|(partition, _)| partition.clone()).collect();
            let wanted: BTreeMap<&TopicPartition, OffsetQuery> = queries
                .iter()
                .map(|(partition, query)| (partition, *query))
                .collect();
            let mut found = BTreeMap::new();
            for (leader, members) in self.group_by_leader(&partitions).await? {
                let connection = self.broker(leader).await?;
                let queries: Vec<(TopicPartition, OffsetQuery)> = members
                    .into_iter()
                    .filter_map(|partition| wanted.get(&partition).map(|query| (partition.clone(), *query)))
                    .collect();
                let mut listed = connection.list_offsets(&queries, isolation).await?;
                for (partition, _) in queries {
                    let resource = Resource::Partition(partition.topic.clone(), partition.partition);
                    let answer = listed.remove(&partition).ok_or_else(|| ClientError::Missing {
                        address: connection.address().to_owned(),
                        api: API,
                        resource,
                    })?;
                    found.insert(partition, answer?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Finds the end of one partition, with retries: the high watermark, or the last stable offset for
    /// [`Isolation::ReadCommitted`]. May run in a task of its own.
    ///
    /// # Errors
    /// The first error that retries do not cure.
    pub async fn end_offset(&self, of: &TopicPartition, isolation: Isolation) -> Result<Offset, ClientError> {
        let mut tries = self.read_tries(API);
        loop {
            match self.end_offset_once(of, isolation).await {
                Ok(offset) => return Ok(offset),
                Err(error) => tries.pause_after(self, error).await?,
            }
        }
    }

    async fn end_offset_once(
        &self,
        of: &TopicPartition,
        isolation: Isolation,
    ) -> Result<Offset, ClientError> {
        let connection = self.leader(of).await?;
        let query = [(of.clone(), OffsetQuery::Latest)];
        let mut listed = connection.list_offsets(&query, isolation).await?;
        let answer = listed.remove(of).ok_or_else(|| ClientError::Missing {
            address: connection.address().to_owned(),
            api: API,
            resource: Resource::Partition(of.topic.clone(), of.partition),
        })?;
        Ok(answer?.offset)
    }
}
