//! What can go wrong between this client and a broker, with the values needed to say what, where and what to do.

use std::fmt;
use std::time::Duration;

use thalweg_types::{BrokerId, ErrorCode, PartitionIndex};
use thiserror::Error;

/// The thing an error answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The cluster or the broker asked.
    Cluster,
    /// One broker.
    Broker(BrokerId),
    /// One topic, by name (or by id where only that is known).
    Topic(String),
    /// One partition.
    Partition(String, PartitionIndex),
    /// One group.
    Group(String),
    /// One transactional id.
    TransactionalId(String),
    /// One configuration resource, as `topic orders`.
    Config(String),
    /// One log directory.
    LogDir(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Topic(name) => write!(f, "topic '{name}'"),
            Self::Partition(topic, partition) => write!(f, "topic '{topic}' partition {partition}"),
            Self::Group(name) => write!(f, "group '{name}'"),
            Self::TransactionalId(id) => write!(f, "transactional id '{id}'"),
            Self::Config(name) => write!(f, "configuration of {name}"),
            Self::LogDir(path) => write!(f, "log directory '{path}'"),
        }
    }
}

/// A broker answered with an error code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct BrokerError {
    /// Name of the API that was called.
    pub api: &'static str,
    /// The code.
    pub code: ErrorCode,
    /// The broker's own words, where the API carries them.
    pub message: Option<String>,
    /// What the code is about.
    pub resource: Resource,
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} answered {}", self.resource, self.api, self.reason())
    }
}

impl BrokerError {
    /// Returns the code with the broker's own words, or with what the code means where it sent none.
    #[must_use]
    pub fn reason(&self) -> String {
        let message = self.message.as_deref().filter(|message| !message.is_empty());
        format!("{}: {}", self.code, message.unwrap_or(self.code.message()))
    }

    /// Returns `Ok` for code 0, else the error.
    pub(crate) fn check(
        api: &'static str,
        code: i16,
        message: Option<String>,
        resource: impl FnOnce() -> Resource,
    ) -> Result<(), Self> {
        match ErrorCode::from_code(code) {
            Some(ErrorCode::None) => Ok(()),
            Some(code) => Err(Self {
                api,
                code,
                message,
                resource: resource(),
            }),
            None => {
                let said = message.map(|message| format!(": {message}")).unwrap_or_default();
                let message = Some(format!(
                    "error code {code}, which this client does not know{said}"
                ));
                Err(Self {
                    api,
                    code: ErrorCode::UnknownServerError,
                    message,
                    resource: resource(),
                })
            }
        }
    }
}

/// Reads an error code that stands for a state rather than for a failed call.
pub(crate) fn code_or_unknown(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// A call to a cluster failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No TCP connection, or no handshake on it.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The broker's address.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// The connection ended while an answer was awaited: the request may or may not have had its effect.
    #[error("the connection to {address} was closed while {api} was waiting for its answer: {reason}")]
    Closed {
        /// The broker's address.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// Why it ended.
        reason: String,
    },
    /// No answer in time: the request may or may not have had its effect.
    #[error("{address} did not answer {api} within {} ms", after.as_millis())]
    Timeout {
        /// The broker's address.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// An answer breaks the protocol.
    #[error("{address} sent a malformed answer to {api} version {version}: {reason}")]
    Malformed {
        /// The broker's address.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// Version of the request.
        version: i16,
        /// What is wrong.
        reason: String,
    },
    /// The broker does not serve the API, or no version that this client speaks.
    #[error(
        "{address} does not serve {api} in versions {min} to {max}, which this client speaks ({offered})"
    )]
    Unsupported {
        /// The broker's address.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// Lowest version this client speaks.
        min: i16,
        /// Highest version this client speaks.
        max: i16,
        /// What the broker offers, in words.
        offered: String,
    },
    /// The request cannot be written in the version the broker speaks.
    #[error("{api} version {version} cannot carry this request: {reason}")]
    Encode {
        /// Name of the API.
        api: &'static str,
        /// Negotiated version.
        version: i16,
        /// What does not fit.
        reason: String,
    },
    /// A broker answered with an error code.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The partition has no leader at the moment.
    #[error("topic '{topic}' partition {partition} has no leader at the moment")]
    NoLeader {
        /// Name of the topic.
        topic: String,
        /// The partition.
        partition: PartitionIndex,
    },
    /// The topic has no such partition.
    #[error("topic '{topic}' has no partition {partition} (it has {count})")]
    NoPartition {
        /// Name of the topic.
        topic: String,
        /// The partition asked for.
        partition: PartitionIndex,
        /// Number of partitions it has.
        count: usize,
    },
    /// The metadata names a broker that it does not list.
    #[error("broker {id} is not in the cluster's metadata")]
    UnknownBroker {
        /// Id of the broker.
        id: BrokerId,
    },
    /// None of the bootstrap brokers could be reached.
    #[error("no broker answered at {addresses}: {last}")]
    NoBroker {
        /// The addresses tried.
        addresses: String,
        /// The last failure.
        last: Box<ClientError>,
    },
    /// Retries did not help before the deadline.
    #[error("{operation} did not succeed within {} ms ({attempts} attempts): {last}", after.as_millis())]
    DeadlineExceeded {
        /// What was tried.
        operation: &'static str,
        /// How long.
        after: Duration,
        /// How often.
        attempts: u32,
        /// The last failure.
        last: Box<ClientError>,
    },
    /// An answer lacks something the request asked for.
    #[error("{api}: the answer of {address} says nothing about {resource}")]
    Missing {
        /// The broker's address.
        address: String,
        /// Name of the API.
        api: &'static str,
        /// What was asked for.
        resource: Resource,
    },
}

impl ClientError {
    /// Returns the broker's error code, if one caused this error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker(error) => Some(error.code),
            Self::NoBroker { last, .. } | Self::DeadlineExceeded { last, .. } => last.code(),
            _ => None,
        }
    }

    /// Reports whether the same read may succeed later: the network failed, or the broker's code says so.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Closed { .. } | Self::Timeout { .. } => true,
            Self::NoLeader { .. } | Self::UnknownBroker { .. } | Self::NoBroker { .. } => true,
            Self::Broker(error) => error.code.is_retriable(),
            _ => false,
        }
    }

    /// Reports whether the request certainly had no effect and may succeed later, so that even a change may be sent
    /// again: it was never sent, or the broker turned it away at the door.
    #[must_use]
    pub fn is_retriable_without_effect(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::NoLeader { .. }
            | Self::UnknownBroker { .. }
            | Self::NoBroker { .. } => true,
            Self::Broker(error) => matches!(
                error.code,
                ErrorCode::NotController
                    | ErrorCode::NotCoordinator
                    | ErrorCode::CoordinatorNotAvailable
                    | ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::NotLeaderOrFollower
                    | ErrorCode::LeaderNotAvailable
            ),
            _ => false,
        }
    }
}
