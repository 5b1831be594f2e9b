//! Recovery points as rows: one per partition, one per segment, one for the write-ahead log; and one per partition
//! that is compacted.
//!
//! Rows are written through [`RecoveryStore`], all that changed in one transaction. Every row starts with a
//! format version; a newer one is refused. Integers are big-endian, so that keys sort.

use super::cleaning_row::{CLEANING_VERSION, CleaningRow, decode_cleaning};
use super::epochs::Epochs;
use super::producers::{BATCHES_KEPT, BatchRange, NO_COORDINATOR_EPOCH, ProducerEntry};
use super::transactions::{DurableTransactions, OpenTransaction};
use crate::segment::transaction_index::{self, AbortedTransaction};
use crate::segment::{IndexStamp, Segment};
use crate::wal::ring::InventoryState;
use crate::wal::{Incarnation, Slot, WalEnd, WalLocation};
use std::collections::VecDeque;
use thalweg_types::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartitionId,
};
use thiserror::Error;

/// 2: transactions. 1 had none, and no log of its time held one.
const VERSION: u8 = 2;
/// 3: of partitions that a mirror link has claimed. The others are written as before.
const MIRROR_VERSION: u8 = 3;
/// 2: a list of files; a clean end with its place. 1 had the slot of the end alone.
const WAL_VERSION: u8 = 2;

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Key.
    pub key: Vec<u8>,
    /// New value; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

/// Why rows cannot be written.
#[derive(Clone, Debug, Error)]
pub enum RecoveryStoreError {
    /// The disk is full; trying again later may work.
    #[error("recovery points: the disk is full: {0}")]
    Full(String),
    /// The store failed for good.
    #[error("recovery points: {0}")]
    Failed(String),
}

/// Takes a row's key and value; its error ends the load.
pub type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), String> + 'a;

/// Where recovery points are kept: a few opaque rows beside the broker's metadata.
pub trait RecoveryStore: Send + Sync + std::fmt::Debug {
    /// Gives every row to `visit`, in key order.
    ///
    /// # Errors
    /// The store's, in words.
    fn load(&self, visit: &mut RowVisitor<'_>) -> Result<(), String>;

    /// Applies all changes or none; durable on return.
    ///
    /// # Errors
    /// [`RecoveryStoreError`].
    fn commit(&self, changes: Vec<RowChange>) -> Result<(), RecoveryStoreError>;
}

/// Whether new records may be appended, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WriteState {
    /// By anyone.
    #[default]
    Open,
    /// By the mirror link that owns the partition.
    OwnedByLink,
    /// By nobody: the log ends at the offset.
    SealedAt(Offset),
}

/// Recovery point of one partition; its segments have rows of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRow {
    /// Groups up to this slot are contained in segments and rows; `None` before the first.
    pub covered: Option<Slot>,
    /// First offset that counts.
    pub log_start: Offset,
    /// Next offset of the log, at or above the end of its segments.
    pub log_end: Offset,
    /// Write state.
    pub write_state: WriteState,
    /// Leader epochs.
    pub epochs: Epochs,
    /// Producers and their last batches.
    pub producers: Vec<(ProducerId, ProducerEntry)>,
    /// Transactions that are open at the log end, and aborts that no segment's index holds.
    pub transactions: DurableTransactions,
    /// No transaction that was open at the first record which no segment holds began below this offset.
    pub settled: Offset,
    /// What mirror links have done to it.
    pub mirror: MirrorRow,
}

/// The part of a recovery point that a partition which never was a mirror does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MirrorRow {
    /// The last session; 0 before the first.
    pub session: i64,
    /// Newest leader epoch that a truncation or the end of a mirror has announced.
    pub leader_epoch: LeaderEpoch,
}

impl Default for MirrorRow {
    fn default() -> Self {
        Self {
            session: 0,
            leader_epoch: LeaderEpoch::UNKNOWN,
        }
    }
}

/// The row of the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalRow {
    /// Identity of the log.
    pub incarnation: Incarnation,
    /// Replay starts here: all groups before are covered.
    pub replay_from: Slot,
    /// After a clean stop: where the log ended. Removed by the next start.
    pub clean_end: Option<WalEnd>,
    /// Whether the list of the log's files must be there.
    pub list: InventoryState,
}

/// A decoded row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The write-ahead log.
    Wal(WalRow),
    /// A partition.
    Partition(TopicPartitionId, PartitionRow),
    /// A segment of a partition.
    Segment(TopicPartitionId, Segment),
    /// How far compaction got in a partition.
    Cleaning(TopicPartitionId, CleaningRow),
}

