//! Bytes of clients that groups keep, counted in the memory budget for as long as anybody holds them.

use bytes::Bytes;

use crate::budget::{MemoryBudget, MemoryPermit};

/// Counted for each piece beside its bytes: what the coordinator keeps around it.
const OVERHEAD_BYTES: usize = 256;

/// The owner of a piece; every clone of its [`Bytes`] holds it.
struct Kept {
    data: Box<[u8]>,
    _memory: MemoryPermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

/// Copies a piece of a request out of its frame for a group to keep. `None` when the budget of groups
/// (`memory.budget.bytes`) has no room for it.
#[must_use]
pub fn keep(budget: &MemoryBudget, piece: &[u8]) -> Option<Bytes> {
    let counted = piece.len().saturating_add(OVERHEAD_BYTES);
    let memory = budget.try_acquire_group(u64::try_from(counted).unwrap_or(u64::MAX))?;
    Some(Bytes::from_owner(Kept {
        data: piece.into(),
        _memory: memory,
    }))
}

#[cfg(test)]
#[path = "kept_test.rs"]
mod tests;
