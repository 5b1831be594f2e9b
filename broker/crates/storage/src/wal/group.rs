//! Bytes of a commit group: header, payload of many partitions, footer with one run per entry.
//!
//! All integers are little-endian. The header has its own CRC-32, the body (payload and footer) another; both
//! are `crc32fast`'s polynomial, not Kafka's. Record batches lie in the payload exactly as they will be served.
//! The format is versioned; a newer version is refused, never guessed at.
//!
//! ```text
//! header (64 B): magic u32 · version u16 · kind u16 · incarnation 16 B · slot u64 · put id u64 ·
//!                payload length u32 · run count u32 · body CRC u32 · previous group's header CRC u32 ·
//!                reserved u32 · header CRC u32 (over the 60 bytes before)
//! payload      : the runs' bytes, in the order of the footer
//! footer       : per run 72 B, see [`Run`]
//! ```

use super::{Incarnation, Slot};
use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartitionId};
use thiserror::Error;

/// First bytes of every group: "TWG1".
pub const MAGIC: u32 = u32::from_le_bytes(*b"TWG1");
/// Newest format version: 2 knows the sessions of mirror links. A group is written in the oldest version that knows
/// what is in it, so that a program without mirrors reads on where there are none.
pub const VERSION: u16 = 2;
/// Bytes of the header.
pub const HEADER_LEN: usize = 64;
/// Bytes of one run in the footer.
pub const RUN_LEN: usize = 72;
/// Most runs in a group.
pub const RUNS_MAX: usize = 1 << 20;

/// A change of a log that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// Records below the offset are deleted (DeleteRecords, retention).
    LogStart(Offset),
    /// Records at and above the offset are cut off (mirror only); the leader epoch rises to the one given.
    TruncateTo(Offset, LeaderEpoch),
    /// The next record gets this offset, which is above the log end (mirror only).
    JumpTo(Offset),
    /// All producers' sequences are forgotten.
    ProducerReset,
    /// No record may follow at or above this offset.
    SealedAt(Offset),
    /// Everyone may append again: a seal or a link's ownership is lifted.
    Unsealed,
    /// From here on only a mirror link appends.
    OwnedByLink,
    /// A leader epoch starts at this offset without a record.
    EpochStart(LeaderEpoch, Offset),
    /// A mirror link has claimed the partition; the number of its claim.
    Session(i64),
}

impl RunContent {
    /// First format version that knows it.
    fn version(&self) -> u16 {
        match self {
            Self::Event(LogEvent::Session(_)) => 2,
            Self::Event(_) | Self::Batches(_) => 1,
        }
    }
}

/// One entry of the footer: batches of one partition under one leader epoch, or one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The partition.
    pub id: TopicPartitionId,
    /// What it holds.
    pub content: RunContent,
}

/// What a run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunContent {
    /// Record batches, verbatim.
    Batches(BatchRun),
    /// An event; it has no payload.
    Event(LogEvent),
}

/// Facts about the batches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRun {
    /// Leader epoch of the log when they were appended (a mirror's batches may carry older ones).
    pub leader_epoch: LeaderEpoch,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record; the log's next offset is the one after.
    pub last_offset: Offset,
    /// Largest timestamp.
    pub max_timestamp: TimestampMs,
    /// Byte position from the start of the group's header.
    pub position: u32,
    /// Bytes.
    pub len: u32,
}

/// What the writer hands to [`encode`]: a run and the bytes of its batches.
#[derive(Debug)]
pub struct EncodeRun<'a> {
    /// Position and length are filled in by [`encode`].
    pub run: Run,
    /// The batches' bytes, empty for an event.
    pub parts: &'a [Bytes],
}

/// Identity of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// The log it belongs to.
    pub incarnation: Incarnation,
    /// Its slot.
    pub slot: Slot,
    /// Random number of this write: tells a retried success from a conflict where groups are objects.
    pub put_id: u64,
    /// Header CRC of the group before (0 for the first).
    pub previous_crc: u32,
}

/// A decoded and checked group.
#[derive(Clone, Debug)]
pub struct DecodedGroup<'a> {
    /// Identity.
    pub header: GroupHeader,
    /// Its own header CRC, which the next group repeats.
    pub header_crc: u32,
    /// Runs in the order of the payload.
    pub runs: Vec<Run>,
    /// Header, payload and footer without padding.
    pub bytes: &'a [u8],
}

impl<'a> DecodedGroup<'a> {
    /// Returns the bytes of a run's batches; checked to lie inside when the group was decoded.
    #[must_use]
    pub fn batches(&self, run: &BatchRun) -> &'a [u8] {
        let start = run.position as usize;
        self.bytes
            .get(start..start + run.len as usize)
            .unwrap_or_default()
    }
}

