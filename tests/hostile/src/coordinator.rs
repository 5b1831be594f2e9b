//! Records of `__consumer_offsets`: keys, values, and a shard that loads them.

use crate::input::Input;
use crate::memory;
use thalweg_coordinator::group::{GroupConfig, GroupShard};
use thalweg_coordinator::record::{GroupMetadataValue, OffsetCommitValue, RecordKey};
use thalweg_coordinator::transaction::Outcome;
use thalweg_types::{LeaderEpoch, Offset, ProducerId, TimestampMs};

/// Records of one input at most.
pub const RECORDS_MAX: usize = 8;
/// Times at which a loaded shard is called: at once, after every session time-out, after every expiry.
pub const LATER_MS: [i64; 3] = [1, 1 << 32, 1 << 50];

/// A record of a compacted topic.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// How it got there; what it means is the target's.
    pub way: u8,
    pub key: &'a [u8],
    /// `None` for a tombstone.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// Reads one: way (one byte), length of the key (one byte), length of the value (two bytes, all ones for a
    /// tombstone), key, value.
    pub fn next(input: &mut Input<'a>) -> Option<Self> {
        if input.is_empty() {
            return None;
        }
        let (way, key_len, value_len) = (input.u8(), usize::from(input.u8()), input.u16());
        let key = input.take(key_len);
        let value = (value_len != u16::MAX).then(|| input.take(usize::from(value_len)));
        Some(Self { way, key, value })
    }
}

/// [`Record`]s. The lowest bits of a record's way: 0 a plain one, 1 one of a transaction, 2 and 3 no record but the
/// marker that commits or aborts a transaction; the others number the producer.
///
/// Beyond "no panic": what is decoded encodes to what decodes to the same; memory is bounded by the bytes that are there;
/// a shard that loads the records goes on, and the records it then writes can be loaded.
pub fn coordinator_record(data: &[u8]) {
    let mut input = Input::new(data);
    let mut shard = GroupShard::new(GroupConfig::default());
    for offset in 0..RECORDS_MAX {
        let Some(record) = Record::next(&mut input) else {
            break;
        };
        keys(record.key);
        if let Some(value) = record.value {
            values(value);
        }
        let offset = Offset(i64::try_from(offset).unwrap_or_default());
        load(&mut shard, &record, offset);
    }
    let mut written = shard.loaded(TimestampMs(1000)).records;
    for producer in shard.pending_producers().collect::<Vec<_>>() {
        shard.complete_transaction(producer, Outcome::Commit);
    }
    assert_eq!(shard.pending_producers().count(), 0);
    for later in LATER_MS {
        written.extend(shard.tick(TimestampMs(1000 + later)).records);
    }
    let mut reloaded = GroupShard::new(GroupConfig::default());
    for record in written {
        let replayed = reloaded.replay(
            &record.key,
            record.value.as_deref(),
            Offset::ZERO,
            TimestampMs(2000),
        );
        replayed.unwrap_or_else(|error| panic!("a record of its own: {error}"));
    }
}

/// A record that cannot be read changes nothing.
fn load(shard: &mut GroupShard, record: &Record<'_>, offset: Offset) {
    let producer = ProducerId(i64::from(record.way >> 2));
    let time = TimestampMs(1000);
    match record.way & 3 {
        0 => drop(shard.replay(record.key, record.value, offset, time)),
        1 => drop(shard.replay_transactional(producer, (record.key, record.value), offset, time)),
        2 => shard.complete_transaction(producer, Outcome::Commit),
        _ => shard.complete_transaction(producer, Outcome::Abort),
    }
}

fn keys(key: &[u8]) {
    let Ok(decoded) = RecordKey::decode(key) else {
        return;
    };
    let encoded = match decoded {
        RecordKey::Offset {
            group_id,
            topic,
            partition,
        } => RecordKey::encode_offset(group_id, topic, partition),
        RecordKey::Group { group_id } => RecordKey::encode_group(group_id),
        RecordKey::Other { .. } => return,
    };
    assert_eq!(RecordKey::decode(&encoded), Ok(decoded));
}

fn values(value: &[u8]) {
    // A member of 32 bytes becomes a structure with eight pointers.
    let bytes_max = 32 * value.len();
    if let Ok(group) = memory::within(bytes_max, "a group", || GroupMetadataValue::decode(value)) {
        let encoded = group.encode();
        assert_eq!(encoded.len(), group.size_bytes());
        assert_eq!(GroupMetadataValue::decode(&encoded), Ok(group));
    }
    if let Ok(mut offset) = memory::within(bytes_max, "an offset", || OffsetCommitValue::decode(value)) {
        let encoded = offset.encode();
        assert_eq!(encoded.len(), offset.size_bytes());
        // Never written; an expiry time and an epoch exclude each other.
        offset.topic_id = None;
        if offset.expire_timestamp.is_some() {
            offset.leader_epoch = LeaderEpoch::UNKNOWN;
        }
        assert_eq!(OffsetCommitValue::decode(&encoded), Ok(offset));
    }
}
