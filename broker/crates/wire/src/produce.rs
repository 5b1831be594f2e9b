//! Produce (API key 0), versions 3–13: the request parsed without copying records, the response laid out directly.
//!
//! v9 flexible (KIP-482), v10 current leader (KIP-951), v13 topic ids (KIP-516). Owns the message layout only; record
//! batches inside `records` are checked by [`crate::batch`].
//!
//! Invariant: the `records` of all partitions are disjoint parts of the one frame buffer, so each may be written to
//! (base offset, leader epoch) without a copy. The buffer lives until the last of them is dropped.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thalweg_types::{ErrorCode, Offset, PartitionIndex, TimestampMs};

use crate::cursor::{Cursor, Problem};
use crate::encode::Writer;
use crate::frame::{FrameError, checked_frame_len, patch_len};
use crate::guard::{self, Direction, GuardError, GuardLimits};
use crate::mirror::{self, Command, MirrorError, Report};
use crate::schema::Encoding;
pub use crate::topology::{CurrentLeader, NodeEndpoint, TopicKey};
use crate::topology::{TopicNaming, current_leader_value, node_endpoints_value};
use crate::walk;

/// API key of Produce.
pub const KEY: i16 = 0;

/// The first version with tagged fields.
const FLEXIBLE_FROM: i16 = 9;
/// The first version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;

/// A Produce request.
#[derive(Debug)]
pub struct ProduceRequest {
    /// The producer's transactional id, if it has one.
    pub transactional_id: Option<String>,
    /// 0: no answer; 1: the leader; −1: all in-sync replicas. Other values are the client's mistake, not checked here.
    pub acks: i16,
    /// How long the client waits for replicas, in milliseconds; may be any number.
    pub timeout_ms: i32,
    /// What to append, in the client's order. A topic may occur twice.
    pub topics: Vec<ProduceTopic>,
}

/// The part of a request for one topic.
#[derive(Debug)]
pub struct ProduceTopic {
    /// Name up to v12, id from v13 on.
    pub topic: TopicKey,
    /// Its partitions, in the client's order. A partition may occur twice.
    pub partitions: Vec<ProducePartition>,
}

/// The part of a request for one partition.
#[derive(Debug)]
pub struct ProducePartition {
    /// The partition; not checked, may be negative.
    pub index: PartitionIndex,
    /// The record batches as the client sent them, unchecked; `None` if null was sent.
    pub records: Option<BytesMut>,
    /// What a mirror link does to the partition; `None` for a client's records ([`crate::mirror`]).
    pub mirror: Option<Result<Command, MirrorError>>,
}

/// Parses the body of a Produce request (the bytes after the request header).
///
/// Every length is checked before anything is reserved; record bytes stay where they are and are split out of `body`.
///
/// # Errors
/// [`GuardError`] as [`guard::check_request`], and if a name is not UTF-8.
pub fn parse_produce_request(
    version: i16,
    body: BytesMut,
    limits: &GuardLimits,
) -> Result<ProduceRequest, GuardError> {
    let schema = guard::message(Direction::Request, KEY, version)?;
    walk::check(schema, version, &body, limits)?;
    let mut cursor = Cursor::new(&body);
    let layout = read_layout(&mut cursor, version).map_err(|(path, problem)| GuardError::Malformed {
        name: schema.name,
        version,
        path: path.to_owned(),
        position: cursor.position(),
        problem,
    })?;
    Ok(split(layout, body))
}

/// A request whose records are ranges of the body, in rising order.
struct Layout {
    transactional_id: Option<String>,
    acks: i16,
    timeout_ms: i32,
    topics: Vec<TopicLayout>,
}

struct TopicLayout {
    topic: TopicKey,
    partitions: Vec<PartitionLayout>,
}

struct PartitionLayout {
    index: PartitionIndex,
    records: Option<Range<usize>>,
    mirror: Option<Result<Command, MirrorError>>,
}

