//! Groups: FindCoordinator (key 10), ListGroups (16), DescribeGroups (15), ConsumerGroupDescribe (69, KIP-848),
//! DeleteGroups (42).

use std::collections::BTreeMap;

use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_response as classic;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    ListGroupsRequest,
};
use thalweg_types::{BrokerId, ErrorCode, PartitionIndex};

use super::member_protocol::assigned_partitions;
use super::{group_id, owned, text};
use crate::{BrokerError, ClientError, Cluster, Connection, Resource, TopicPartition};

const FIND_COORDINATOR_VERSION_MAX: i16 = 4;
const KEY_TYPE_GROUP: i8 = 0;
const LIST_GROUPS_VERSION_MAX: i16 = 5;
const DESCRIBE_GROUPS_VERSION_MAX: i16 = 6;
const CONSUMER_GROUP_DESCRIBE_VERSION_MAX: i16 = 1;
const DELETE_GROUPS_VERSION_MAX: i16 = 2;

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// What its members are, as `consumer` or `connect`; empty for a group that only stores offsets.
    pub protocol_type: String,
    /// Its state; empty before version 4 (KIP-518).
    pub state: String,
    /// Its type, `classic` or `consumer`; empty before version 5 (KIP-848).
    pub group_type: String,
    /// The broker that coordinates it.
    pub coordinator: BrokerId,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Id given by the coordinator.
    pub member_id: String,
    /// Name of a static member (KIP-345).
    pub instance_id: Option<String>,
    /// Its `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its partitions; `None` if they are not in the consumers' format.
    pub partitions: Option<Vec<TopicPartition>>,
}

/// A group with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: String,
    /// `classic` or `consumer`.
    pub group_type: &'static str,
    /// What its members are, as `consumer` or `connect`.
    pub protocol_type: String,
    /// Its state.
    pub state: String,
    /// How partitions are assigned, as `range`.
    pub assignor: String,
    /// The broker that coordinates it.
    pub coordinator: BrokerId,
    /// Members in the coordinator's order.
    pub members: Vec<DescribedMember>,
}

impl Cluster {
    /// Finds the coordinator of a group. Not retried.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE while there is none; the connection's error.
    pub async fn find_coordinator(&self, group: &str) -> Result<BrokerId, ClientError> {
        self.locate(KEY_TYPE_GROUP, group, Resource::Group(group.to_owned()))
            .await
    }

    /// Finds who coordinates a group or a transactional id. Not retried.
    pub(super) async fn locate(
        &self,
        key_type: i8,
        key: &str,
        of: Resource,
    ) -> Result<BrokerId, ClientError> {
        const API: &str = "FindCoordinator";
        let connection = self.any_broker().await?;
        // Version 1 is the first with other things than groups.
        let version = connection
            .negotiate_range::<FindCoordinatorRequest>(i16::from(key_type), FIND_COORDINATOR_VERSION_MAX)?;
        let request = FindCoordinatorRequest::default().with_key_type(key_type);
        let request = match version {
            4.. => request.with_coordinator_keys(vec![text(key)]),
            _ => request.with_key(text(key)),
        };
        let response = connection.send(version, &request).await?;
        let resource = || of.clone();
        let (node, code, message) = match version {
            4.. => {
                let answer =
                    response
                        .coordinators
                        .into_iter()
                        .next()
                        .ok_or_else(|| ClientError::Missing {
                            address: connection.address().to_owned(),
                            api: API,
                            resource: resource(),
                        })?;
                (answer.node_id.0, answer.error_code, answer.error_message)
            }
            _ => (response.node_id.0, response.error_code, response.error_message),
        };
        BrokerError::check(API, code, owned(message), resource)?;
        Ok(BrokerId(node))
    }

    /// Returns a connection to the coordinator of a group. Not retried.
    pub(super) async fn coordinator(&self, group: &str) -> Result<(BrokerId, Connection), ClientError> {
        let id = self.find_coordinator(group).await?;
        Ok((id, self.broker(id).await?))
    }

