//! Committed offsets of groups: OffsetFetch (key 9), OffsetCommit (8), OffsetDelete (47, KIP-496), as an administrator.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};
use thalweg_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex};

use super::{group_id, text, topic_name};
use crate::{BrokerError, ClientError, Cluster, Connection, Resource, TopicPartition};

/// Version 10 names topics by id.
const OFFSET_FETCH_VERSION_MAX: i16 = 9;
/// First version that asks about several groups and has its answer per group (KIP-709).
const OFFSET_FETCH_VERSION_GROUPS: i16 = 8;
/// Version 10 names topics by id.
const OFFSET_COMMIT_VERSION_MAX: i16 = 9;
/// Generation of a commit that comes from outside the group.
const NO_GENERATION: i32 = -1;

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
    /// Leader epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Free text kept with it.
    pub metadata: String,
}

/// An offset that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Leader epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Free text kept with it.
    pub metadata: String,
}

type PerPartition = BTreeMap<TopicPartition, Result<(), BrokerError>>;
/// What a group has committed.
type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

impl Cluster {
    /// Returns all offsets a group has committed. A group that does not exist has none.
    ///
    /// # Errors
    /// The coordinator's error, a partition's error, or the connection's.
    pub async fn fetch_group_offsets(&self, group: &str) -> Result<Offsets, ClientError> {
        self.retry_read("OffsetFetch", async || {
            let (_, connection) = self.coordinator(group).await?;
            fetch_offsets(&connection, group).await
        })
        .await
    }

    /// Returns all offsets of several groups that one broker coordinates: one request where the broker takes one
    /// (KIP-709), else one for each. One result for each group that the broker answers for. Not retried.
    ///
    /// # Errors
    /// The connection's error.
    pub async fn fetch_offsets_of_groups(
        &self,
        coordinator: BrokerId,
        groups: &[String],
    ) -> Result<BTreeMap<String, Result<Offsets, ClientError>>, ClientError> {
        let connection = self.broker(coordinator).await?;
        let version = connection.negotiate_range::<OffsetFetchRequest>(2, OFFSET_FETCH_VERSION_MAX)?;
        if version >= OFFSET_FETCH_VERSION_GROUPS {
            return fetch_groups(&connection, version, groups).await;
        }
        let mut found = BTreeMap::new();
        for group in groups {
            let offsets = match fetch_offsets(&connection, group).await {
                Err(error) if error.code().is_none() => return Err(error),
                offsets => offsets,
            };
            found.insert(group.clone(), offsets);
        }
        Ok(found)
    }

    /// Commits offsets for a group without members. One result for each partition.
    ///
    /// # Errors
    /// The connection's error. A group with members answers UNKNOWN_MEMBER_ID for each partition.
    pub async fn commit_group_offsets(
        &self,
        group: &str,
        offsets: &[CommitOffset],
    ) -> Result<PerPartition, ClientError> {
        const API: &str = "OffsetCommit";
        // Committing the same offset twice has one effect, so it is repeated like a read.
        self.retry_read(API, async || {
            let (_, connection) = self.coordinator(group).await?;
            let version = connection.negotiate::<OffsetCommitRequest>(OFFSET_COMMIT_VERSION_MAX)?;
            let request = OffsetCommitRequest::default()
                .with_group_id(group_id(group))
                .with_generation_id_or_member_epoch(NO_GENERATION)
                .with_topics(commit_topics(offsets, version));
            let response = connection.send(version, &request).await?;
            let mut results = PerPartition::new();
            for topic in response.topics {
                for partition in topic.partitions {
                    let of =
                        TopicPartition::new(topic.name.as_str(), PartitionIndex(partition.partition_index));
                    let resource = || Resource::Partition(of.topic.clone(), of.partition);
                    let result = BrokerError::check(API, partition.error_code, None, resource);
                    results.insert(of, result);
                }
            }
            retry_if_all_failed(results)
        })
        .await
    }

    /// Deletes committed offsets of a group. Partitions a member reads answer GROUP_SUBSCRIBED_TO_TOPIC.
    ///
    /// # Errors
    /// The group's error, or the connection's.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<PerPartition, ClientError> {
        const API: &str = "OffsetDelete";
        self.retry_change(API, async || {
            let (_, connection) = self.coordinator(group).await?;
            let version = connection.negotiate::<OffsetDeleteRequest>(0)?;
            let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
            for of in partitions {
                let partition =
                    OffsetDeleteRequestPartition::default().with_partition_index(of.partition.get());
                topics.entry(&of.topic).or_default().push(partition);
            }
            let topics = topics.into_iter().map(|(name, partitions)| {
                OffsetDeleteRequestTopic::default()
                    .with_name(topic_name(name))
                    .with_partitions(partitions)
            });
            let request = OffsetDeleteRequest::default()
                .with_group_id(group_id(group))
                .with_topics(topics.collect());
            let response = connection.send(version, &request).await?;
            BrokerError::check(API, response.error_code, None, || {
                Resource::Group(group.to_owned())
            })?;
            let mut results = PerPartition::new();
            for topic in response.topics {
                for partition in topic.partitions {
                    let of =
                        TopicPartition::new(topic.name.as_str(), PartitionIndex(partition.partition_index));
                    let resource = || Resource::Partition(of.topic.clone(), of.partition);
                    let result = BrokerError::check(API, partition.error_code, None, resource);
                    results.insert(of, result);
                }
            }
            Ok(results)
        })
        .await
    }
}

