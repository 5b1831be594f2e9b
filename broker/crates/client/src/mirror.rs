//! The mirror extension of Produce: commands of a link on partitions, see [`thalweg_wire::mirror`].

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use thalweg_types::PartitionIndex;
use thalweg_wire::mirror::{self, Command, Report};

use crate::produce::refusal_message;
use crate::{BrokerError, ClientError, Connection, Resource, TopicPartition};

const API: &str = "Produce";
/// First version with tagged fields; later ones add nothing that a mirror needs.
const VERSION: i16 = 9;

/// One operation on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorCommand {
    /// Which partition.
    pub partition: TopicPartition,
    /// What is done.
    pub command: Command,
    /// The batches of an append, as the source has them; empty for every other operation.
    pub records: Bytes,
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorAnswer {
    /// Which partition.
    pub partition: TopicPartition,
    /// Whether it was done.
    pub result: Result<(), BrokerError>,
    /// The partition as it is now; `None` if the broker does not know it, or answered without one.
    pub report: Option<Report>,
}

impl Connection {
    /// Tells whether the cluster speaks the mirror extension.
    #[must_use]
    pub fn speaks_mirror(&self) -> bool {
        self.versions()
            .feature(mirror::FEATURE)
            .is_some_and(|(_, max)| max >= i16::from(mirror::VERSION))
    }

    /// Tells whether partitions of the cluster can be sealed, and its topics become mirrors after clients wrote to them.
    #[must_use]
    pub fn speaks_seal(&self) -> bool {
        self.versions()
            .feature(mirror::FEATURE)
            .is_some_and(|(_, max)| max >= mirror::FEATURE_VERSION_SEAL)
    }

    /// Sends commands for partitions this broker leads, at most one for each partition.
    ///
    /// A broker without the extension would take records as a client's: nothing is sent to one. Partitions the broker
    /// does not mention are not in the result.
    ///
    /// # Errors
    /// [`ClientError::Encode`] if the broker does not speak the extension, and those of [`Connection::send`]. After
    /// [`ClientError::Closed`] or [`ClientError::Timeout`] any command may have had its effect; sending it again is safe,
    /// since its fence tells.
    pub async fn mirror(
        &self,
        commands: Vec<MirrorCommand>,
        timeout: Duration,
    ) -> Result<Vec<MirrorAnswer>, ClientError> {
        let version = self.negotiate_range::<ProduceRequest>(VERSION, VERSION)?;
        if !self.speaks_mirror() {
            return Err(ClientError::Encode {
                api: API,
                version,
                reason: format!("the broker does not announce the feature {}", mirror::FEATURE),
            });
        }
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .with_topic_data(topics(commands));
        let response = self.send_patiently(version, &request, timeout).await?;
        let mut answers = Vec::new();
        for topic in response.responses {
            let name = topic.name.as_str();
            answers.extend(
                topic
                    .partition_responses
                    .into_iter()
                    .map(|answer| read(name, answer)),
            );
        }
        Ok(answers)
    }
}

/// Groups the commands by topic. A caller sends them sorted by topic, so that neighbours share an entry.
fn topics(commands: Vec<MirrorCommand>) -> Vec<TopicProduceData> {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for command in commands {
        let name = command.partition.topic;
        let place = *places.entry(name.clone()).or_insert_with(|| {
            topics.push(TopicProduceData::default().with_name(TopicName(StrBytes::from_string(name))));
            topics.len() - 1
        });
        let data = PartitionProduceData::default()
            .with_index(command.partition.partition.get())
            .with_records((!command.records.is_empty()).then_some(command.records))
            .with_unknown_tagged_field(mirror::TAG, command.command.encode());
        if let Some(topic) = topics.get_mut(place) {
            topic.partition_data.push(data);
        }
    }
    topics
}

fn read(topic: &str, answer: PartitionProduceResponse) -> MirrorAnswer {
    let index = PartitionIndex(answer.index);
    let report = answer
        .unknown_tagged_fields
        .get(&mirror::TAG)
        .and_then(|bytes| Report::decode(bytes).ok());
    let result = BrokerError::check(API, answer.error_code, refusal_message(&answer), || {
        Resource::Partition(topic.to_owned(), index)
    });
    MirrorAnswer {
        partition: TopicPartition::new(topic, index),
        result,
        report,
    }
}
