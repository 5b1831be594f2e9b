//! Files of the write-ahead log's ring, damaged: opening and replay.

use crate::edits;
use crate::input::Input;
use crate::memory;
use crate::wal_groups::{INCARNATION, sign};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use thalweg_storage::disk::{BLOCK, SimulatedDisk};
use thalweg_storage::wal::group::{EncodeRun, GroupHeader, LogEvent, Run, RunContent, encode, encoded_len};
use thalweg_storage::wal::ring::{InventoryState, RingConfig, RingOpener};
use thalweg_storage::wal::{ReplayEnd, ReplayRange, SealedGroup, Slot, WalOpenError, WalOpener, WalSink};
use thalweg_types::{Offset, PartitionIndex, TopicId, TopicPartitionId};

const CONFIG: RingConfig = RingConfig {
    file_bytes: 32 << 10,
    max_bytes: 128 << 10,
    group_bytes_max: 16 << 10,
    disk_free_bytes_min: 0,
};
const DIRECTORY: &str = "/data/wal";
/// Groups of the valid ring, one block each: two files and a half.
const GROUPS: u64 = 18;

/// Byte 0: whether each damaged block's checksums are put right, and from which slot replay starts; then edits
/// ([`edits`]) of a valid ring's files.
///
/// Beyond "no panic": opening is refused, or gives groups of rising slots without a gap; those are the first ones that
/// were written, byte by byte, unless the damage could choose its own checksum. Memory stays within the files' size.
pub fn wal_ring(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let ring = valid_ring().fork();
    let files = ring.files();
    let mut forged = choice & 1 == 1;
    let mut total: usize = files
        .iter()
        .map(|(_, len)| usize::try_from(*len).unwrap_or(usize::MAX))
        .sum();
    for edit in edits::read(input) {
        let (path, _) = &files[usize::from(edit.file) % files.len()];
        ring.corrupt(path, |bytes| {
            let before = bytes.len();
            let chosen = edit.apply(bytes);
            total += bytes.len().saturating_sub(before);
            forged |= chosen.clone().any(is_checksum);
            if choice & 1 == 1 {
                let block = chosen.start / BLOCK * BLOCK;
                sign_block(&mut bytes[block..]);
            }
        });
    }
    let from = Slot(u64::from(choice >> 4));
    // Two buffers of 1 MiB for a new file, and what the simulated disk holds twice.
    let opened = memory::within(4 * total + (4 << 20), "a replay", || open(&ring, from));
    let Ok((end, seen)) = opened else { return };
    assert!(end.next_slot >= from, "{end:?} is below {from:?}");
    let slots: Vec<u64> = seen.iter().map(|(slot, _)| *slot).collect();
    let expected: Vec<u64> = (from.0..end.next_slot.0).collect();
    assert_eq!(slots, expected, "a gap");
    if !forged {
        assert!(end.next_slot.0 <= GROUPS, "{end:?}: groups that nobody wrote");
        assert!(
            seen.iter()
                .all(|(slot, offset)| Some(*slot) == u64::try_from(*offset).ok()),
            "{seen:?}"
        );
    }
}

/// Reports whether a byte of a file lies where a block that starts a group or a file has a checksum.
fn is_checksum(position: usize) -> bool {
    (40..64).contains(&(position % BLOCK))
}

/// Puts the checksums of a group, or of a file's first block, right.
fn sign_block(bytes: &mut [u8]) {
    if bytes.starts_with(b"TWF1") && bytes.len() >= 48 {
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    } else if bytes.starts_with(b"TWI1") {
        let body = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_le_bytes());
    } else {
        sign(bytes);
    }
}

/// Slot and first offset of each replayed group.
type Seen = Vec<(u64, i64)>;

fn open(ring: &SimulatedDisk, from: Slot) -> Result<(ReplayEnd, Seen), WalOpenError> {
    let (_, end, seen) = open_sink(ring, from, InventoryState::Written)?;
    Ok((end, seen))
}

fn open_sink(
    ring: &SimulatedDisk,
    from: Slot,
    list: InventoryState,
) -> Result<(Arc<dyn WalSink>, ReplayEnd, Seen), WalOpenError> {
    let identity = (INCARNATION, list);
    let opener = RingOpener::open(Arc::new(ring.clone()), Path::new(DIRECTORY), identity, CONFIG)?;
    let range = ReplayRange {
        from,
        durable_before: None,
        clean_end: None,
    };
    let mut seen = Seen::new();
    let (sink, end) = Box::new(opener).replay(range, &mut |replayed| {
        let offsets = replayed.group.runs.iter().map(|run| match run.content {
            RunContent::Event(LogEvent::LogStart(offset)) => offset.get(),
            _ => -1,
        });
        seen.push((replayed.slot.0, offsets.min().unwrap_or(-1)));
        Ok(())
    })?;
    Ok((sink, end, seen))
}

/// A ring with [`GROUPS`] groups, each with an event that names its slot.
fn valid_ring() -> &'static SimulatedDisk {
    static RING: OnceLock<SimulatedDisk> = OnceLock::new();
    RING.get_or_init(|| {
        let disk = SimulatedDisk::new();
        let (sink, mut end, _) = open_sink(&disk, Slot(0), InventoryState::NotYet).expect("a new ring opens");
        for _ in 0..GROUPS {
            write(&*sink, &mut end);
        }
        disk
    })
}

fn write(sink: &dyn WalSink, end: &mut ReplayEnd) {
    let slot = end.next_slot;
    let offset = Offset(i64::try_from(slot.0).expect("few groups"));
    let run = Run {
        id: TopicPartitionId {
            topic_id: TopicId::ZERO,
            partition: PartitionIndex(0),
        },
        content: RunContent::Event(LogEvent::LogStart(offset)),
    };
    let header = GroupHeader {
        incarnation: INCARNATION,
        slot,
        put_id: slot.0,
        previous_crc: end.last_crc,
    };
    let mut buffer = sink.buffer();
    buffer.resize(encoded_len(0, 1).next_multiple_of(BLOCK));
    end.last_crc = encode(&header, &[EncodeRun { run, parts: &[] }], buffer.as_mut_slice()).1;
    sink.submit(SealedGroup { slot, buffer })
        .expect("the ring has room");
    sink.wait_durable().expect("the disk works");
    end.next_slot = slot.next();
}
