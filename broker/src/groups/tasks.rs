//! The background work of groups: loading, timers, deleted topics, the stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_coordinator::group::TopicName;
use thalweg_storage::commit::Ticket;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Groups;
use super::load::{Load, LoadError, load};
use super::shard::ShardRunner;
use super::shared::NEVER;
use crate::topics::Deletion;

/// Shards that are loaded at the same time, at most.
const LOADS_MAX: usize = 4;
/// Wait before a failed load is tried again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Works until the broker stops.
pub(super) async fn run(
    groups: &Arc<Groups>,
    loads: mpsc::UnboundedReceiver<Arc<ShardRunner>>,
    deletions: mpsc::Receiver<Deletion>,
) {
    let follow = follow_deletions(groups, deletions);
    tokio::select! {
        // Each of them runs for ever.
        () = async { tokio::join!(keep_time(groups), load_shards(groups, loads), follow); } => {}
        () = groups.shutdown.requested() => {}
    }
    groups.send_away();
}

async fn keep_time(groups: &Arc<Groups>) {
    let shared = &groups.shared;
    loop {
        shared.set_wakes_at(NEVER);
        let next = groups.tick();
        let alarm = shared.alarm.notified();
        match next {
            None => alarm.await,
            Some(next) => {
                shared.set_wakes_at(next.get());
                tokio::select! {
                    () = alarm => {}
                    () = tokio::time::sleep_until(shared.clock.wake_at(next)) => {}
                }
            }
        }
    }
}

async fn load_shards(groups: &Arc<Groups>, mut loads: mpsc::UnboundedReceiver<Arc<ShardRunner>>) {
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get().min(LOADS_MAX));
    let permits = Arc::new(Semaphore::new(workers));
    // Aborts what is left when the stop drops it; a read on its way sees the stop itself.
    let mut running = JoinSet::new();
    while let Some(shard) = loads.recv().await {
        while running.try_join_next().is_some() {}
        running.spawn(load_shard(Arc::clone(groups), shard, Arc::clone(&permits)));
    }
}

/// Loads one shard, as often as it takes. Damage stays until somebody repairs it; clients are told to come back.
async fn load_shard(groups: Arc<Groups>, shard: Arc<ShardRunner>, permits: Arc<Semaphore>) {
    let mut wait = RETRY_MIN;
    loop {
        let tried = {
            // Never closed.
            let _permit = permits.acquire().await;
            try_load(&groups, &shard).await
        };
        let what = match tried {
            Ok(()) | Err(LoadError::Stopping) => return,
            Err(error) => error.to_string(),
        };
        tracing::error!(
            partition = shard.partition().0,
            error = what,
            retry_seconds = wait.as_secs(),
            "consumer groups cannot be loaded from __consumer_offsets"
        );
        shard.note_load_problem(what);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

async fn try_load(groups: &Arc<Groups>, shard: &Arc<ShardRunner>) -> Result<(), LoadError> {
    let started = Instant::now();
    let buffer_bytes = groups.settings.current().offsets_load_buffer_size();
    let (log, partition) = (Arc::clone(shard.log()), shard.partition());
    let shared = Arc::clone(&groups.shared);
    let work = move || {
        let what = Load {
            partition,
            log: &log,
            config: shared.config.clone(),
            buffer_bytes: usize::try_from(buffer_bytes).unwrap_or(usize::MAX),
        };
        load(what, &|| shared.is_stopping())
    };
    // Fails only when the runtime goes down, or on a panic, which the log has.
    let loaded = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(LoadError::Stopping))?;
    let report = loaded.report;
    shard.install(loaded, &groups.at_start);
    tracing::info!(
        partition = partition.0,
        records = report.records,
        bytes = report.bytes,
        malformed = report.malformed,
        millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "consumer groups loaded"
    );
    Ok(())
}

async fn follow_deletions(groups: &Arc<Groups>, mut deletions: mpsc::Receiver<Deletion>) {
    // What was deleted before we listened.
    for shard in groups.shards() {
        shard.remove_lost_topics(&groups.topics);
    }
    while let Some(deletion) = deletions.recv().await {
        let names = [TopicName::from(&*deletion.topic.name)];
        let written: Vec<Ticket> = groups
            .shards()
            .iter()
            .filter_map(|shard| shard.topics_deleted(&names))
            .collect();
        // A new topic of that name must not find the offsets again after a crash.
        let durable = async {
            for ticket in written {
                if ticket.durable().await.is_err() {
                    return;
                }
            }
        };
        if timeout(groups.shared.commit_timeout, durable).await.is_err() {
            tracing::warn!(
                topic = %deletion.topic.name,
                "the removal of the topic's committed offsets is not durable yet"
            );
        }
        drop(deletion);
    }
    // The topics live as long as the groups.
    std::future::pending().await
}