/// Returns the key of the write-ahead log's row.
#[must_use]
pub fn wal_key() -> Vec<u8> {
    b"w".to_vec()
}

/// Returns the key of a partition's row.
#[must_use]
pub fn partition_key(id: TopicPartitionId) -> Vec<u8> {
    id_key(b'p', id)
}

/// Returns the key of a segment's row.
#[must_use]
pub fn segment_key(id: TopicPartitionId, base_offset: Offset) -> Vec<u8> {
    let mut key = id_key(b's', id);
    key.extend_from_slice(&base_offset.0.to_be_bytes());
    key
}

pub(super) fn id_key(kind: u8, id: TopicPartitionId) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&id.topic_id.0);
    key.extend_from_slice(&id.partition.0.to_be_bytes());
    key
}

/// Encodes the row of the write-ahead log.
#[must_use]
pub fn encode_wal(row: &WalRow) -> Vec<u8> {
    let mut out = vec![WAL_VERSION];
    out.extend_from_slice(&row.incarnation.0);
    out.extend_from_slice(&row.replay_from.0.to_be_bytes());
    out.push(u8::from(row.list == InventoryState::Written));
    out.push(u8::from(row.clean_end.is_some()));
    if let Some(end) = row.clean_end {
        out.extend_from_slice(&end.next_slot.0.to_be_bytes());
        out.extend_from_slice(&end.location.file.to_be_bytes());
        out.extend_from_slice(&end.location.position.to_be_bytes());
        out.extend_from_slice(&end.last_crc.to_be_bytes());
    }
    out
}

fn put_slot(out: &mut Vec<u8>, slot: Option<Slot>) {
    out.push(u8::from(slot.is_some()));
    out.extend_from_slice(&slot.unwrap_or_default().0.to_be_bytes());
}

/// Encodes a segment's row.
#[must_use]
pub fn encode_segment(segment: &Segment) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&segment.next_offset.0.to_be_bytes());
    out.extend_from_slice(&segment.size.to_be_bytes());
    out.extend_from_slice(&segment.max_timestamp.0.to_be_bytes());
    out.extend_from_slice(&segment.max_timestamp_offset.0.to_be_bytes());
    out.extend_from_slice(&segment.first_timestamp.0.to_be_bytes());
    out.extend_from_slice(&segment.modified.0.to_be_bytes());
    for stamp in [segment.offset_index, segment.time_index] {
        put_stamp(&mut out, stamp);
    }
    out.extend_from_slice(&segment.unindexed_bytes.to_be_bytes());
    put_stamp(&mut out, segment.transaction_index);
    out.extend_from_slice(&segment.settled.0.to_be_bytes());
    out
}

/// Encodes a partition's row.
#[must_use]
pub fn encode_partition(row: &PartitionRow) -> Vec<u8> {
    let has_mirror = row.mirror != MirrorRow::default();
    let mut out = vec![if has_mirror { MIRROR_VERSION } else { VERSION }];
    put_slot(&mut out, row.covered);
    out.extend_from_slice(&row.log_start.0.to_be_bytes());
    out.extend_from_slice(&row.log_end.0.to_be_bytes());
    let (state, offset) = match row.write_state {
        WriteState::Open => (0u8, 0),
        WriteState::OwnedByLink => (1, 0),
        WriteState::SealedAt(offset) => (2, offset.0),
    };
    out.push(state);
    out.extend_from_slice(&offset.to_be_bytes());
    put_count(&mut out, row.epochs.entries().len());
    for (epoch, start) in row.epochs.entries() {
        out.extend_from_slice(&epoch.0.to_be_bytes());
        out.extend_from_slice(&start.0.to_be_bytes());
    }
    put_count(&mut out, row.producers.len());
    for (id, entry) in &row.producers {
        out.extend_from_slice(&id.0.to_be_bytes());
        out.extend_from_slice(&entry.epoch.0.to_be_bytes());
        out.extend_from_slice(&entry.last_seen.0.to_be_bytes());
        out.push(u8::try_from(entry.batches.len()).unwrap_or(u8::MAX));
        for batch in &entry.batches {
            out.extend_from_slice(&batch.base_sequence.to_be_bytes());
            out.extend_from_slice(&batch.last_sequence.to_be_bytes());
            out.extend_from_slice(&batch.base_offset.0.to_be_bytes());
            out.extend_from_slice(&batch.last_offset.0.to_be_bytes());
            out.extend_from_slice(&batch.timestamp.0.to_be_bytes());
        }
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.push(u8::from(entry.is_fresh));
    }
    out.extend_from_slice(&row.settled.0.to_be_bytes());
    put_count(&mut out, row.transactions.open.len());
    for open in &row.transactions.open {
        out.extend_from_slice(&open.producer_id.0.to_be_bytes());
        out.extend_from_slice(&open.epoch.0.to_be_bytes());
        out.extend_from_slice(&open.first_offset.0.to_be_bytes());
        out.extend_from_slice(&open.started.0.to_be_bytes());
    }
    put_count(&mut out, row.transactions.aborted.len());
    for abort in &row.transactions.aborted {
        out.extend_from_slice(&transaction_index::encode(abort));
    }
    if has_mirror {
        out.extend_from_slice(&row.mirror.session.to_be_bytes());
        out.extend_from_slice(&row.mirror.leader_epoch.0.to_be_bytes());
    }
    out
}

