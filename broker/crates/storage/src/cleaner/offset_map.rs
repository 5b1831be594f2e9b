//! The map of keys: of each key the largest offset seen, in bounded memory whatever keys there are.
//!
//! An open-addressing table of 24 bytes a slot (128-bit digest, offset), as Kafka's. It holds no key, so a key of
//! any length costs the same. It takes new keys up to a load factor; a full map ends the range that one run
//! compacts, and the next run goes on there.

use super::digest::{Digest, DigestSeed};
use thalweg_types::Offset;

/// Bytes of a slot.
pub const SLOT_BYTES: usize = size_of::<Slot>();
/// A map never has fewer slots: a run must get on.
const SLOTS_MIN: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Slot {
    digest: Digest,
    /// Negative while the slot is free.
    offset: i64,
}

const FREE: Slot = Slot {
    digest: [0, 0],
    offset: -1,
};

/// Bounds of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapLimits {
    /// Bytes of memory at most (`log.cleaner.dedupe.buffer.size`).
    pub bytes: usize,
    /// Share of the slots that may be taken (`log.cleaner.io.buffer.load.factor`), clamped to 0.01..=0.95: a
    /// lookup in a table that is quite full walks all of it.
    pub load_factor: f64,
}

/// Digests of keys and the largest offset of each.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    seed: DigestSeed,
    slots: Vec<Slot>,
    taken: usize,
    taken_max: usize,
    /// Everything up to here is in the map.
    latest: Option<Offset>,
}

/// The map has no room for a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapFull;

impl OffsetMap {
    /// Makes a map for at most `keys_max` keys, smaller when that is all the memory there is.
    pub(crate) fn new(limits: MapLimits, keys_max: u64, seed: DigestSeed) -> Self {
        let load_factor = if limits.load_factor.is_finite() {
            limits.load_factor.clamp(0.01, 0.95)
        } else {
            0.9
        };
        let affordable = (limits.bytes / SLOT_BYTES).max(SLOTS_MIN);
        // A float is exact enough for a size, and a saturating cast for one that is no size.
        let wanted = ((keys_max as f64 / load_factor) as usize).saturating_add(1);
        let slots = affordable.min(wanted.max(SLOTS_MIN));
        let taken_max = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        Self {
            seed,
            slots: vec![FREE; slots],
            taken: 0,
            taken_max,
            latest: None,
        }
    }

    /// Notes a key at an offset, which is above all noted before.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), MapFull> {
        let digest = self.seed.digest(key);
        let at = self.find(digest);
        let is_full = self.taken >= self.taken_max;
        match self.slots.get_mut(at) {
            Some(slot) if slot.offset >= 0 => slot.offset = slot.offset.max(offset.0),
            Some(slot) if !is_full => {
                *slot = Slot {
                    digest,
                    offset: offset.0,
                };
                self.taken += 1;
            }
            _ => return Err(MapFull),
        }
        self.advance(offset);
        Ok(())
    }

    /// Takes note that everything up to `offset` is in the map.
    pub(crate) fn advance(&mut self, offset: Offset) {
        self.latest = self.latest.max(Some(offset));
    }

    /// Returns the largest offset of a key, if it is known.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let at = self.find(self.seed.digest(key));
        let slot = self.slots.get(at).filter(|slot| slot.offset >= 0)?;
        Some(Offset(slot.offset))
    }

    /// Returns the offset up to which everything is in the map; `None` while nothing is.
    pub(crate) fn latest(&self) -> Option<Offset> {
        self.latest
    }

    /// Returns the share of the keys it may take that it holds, 0 to 1.
    pub(crate) fn utilization(&self) -> f64 {
        self.taken as f64 / self.taken_max as f64
    }

    /// The slot of a digest, or the free one where it would go. There always is a free one.
    fn find(&self, digest: Digest) -> usize {
        let count = self.slots.len();
        let mut at = (digest[0] % count as u64) as usize;
        while let Some(slot) = self.slots.get(at) {
            if slot.offset < 0 || slot.digest == digest {
                return at;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        at
    }
}

#[cfg(test)]
#[path = "offset_map_test.rs"]
mod tests;
