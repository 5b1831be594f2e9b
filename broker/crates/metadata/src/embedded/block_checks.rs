//! Checksums of the file's blocks, in memory, for as long as the file is open.
//!
//! redb verifies its pages when it recovers, at opening, and believes them afterwards; but its cache is small, so
//! it reads them again. What the disk returns then must be what it returned at opening, or what was written
//! since: a changed key in a page would make a row seem absent. Costs about 32 bytes per 4 KiB used.

use std::collections::BTreeMap;
use std::ops::Range;

use parking_lot::Mutex;

pub(super) const BLOCK_SIZE: u64 = 4096;

/// The known blocks, by their start.
#[derive(Debug, Default)]
pub(super) struct BlockChecks {
    known: Mutex<BTreeMap<u64, u32>>,
}

impl BlockChecks {
    /// Notes what was written at `offset`. A block that was written in part is unknown until it is read.
    pub(super) fn written(&self, offset: u64, data: &[u8]) {
        let mut known = self.known.lock();
        let end = offset.saturating_add(data.len() as u64);
        for (start, inside) in blocks_of(offset..end) {
            let whole = inside.len() as u64 == BLOCK_SIZE;
            let from = start.saturating_sub(offset) as usize;
            match data
                .get(from..from.saturating_add(BLOCK_SIZE as usize))
                .filter(|_| whole)
            {
                Some(block) => known.insert(start, crc32fast::hash(block)),
                None => known.remove(&start),
            };
        }
    }

    /// Forgets blocks whose content changes by other ways.
    pub(super) fn forget(&self, range: Range<u64>) {
        let mut known = self.known.lock();
        let first = range.start - range.start % BLOCK_SIZE;
        let mut tail = known.split_off(&first);
        let mut beyond = tail.split_off(&range.end.max(first));
        known.append(&mut beyond);
    }

    /// Checks what was read at `offset` against what is known, and notes what was not. Returns the start of the
    /// first block that differs.
    pub(super) fn read(&self, offset: u64, data: &[u8]) -> Result<(), u64> {
        let end = offset.saturating_add(data.len() as u64);
        for (start, inside) in blocks_of(offset..end) {
            if inside.len() as u64 != BLOCK_SIZE {
                continue;
            }
            let from = start.saturating_sub(offset) as usize;
            let block = data
                .get(from..from.saturating_add(BLOCK_SIZE as usize))
                .unwrap_or_default();
            let crc = crc32fast::hash(block);
            if *self.known.lock().entry(start).or_insert(crc) != crc {
                return Err(start);
            }
        }
        Ok(())
    }
}

/// Cuts a range into blocks: each block's start and the part of it that is meant.
pub(super) fn blocks_of(range: Range<u64>) -> impl Iterator<Item = (u64, Range<usize>)> {
    let first = range.start - range.start % BLOCK_SIZE;
    (0..).map_while(move |index: u64| {
        let start = first.checked_add(index.checked_mul(BLOCK_SIZE)?)?;
        if start >= range.end || range.is_empty() {
            return None;
        }
        let from = range.start.max(start) - start;
        let to = range.end.min(start.saturating_add(BLOCK_SIZE)) - start;
        Some((start, from as usize..to as usize))
    })
}

#[cfg(test)]
#[path = "block_checks_test.rs"]
mod tests;