fn put_stamp(out: &mut Vec<u8>, stamp: IndexStamp) {
    out.extend_from_slice(&stamp.len.to_be_bytes());
    out.extend_from_slice(&stamp.crc.to_be_bytes());
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

/// Decodes a row.
///
/// # Errors
/// What is wrong with it, in words.
pub fn decode(key: &[u8], value: &[u8]) -> Result<Row, String> {
    let mut reader = Reader { bytes: value };
    let version = reader.u8().ok_or("an empty row")?;
    let newest = match key.first() {
        Some(b'w') => WAL_VERSION,
        Some(b'c') => CLEANING_VERSION,
        Some(b'p') => MIRROR_VERSION,
        _ => VERSION,
    };
    if version > newest {
        return Err(format!(
            "row version {version} is newer than {newest}, the newest this program reads"
        ));
    }
    let row = match key.split_first() {
        Some((b'w', [])) => decode_wal(&mut reader, version).map(Row::Wal),
        Some((b'p', rest)) => id_of(rest)
            .filter(|(_, rest)| rest.is_empty())
            .and_then(|(id, _)| Some(Row::Partition(id, decode_partition(&mut reader, version)?))),
        Some((b's', rest)) => id_of(rest).and_then(|(id, rest)| {
            let base = Offset(i64::from_be_bytes(rest.try_into().ok()?));
            Some(Row::Segment(id, decode_segment(&mut reader, base, version)?))
        }),
        Some((b'c', rest)) => id_of(rest)
            .filter(|(_, rest)| rest.is_empty())
            .and_then(|(id, _)| Some(Row::Cleaning(id, decode_cleaning(&mut reader)?))),
        _ => return Err(format!("unknown row key {key:02x?}")),
    };
    match row {
        Some(row) if reader.bytes.is_empty() => Ok(row),
        _ => Err(format!("row {key:02x?} is damaged")),
    }
}

fn id_of(bytes: &[u8]) -> Option<(TopicPartitionId, &[u8])> {
    let (topic, rest) = bytes.split_first_chunk::<16>()?;
    let (partition, rest) = rest.split_first_chunk::<4>()?;
    let partition = PartitionIndex(i32::from_be_bytes(*partition));
    Some((
        TopicPartitionId {
            topic_id: TopicId(*topic),
            partition,
        },
        rest,
    ))
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }
    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }
    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }
    fn stamp(&mut self) -> Option<IndexStamp> {
        let (len, crc) = (self.u32()?, self.u32()?);
        Some(IndexStamp { len, crc })
    }
    fn slot(&mut self) -> Option<Option<Slot>> {
        let present = self.u8()?;
        let slot = Slot(self.array().map(u64::from_be_bytes)?);
        Some((present != 0).then_some(slot))
    }
    /// A count of elements of at least `len` bytes each, which must be there.
    pub(super) fn count(&mut self, len: usize) -> Option<usize> {
        let count = self.u32()? as usize;
        (count.checked_mul(len)? <= self.bytes.len()).then_some(count)
    }
}

fn decode_wal(reader: &mut Reader<'_>, version: u8) -> Option<WalRow> {
    let incarnation = Incarnation(reader.array()?);
    let replay_from = Slot(reader.u64()?);
    let mut row = WalRow {
        incarnation,
        replay_from,
        clean_end: None,
        list: InventoryState::NotYet,
    };
    if version < 2 {
        // Without its place a clean end is of no use: the start replays as after a crash.
        reader.slot()?;
        return Some(row);
    }
    if reader.u8()? != 0 {
        row.list = InventoryState::Written;
    }
    if reader.u8()? != 0 {
        row.clean_end = Some(WalEnd {
            next_slot: Slot(reader.u64()?),
            location: WalLocation {
                file: reader.u64()?,
                position: reader.u64()?,
            },
            last_crc: reader.u32()?,
        });
    }
    Some(row)
}

