//! The Fetch response: metadata of partitions with record slices in between.
//!
//! Owns the layout of versions 4–18. The record slices are passed on by reference into the frame.

use bytes::{BufMut, Bytes};
use thalweg_types::{BrokerId, ErrorCode, Offset, PartitionIndex, ProducerId};

use super::{FLEXIBLE_FROM, KEY, encoding, naming};
use crate::encode::Writer;
use crate::frame::{Frame, FrameError, checked_frame_len, patch_len};
use crate::guard::{self, Direction};
use crate::topology::{CurrentLeader, NodeEndpoint, TopicKey, current_leader_value, node_endpoints_value};

/// A Fetch response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResponse {
    /// How long the client is throttled, in milliseconds.
    pub throttle_time_ms: i32,
    /// An error of the whole request, for example of its session; written from v7 on.
    pub error_code: ErrorCode,
    /// The fetch session, 0 for none; written from v7 on.
    pub session_id: i32,
    /// Per topic, in the order of the request.
    pub topics: Vec<FetchTopicResponse>,
    /// Where the leaders named in `current_leader` are; written from v16 on.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl Default for FetchResponse {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: ErrorCode::None,
            session_id: 0,
            topics: Vec::new(),
            node_endpoints: Vec::new(),
        }
    }
}

/// The part of a response for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopicResponse {
    /// As in the request: name up to v12, id from v13 on.
    pub topic: TopicKey,
    /// What was read from its partitions.
    pub partitions: Vec<FetchPartitionResponse>,
}

/// The part of a response for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartitionResponse {
    /// The partition.
    pub index: PartitionIndex,
    /// What went wrong, if anything.
    pub error_code: ErrorCode,
    /// The partition's high watermark, or [`Offset::UNKNOWN`].
    pub high_watermark: Offset,
    /// The partition's last stable offset, or [`Offset::UNKNOWN`].
    pub last_stable_offset: Offset,
    /// The partition's first offset, or [`Offset::UNKNOWN`]; written from v5 on.
    pub log_start_offset: Offset,
    /// Producer and first offset of each aborted transaction that touches the records; `None` unless read_committed.
    pub aborted: Option<Vec<(ProducerId, Offset)>>,
    /// Where to read instead (KIP-392), or −1; written from v11 on.
    pub preferred_read_replica: BrokerId,
    /// Whole record batches as stored, in as many slices as is convenient.
    pub records: Vec<Bytes>,
    /// Who leads the partition, if we do not; written from v12 on.
    pub current_leader: Option<CurrentLeader>,
}

impl FetchPartitionResponse {
    /// Returns the answer for a partition from which nothing can be read.
    #[must_use]
    pub fn refused(index: PartitionIndex, error_code: ErrorCode) -> Self {
        Self {
            index,
            error_code,
            high_watermark: Offset::UNKNOWN,
            last_stable_offset: Offset::UNKNOWN,
            log_start_offset: Offset::UNKNOWN,
            aborted: None,
            preferred_read_replica: BrokerId(-1),
            records: Vec::new(),
            current_leader: None,
        }
    }
}

/// Encodes a whole Fetch response frame, length included, around the record slices of `response`.
///
/// # Errors
/// [`FrameError::Encode`] if the version is unknown, a topic is named by id where the version wants a name (or the
/// other way round), or a string is above 32,767 bytes; [`FrameError::TooLong`] above 2 GiB.
pub fn encode_fetch_response(
    correlation_id: i32,
    version: i16,
    response: FetchResponse,
) -> Result<Frame, FrameError> {
    let cannot = |reason| FrameError::Encode {
        name: "Fetch",
        version,
        reason,
    };
    guard::message(Direction::Response, KEY, version).map_err(|error| cannot(error.to_string()))?;
    let partitions: usize = response.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut assembly = Assembly {
        writer: Writer::new(encoding(version), 64 + 60 * (partitions + response.topics.len())),
        version,
        inserts: Vec::new(),
        inserted_len: 0,
    };
    let bytes = &mut assembly.writer.bytes;
    bytes.put_i32(0);
    bytes.put_i32(correlation_id);
    if version >= FLEXIBLE_FROM {
        bytes.put_u8(0);
    }
    assembly.response(response).map_err(cannot)?;
    assembly.finish()
}

/// The buffer of everything but records, and where records go into it.
struct Assembly {
    writer: Writer,
    version: i16,
    /// Length of the buffer when the slice was added, and the slice. Not empty.
    inserts: Vec<(usize, Bytes)>,
    inserted_len: usize,
}

impl Assembly {
    fn response(&mut self, response: FetchResponse) -> Result<(), String> {
        let version = self.version;
        self.writer.bytes.put_i32(response.throttle_time_ms);
        if version >= 7 {
            self.writer.bytes.put_i16(response.error_code.code());
            self.writer.bytes.put_i32(response.session_id);
        }
        self.writer.count(Some(response.topics.len()))?;
        for topic in response.topics {
            naming(version).write(&mut self.writer, &topic.topic)?;
            self.writer.count(Some(topic.partitions.len()))?;
            for partition in topic.partitions {
                self.partition(partition)?;
            }
            self.writer.no_tags();
        }
        if version >= 16 && !response.node_endpoints.is_empty() {
            self.writer
                .tags(&[(0, node_endpoints_value(&response.node_endpoints)?)]);
        } else {
            self.writer.no_tags();
        }
        Ok(())
    }

    fn partition(&mut self, partition: FetchPartitionResponse) -> Result<(), String> {
        let version = self.version;
        let writer = &mut self.writer;
        writer.bytes.put_i32(partition.index.get());
        writer.bytes.put_i16(partition.error_code.code());
        writer.bytes.put_i64(partition.high_watermark.get());
        writer.bytes.put_i64(partition.last_stable_offset.get());
        if version >= 5 {
            writer.bytes.put_i64(partition.log_start_offset.get());
        }
        writer.count(partition.aborted.as_ref().map(Vec::len))?;
        for (producer_id, first_offset) in partition.aborted.iter().flatten() {
            writer.bytes.put_i64(producer_id.get());
            writer.bytes.put_i64(first_offset.get());
            writer.no_tags();
        }
        if version >= 11 {
            writer.bytes.put_i32(partition.preferred_read_replica.get());
        }
        let records_len = partition
            .records
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        writer.count(Some(records_len))?;
        let position = writer.bytes.len();
        self.inserted_len = self.inserted_len.saturating_add(records_len);
        let parts = partition.records.into_iter().filter(|part| !part.is_empty());
        self.inserts.extend(parts.map(|part| (position, part)));
        match partition.current_leader {
            Some(leader) => self.writer.tags(&[(1, current_leader_value(leader))]),
            None => self.writer.no_tags(),
        }
        Ok(())
    }

    fn finish(self) -> Result<Frame, FrameError> {
        let mut buffer = self.writer.bytes;
        let len = buffer.len().saturating_add(self.inserted_len);
        patch_len(&mut buffer, checked_frame_len(len.saturating_sub(4))?);
        let mut buffer = buffer.freeze();
        let mut parts = Vec::with_capacity(2 * self.inserts.len() + 1);
        let mut cut = 0;
        for (position, insert) in self.inserts {
            // Positions rise and none is past the end of the buffer; `min` so that a mistake cannot panic.
            let between = buffer.split_to(position.saturating_sub(cut).min(buffer.len()));
            cut = position;
            if !between.is_empty() {
                parts.push(between);
            }
            parts.push(insert);
        }
        if !buffer.is_empty() {
            parts.push(buffer);
        }
        Ok(Frame { parts, len })
    }
}
