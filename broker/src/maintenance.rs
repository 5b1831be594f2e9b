//! What the broker does by the clock: retention, idle producers, files put aside, disk space, tombstones.
//!
//! Owns no data and no policy: each step asks the logs and topics to do what their settings say. A step that
//! fails is logged and tried again at its next turn; nothing here can stop the broker. Disk work runs on threads
//! that may block.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_metadata::TopicTombstone;
use thalweg_storage::disk::Disk;
use thalweg_storage::wal::Slot;
use thalweg_telemetry::Shutdown;
use thalweg_types::{TimestampMs, TopicId};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::expiry_clock::ExpiryClock;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, DiskMarks};
use crate::topics::Topics;

/// How often files put aside and the disk's space are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Retention is first applied this long after the start at the latest.
const FIRST_RETENTION_MAX: Duration = Duration::from_secs(30);
/// How often tombstones are looked at.
const TOMBSTONE_INTERVAL: Duration = Duration::from_secs(60);
/// Files and directories removed in one turn; the next turn takes up the rest.
const REMOVALS_MAX: usize = 1000;

/// What maintenance works on.
#[derive(Clone, Debug)]
pub struct Charge {
    /// Topics and their logs.
    pub topics: Arc<Topics>,
    /// Settings.
    pub settings: LiveSettings,
    /// Told how full the disk is.
    pub gate: Arc<DiskGate>,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Where the data is.
    pub data_directory: PathBuf,
    /// What time it is.
    pub clock: Clock,
    /// By which time records and producer ids expire.
    pub expiry: Arc<ExpiryClock>,
}

