//! Fetch (API key 1), versions 4–18: the request parsed into plain values, the response as slices of record data.
//!
//! v7 sessions (KIP-227), v9 leader epoch (KIP-320), v11 rack (KIP-392), v12 flexible, v13 topic ids (KIP-516),
//! v15 replica state (KIP-903), v16 node endpoints (KIP-951), v17 directory id (KIP-853), v18 high watermark. Owns the
//! message layout only.
//!
//! Left out: the tags of v12+ that only replicas of a KRaft quorum read (diverging epoch, snapshot id).
//! Invariant: record bytes are never copied; what stands between them is written into one small buffer.

mod request;
mod response;

pub use crate::frame::Frame;
use crate::schema::Encoding;
use crate::topology::TopicNaming;
pub use crate::topology::{CurrentLeader, NodeEndpoint, TopicKey};
pub use request::{
    FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, IsolationLevel, parse_fetch_request,
};
pub use response::{FetchPartitionResponse, FetchResponse, FetchTopicResponse, encode_fetch_response};

/// API key of Fetch.
pub const KEY: i16 = 1;

/// The first version with tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// The first version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// The first version whose replica id is among the tagged fields.
const REPLICA_STATE_FROM: i16 = 15;

fn encoding(version: i16) -> Encoding {
    if version >= FLEXIBLE_FROM {
        Encoding::Flexible
    } else {
        Encoding::Plain
    }
}

fn naming(version: i16) -> TopicNaming {
    if version >= TOPIC_IDS_FROM {
        TopicNaming::ById
    } else {
        TopicNaming::ByName
    }
}

#[cfg(test)]
#[path = "fetch_test.rs"]
mod tests;