/// Why bytes are no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The bytes end before the group does.
    #[error("{have} bytes where {need} are needed")]
    TooShort {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The magic number is not there.
    #[error("no group starts here")]
    NoMagic,
    /// The header's checksum disagrees.
    #[error("header CRC {found:#010x}, expected {expected:#010x}")]
    HeaderCrc {
        /// Stored.
        expected: u32,
        /// Computed.
        found: u32,
    },
    /// Written by a newer program.
    #[error("format version {0} is newer than {VERSION}")]
    NewerVersion(u16),
    /// The group belongs to another log.
    #[error("another log's incarnation")]
    Incarnation,
    /// The body's checksum disagrees.
    #[error("body CRC {found:#010x}, expected {expected:#010x}")]
    BodyCrc {
        /// Stored.
        expected: u32,
        /// Computed.
        found: u32,
    },
    /// The checksums hold but the content makes no sense: a program error or a forged group.
    #[error("inconsistent footer, run {0}")]
    BadRun(usize),
}

/// The header alone, checked by its CRC.
#[derive(Clone, Copy, Debug)]
pub struct CheckedHeader {
    /// Identity.
    pub header: GroupHeader,
    /// Bytes of header, payload and footer together.
    pub total_len: usize,
    header_crc: u32,
    body_crc: u32,
    payload_len: usize,
    run_count: usize,
}

/// Returns how many bytes [`encode`] needs for runs with this payload.
#[must_use]
pub fn encoded_len(payload_len: usize, run_count: usize) -> usize {
    HEADER_LEN + payload_len + run_count * RUN_LEN
}

