//! CreateTopics (key 19), DeleteTopics (key 20), CreatePartitions (key 37).

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use thalweg_types::TopicId;
use thalweg_wire::mirror::{self, LinkId};

use super::{CHANGE_TIMEOUT_MS, Validation, owned, text, topic_name};
use crate::{BrokerError, ClientError, Cluster, Resource};

const CREATE_TOPICS_VERSION_MAX: i16 = 7;
const DELETE_TOPICS_VERSION_MAX: i16 = 6;
const CREATE_PARTITIONS_VERSION_MAX: i16 = 3;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; `None` takes the broker's `num.partitions` (KIP-464).
    pub partitions: Option<i32>,
    /// Copies of each partition; `None` takes the broker's `default.replication.factor` (KIP-464).
    pub replication_factor: Option<i16>,
    /// Settings that differ from the broker's.
    pub configs: Vec<(String, String)>,
}

/// A topic as it was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; [`TopicId::ZERO`] from brokers before version 7.
    pub id: TopicId,
    /// Number of partitions; -1 from brokers before version 5 (KIP-525).
    pub partitions: i32,
    /// Copies of each partition; -1 from brokers before version 5.
    pub replication_factor: i16,
}

impl Cluster {
    /// Creates topics. One result for each name.
    ///
    /// # Errors
    /// Those of the connection. [`ClientError::Unsupported`] if a default is asked of a broker before version 4.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validation: Validation,
    ) -> Result<BTreeMap<String, Result<CreatedTopic, BrokerError>>, ClientError> {
        const API: &str = "CreateTopics";
        let defaults = topics
            .iter()
            .any(|topic| topic.partitions.is_none() || topic.replication_factor.is_none());
        self.retry_change(API, async || {
            let connection = self.controller().await?;
            let min = if defaults { 4 } else { 2 };
            let version =
                connection.negotiate_range::<CreateTopicsRequest>(min, CREATE_TOPICS_VERSION_MAX)?;
            let request = CreateTopicsRequest::default()
                .with_topics(topics.iter().map(creatable).collect())
                .with_timeout_ms(CHANGE_TIMEOUT_MS)
                .with_validate_only(validation == Validation::Only);
            let response = connection.send(version, &request).await?;
            let mut results = BTreeMap::new();
            for topic in response.topics {
                let name = topic.name.to_string();
                let resource = || Resource::Topic(name.clone());
                let result = BrokerError::check(API, topic.error_code, owned(topic.error_message), resource);
                let created = CreatedTopic {
                    id: TopicId(*topic.topic_id.as_bytes()),
                    partitions: topic.num_partitions,
                    replication_factor: topic.replication_factor,
                };
                results.insert(name, result.map(|()| created));
            }
            Ok(results)
        })
        .await
    }

    /// Deletes topics by name. One result for each name.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn delete_topics(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, Result<(), BrokerError>>, ClientError> {
        const API: &str = "DeleteTopics";
        self.retry_change(API, async || {
            let connection = self.controller().await?;
            let version = connection.negotiate::<DeleteTopicsRequest>(DELETE_TOPICS_VERSION_MAX)?;
            let request = DeleteTopicsRequest::default().with_timeout_ms(CHANGE_TIMEOUT_MS);
            let request = match version {
                6.. => request.with_topics(
                    names
                        .iter()
                        .map(|name| DeleteTopicState::default().with_name(Some(topic_name(name))))
                        .collect(),
                ),
                _ => request.with_topic_names(names.iter().map(|name| topic_name(name)).collect()),
            };
            let response = connection.send(version, &request).await?;
            let mut results = BTreeMap::new();
            for topic in response.responses {
                let name = topic.name.map_or_else(String::new, |name| name.to_string());
                let resource = || Resource::Topic(name.clone());
                let result = BrokerError::check(API, topic.error_code, owned(topic.error_message), resource);
                self.forget_topic(&name);
                results.insert(name, result);
            }
            Ok(results)
        })
        .await
    }

    /// Raises the number of partitions of a topic to `count`.
    ///
    /// # Errors
    /// The broker's refusal (INVALID_PARTITIONS if `count` is not more than there are), or the connection's error.
    pub async fn create_partitions(
        &self,
        topic: &str,
        count: i32,
        validation: Validation,
    ) -> Result<(), ClientError> {
        let wanted = CreatePartitionsTopic::default()
            .with_name(topic_name(topic))
            .with_count(count)
            .with_assignments(None);
        self.grow(topic, wanted, validation).await
    }

    /// Raises the number of partitions of a mirror topic to `count`, in the name of the link that owns it.
    ///
    /// # Errors
    /// As [`Cluster::create_partitions`]; POLICY_VIOLATION if another link owns the topic.
    pub async fn create_mirror_partitions(
        &self,
        topic: &str,
        count: i32,
        link: LinkId,
    ) -> Result<(), ClientError> {
        let wanted = CreatePartitionsTopic::default()
            .with_name(topic_name(topic))
            .with_count(count)
            .with_assignments(None)
            .with_unknown_tagged_field(mirror::TAG, Bytes::copy_from_slice(&link.0));
        self.grow(topic, wanted, Validation::Apply).await
    }

    async fn grow(
        &self,
        topic: &str,
        wanted: CreatePartitionsTopic,
        validation: Validation,
    ) -> Result<(), ClientError> {
        const API: &str = "CreatePartitions";
        // Tagged fields begin with version 2.
        let min = if wanted.unknown_tagged_fields.is_empty() {
            0
        } else {
            2
        };
        self.retry_change(API, async || {
            let connection = self.controller().await?;
            let version =
                connection.negotiate_range::<CreatePartitionsRequest>(min, CREATE_PARTITIONS_VERSION_MAX)?;
            let request = CreatePartitionsRequest::default()
                .with_topics(vec![wanted.clone()])
                .with_timeout_ms(CHANGE_TIMEOUT_MS)
                .with_validate_only(validation == Validation::Only);
            let response = connection.send(version, &request).await?;
            let resource = || Resource::Topic(topic.to_owned());
            let answer = response
                .results
                .into_iter()
                .find(|answer| answer.name.as_str() == topic)
                .ok_or_else(|| ClientError::Missing {
                    address: connection.address().to_owned(),
                    api: API,
                    resource: resource(),
                })?;
            BrokerError::check(API, answer.error_code, owned(answer.error_message), resource)?;
            self.forget_topic(topic);
            Ok(())
        })
        .await
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): &(String, String)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_configs(topic.configs.iter().map(config).collect())
}
