//! Raw fetch (API key 1): record batches as the broker sends them, bytes unchanged.
//!
//! Every request is a full fetch without a session (KIP-227). Version 13 and later name topics by id (KIP-516), which
//! is used when every target knows its topic's id.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

use crate::metadata::leader_hint;
use crate::{BrokerError, ClientError, Connection, Resource, TopicPartition};

const API: &str = "Fetch";
/// Version 17 adds directory ids for followers, 18 a high watermark for them: of no use to a client.
const VERSION_MAX: i16 = 16;
/// First version that names topics by id.
const VERSION_TOPIC_IDS: i16 = 13;
/// Session epoch of a request that wants no session (KIP-227).
const NO_SESSION: i32 = -1;

/// Which records a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Up to the last stable offset, with the list of aborted transactions.
    ReadCommitted,
}

impl Isolation {
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// One partition to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTarget {
    /// The partition, by name.
    pub partition: TopicPartition,
    /// Id of its topic, or [`TopicId::ZERO`] if not known.
    pub topic_id: TopicId,
    /// First offset wanted.
    pub offset: Offset,
    /// Leader epoch the reader believes in (KIP-320), or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Soft limit on the bytes of this partition; the first batch always comes whole.
    pub size_bytes_max: i32,
}

/// Limits of one fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// How long the broker may wait for `size_bytes_min`.
    pub wait_max: Duration,
    /// Bytes that end the wait.
    pub size_bytes_min: i32,
    /// Soft limit on the bytes of the answer.
    pub size_bytes_max: i32,
    /// Which records may be seen.
    pub isolation: Isolation,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_millis(500),
            size_bytes_min: 1,
            size_bytes_max: 50 * 1024 * 1024,
            isolation: Isolation::ReadUncommitted,
        }
    }
}

/// A transaction of which the fetched range holds records to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
}

/// What a broker sent of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecords {
    /// End of what is replicated.
    pub high_watermark: Offset,
    /// End of what is decided; [`Offset::UNKNOWN`] if the broker does not say.
    pub last_stable_offset: Offset,
    /// First offset kept; [`Offset::UNKNOWN`] if the broker does not say.
    pub log_start_offset: Offset,
    /// Aborted transactions in the range, for [`Isolation::ReadCommitted`].
    pub aborted_transactions: Vec<AbortedTransaction>,
    /// Record batches as on the wire. The first may begin before the wanted offset, the last may be cut.
    pub records: Bytes,
}

/// The answer for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its records, or why there are none.
    pub result: Result<FetchedRecords, BrokerError>,
    /// The leader the broker names, if it is not the one asked (KIP-951).
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
}

impl Connection {
    /// Fetches from partitions this broker leads. Waits up to [`FetchOptions::wait_max`] for data.
    ///
    /// Partitions the broker does not mention are not in the result.
    ///
    /// # Errors
    /// Those of [`Connection::send`], and a [`BrokerError`] for the request as a whole.
    pub async fn fetch(
        &self,
        targets: &[FetchTarget],
        options: FetchOptions,
    ) -> Result<Vec<FetchedPartition>, ClientError> {
        let ids_known = targets.iter().all(|target| !target.topic_id.is_zero());
        let max = if ids_known {
            VERSION_MAX
        } else {
            VERSION_TOPIC_IDS - 1
        };
        let version = self.negotiate::<FetchRequest>(max)?;
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(i32::try_from(options.wait_max.as_millis()).unwrap_or(i32::MAX))
            .with_min_bytes(options.size_bytes_min)
            .with_max_bytes(options.size_bytes_max)
            .with_isolation_level(options.isolation.code())
            .with_session_epoch(NO_SESSION)
            .with_topics(topics(targets, version));
        let response = self.send_patiently(version, &request, options.wait_max).await?;
        BrokerError::check(API, response.error_code, None, || Resource::Cluster)?;
        let names: HashMap<TopicId, &str> = targets
            .iter()
            .map(|target| (target.topic_id, target.partition.topic.as_str()))
            .collect();
        let mut fetched = Vec::new();
        for topic in response.responses {
            let id = TopicId(*topic.topic_id.as_bytes());
            let name = match version >= VERSION_TOPIC_IDS {
                // A topic that was not asked for has no reader.
                true => names.get(&id).map(|name| (*name).to_owned()),
                false => Some(topic.topic.to_string()),
            };
            let Some(name) = name else { continue };
            fetched.extend(
                topic
                    .partitions
                    .into_iter()
                    .map(|data| fetched_partition(&name, data)),
            );
        }
        Ok(fetched)
    }
}

/// Groups the targets by topic, in the order given.
fn topics(targets: &[FetchTarget], version: i16) -> Vec<FetchTopic> {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for target in targets {
        let name = target.partition.topic.as_str();
        let place = *places.entry(name).or_insert_with(|| {
            let topic = match version >= VERSION_TOPIC_IDS {
                true => FetchTopic::default().with_topic_id(uuid::Uuid::from_bytes(target.topic_id.0)),
                false => FetchTopic::default().with_topic(TopicName(StrBytes::from_string(name.to_owned()))),
            };
            topics.push(topic);
            topics.len() - 1
        });
        let partition = FetchPartition::default()
            .with_partition(target.partition.partition.get())
            .with_current_leader_epoch(if version >= 9 {
                target.leader_epoch.get()
            } else {
                -1
            })
            .with_fetch_offset(target.offset.get())
            .with_partition_max_bytes(target.size_bytes_max);
        if let Some(topic) = topics.get_mut(place) {
            topic.partitions.push(partition);
        }
    }
    topics
}

fn fetched_partition(topic: &str, data: PartitionData) -> FetchedPartition {
    let partition = TopicPartition::new(topic, PartitionIndex(data.partition_index));
    let resource = || Resource::Partition(topic.to_owned(), PartitionIndex(data.partition_index));
    let current_leader = leader_hint(data.current_leader.leader_id.0, data.current_leader.leader_epoch);
    let aborted =
        |transaction: kafka_protocol::messages::fetch_response::AbortedTransaction| AbortedTransaction {
            producer_id: ProducerId(transaction.producer_id.0),
            first_offset: Offset(transaction.first_offset),
        };
    let result = BrokerError::check(API, data.error_code, None, resource).map(|()| FetchedRecords {
        high_watermark: Offset(data.high_watermark),
        last_stable_offset: Offset(data.last_stable_offset),
        log_start_offset: Offset(data.log_start_offset),
        aborted_transactions: data
            .aborted_transactions
            .unwrap_or_default()
            .into_iter()
            .map(aborted)
            .collect(),
        records: data.records.unwrap_or_default(),
    });
    FetchedPartition {
        partition,
        result,
        current_leader,
    }
}
