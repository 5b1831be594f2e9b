//! One member of a classic group: JoinGroup (key 11), SyncGroup (14), Heartbeat (12), OffsetCommit (8), LeaveGroup (13).
//!
//! Each step is one call; who calls decides when. The member takes the partitions that it is told to take: it leads a
//! group of one, as a program with an assignment of its own does.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};
use thalweg_types::{ErrorCode, PartitionIndex};

use super::group_offsets::commit_topics;
use super::{CommitOffset, group_id, text};
use crate::{BrokerError, ClientError, Cluster, Resource, TopicPartition};

const JOIN_VERSION_MAX: i16 = 9;
const SYNC_VERSION_MAX: i16 = 5;
const HEARTBEAT_VERSION_MAX: i16 = 4;
const LEAVE_VERSION_MAX: i16 = 5;
const COMMIT_VERSION_MAX: i16 = 8;
const PROTOCOL_TYPE: &str = "consumer";
const PROTOCOL: &str = "range";

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// The group.
    pub group: String,
    /// The partitions it reads.
    pub partitions: Vec<TopicPartition>,
    /// How long it may be silent.
    pub session_timeout: Duration,
}

/// A member with its assignment.
#[derive(Clone, Debug)]
pub struct GroupMember {
    cluster: Cluster,
    settings: MemberSettings,
    member_id: String,
    generation: i32,
}

impl GroupMember {
    /// Joins, and takes its partitions if it leads.
    ///
    /// # Errors
    /// The coordinator's refusal; the connection's. The broker forgets a member that did not get its answer.
    pub async fn join(cluster: Cluster, settings: MemberSettings) -> Result<Self, ClientError> {
        let mut member = Self {
            cluster,
            settings,
            member_id: String::new(),
            generation: -1,
        };
        let cluster = member.cluster.clone();
        cluster
            .retry_read("JoinGroup", async || member.join_once().await)
            .await?;
        Ok(member)
    }

    async fn join_once(&mut self) -> Result<(), ClientError> {
        const API: &str = "JoinGroup";
        let connection = self.connection().await?;
        let version = connection.negotiate::<JoinGroupRequest>(JOIN_VERSION_MAX)?;
        let timeout_ms = i32::try_from(self.settings.session_timeout.as_millis()).unwrap_or(i32::MAX);
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(PROTOCOL))
            .with_metadata(subscription(&self.settings.partitions));
        let request = |member_id: &str| {
            JoinGroupRequest::default()
                .with_group_id(group_id(&self.settings.group))
                .with_session_timeout_ms(timeout_ms)
                .with_rebalance_timeout_ms(timeout_ms)
                .with_member_id(text(member_id))
                .with_protocol_type(text(PROTOCOL_TYPE))
                .with_protocols(vec![protocol.clone()])
        };
        let patience = self.settings.session_timeout;
        let mut response = connection
            .send_patiently(version, &request(&self.member_id), patience)
            .await?;
        // The broker gives the id first and takes it then (KIP-394).
        if response.error_code == ErrorCode::MemberIdRequired.code() {
            let given = response.member_id.to_string();
            response = connection
                .send_patiently(version, &request(&given), patience)
                .await?;
        }
        self.check(API, response.error_code)?;
        self.member_id = response.member_id.to_string();
        self.generation = response.generation_id;
        let assignments = match response.leader == response.member_id {
            true => vec![
                SyncGroupRequestAssignment::default()
                    .with_member_id(response.member_id.clone())
                    .with_assignment(assignment(&self.settings.partitions)),
            ],
            false => Vec::new(),
        };
        let version = connection.negotiate::<SyncGroupRequest>(SYNC_VERSION_MAX)?;
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.settings.group))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id))
            .with_protocol_type(Some(text(PROTOCOL_TYPE)))
            .with_protocol_name(Some(text(PROTOCOL)))
            .with_assignments(assignments);
        let response = connection.send_patiently(version, &request, patience).await?;
        self.check("SyncGroup", response.error_code)
    }

    /// Says that it lives.
    ///
    /// # Errors
    /// The coordinator's: REBALANCE_IN_PROGRESS and UNKNOWN_MEMBER_ID mean that it has to join again.
    pub async fn heartbeat(&self) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        let version = connection.negotiate::<HeartbeatRequest>(HEARTBEAT_VERSION_MAX)?;
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.settings.group))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member_id));
        let response = connection.send(version, &request).await?;
        self.check("Heartbeat", response.error_code)
    }

    /// Commits offsets in its name.
    ///
    /// # Errors
    /// The first partition's refusal, or the connection's.
    pub async fn commit(&self, offsets: &[CommitOffset]) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        let version = connection.negotiate::<OffsetCommitRequest>(COMMIT_VERSION_MAX)?;
        let request = OffsetCommitRequest::default()
            .with_group_id(group_id(&self.settings.group))
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(text(&self.member_id))
            .with_topics(commit_topics(offsets, version));
        let response = connection.send(version, &request).await?;
        for topic in response.topics {
            for found in topic.partitions {
                let index = PartitionIndex(found.partition_index);
                BrokerError::check("OffsetCommit", found.error_code, None, || {
                    Resource::Partition(topic.name.to_string(), index)
                })?;
            }
        }
        Ok(())
    }

    /// Leaves the group: it is without this member at once.
    ///
    /// # Errors
    /// The coordinator's, or the connection's; then the group waits for the session to end.
    pub async fn leave(self) -> Result<(), ClientError> {
        let connection = self.connection().await?;
        let version = connection.negotiate::<LeaveGroupRequest>(LEAVE_VERSION_MAX)?;
        let request = LeaveGroupRequest::default().with_group_id(group_id(&self.settings.group));
        let request = match version {
            3.. => request.with_members(vec![
                MemberIdentity::default().with_member_id(text(&self.member_id)),
            ]),
            _ => request.with_member_id(text(&self.member_id)),
        };
        let response = connection.send(version, &request).await?;
        self.check("LeaveGroup", response.error_code)
    }

    async fn connection(&self) -> Result<crate::Connection, ClientError> {
        let (_, connection) = self.cluster.coordinator(&self.settings.group).await?;
        Ok(connection)
    }

    fn check(&self, api: &'static str, code: i16) -> Result<(), ClientError> {
        BrokerError::check(api, code, None, || Resource::Group(self.settings.group.clone()))?;
        Ok(())
    }
}

/// The consumers' bytes for what a member wants: version 0, its topics, no user data.
fn subscription(partitions: &[TopicPartition]) -> Bytes {
    let mut topics: Vec<&str> = partitions.iter().map(|of| of.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    put_count(&mut bytes, topics.len());
    for topic in topics {
        put_text(&mut bytes, topic);
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

/// The consumers' bytes for what a member gets; [`super::member_protocol`] reads them.
fn assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for of in partitions {
        topics.entry(&of.topic).or_default().push(of.partition.get());
    }
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    put_count(&mut bytes, topics.len());
    for (topic, indexes) in topics {
        put_text(&mut bytes, topic);
        put_count(&mut bytes, indexes.len());
        for index in indexes {
            bytes.put_i32(index);
        }
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

fn put_count(bytes: &mut BytesMut, count: usize) {
    bytes.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

/// A topic's name has 249 characters at most.
fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
    bytes.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::member_protocol::assigned_partitions;
    use super::*;

    #[test]
    fn what_a_member_is_given_is_read_again() {
        let partitions = [0, 7].map(|index| TopicPartition::new("orders", PartitionIndex(index)));
        assert_eq!(
            assigned_partitions(&assignment(&partitions)),
            Some(partitions.to_vec())
        );
    }
}