type At = (&'static str, Problem);

fn at(path: &'static str) -> impl Fn(Problem) -> At {
    move |problem| (path, problem)
}

fn read_layout(cursor: &mut Cursor<'_>, version: i16) -> Result<Layout, At> {
    let encoding = encoding(version);
    let transactional_id = cursor.nullable_string(encoding).map_err(at("transactional_id"))?;
    let transactional_id = transactional_id.map(str::to_owned);
    let acks = cursor.i16().map_err(at("acks"))?;
    let timeout_ms = cursor.i32().map_err(at("timeout_ms"))?;
    let topic_count = cursor.bounded_count(encoding, 3).map_err(at("topic_data"))?;
    let mut topics = Vec::with_capacity(topic_count);
    for _ in 0..topic_count {
        let topic = naming(version)
            .read(cursor, encoding)
            .map_err(at("topic_data.name"))?;
        let partition_count = cursor
            .bounded_count(encoding, 6)
            .map_err(at("topic_data.partition_data"))?;
        let mut partitions = Vec::with_capacity(partition_count);
        for _ in 0..partition_count {
            let index = cursor.i32().map_err(at("topic_data.partition_data.index"))?;
            let records = records_range(cursor, encoding).map_err(at("topic_data.partition_data.records"))?;
            let mirror = mirror_command(cursor, encoding).map_err(at("topic_data.partition_data"))?;
            partitions.push(PartitionLayout {
                index: PartitionIndex(index),
                records,
                mirror,
            });
        }
        cursor.skip_tagged(encoding).map_err(at("topic_data"))?;
        topics.push(TopicLayout { topic, partitions });
    }
    cursor.skip_tagged(encoding).map_err(at("(body)"))?;
    Ok(Layout {
        transactional_id,
        acks,
        timeout_ms,
        topics,
    })
}

fn records_range(cursor: &mut Cursor<'_>, encoding: Encoding) -> Result<Option<Range<usize>>, Problem> {
    let Some(len) = cursor.bytes_len(encoding)? else {
        return Ok(None);
    };
    let start = cursor.position();
    cursor.take(len)?;
    Ok(Some(start..cursor.position()))
}

/// Reads the tagged fields of a partition; of one that comes twice the last counts.
fn mirror_command(
    cursor: &mut Cursor<'_>,
    encoding: Encoding,
) -> Result<Option<Result<Command, MirrorError>>, Problem> {
    let mut found = None;
    cursor.each_tagged(encoding, |tag, value| {
        if i64::from(tag) == i64::from(mirror::TAG) {
            let bytes = value.take(value.left())?;
            found = Some(Command::decode(bytes));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Cuts the ranges out of the body, front to back.
fn split(layout: Layout, mut body: BytesMut) -> ProduceRequest {
    // How many bytes of the frame body have been cut off so far.
    let mut cut = 0usize;
    let mut cut_out = |range: Range<usize>| {
        // The ranges come from one pass over this body: rising, disjoint, inside it. `min` keeps even a mistake
        // in that pass from panicking.
        body.advance(range.start.saturating_sub(cut).min(body.len()));
        let records = body.split_to(range.len().min(body.len()));
        cut = range.end;
        records
    };
    let topics = layout.topics.into_iter().map(|topic| ProduceTopic {
        topic: topic.topic,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| ProducePartition {
                index: partition.index,
                records: partition.records.map(&mut cut_out),
                mirror: partition.mirror,
            })
            .collect(),
    });
    ProduceRequest {
        transactional_id: layout.transactional_id,
        acks: layout.acks,
        timeout_ms: layout.timeout_ms,
        topics: topics.collect(),
    }
}

/// A Produce response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse {
    /// Per topic, in the order of the request.
    pub topics: Vec<ProduceTopicResponse>,
    /// How long the client is throttled, in milliseconds.
    pub throttle_time_ms: i32,
    /// Where the leaders named in `current_leader` are; written from v10 on.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// The part of a response for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceTopicResponse {
    /// As in the request: name up to v12, id from v13 on.
    pub topic: TopicKey,
    /// Per partition, in the order of the request.
    pub partitions: Vec<ProducePartitionResponse>,
}

/// The part of a response for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartitionResponse {
    /// The partition.
    pub index: PartitionIndex,
    /// What became of the batch.
    pub error_code: ErrorCode,
    /// Offset of the first record, or [`Offset::UNKNOWN`].
    pub base_offset: Offset,
    /// The broker's time if the topic has LogAppendTime, else [`TimestampMs::NONE`].
    pub log_append_time_ms: TimestampMs,
    /// The partition's first offset, or [`Offset::UNKNOWN`]; written from v5 on.
    pub log_start_offset: Offset,
    /// Which records caused the batch to be refused; written from v8 on (KIP-467).
    pub record_errors: Vec<RecordError>,
    /// Why the batch was refused; written from v8 on (KIP-467).
    pub error_message: Option<String>,
    /// Who leads the partition, if we do not; written from v10 on.
    pub current_leader: Option<CurrentLeader>,
    /// The partition as a mirror link's operation left it; written from v9 on.
    pub mirror: Option<Report>,
}

impl ProducePartitionResponse {
    /// Returns the answer for a batch that was refused or not found a place.
    #[must_use]
    pub fn refused(index: PartitionIndex, error_code: ErrorCode) -> Self {
        Self {
            index,
            error_code,
            base_offset: Offset::UNKNOWN,
            log_append_time_ms: TimestampMs::NONE,
            log_start_offset: Offset::UNKNOWN,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
            mirror: None,
        }
    }
}

/// One record that caused its batch to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record in the batch, from 0.
    pub batch_index: i32,
    /// What is wrong with it.
    pub message: Option<String>,
}

/// Encodes a whole Produce response frame, length included.
///
/// # Errors
/// [`FrameError::Encode`] if the version is unknown, a topic is named by id where the version wants a name (or the
/// other way round), or a string is above 32,767 bytes; [`FrameError::TooLong`] above 2 GiB.
pub fn encode_produce_response(
    correlation_id: i32,
    version: i16,
    response: &ProduceResponse,
) -> Result<Bytes, FrameError> {
    let cannot = |reason| FrameError::Encode {
        name: "Produce",
        version,
        reason,
    };
    guard::message(Direction::Response, KEY, version).map_err(|error| cannot(error.to_string()))?;
    let partitions: usize = response.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut writer = Writer::new(encoding(version), 64 + 40 * (partitions + response.topics.len()));
    writer.bytes.put_i32(0);
    writer.bytes.put_i32(correlation_id);
    if version >= FLEXIBLE_FROM {
        writer.bytes.put_u8(0);
    }
    write_response(&mut writer, version, response).map_err(cannot)?;
    let len = checked_frame_len(writer.bytes.len().saturating_sub(4))?;
    patch_len(&mut writer.bytes, len);
    Ok(writer.bytes.freeze())
}

fn write_response(writer: &mut Writer, version: i16, response: &ProduceResponse) -> Result<(), String> {
    writer.count(Some(response.topics.len()))?;
    for topic in &response.topics {
        naming(version).write(writer, &topic.topic)?;
        writer.count(Some(topic.partitions.len()))?;
        for partition in &topic.partitions {
            write_partition(writer, version, partition)?;
        }
        writer.no_tags();
    }
    writer.bytes.put_i32(response.throttle_time_ms);
    if version >= 10 && !response.node_endpoints.is_empty() {
        writer.tags(&[(0, node_endpoints_value(&response.node_endpoints)?)]);
    } else {
        writer.no_tags();
    }
    Ok(())
}

fn write_partition(
    writer: &mut Writer,
    version: i16,
    partition: &ProducePartitionResponse,
) -> Result<(), String> {
    writer.bytes.put_i32(partition.index.get());
    writer.bytes.put_i16(partition.error_code.code());
    writer.bytes.put_i64(partition.base_offset.get());
    writer.bytes.put_i64(partition.log_append_time_ms.get());
    if version >= 5 {
        writer.bytes.put_i64(partition.log_start_offset.get());
    }
    if version >= 8 {
        writer.count(Some(partition.record_errors.len()))?;
        for error in &partition.record_errors {
            writer.bytes.put_i32(error.batch_index);
            writer.string(error.message.as_deref())?;
            writer.no_tags();
        }
        writer.string(partition.error_message.as_deref())?;
    }
    let leader = partition.current_leader.filter(|_| version >= 10);
    let mut tags: Vec<(u32, BytesMut)> = Vec::new();
    tags.extend(leader.map(|leader| (0, current_leader_value(leader))));
    let report = partition
        .mirror
        .map(|report| BytesMut::from(&report.encode()[..]));
    tags.extend(report.map(|bytes| (mirror::TAG.unsigned_abs(), bytes)));
    writer.tags(&tags);
    Ok(())
}

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
#[path = "produce_test.rs"]
mod tests;
