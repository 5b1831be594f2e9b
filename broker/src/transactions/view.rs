//! What metrics read of transactions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use thalweg_coordinator::transaction::{TransactionShardStats, TransactionState};

use super::shard::ShardRunner;
use super::shared::Shared;

/// All shards together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionStats {
    /// Transactional ids by state, in the order of [`TransactionState::ALL`].
    pub ids: [usize; TransactionState::ALL.len()],
    /// Counters since the start.
    pub counters: TransactionShardStats,
    /// Markers that are due and not durable.
    pub markers_pending: u64,
    /// Longest load of a partition since the start, in milliseconds.
    pub load_ms_max: u64,
}

pub(super) fn stats(shards: &[Arc<ShardRunner>], shared: &Shared) -> TransactionStats {
    let mut stats = TransactionStats {
        markers_pending: shared.markers_pending.load(Ordering::Relaxed),
        load_ms_max: shared.load_ms_max.load(Ordering::Relaxed),
        ..TransactionStats::default()
    };
    for shard in shards {
        stats.counters.add(&shard.stats());
        shard.read(|shard| {
            for transaction in shard.transactions() {
                let state = TransactionState::ALL
                    .iter()
                    .position(|state| *state == transaction.state());
                if let Some(count) = state.and_then(|index| stats.ids.get_mut(index)) {
                    *count += 1;
                }
            }
        });
    }
    stats
}
