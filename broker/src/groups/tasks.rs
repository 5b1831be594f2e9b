//! The background work of groups: loading, timers, deleted topics, the stop.

use std::sync::Arc;
use std::time::Instant;

use thalweg_coordinator::group::TopicName;
use thalweg_storage::commit::Ticket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Groups;
use super::load::load;
use super::shard::ShardRunner;
use crate::coordinator_log::{LoadError, LoadShard, keep_time, load_shards};
use crate::topics::Deletion;

/// Works until the broker stops.
pub(super) async fn run(
    groups: &Arc<Groups>,
    loads: mpsc::UnboundedReceiver<Arc<ShardRunner>>,
    deletions: mpsc::Receiver<Deletion>,
) {
    let follow = follow_deletions(groups, deletions);
    let shared = &groups.shared;
    let time = keep_time(&shared.alarm, &shared.clock, || groups.tick());
    let loader = Arc::clone(groups);
    let load = load_shards(loads, move |shard| {
        let groups = Arc::clone(&loader);
        async move { try_load(&groups, &shard).await }
    });
    tokio::select! {
        // Each of them runs for ever.
        () = async { tokio::join!(time, load, follow); } => {}
        () = groups.shutdown.requested() => {}
    }
    groups.send_away();
}

async fn try_load(groups: &Arc<Groups>, shard: &Arc<ShardRunner>) -> Result<(), LoadError> {
    let started = Instant::now();
    let buffer_bytes = groups.settings.current().offsets_load_buffer_size();
    let (log, partition) = (Arc::clone(shard.log()), shard.partition());
    let shared = Arc::clone(&groups.shared);
    let work = move || {
        let buffer_bytes = usize::try_from(buffer_bytes).unwrap_or(usize::MAX);
        load(&log, shared.config.clone(), buffer_bytes, &|| {
            shared.is_stopping()
        })
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