/// Writes a group into `out`, which must be [`encoded_len`] bytes or longer; the rest is filled with zeroes.
///
/// Copies each payload byte once. Returns the runs with their positions filled in, and the header CRC for the
/// next group.
///
/// # Panics
/// When `out` is too short or a length passes 4 GiB: the caller seals groups far below.
pub fn encode(header: &GroupHeader, runs: &[EncodeRun<'_>], out: &mut [u8]) -> (Vec<Run>, u32) {
    let mut at = HEADER_LEN;
    let mut written = Vec::with_capacity(runs.len());
    for run in runs {
        let start = at;
        for part in run.parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let mut placed = run.run;
        if let RunContent::Batches(batches) = &mut placed.content {
            batches.position = u32::try_from(start).expect("groups are sealed far below 4 GiB");
            batches.len = u32::try_from(at - start).expect("groups are sealed far below 4 GiB");
        }
        written.push(placed);
    }
    let payload_len = at - HEADER_LEN;
    for run in &written {
        encode_run(run, &mut out[at..at + RUN_LEN]);
        at += RUN_LEN;
    }
    out[at..].fill(0);
    let body_crc = crc32fast::hash(&out[HEADER_LEN..at]);
    let mut writer = Writer { out, at: 0 };
    writer.put(&MAGIC.to_le_bytes());
    let version = written.iter().map(|run| run.content.version()).max();
    writer.put(&version.unwrap_or(1).to_le_bytes());
    writer.put(&1u16.to_le_bytes());
    writer.put(&header.incarnation.0);
    writer.put(&header.slot.0.to_le_bytes());
    writer.put(&header.put_id.to_le_bytes());
    writer.put(
        &u32::try_from(payload_len)
            .expect("groups are sealed far below 4 GiB")
            .to_le_bytes(),
    );
    writer.put(
        &u32::try_from(written.len())
            .expect("RUNS_MAX is below 4 Gi")
            .to_le_bytes(),
    );
    writer.put(&body_crc.to_le_bytes());
    writer.put(&header.previous_crc.to_le_bytes());
    writer.put(&0u32.to_le_bytes());
    let header_crc = crc32fast::hash(&writer.out[..HEADER_LEN - 4]);
    writer.put(&header_crc.to_le_bytes());
    (written, header_crc)
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

fn encode_run(run: &Run, out: &mut [u8]) {
    let (kind, epoch, base, last, timestamp, position, len) = match run.content {
        RunContent::Batches(b) => (
            1u8,
            b.leader_epoch.0,
            b.base_offset.0,
            b.last_offset.0,
            b.max_timestamp.0,
            b.position,
            b.len,
        ),
        RunContent::Event(event) => {
            let (kind, epoch, offset) = match event {
                LogEvent::LogStart(offset) => (2, -1, offset.0),
                LogEvent::TruncateTo(offset, epoch) => (3, epoch.0, offset.0),
                LogEvent::JumpTo(offset) => (4, -1, offset.0),
                LogEvent::ProducerReset => (5, -1, -1),
                LogEvent::SealedAt(offset) => (6, -1, offset.0),
                LogEvent::Unsealed => (7, -1, -1),
                LogEvent::EpochStart(epoch, offset) => (8, epoch.0, offset.0),
                LogEvent::OwnedByLink => (9, -1, -1),
                LogEvent::Session(session) => (10, -1, session),
            };
            (kind, epoch, offset, -1, -1, 0, 0)
        }
    };
    let mut writer = Writer { out, at: 0 };
    writer.put(&[kind, 0, 0, 0]);
    writer.put(&run.id.partition.0.to_le_bytes());
    writer.put(&run.id.topic_id.0);
    writer.put(&epoch.to_le_bytes());
    writer.put(&position.to_le_bytes());
    writer.put(&len.to_le_bytes());
    writer.put(&0u32.to_le_bytes());
    writer.put(&base.to_le_bytes());
    writer.put(&last.to_le_bytes());
    writer.put(&timestamp.to_le_bytes());
    writer.put(&0u64.to_le_bytes());
}

/// Reads and checks a header.
///
/// # Errors
/// Every [`GroupError`] but the body's.
pub fn decode_header(bytes: &[u8], incarnation: Incarnation) -> Result<CheckedHeader, GroupError> {
    let header: &[u8; HEADER_LEN] = bytes
        .get(..HEADER_LEN)
        .and_then(|slice| slice.try_into().ok())
        .ok_or(GroupError::TooShort {
            need: HEADER_LEN,
            have: bytes.len(),
        })?;
    if u32_at(header, 0) != MAGIC {
        return Err(GroupError::NoMagic);
    }
    let (expected, found) = (u32_at(header, 60), crc32fast::hash(&header[..60]));
    if expected != found {
        return Err(GroupError::HeaderCrc { expected, found });
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version > VERSION {
        return Err(GroupError::NewerVersion(version));
    }
    let mut owner = [0; 16];
    owner.copy_from_slice(&header[8..24]);
    if Incarnation(owner) != incarnation {
        return Err(GroupError::Incarnation);
    }
    let payload_len = u32_at(header, 40) as usize;
    let run_count = u32_at(header, 44) as usize;
    if run_count > RUNS_MAX {
        return Err(GroupError::BadRun(run_count));
    }
    Ok(CheckedHeader {
        header: GroupHeader {
            incarnation,
            slot: Slot(u64_at(header, 24)),
            put_id: u64_at(header, 32),
            previous_crc: u32_at(header, 52),
        },
        total_len: encoded_len(payload_len, run_count),
        header_crc: expected,
        body_crc: u32_at(header, 48),
        payload_len,
        run_count,
    })
}

/// Checks the body behind a header and reads the footer. `bytes` starts at the header.
///
/// # Errors
/// [`GroupError::TooShort`], [`GroupError::BodyCrc`], [`GroupError::BadRun`].
pub fn decode_body<'a>(header: &CheckedHeader, bytes: &'a [u8]) -> Result<DecodedGroup<'a>, GroupError> {
    let bytes = bytes.get(..header.total_len).ok_or(GroupError::TooShort {
        need: header.total_len,
        have: bytes.len(),
    })?;
    let found = crc32fast::hash(&bytes[HEADER_LEN..]);
    if found != header.body_crc {
        return Err(GroupError::BodyCrc {
            expected: header.body_crc,
            found,
        });
    }
    let payload_end = HEADER_LEN + header.payload_len;
    let mut runs = Vec::with_capacity(header.run_count);
    for (index, run) in bytes[payload_end..].chunks_exact(RUN_LEN).enumerate() {
        runs.push(decode_run(run, payload_end).ok_or(GroupError::BadRun(index))?);
    }
    Ok(DecodedGroup {
        header: header.header,
        header_crc: header.header_crc,
        runs,
        bytes,
    })
}

fn decode_run(bytes: &[u8], payload_end: usize) -> Option<Run> {
    let mut topic_id = [0; 16];
    topic_id.copy_from_slice(bytes.get(8..24)?);
    let id = TopicPartitionId {
        topic_id: TopicId(topic_id),
        partition: PartitionIndex(i32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?)),
    };
    let epoch = LeaderEpoch(i32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?));
    let (position, len) = (u32_at(bytes, 28), u32_at(bytes, 32));
    let offset = Offset(u64_at(bytes, 40).cast_signed());
    let last_offset = Offset(u64_at(bytes, 48).cast_signed());
    let max_timestamp = TimestampMs(u64_at(bytes, 56).cast_signed());
    let event = |event| {
        Some(Run {
            id,
            content: RunContent::Event(event),
        })
    };
    match bytes.first()? {
        1 => {
            let end = (position as usize).checked_add(len as usize)?;
            let sound = position as usize >= HEADER_LEN
                && end <= payload_end
                && len > 0
                && offset >= Offset::ZERO
                && last_offset >= offset
                && last_offset.0 < i64::MAX;
            let batches = BatchRun {
                leader_epoch: epoch,
                base_offset: offset,
                last_offset,
                max_timestamp,
                position,
                len,
            };
            sound.then_some(Run {
                id,
                content: RunContent::Batches(batches),
            })
        }
        2 => event(LogEvent::LogStart(offset)),
        3 => event(LogEvent::TruncateTo(offset, epoch)),
        4 => event(LogEvent::JumpTo(offset)),
        5 => event(LogEvent::ProducerReset),
        6 => event(LogEvent::SealedAt(offset)),
        7 => event(LogEvent::Unsealed),
        8 => event(LogEvent::EpochStart(epoch, offset)),
        9 => event(LogEvent::OwnedByLink),
        10 => event(LogEvent::Session(offset.0)),
        _ => None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
