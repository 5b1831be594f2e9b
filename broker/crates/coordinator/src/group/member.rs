//! One member of a group, and one that may be let in.
//!
//! Owns what the member said of itself and what it waits for. What it means to the group is in `classic`.

use bytes::Bytes;

use super::ids::{InstanceId, MemberId};
use super::request::{ClientInfo, JoinGroup, JoinProtocol};
use super::step::ReplyToken;
use crate::record::MemberMetadata;

/// One member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<InstanceId>,
    pub(crate) client: ClientInfo,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// The preferred one first.
    pub(crate) protocols: Vec<JoinProtocol>,
    pub(crate) assignment: Bytes,
    pub(crate) awaiting_join: Option<ReplyToken>,
    pub(crate) awaiting_sync: Option<ReplyToken>,
    pub(crate) knows: Knows,
}

/// Whether a member can come back: only one that was told its id can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knows {
    /// It joined without an id and waits for its first reply. Its session timer runs while it waits.
    Nothing,
    /// It has its id, but no generation yet. Its session timer runs while it waits.
    Id,
    /// It has been in a generation.
    Generation,
}

/// What a JoinGroup says of the member, copied out of the request's buffer.
pub(crate) struct MemberTerms {
    pub(crate) client: ClientInfo,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<JoinProtocol>,
}

impl MemberTerms {
    /// Copies the metadata: a slice would keep the whole received frame in memory as long as the member lives.
    pub(crate) fn of(request: &JoinGroup) -> Self {
        let session_timeout_ms = request.session_timeout_ms;
        let unset = request.api_version == 0 || request.rebalance_timeout_ms < 0;
        Self {
            client: request.client.clone(),
            rebalance_timeout_ms: if unset {
                session_timeout_ms
            } else {
                request.rebalance_timeout_ms
            },
            session_timeout_ms,
            protocols: request
                .protocols
                .iter()
                .map(|protocol| JoinProtocol {
                    name: protocol.name.clone(),
                    metadata: Bytes::copy_from_slice(&protocol.metadata),
                })
                .collect(),
        }
    }
}

impl Member {
    pub(crate) fn new(instance_id: Option<InstanceId>, terms: MemberTerms, knows: Knows) -> Self {
        Self {
            instance_id,
            client: terms.client,
            rebalance_timeout_ms: terms.rebalance_timeout_ms,
            session_timeout_ms: terms.session_timeout_ms,
            protocols: terms.protocols,
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            knows,
        }
    }

    /// Returns the member's metadata under a protocol; empty if it does not support it.
    pub(crate) fn metadata(&self, protocol_name: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|protocol| protocol.name == protocol_name)
            .map(|protocol| protocol.metadata.clone())
            .unwrap_or_default()
    }

    /// Returns the most bytes the member can take in the group's record, before its assignment.
    pub(crate) fn record_bytes(&self, member_id: &MemberId) -> usize {
        MemberMetadata::FIXED_BYTES
            + member_id.len()
            + self
                .instance_id
                .as_ref()
                .map_or(0, |instance_id| instance_id.len())
            + self.client.client_id.len()
            + self.client.client_host.len()
            + metadata_bytes_max(&self.protocols)
    }
}

fn metadata_bytes_max(protocols: &[JoinProtocol]) -> usize {
    protocols
        .iter()
        .map(|protocol| protocol.metadata.len())
        .max()
        .unwrap_or(0)
}

/// A member that may be let in.
pub(crate) struct Candidate<'a> {
    pub(crate) member_id: &'a MemberId,
    pub(crate) instance_id: Option<&'a InstanceId>,
    pub(crate) client: &'a ClientInfo,
    pub(crate) protocol_type: &'a str,
    pub(crate) protocols: &'a [JoinProtocol],
    /// The member whose place it takes, which may be itself.
    pub(crate) replaces: Option<&'a MemberId>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn of(
        request: &'a JoinGroup,
        member_id: &'a MemberId,
        replaces: Option<&'a MemberId>,
    ) -> Self {
        Self {
            member_id,
            instance_id: request.instance_id.as_ref(),
            client: &request.client,
            protocol_type: &request.protocol_type,
            protocols: &request.protocols,
            replaces,
        }
    }

    pub(crate) fn record_bytes(&self) -> usize {
        MemberMetadata::FIXED_BYTES
            + self.member_id.len()
            + self.instance_id.map_or(0, |instance_id| instance_id.len())
            + self.client.client_id.len()
            + self.client.client_host.len()
            + metadata_bytes_max(self.protocols)
    }
}

/// Returns each protocol name once: a request may repeat one.
pub(crate) fn distinct_names(protocols: &[JoinProtocol]) -> impl Iterator<Item = &str> {
    protocols.iter().enumerate().filter_map(|(index, protocol)| {
        let repeated = protocols
            .iter()
            .take(index)
            .any(|earlier| earlier.name == protocol.name);
        (!repeated).then_some(protocol.name.as_str())
    })
}
