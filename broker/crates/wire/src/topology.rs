//! Topics, leaders and endpoints as Produce and Fetch write them.
//!
//! Owns the few structures that both messages share. Knows nothing of who leads what.

use bytes::{BufMut, BytesMut};
use thalweg_types::{BrokerId, LeaderEpoch, TopicId};

use crate::cursor::{Cursor, Problem};
use crate::encode::Writer;
use crate::schema::Encoding;

/// A topic as requests and responses name it: by name in older versions, by id in newer ones (KIP-516).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// The topic's name.
    Name(String),
    /// The topic's id.
    Id(TopicId),
}

/// How a version of a message names topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicNaming {
    ByName,
    ById,
}

impl TopicNaming {
    /// Reads the name or the id of a topic.
    pub(crate) fn read(self, cursor: &mut Cursor<'_>, encoding: Encoding) -> Result<TopicKey, Problem> {
        match self {
            Self::ByName => cursor
                .string(encoding)
                .map(|name| TopicKey::Name(name.to_owned())),
            Self::ById => cursor.uuid().map(|id| TopicKey::Id(TopicId(id))),
        }
    }

    /// Writes the name or the id of a topic.
    ///
    /// # Errors
    /// The reason, if the other one was given or the name is too long.
    pub(crate) fn write(self, writer: &mut Writer, topic: &TopicKey) -> Result<(), String> {
        match (topic, self) {
            (TopicKey::Name(name), Self::ByName) => writer.string(Some(name)),
            (TopicKey::Id(id), Self::ById) => {
                writer.bytes.put_slice(&id.0);
                Ok(())
            }
            (TopicKey::Name(name), Self::ById) => {
                Err(format!("topic {name} is given by name, the version wants its id"))
            }
            (TopicKey::Id(id), Self::ByName) => {
                Err(format!("topic {id} is given by id, the version wants its name"))
            }
        }
    }
}

/// Who leads a partition, told to a client that asked the wrong broker (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    /// The leader.
    pub leader_id: BrokerId,
    /// Its term.
    pub leader_epoch: LeaderEpoch,
}

/// Where a leader named in a response can be reached (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: BrokerId,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: i32,
    /// Rack or zone, if one is configured.
    pub rack: Option<String>,
}

/// Returns the value of a current-leader tag.
pub(crate) fn current_leader_value(leader: CurrentLeader) -> BytesMut {
    let mut writer = Writer::new(Encoding::Flexible, 9);
    writer.bytes.put_i32(leader.leader_id.get());
    writer.bytes.put_i32(leader.leader_epoch.get());
    writer.no_tags();
    writer.bytes
}

/// Returns the value of a node-endpoints tag.
///
/// # Errors
/// The reason, if a host or rack is too long.
pub(crate) fn node_endpoints_value(nodes: &[NodeEndpoint]) -> Result<BytesMut, String> {
    let mut writer = Writer::new(Encoding::Flexible, 64);
    writer.count(Some(nodes.len()))?;
    for node in nodes {
        writer.bytes.put_i32(node.node_id.get());
        writer.string(Some(&node.host))?;
        writer.bytes.put_i32(node.port);
        writer.string(node.rack.as_deref())?;
        writer.no_tags();
    }
    Ok(writer.bytes)
}
