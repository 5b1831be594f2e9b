//! The background work of transactions: loading, markers, timers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Transactions;
use super::load::load;
use super::markers::Work;
use super::shard::ShardRunner;
use crate::coordinator_log::{LoadError, LoadShard, keep_time, load_shards};

/// Works until the broker stops.
pub(super) async fn run(
    transactions: &Arc<Transactions>,
    loads: mpsc::UnboundedReceiver<Arc<ShardRunner>>,
    works: mpsc::UnboundedReceiver<Work>,
) {
    let shared = &transactions.shared;
    let time = keep_time(&shared.alarm, &shared.clock, || transactions.tick());
    let loader = Arc::clone(transactions);
    let load = load_shards(loads, move |shard| {
        let transactions = Arc::clone(&loader);
        async move { try_load(&transactions, &shard).await }
    });
    let markers = write_markers(transactions, works);
    tokio::select! {
        // Each of them runs for ever.
        () = async { tokio::join!(time, load, markers); } => {}
        () = transactions.parts.shutdown.requested() => {}
    }
    shared.stop();
}

async fn try_load(transactions: &Arc<Transactions>, shard: &Arc<ShardRunner>) -> Result<(), LoadError> {
    // Markers of the memory before this load are written, or given up.
    let _writing = shard.writing.write().await;
    let started = Instant::now();
    let settings = transactions.parts.settings.current();
    let buffer_bytes =
        usize::try_from(settings.transaction_state_log_load_buffer_size()).unwrap_or(usize::MAX);
    let log = Arc::clone(shard.log());
    let shared = Arc::clone(&transactions.shared);
    let work = move || {
        load(&log, shared.config.clone(), buffer_bytes, &|| {
            shared.is_stopping()
        })
    };
    // Fails only when the runtime goes down, or on a panic, which the log has.
    let loaded = tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(LoadError::Stopping))?;
    let report = loaded.report;
    shard.install(loaded);
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    transactions
        .shared
        .load_ms_max
        .fetch_max(millis, Ordering::Relaxed);
    tracing::info!(
        partition = shard.partition().0,
        records = report.records,
        bytes = report.bytes,
        malformed = report.malformed,
        millis,
        "transactional ids loaded"
    );
    Ok(())
}

/// Writes the markers of every transaction in a task of its own: one whose partition does not take them keeps no other
/// waiting. Dropping it gives up what is left.
async fn write_markers(transactions: &Arc<Transactions>, mut works: mpsc::UnboundedReceiver<Work>) {
    let parts = &transactions.parts;
    let mut running = JoinSet::new();
    while let Some(work) = works.recv().await {
        while running.try_join_next().is_some() {}
        running.spawn(work.run(Arc::clone(&parts.topics), Arc::clone(&parts.groups)));
    }
}
