//! What all shards share: time, settings, the timer's alarm, the ways to be loaded and to have markers written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use thalweg_coordinator::transaction::TransactionConfig;
use tokio::sync::mpsc;

use super::markers::Work;
use super::shard::ShardRunner;
use crate::clock::Clock;
use crate::coordinator_log::{Alarm, EvenClock};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: TransactionConfig,
    /// How long a reply waits for the disk (`offsets.commit.timeout.ms`).
    pub(super) reply_timeout: Duration,
    pub(super) clock: EvenClock,
    pub(super) alarm: Alarm,
    /// Markers that are due and not durable.
    pub(super) markers_pending: AtomicU64,
    /// Longest load of a shard since the start, in milliseconds.
    pub(super) load_ms_max: AtomicU64,
    stopping: AtomicBool,
    load: mpsc::UnboundedSender<Arc<ShardRunner>>,
    work: mpsc::UnboundedSender<Work>,
}

impl Shared {
    pub(super) fn new(
        config: TransactionConfig,
        reply_timeout: Duration,
        clock: &Clock,
        (load, work): (
            mpsc::UnboundedSender<Arc<ShardRunner>>,
            mpsc::UnboundedSender<Work>,
        ),
    ) -> Self {
        Self {
            config,
            reply_timeout,
            clock: EvenClock::new(clock.clone()),
            alarm: Alarm::default(),
            markers_pending: AtomicU64::new(0),
            load_ms_max: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            load,
            work,
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Queues a shard for loading. At most one entry for each shard: it is queued when it starts and when it fails,
    /// and fails only while it is loaded.
    pub(super) fn load(&self, shard: Arc<ShardRunner>) {
        // Nobody listens only after the stop.
        let _ = self.load.send(shard);
    }

    /// Queues markers. At most one entry for each transactional id and load of its shard.
    pub(super) fn write_markers(&self, work: Work) {
        let _ = self.work.send(work);
    }
}