/// Runs until the broker stops. To be spawned once.
pub async fn run(charge: Charge, shutdown: Shutdown) {
    let caretaker = Arc::new(Caretaker::of(charge));
    let interval = caretaker.settings.current().log_retention_check_interval_ms();
    let mut retention_at = Instant::now() + interval.min(FIRST_RETENTION_MAX);
    let mut tombstones_at = Instant::now() + TOMBSTONE_INTERVAL;
    loop {
        let mut due = vec![Step::Space, Step::Removals];
        let now = Instant::now();
        if now >= retention_at {
            due.push(Step::Retention);
            retention_at = now + caretaker.settings.current().log_retention_check_interval_ms();
        }
        if now >= tombstones_at {
            due.push(Step::Tombstones);
            tombstones_at = now + TOMBSTONE_INTERVAL;
        }
        let turn = {
            let (caretaker, shutdown) = (Arc::clone(&caretaker), shutdown.clone());
            tokio::task::spawn_blocking(move || caretaker.turn(&due, &shutdown))
        };
        if let Err(error) = turn.await {
            tracing::error!(%error, "a turn of maintenance failed; the next one goes on");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Space,
    Removals,
    Retention,
    Tombstones,
}

#[derive(Debug)]
struct Caretaker {
    topics: Arc<Topics>,
    settings: LiveSettings,
    gate: Arc<DiskGate>,
    disk: Arc<dyn Disk>,
    data_directory: PathBuf,
    clock: Clock,
    expiry: Arc<ExpiryClock>,
    began: Instant,
    tombstones: Mutex<BTreeMap<TopicId, Stage>>,
    /// Due, not removed yet.
    waiting_removals: Mutex<Vec<PathBuf>>,
}

/// How far a deleted topic is on its way to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Seen; what its logs had pushed when they were closed may still be on its way into the write-ahead log.
    Seen,
    /// No run of it lies at or after this slot.
    EndsBefore(Slot),
}

impl Caretaker {
    fn of(charge: Charge) -> Self {
        Self {
            topics: charge.topics,
            settings: charge.settings,
            gate: charge.gate,
            disk: charge.disk,
            data_directory: charge.data_directory,
            clock: charge.clock,
            expiry: charge.expiry,
            began: Instant::now(),
            tombstones: Mutex::default(),
            waiting_removals: Mutex::default(),
        }
    }

    /// The time by which things expire. Looked at in every turn, so that a jump of the clock shows as one.
    fn expiry_time(&self) -> TimestampMs {
        self.expiry.look(self.clock.now(), self.began.elapsed())
    }

    fn turn(&self, due: &[Step], shutdown: &Shutdown) {
        self.expiry_time();
        for step in due {
            if shutdown.is_requested() {
                return;
            }
            match step {
                Step::Space => self.observe_space(),
                Step::Removals => self.remove_doomed(),
                Step::Retention => self.apply_retention(shutdown),
                Step::Tombstones => self.forget_topics(),
            }
        }
    }

    fn observe_space(&self) {
        let settings = self.settings.current();
        let marks = DiskMarks {
            high_percent: settings.disk_use_high_percent().into(),
            low_percent: settings.disk_use_low_percent().into(),
        };
        match self.disk.space(&self.data_directory) {
            Ok(space) => {
                self.gate.observe(space, marks);
            }
            Err(error) => tracing::warn!(%error, "the space of the data directory cannot be read"),
        }
    }

    fn remove_doomed(&self) {
        let batch = {
            let mut waiting = self.waiting_removals.lock();
            waiting.extend(self.topics.take_due());
            let rest = waiting.len().saturating_sub(REMOVALS_MAX);
            waiting.split_off(rest)
        };
        for path in batch {
            if let Err(error) = self.topics.engine().remove_doomed(&path) {
                // The next start sweeps it.
                tracing::warn!(path = %path.display(), %error, "a deleted file or directory stays until the next start");
            }
        }
    }

    fn apply_retention(&self, shutdown: &Shutdown) {
        for log in self.topics.engine().logs() {
            if shutdown.is_requested() {
                return;
            }
            let now = self.expiry_time();
            log.expire_producers(now);
            match log.apply_retention(now) {
                Ok(report) if report.doomed.is_empty() => {}
                Ok(report) => {
                    let delay = u64::try_from(log.config().file_delete_delay_ms).unwrap_or(0);
                    self.topics.doom(report.doomed, Duration::from_millis(delay));
                }
                Err(error) => tracing::warn!(?log, %error, "retention was not applied; it is tried again"),
            }
        }
    }

    /// Forgets deleted topics of which nothing is left: no run that a replay could meet, no directory.
    fn forget_topics(&self) {
        let image = self.topics.metadata().image();
        let tombstones: Vec<Arc<TopicTombstone>> = image.tombstones().cloned().collect();
        let live: BTreeSet<Arc<str>> = self.topics.all().iter().map(|topic| topic.name.clone()).collect();
        drop(image);
        let trimmed = self.advance(&tombstones.iter().map(|tombstone| tombstone.id).collect());
        if trimmed.is_empty() {
            return;
        }
        let names: Vec<String> = match self.disk.list(&self.data_directory) {
            Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) => {
                tracing::warn!(%error, "the data directory cannot be listed: deleted topics are remembered longer");
                return;
            }
        };
        let gone = tombstones.iter().filter(|tombstone| {
            let is_live = live.contains(tombstone.name.as_str());
            trimmed.contains(&tombstone.id) && !names.iter().any(|name| is_of(name, tombstone, is_live))
        });
        let gone: Vec<TopicId> = gone.map(|tombstone| tombstone.id).collect();
        if gone.is_empty() {
            return;
        }
        match self.topics.metadata().remove_tombstones(gone.iter().copied()) {
            Ok(_) => {
                let mut stages = self.tombstones.lock();
                gone.iter().for_each(|id| {
                    stages.remove(id);
                });
                tracing::debug!(topics = gone.len(), "deleted topics are forgotten");
            }
            Err(error) => tracing::warn!(%error, "deleted topics are remembered longer"),
        }
    }

    /// Moves every tombstone one stage on; returns those whose runs are trimmed.
    fn advance(&self, ids: &BTreeSet<TopicId>) -> BTreeSet<TopicId> {
        let engine = self.topics.engine();
        let retiring: BTreeSet<TopicId> = ids
            .iter()
            .filter(|id| engine.is_retiring(**id))
            .copied()
            .collect();
        // Asked for after: what was retired before lies below this slot.
        let slots = (engine.next_slot(), engine.replay_from());
        advance_stages(&mut self.tombstones.lock(), ids, &retiring, slots)
    }
}

fn advance_stages(
    stages: &mut BTreeMap<TopicId, Stage>,
    ids: &BTreeSet<TopicId>,
    retiring: &BTreeSet<TopicId>,
    (next_slot, replay_from): (Slot, Slot),
) -> BTreeSet<TopicId> {
    stages.retain(|id, _| ids.contains(id));
    let mut trimmed = BTreeSet::new();
    for id in ids {
        match stages.get(id) {
            None => {
                stages.insert(*id, Stage::Seen);
            }
            Some(Stage::Seen) if retiring.contains(id) => {}
            Some(Stage::Seen) => {
                stages.insert(*id, Stage::EndsBefore(next_slot));
            }
            Some(Stage::EndsBefore(slot)) if replay_from >= *slot => {
                trimmed.insert(*id);
            }
            Some(Stage::EndsBefore(_)) => {}
        }
    }
    trimmed
}

/// Reports whether a directory may hold files of a deleted topic: one put aside bears its id; one that could not be
/// renamed bears its name, unless a living topic has that name now.
fn is_of(directory: &str, tombstone: &TopicTombstone, name_is_live: bool) -> bool {
    let bears_name = || {
        directory
            .strip_prefix(tombstone.name.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
    };
    directory.contains(&tombstone.id.to_string()) || (!name_is_live && bears_name())
}

#[cfg(test)]
#[path = "maintenance_test.rs"]
mod tests;
