//! What all shards share: time, settings, tokens, the timer's alarm and the way to be loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngCore;
use thalweg_coordinator::group::{GroupConfig, IdSource, ReplyToken};
use tokio::sync::mpsc;

use super::shard::ShardRunner;
use crate::clock::Clock;
use crate::coordinator_log::{Alarm, EvenClock};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: GroupConfig,
    /// How long a reply waits for the disk (`offsets.commit.timeout.ms`).
    pub(super) commit_timeout: Duration,
    pub(super) clock: EvenClock,
    /// Set once, when the broker stops: nobody waits for other members any more.
    stopping: AtomicBool,
    next_token: AtomicU64,
    pub(super) alarm: Alarm,
    load: mpsc::UnboundedSender<Arc<ShardRunner>>,
}

impl Shared {
    pub(super) fn new(
        config: GroupConfig,
        commit_timeout: Duration,
        clock: Clock,
        load: mpsc::UnboundedSender<Arc<ShardRunner>>,
    ) -> Self {
        Self {
            config,
            commit_timeout,
            clock: EvenClock::new(clock),
            stopping: AtomicBool::new(false),
            next_token: AtomicU64::new(0),
            alarm: Alarm::default(),
            load,
        }
    }

    pub(super) fn next_token(&self) -> ReplyToken {
        ReplyToken(self.next_token.fetch_add(1, Ordering::Relaxed))
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
}

/// The random part of member ids.
pub(super) struct RandomIds;

impl IdSource for RandomIds {
    fn random_bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}
