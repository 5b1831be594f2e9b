//! Reads a shard from its log.

use std::sync::Arc;

use thalweg_coordinator::transaction::{TransactionConfig, TransactionShard};
use thalweg_storage::log::PartitionLog;
use thalweg_types::ProducerId;
use thalweg_wire::records::TransactionOutcome;

use super::TRANSACTION_TOPIC;
use crate::coordinator_log::{LoadError, LoadReport, LogReplay, Replay, ReplayedRecord, replay_log};

/// A shard with all records of its log, not serving yet.
pub(super) struct Loaded {
    pub(super) shard: TransactionShard,
    pub(super) report: LoadReport,
}

impl Loaded {
    /// A shard of an empty log.
    pub(super) fn empty(config: TransactionConfig) -> Self {
        Self {
            shard: TransactionShard::new(config),
            report: LoadReport::default(),
        }
    }
}

struct IntoShard(TransactionShard);

impl Replay for IntoShard {
    fn record(&mut self, record: &ReplayedRecord<'_>) -> Result<(), String> {
        let replayed = self.0.replay(record.key, record.value, record.offset);
        replayed.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Nobody writes to this topic in a transaction; a marker that an administrator sent says nothing.
    fn marker(&mut self, _producer_id: ProducerId, _outcome: TransactionOutcome) {}
}

/// Replays the whole log. Blocks on the disk; `is_stopping` ends it early.
pub(super) fn load(
    log: &Arc<PartitionLog>,
    config: TransactionConfig,
    buffer_bytes: usize,
    is_stopping: &dyn Fn() -> bool,
) -> Result<Loaded, LoadError> {
    let mut into = IntoShard(TransactionShard::new(config));
    let what = LogReplay {
        topic: TRANSACTION_TOPIC,
        log,
        buffer_bytes,
        is_stopping,
    };
    let report = replay_log(&what, &mut into)?;
    Ok(Loaded {
        shard: into.0,
        report,
    })
}
