//! DescribeConfigs (key 32) and IncrementalAlterConfigs (key 44, KIP-339).

use bytes::Bytes;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use thalweg_types::BrokerId;
use thalweg_wire::mirror::{self, LinkId};

use super::{Validation, owned, text};
use crate::{BrokerError, ClientError, Cluster, Connection, Resource};

const DESCRIBE_VERSION_MAX: i16 = 4;
const ALTER_VERSION_MAX: i16 = 1;

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A topic.
    Topic,
    /// A broker; the empty name stands for the default of all brokers.
    Broker,
    /// Log levels of a broker.
    BrokerLogger,
    /// Client metrics subscriptions.
    ClientMetrics,
    /// A group.
    Group,
}

impl ResourceKind {
    const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::BrokerLogger => "broker logger",
            Self::ClientMetrics => "client metrics",
            Self::Group => "group",
        }
    }
}

/// One thing with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigResource {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name: a topic's or group's name, a broker's id.
    pub name: String,
}

impl ConfigResource {
    /// Names a topic.
    #[must_use]
    pub fn topic(name: impl Into<String>) -> Self {
        Self {
            kind: ResourceKind::Topic,
            name: name.into(),
        }
    }

    fn resource(&self) -> Resource {
        Resource::Config(format!("{} '{}'", self.kind.word(), self.name))
    }
}

/// Where a value comes from (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for this topic.
    DynamicTopic,
    /// Set for this broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// From the broker's file, environment or command line.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// A log level set while the broker runs.
    DynamicBrokerLogger,
    /// Set for this metrics subscription.
    ClientMetrics,
    /// Set for this group.
    Group,
    /// A source this client does not know.
    Unknown,
}

impl ConfigSource {
    const fn from_code(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::DynamicBrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }

    /// Returns Kafka's name of the source.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            Self::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Self::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::StaticBroker => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
            Self::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            Self::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            Self::Group => "DYNAMIC_GROUP_CONFIG",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: String,
    /// Its value; `None` if it is secret or has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// It cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// Its value is not shown.
    pub is_sensitive: bool,
    /// What it means, if the broker says so (version 3 and later).
    pub documentation: Option<String>,
}

/// How a setting changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterOperation {
    /// Takes this value.
    Set(String),
    /// Goes back to the default.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes away from a list.
    Subtract(String),
}

/// One change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigAlteration {
    /// The key.
    pub name: String,
    /// What happens to it.
    pub operation: AlterOperation,
}

impl Cluster {
    /// Returns all settings of one resource, by key.
    ///
    /// # Errors
    /// The broker's refusal, or the connection's error.
    pub async fn describe_configs(&self, of: &ConfigResource) -> Result<Vec<ConfigEntry>, ClientError> {
        const API: &str = "DescribeConfigs";
        self.retry_read(API, async || {
            let connection = self.config_broker(of).await?;
            let version = connection.negotiate::<DescribeConfigsRequest>(DESCRIBE_VERSION_MAX)?;
            let resource = DescribeConfigsResource::default()
                .with_resource_type(of.kind.code())
                .with_resource_name(text(&of.name))
                .with_configuration_keys(None);
            let request = DescribeConfigsRequest::default()
                .with_resources(vec![resource])
                .with_include_documentation(version >= 3);
            let response = connection.send(version, &request).await?;
            let answer = response
                .results
                .into_iter()
                .next()
                .ok_or_else(|| missing(&connection, API, of))?;
            BrokerError::check(API, answer.error_code, owned(answer.error_message), || {
                of.resource()
            })?;
            let mut entries: Vec<ConfigEntry> = answer.configs.into_iter().map(entry).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
        .await
    }

    /// Changes settings of one resource and leaves all others as they are.
    ///
    /// # Errors
    /// The broker's refusal (INVALID_CONFIG for a key or value it does not take), or the connection's error.
    pub async fn alter_configs(
        &self,
        of: &ConfigResource,
        changes: &[ConfigAlteration],
        validation: Validation,
    ) -> Result<(), ClientError> {
        self.alter(of, changes, validation, None).await
    }

    /// Changes settings of a mirror topic in the name of the link that owns it.
    ///
    /// # Errors
    /// As [`Cluster::alter_configs`]; POLICY_VIOLATION if another link owns the topic.
    pub async fn alter_mirror_configs(
        &self,
        topic: &str,
        changes: &[ConfigAlteration],
        link: LinkId,
    ) -> Result<(), ClientError> {
        self.alter(
            &ConfigResource::topic(topic),
            changes,
            Validation::Apply,
            Some(link),
        )
        .await
    }

    async fn alter(
        &self,
        of: &ConfigResource,
        changes: &[ConfigAlteration],
        validation: Validation,
        link: Option<LinkId>,
    ) -> Result<(), ClientError> {
        const API: &str = "IncrementalAlterConfigs";
        self.retry_change(API, async || {
            let connection = self.config_broker(of).await?;
            // Tagged fields begin with version 1.
            let min = i16::from(link.is_some());
            let version =
                connection.negotiate_range::<IncrementalAlterConfigsRequest>(min, ALTER_VERSION_MAX)?;
            let mut resource = AlterConfigsResource::default()
                .with_resource_type(of.kind.code())
                .with_resource_name(text(&of.name))
                .with_configs(changes.iter().map(alterable).collect());
            if let Some(link) = link {
                resource = resource.with_unknown_tagged_field(mirror::TAG, Bytes::copy_from_slice(&link.0));
            }
            let request = IncrementalAlterConfigsRequest::default()
                .with_resources(vec![resource])
                .with_validate_only(validation == Validation::Only);
            let response = connection.send(version, &request).await?;
            let answer = response
                .responses
                .into_iter()
                .next()
                .ok_or_else(|| missing(&connection, API, of))?;
            BrokerError::check(API, answer.error_code, owned(answer.error_message), || {
                of.resource()
            })?;
            Ok(())
        })
        .await
    }

    /// A broker answers for its own settings only; everything else any broker knows.
    async fn config_broker(&self, of: &ConfigResource) -> Result<Connection, ClientError> {
        match (of.kind, of.name.parse()) {
            (ResourceKind::Broker | ResourceKind::BrokerLogger, Ok(id)) => self.broker(BrokerId(id)).await,
            _ => self.controller().await,
        }
    }
}

fn missing(connection: &Connection, api: &'static str, of: &ConfigResource) -> ClientError {
    ClientError::Missing {
        address: connection.address().to_owned(),
        api,
        resource: of.resource(),
    }
}

fn entry(entry: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: entry.name.to_string(),
        value: owned(entry.value),
        source: ConfigSource::from_code(entry.config_source),
        is_read_only: entry.read_only,
        is_sensitive: entry.is_sensitive,
        documentation: owned(entry.documentation),
    }
}

fn alterable(change: &ConfigAlteration) -> AlterableConfig {
    let (code, value) = match &change.operation {
        AlterOperation::Set(value) => (0, Some(text(value))),
        AlterOperation::Delete => (1, None),
        AlterOperation::Append(value) => (2, Some(text(value))),
        AlterOperation::Subtract(value) => (3, Some(text(value))),
    };
    AlterableConfig::default()
        .with_name(text(&change.name))
        .with_config_operation(code)
        .with_value(value)
}
