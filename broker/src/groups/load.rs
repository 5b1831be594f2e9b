//! Reads a shard from its log.

use std::sync::Arc;

use thalweg_coordinator::group::{GroupConfig, GroupShard};
use thalweg_storage::log::PartitionLog;
use thalweg_types::ProducerId;
use thalweg_wire::records::TransactionOutcome;

use super::OFFSETS_TOPIC;
use super::markers::outcome_of;
use crate::coordinator_log::{LoadError, LoadReport, LogReplay, Replay, ReplayedRecord, replay_log};

/// A shard with all records of its log, not serving yet.
pub(super) struct Loaded {
    pub(super) shard: GroupShard,
    pub(super) report: LoadReport,
}

impl Loaded {
    /// A shard of an empty log.
    pub(super) fn empty(config: GroupConfig) -> Self {
        Self {
            shard: GroupShard::new(config),
            report: LoadReport::default(),
        }
    }
}

struct IntoShard(GroupShard);

impl Replay for IntoShard {
    fn record(&mut self, record: &ReplayedRecord<'_>) -> Result<(), String> {
        let (offset, timestamp) = (record.offset, record.timestamp);
        let replayed = match record.transaction {
            None => self.0.replay(record.key, record.value, offset, timestamp),
            Some(producer_id) => {
                self.0
                    .replay_transactional(producer_id, (record.key, record.value), offset, timestamp)
            }
        };
        replayed.map(|_| ()).map_err(|error| error.to_string())
    }

    fn marker(&mut self, producer_id: ProducerId, outcome: TransactionOutcome) {
        self.0.complete_transaction(producer_id, outcome_of(outcome));
    }
}

/// Replays the whole log. Blocks on the disk; `is_stopping` ends it early.
pub(super) fn load(
    log: &Arc<PartitionLog>,
    config: GroupConfig,
    buffer_bytes: usize,
    is_stopping: &dyn Fn() -> bool,
) -> Result<Loaded, LoadError> {
    let mut into = IntoShard(GroupShard::new(config));
    let what = LogReplay {
        topic: OFFSETS_TOPIC,
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
