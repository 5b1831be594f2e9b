//! OffsetCommit (API key 8) v2–10 and OffsetFetch (key 9) v1–10: the requests, parsed into plain values.
//!
//! The message types of `kafka-protocol` stop at v9 of both requests; v10 names topics by id (KIP-848), which a
//! consumer of the newer protocol needs. Owns the layout of the requests only: the responses of `kafka-protocol` know
//! v10.

mod commit;
mod fetch;

pub use crate::topology::TopicKey;
pub use commit::{CommitPartition, CommitRequest, CommitTopic, parse_offset_commit_request};
pub use fetch::{FetchGroup, FetchTopic, OffsetFetchRequest, parse_offset_fetch_request};

use crate::reader::{At, Reader, at};
use crate::topology::TopicNaming;

/// API key of OffsetCommit.
pub const COMMIT_KEY: i16 = 8;
/// API key of OffsetFetch.
pub const FETCH_KEY: i16 = 9;

/// The first version of both that names topics by id.
const TOPIC_IDS_FROM: i16 = 10;

impl Reader<'_> {
    fn topic(&mut self) -> Result<TopicKey, At> {
        let naming = if self.version >= TOPIC_IDS_FROM {
            TopicNaming::ById
        } else {
            TopicNaming::ByName
        };
        naming
            .read(&mut self.cursor, self.encoding)
            .map_err(at("topics.topic"))
    }
}

#[cfg(test)]
#[path = "offsets_test.rs"]
mod tests;