fn decode_segment(reader: &mut Reader<'_>, base_offset: Offset, version: u8) -> Option<Segment> {
    let mut segment = Segment {
        base_offset,
        next_offset: Offset(reader.i64()?),
        size: reader.array().map(u64::from_be_bytes)?,
        max_timestamp: TimestampMs(reader.i64()?),
        max_timestamp_offset: Offset(reader.i64()?),
        first_timestamp: TimestampMs(reader.i64()?),
        modified: TimestampMs(reader.i64()?),
        offset_index: reader.stamp()?,
        time_index: reader.stamp()?,
        unindexed_bytes: reader.u32()?,
        transaction_index: IndexStamp::default(),
        settled: base_offset,
    };
    if version >= 2 {
        segment.transaction_index = reader.stamp()?;
        segment.settled = Offset(reader.i64()?);
    }
    (segment.next_offset >= base_offset && base_offset >= Offset::ZERO).then_some(segment)
}

fn decode_partition(reader: &mut Reader<'_>, version: u8) -> Option<PartitionRow> {
    let covered = reader.slot()?;
    let log_start = Offset(reader.i64()?);
    let log_end = Offset(reader.i64()?);
    let (state, offset) = (reader.u8()?, Offset(reader.i64()?));
    let write_state = match state {
        0 => WriteState::Open,
        1 => WriteState::OwnedByLink,
        2 => WriteState::SealedAt(offset),
        _ => return None,
    };
    let mut epochs = Vec::new();
    for _ in 0..reader.count(12)? {
        epochs.push((LeaderEpoch(reader.i32()?), Offset(reader.i64()?)));
    }
    let mut producers = Vec::new();
    for _ in 0..reader.count(19)? {
        let id = ProducerId(reader.i64()?);
        let epoch = ProducerEpoch(reader.i16()?);
        let last_seen = TimestampMs(reader.i64()?);
        let count = usize::from(reader.u8()?);
        let mut batches = VecDeque::with_capacity(count.min(BATCHES_KEPT));
        for _ in 0..count {
            batches.push_back(BatchRange {
                base_sequence: reader.i32()?,
                last_sequence: reader.i32()?,
                base_offset: Offset(reader.i64()?),
                last_offset: Offset(reader.i64()?),
                timestamp: TimestampMs(reader.i64()?),
            });
        }
        let (coordinator_epoch, is_fresh) = match version {
            1 => (NO_COORDINATOR_EPOCH, false),
            _ => (reader.i32()?, reader.u8()? != 0),
        };
        producers.push((
            id,
            ProducerEntry {
                epoch,
                batches,
                last_seen,
                coordinator_epoch,
                is_fresh,
            },
        ));
    }
    let (settled, transactions) = match version {
        1 => (log_end, DurableTransactions::default()),
        _ => (Offset(reader.i64()?), decode_transactions(reader)?),
    };
    let mut mirror = MirrorRow::default();
    if version >= MIRROR_VERSION {
        mirror.session = reader.i64()?;
        mirror.leader_epoch = LeaderEpoch(reader.i32()?);
    }
    let sound = log_start >= Offset::ZERO && log_end >= log_start;
    sound.then(|| PartitionRow {
        covered,
        log_start,
        log_end,
        write_state,
        epochs: Epochs::restore(epochs),
        producers,
        transactions,
        settled,
        mirror,
    })
}

fn decode_transactions(reader: &mut Reader<'_>) -> Option<DurableTransactions> {
    let mut transactions = DurableTransactions::default();
    for _ in 0..reader.count(26)? {
        transactions.open.push(OpenTransaction {
            producer_id: ProducerId(reader.i64()?),
            epoch: ProducerEpoch(reader.i16()?),
            first_offset: Offset(reader.i64()?),
            started: TimestampMs(reader.i64()?),
        });
    }
    for _ in 0..reader.count(transaction_index::ENTRY_LEN)? {
        let entry: AbortedTransaction = transaction_index::decode(&reader.array()?)?;
        transactions.aborted.push(entry);
    }
    Some(transactions)
}

#[cfg(test)]
#[path = "rows_test.rs"]
mod tests;
