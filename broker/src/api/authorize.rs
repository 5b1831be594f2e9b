//! Who may do what to which resource, in Kafka's terms.
//!
//! Every handler asks before it acts. Until ACLs exist the answer is always yes; the questions are in place
//! so that no API is forgotten when it is not. Operation and resource codes are Kafka's (KIP-140, KIP-430,
//! KIP-373, KIP-939).

use super::request::ConnectionInfo;

/// What is to be done. The discriminant is the code on the wire and the bit in `authorized_operations`
/// (KIP-430).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Operation {
    /// A code that this version does not know.
    Unknown = 0,
    /// Matches any operation; in filters only.
    Any = 1,
    /// Every operation; in ACLs only.
    All = 2,
    /// Fetch records, commit offsets.
    Read = 3,
    /// Produce records.
    Write = 4,
    /// Create topics.
    Create = 5,
    /// Delete topics, groups, records.
    Delete = 6,
    /// Change topics.
    Alter = 7,
    /// See that it exists, and its offsets.
    Describe = 8,
    /// What brokers do to each other.
    ClusterAction = 9,
    /// Read settings.
    DescribeConfigs = 10,
    /// Change settings.
    AlterConfigs = 11,
    /// Produce with a producer id.
    IdempotentWrite = 12,
    /// Create delegation tokens for others.
    CreateTokens = 13,
    /// Describe delegation tokens of others.
    DescribeTokens = 14,
    /// Prepare and complete a transaction in two steps.
    TwoPhaseCommit = 15,
}

/// What an operation is done to. The discriminant is the code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    /// A code that this version does not know.
    Unknown = 0,
    /// Matches any type; in filters only.
    Any = 1,
    /// A topic, by name.
    Topic = 2,
    /// A group of any kind, by id.
    Group = 3,
    /// The cluster; its name is [`CLUSTER_NAME`].
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
    /// A delegation token, by id.
    DelegationToken = 6,
    /// A user, by principal.
    User = 7,
}

/// The name of the one cluster resource in ACLs.
pub const CLUSTER_NAME: &str = "kafka-cluster";

/// One resource, by type and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource<'a> {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name; a topic asked for by id is named first.
    pub name: &'a str,
}

impl<'a> Resource<'a> {
    /// The cluster.
    pub const CLUSTER: Resource<'static> = Resource {
        resource_type: ResourceType::Cluster,
        name: CLUSTER_NAME,
    };

    /// A topic.
    #[must_use]
    pub const fn topic(name: &'a str) -> Self {
        Self {
            resource_type: ResourceType::Topic,
            name,
        }
    }

    /// A group.
    #[must_use]
    pub const fn group(id: &'a str) -> Self {
        Self {
            resource_type: ResourceType::Group,
            name: id,
        }
    }

    /// A transactional id.
    #[must_use]
    pub const fn transactional_id(id: &'a str) -> Self {
        Self {
            resource_type: ResourceType::TransactionalId,
            name: id,
        }
    }
}

impl ResourceType {
    /// Returns the operations that make sense for this type (Kafka's table), in rising order of their codes.
    #[must_use]
    pub const fn operations(self) -> &'static [Operation] {
        use Operation as Op;
        match self {
            Self::Topic => &[
                Op::Read,
                Op::Write,
                Op::Create,
                Op::Delete,
                Op::Alter,
                Op::Describe,
                Op::DescribeConfigs,
                Op::AlterConfigs,
            ],
            Self::Group => &[
                Op::Read,
                Op::Delete,
                Op::Describe,
                Op::DescribeConfigs,
                Op::AlterConfigs,
            ],
            Self::Cluster => &[
                Op::Create,
                Op::Alter,
                Op::Describe,
                Op::ClusterAction,
                Op::DescribeConfigs,
                Op::AlterConfigs,
                Op::IdempotentWrite,
            ],
            Self::TransactionalId => &[Op::Write, Op::Describe, Op::TwoPhaseCommit],
            Self::DelegationToken => &[Op::Describe],
            Self::User => &[Op::CreateTokens, Op::DescribeTokens],
            Self::Unknown | Self::Any => &[],
        }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Access {
    /// Go on.
    Allowed,
    /// Answer with the resource's AUTHORIZATION_FAILED code, and say nothing about whether it exists.
    Denied,
}

impl Access {
    /// Reports whether the handler may go on.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// Answers the questions. Without ACLs it allows everything, as Kafka does without an authorizer.
#[derive(Clone, Debug, Default)]
pub struct Authorizer {
    _private: (),
}

impl Authorizer {
    /// Returns an authorizer that allows everything.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::default()
    }

    /// Decides whether the connection's principal, from its address, may do `operation` to `resource`.
    pub fn authorize(
        &self,
        connection: &ConnectionInfo,
        operation: Operation,
        resource: Resource<'_>,
    ) -> Access {
        let _ = (connection, operation, resource);
        Access::Allowed
    }

    /// Returns the set of allowed operations as Kafka's bit field (KIP-430), for the
    /// `include_*_authorized_operations` flags of Metadata, DescribeCluster and DescribeGroups.
    #[must_use]
    pub fn authorized_operations(&self, connection: &ConnectionInfo, resource: Resource<'_>) -> i32 {
        resource
            .resource_type
            .operations()
            .iter()
            .filter(|operation| self.authorize(connection, **operation, resource).is_allowed())
            .fold(0, |bits, operation| bits | 1 << (*operation as i8))
    }
}

#[cfg(test)]
#[path = "authorize_test.rs"]
mod tests;
