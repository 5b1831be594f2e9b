//! The two acknowledgement slots at the front of the file: what was the last thing we promised?
//!
//! A slot is 4 KiB, of which 64 bytes count: magic (8) · format (4) · phase (4) · sequence (8) · revision (8) ·
//! rows (8) · digest (8) · reserved (12) · CRC-32 (4). They are written in turn, so that a torn write spoils
//! only the one that was not acknowledged yet.

use super::row::{Summary, be_u32, be_u64};
use crate::store::Revision;

const MAGIC: &[u8; 8] = b"THLWGMD\n";
/// Newest layout of the file this release reads and writes.
pub(super) const FILE_FORMAT: u32 = 1;
/// Bytes one slot takes in the file.
pub(super) const SLOT_SIZE: usize = 4096;
/// Where redb's part of the file begins.
pub(super) const DATA_START: u64 = 2 * SLOT_SIZE as u64;
const RECORD_SIZE: usize = 64;
const CRC_AT: usize = RECORD_SIZE - 4;

/// How far the file's creation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The database is being made; nothing can be in it.
    Creating,
    /// The database is complete.
    Ready,
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) phase: Phase,
    /// Rises by one per slot written; its parity says where it goes.
    pub(super) sequence: u64,
    pub(super) summary: Summary,
}

/// What the bytes of a slot turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotBytes {
    Valid(Slot),
    /// Zeros only: never written.
    Empty,
    /// A valid slot of a later format.
    Newer(u32),
    Invalid,
}

impl Slot {
    /// Returns where this slot belongs in the file.
    pub(super) fn position(&self) -> u64 {
        if self.sequence % 2 == 1 {
            0
        } else {
            SLOT_SIZE as u64
        }
    }

    /// Returns the slot that follows with a new summary.
    pub(super) fn next(&self, summary: Summary) -> Self {
        Self {
            phase: Phase::Ready,
            sequence: self.sequence.saturating_add(1),
            summary,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; SLOT_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FILE_FORMAT.to_be_bytes());
        let phase: u32 = match self.phase {
            Phase::Creating => 1,
            Phase::Ready => 2,
        };
        bytes[12..16].copy_from_slice(&phase.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.summary.revision.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.summary.rows.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.summary.digest.to_be_bytes());
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..RECORD_SIZE].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the slot found at `position`; a slot that belongs at the other position is invalid here.
    pub(super) fn decode(bytes: &[u8], position: u64) -> SlotBytes {
        if bytes.iter().all(|byte| *byte == 0) {
            return SlotBytes::Empty;
        }
        let Some(record) = bytes.get(..RECORD_SIZE) else {
            return SlotBytes::Invalid;
        };
        if &record[..8] != MAGIC || be_u32(record, CRC_AT) != crc32fast::hash(&record[..CRC_AT]) {
            return SlotBytes::Invalid;
        }
        let format = be_u32(record, 8);
        if format > FILE_FORMAT {
            return SlotBytes::Newer(format);
        }
        let phase = match (format, be_u32(record, 12)) {
            (FILE_FORMAT, 1) => Phase::Creating,
            (FILE_FORMAT, 2) => Phase::Ready,
            _ => return SlotBytes::Invalid,
        };
        let slot = Self {
            phase,
            sequence: be_u64(record, 16),
            summary: Summary {
                revision: Revision(be_u64(record, 24)),
                rows: be_u64(record, 32),
                digest: be_u64(record, 40),
            },
        };
        if slot.position() == position {
            SlotBytes::Valid(slot)
        } else {
            SlotBytes::Invalid
        }
    }
}

#[cfg(test)]
#[path = "slot_test.rs"]
mod tests;