/// OffsetCommit has no error for the whole: a coordinator that is loading or has moved says so for every partition.
fn retry_if_all_failed(results: PerPartition) -> Result<PerPartition, ClientError> {
    let first = results
        .values()
        .next()
        .and_then(|result| result.as_ref().err())
        .cloned();
    match first {
        Some(error) if error.code.is_retriable() && results.values().all(Result::is_err) => Err(error.into()),
        _ => Ok(results),
    }
}

async fn fetch_offsets(connection: &Connection, group: &str) -> Result<Offsets, ClientError> {
    const API: &str = "OffsetFetch";
    // Version 2 is the first where null means every partition.
    let version = connection.negotiate_range::<OffsetFetchRequest>(2, OFFSET_FETCH_VERSION_MAX)?;
    if version >= OFFSET_FETCH_VERSION_GROUPS {
        let mut found = fetch_groups(connection, version, &[group.to_owned()]).await?;
        return found.remove(group).unwrap_or_else(|| {
            Err(ClientError::Missing {
                address: connection.address().to_owned(),
                api: API,
                resource: Resource::Group(group.to_owned()),
            })
        });
    }
    let request = OffsetFetchRequest::default()
        .with_group_id(group_id(group))
        .with_topics(None);
    let response = connection.send(version, &request).await?;
    BrokerError::check(API, response.error_code, None, || {
        Resource::Group(group.to_owned())
    })?;
    let answers = response.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic.partitions.into_iter().map(move |p| {
            let offset = committed(p.committed_offset, p.committed_leader_epoch, p.metadata);
            (name.clone(), p.partition_index, p.error_code, offset)
        })
    });
    collected(answers)
}

async fn fetch_groups(
    connection: &Connection,
    version: i16,
    groups: &[String],
) -> Result<BTreeMap<String, Result<Offsets, ClientError>>, ClientError> {
    const API: &str = "OffsetFetch";
    let wanted = groups.iter().map(|group| {
        OffsetFetchRequestGroup::default()
            .with_group_id(group_id(group))
            .with_topics(None)
    });
    let request = OffsetFetchRequest::default().with_groups(wanted.collect());
    let response = connection.send(version, &request).await?;
    let read = |answer: OffsetFetchResponseGroup| {
        let group = answer.group_id.to_string();
        BrokerError::check(API, answer.error_code, None, || Resource::Group(group))?;
        let answers = answer.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |p| {
                let offset = committed(p.committed_offset, p.committed_leader_epoch, p.metadata);
                (name.clone(), p.partition_index, p.error_code, offset)
            })
        });
        collected(answers)
    };
    Ok(response
        .groups
        .into_iter()
        .map(|answer| (answer.group_id.to_string(), read(answer)))
        .collect())
}

/// What an OffsetCommit of this version says of each topic.
pub(super) fn commit_topics(offsets: &[CommitOffset], version: i16) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for commit in offsets {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(commit.partition.partition.get())
            .with_committed_offset(commit.offset.get())
            .with_committed_leader_epoch(if version >= 6 {
                commit.leader_epoch.get()
            } else {
                -1
            })
            .with_committed_metadata(Some(text(&commit.metadata)));
        topics.entry(&commit.partition.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(name))
            .with_partitions(partitions)
    });
    topics.collect()
}

/// Leaves out what is not committed; one partition's error is the group's.
fn collected(
    answers: impl Iterator<Item = (String, i32, i16, CommittedOffset)>,
) -> Result<Offsets, ClientError> {
    let mut offsets = Offsets::new();
    for (topic, index, code, offset) in answers {
        let partition = PartitionIndex(index);
        BrokerError::check("OffsetFetch", code, None, || {
            Resource::Partition(topic.clone(), partition)
        })?;
        // -1 stands for "nothing committed".
        if offset.offset >= Offset::ZERO {
            offsets.insert(TopicPartition { topic, partition }, offset);
        }
    }
    Ok(offsets)
}

fn committed(
    offset: i64,
    leader_epoch: i32,
    metadata: Option<kafka_protocol::protocol::StrBytes>,
) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(leader_epoch),
        metadata: metadata.map(|text| text.to_string()).unwrap_or_default(),
    }
}