    /// Lists the groups of all brokers, by name.
    ///
    /// # Errors
    /// The first broker's error that retries do not cure.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, ClientError> {
        const API: &str = "ListGroups";
        let mut groups = BTreeMap::new();
        for broker in self.brokers().await? {
            let listed = self
                .retry_read(API, async || {
                    let connection = self.broker(broker.id).await?;
                    let version = connection.negotiate::<ListGroupsRequest>(LIST_GROUPS_VERSION_MAX)?;
                    let response = connection.send(version, &ListGroupsRequest::default()).await?;
                    BrokerError::check(API, response.error_code, None, || Resource::Broker(broker.id))?;
                    Ok(response.groups)
                })
                .await?;
            for group in listed {
                let listing = GroupListing {
                    group: group.group_id.to_string(),
                    protocol_type: group.protocol_type.to_string(),
                    state: group.group_state.to_string(),
                    group_type: group.group_type.to_string(),
                    coordinator: broker.id,
                };
                groups.insert(listing.group.clone(), listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// Describes one group of either protocol.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND (brokers before version 6 answer with state `Dead` instead), or the connection's error.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, ClientError> {
        let described = self
            .retry_read("ConsumerGroupDescribe", async || {
                let (id, connection) = self.coordinator(group).await?;
                describe_consumer_group(&connection, id, group).await
            })
            .await;
        match described {
            Ok(description) => Ok(description),
            Err(error) if is_another_protocol(&error) => {
                self.retry_read("DescribeGroups", async || {
                    let (id, connection) = self.coordinator(group).await?;
                    describe_classic_group(&connection, id, group).await
                })
                .await
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a group with all its offsets. It must have no members.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, or the connection's error.
    pub async fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        const API: &str = "DeleteGroups";
        self.retry_change(API, async || {
            let (_, connection) = self.coordinator(group).await?;
            let version = connection.negotiate::<DeleteGroupsRequest>(DELETE_GROUPS_VERSION_MAX)?;
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group_id(group)]);
            let response = connection.send(version, &request).await?;
            let answer = response
                .results
                .into_iter()
                .next()
                .ok_or_else(|| missing(&connection, API, group))?;
            BrokerError::check(API, answer.error_code, None, || Resource::Group(group.to_owned()))?;
            Ok(())
        })
        .await
    }
}

/// A coordinator answers GROUP_ID_NOT_FOUND for classic groups; an older one does not know the API.
fn is_another_protocol(error: &ClientError) -> bool {
    matches!(error, ClientError::Unsupported { .. })
        || matches!(
            error.code(),
            Some(ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion)
        )
}

async fn describe_consumer_group(
    connection: &Connection,
    coordinator: BrokerId,
    group: &str,
) -> Result<GroupDescription, ClientError> {
    const API: &str = "ConsumerGroupDescribe";
    let version =
        connection.negotiate::<ConsumerGroupDescribeRequest>(CONSUMER_GROUP_DESCRIBE_VERSION_MAX)?;
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(group)]);
    let response = connection.send(version, &request).await?;
    let answer = response
        .groups
        .into_iter()
        .next()
        .ok_or_else(|| missing(connection, API, group))?;
    BrokerError::check(API, answer.error_code, owned(answer.error_message), || {
        Resource::Group(group.to_owned())
    })?;
    Ok(GroupDescription {
        group: group.to_owned(),
        group_type: "consumer",
        protocol_type: "consumer".to_owned(),
        state: answer.group_state.to_string(),
        assignor: answer.assignor_name.to_string(),
        coordinator,
        members: answer.members.into_iter().map(consumer_member).collect(),
    })
}

fn consumer_member(member: consumer::Member) -> DescribedMember {
    let partitions = member.assignment.topic_partitions.into_iter().flat_map(|topic| {
        let name = topic.topic_name.to_string();
        topic
            .partitions
            .into_iter()
            .map(move |index| TopicPartition::new(name.clone(), PartitionIndex(index)))
    });
    DescribedMember {
        member_id: member.member_id.to_string(),
        instance_id: owned(member.instance_id),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        partitions: Some(partitions.collect()),
    }
}

async fn describe_classic_group(
    connection: &Connection,
    coordinator: BrokerId,
    group: &str,
) -> Result<GroupDescription, ClientError> {
    const API: &str = "DescribeGroups";
    let version = connection.negotiate::<DescribeGroupsRequest>(DESCRIBE_GROUPS_VERSION_MAX)?;
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let response = connection.send(version, &request).await?;
    let answer = response
        .groups
        .into_iter()
        .next()
        .ok_or_else(|| missing(connection, API, group))?;
    BrokerError::check(API, answer.error_code, owned(answer.error_message), || {
        Resource::Group(group.to_owned())
    })?;
    Ok(GroupDescription {
        group: group.to_owned(),
        group_type: "classic",
        protocol_type: answer.protocol_type.to_string(),
        state: answer.group_state.to_string(),
        assignor: answer.protocol_data.to_string(),
        coordinator,
        members: answer.members.into_iter().map(classic_member).collect(),
    })
}

fn classic_member(member: classic::DescribedGroupMember) -> DescribedMember {
    DescribedMember {
        member_id: member.member_id.to_string(),
        instance_id: owned(member.group_instance_id),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        partitions: assigned_partitions(&member.member_assignment),
    }
}

fn missing(connection: &Connection, api: &'static str, group: &str) -> ClientError {
    ClientError::Missing {
        address: connection.address().to_owned(),
        api,
        resource: Resource::Group(group.to_owned()),
    }
}
