//! What the service remembers of groups, in the topic [`TOPIC`] at the target: which commits it saw and which it made.
//!
//! Owns the format. A record is keyed by link, group and topic, so that its size follows one topic's partitions; its value
//! has the group's owner and a pair of traces for each partition. Integers are big-endian; the first byte is the format.
//! Several links share the topic, and each reads only its own records.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thalweg_client::TopicPartition;
use thalweg_types::{Offset, PartitionIndex};
use thalweg_wire::mirror::LinkId;

use super::decision::{Both, Mark, Memory, Side, Trace};

/// The topic, one partition, compacted.
pub const TOPIC: &str = "__mirror_state";
/// Settings it is made with.
pub const SETTINGS: &[(&str, &str)] = &[("cleanup.policy", "compact")];

const KEY_FORMAT: u8 = 1;
const VALUE_FORMAT: u8 = 1;
/// Bytes of a mark: offset and text.
const MARK_BYTES: usize = 16;
/// Flags of a trace.
const SEEN: u8 = 1;
const WRITING: u8 = 2;
const OURS: u8 = 4;
const GONE: u8 = 8;

/// Writes a record's key. Names longer than a Kafka string can be do not come from a broker.
#[must_use]
pub fn key(link: LinkId, group: &str, topic: &str) -> Bytes {
    let mut key = BytesMut::with_capacity(21 + group.len() + topic.len());
    key.put_u8(KEY_FORMAT);
    key.put_slice(&link.0);
    for name in [group, topic] {
        key.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
        key.put_slice(name.as_bytes());
    }
    key.freeze()
}

/// Reads a key: group and topic, if it is one of the link's.
#[must_use]
pub fn read_key(link: LinkId, mut key: &[u8]) -> Option<(String, String)> {
    if key.try_get_u8().ok()? != KEY_FORMAT {
        return None;
    }
    key = key.strip_prefix(&link.0)?;
    let mut name = || {
        let size = usize::from(key.try_get_u16().ok()?);
        let (head, tail) = key.split_at_checked(size)?;
        key = tail;
        Some(std::str::from_utf8(head).ok()?.to_owned())
    };
    Some((name()?, name()?))
}

/// Writes what is remembered of one topic of a group; `None` when that is nothing.
#[must_use]
pub fn value(memory: &Memory, topic: &str) -> Option<Bytes> {
    let mut value = BytesMut::new();
    value.put_u8(VALUE_FORMAT);
    value.put_u8(match memory.owner {
        None => 0,
        Some(Side::Source) => 1,
        Some(Side::Target) => 2,
    });
    let mut is_any = false;
    for (partition, traces) in memory.partitions.iter().filter(|(at, _)| at.topic == topic) {
        is_any = true;
        value.put_i32(partition.partition.get());
        for trace in [&traces.source, &traces.target] {
            put_trace(&mut value, trace);
        }
    }
    is_any.then(|| value.freeze())
}

fn put_trace(to: &mut BytesMut, trace: &Trace) {
    let flag = |is: bool, bit: u8| if is { bit } else { 0 };
    to.put_u8(
        flag(trace.seen.is_some(), SEEN)
            | flag(trace.writing.is_some(), WRITING)
            | flag(trace.is_ours, OURS)
            | flag(trace.is_gone, GONE),
    );
    for mark in [trace.seen, trace.writing].into_iter().flatten() {
        to.put_i64(mark.offset.get());
        to.put_u64(mark.text);
    }
}

/// A value as it was read: the owner, and the topic's partitions.
pub type Remembered = (Option<Side>, BTreeMap<PartitionIndex, Both<Trace>>);

/// Reads a value; `None` for what this format does not know, which is then as good as not remembered.
#[must_use]
pub fn read_value(mut value: &[u8]) -> Option<Remembered> {
    if value.try_get_u8().ok()? != VALUE_FORMAT {
        return None;
    }
    let owner = match value.try_get_u8().ok()? {
        1 => Some(Side::Source),
        2 => Some(Side::Target),
        _ => None,
    };
    let mut partitions = BTreeMap::new();
    // Each turn consumes bytes, so the list cannot outgrow the record.
    while value.has_remaining() {
        let partition = PartitionIndex(value.try_get_i32().ok()?);
        let source = take_trace(&mut value)?;
        let target = take_trace(&mut value)?;
        partitions.insert(partition, Both { source, target });
    }
    Some((owner, partitions))
}

fn take_trace(from: &mut &[u8]) -> Option<Trace> {
    let flags = from.try_get_u8().ok()?;
    let mut mark = |bit: u8| -> Option<Option<Mark>> {
        if flags & bit == 0 {
            return Some(None);
        }
        if from.remaining() < MARK_BYTES {
            return None;
        }
        let offset = Offset(from.get_i64());
        let text = from.get_u64();
        Some(Some(Mark { offset, text }))
    };
    Some(Trace {
        seen: mark(SEEN)?,
        writing: mark(WRITING)?,
        is_ours: flags & OURS != 0,
        is_gone: flags & GONE != 0,
    })
}

/// Takes a record over into what is remembered. Reports whether it was the link's and understood.
pub fn recall(groups: &mut BTreeMap<String, Memory>, link: LinkId, key: &[u8], value: Option<&[u8]>) -> bool {
    let Some((group, topic)) = read_key(link, key) else {
        return false;
    };
    let (owner, partitions) = match value.map(read_value) {
        Some(Some(read)) => read,
        Some(None) => return false,
        None => (None, BTreeMap::new()),
    };
    let memory = groups.entry(group.clone()).or_default();
    memory.owner = owner.or(memory.owner);
    memory.partitions.retain(|at, _| at.topic != topic);
    memory.partitions.extend(
        partitions
            .into_iter()
            .map(|(index, traces)| (TopicPartition::new(topic.clone(), index), traces)),
    );
    if memory.partitions.is_empty() {
        groups.remove(&group);
    }
    true
}

#[cfg(test)]
#[path = "memory_test.rs"]
mod tests;
