//! Loads shards in the background: a few at a time, each as often as it takes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thalweg_types::PartitionIndex;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::replay::LoadError;

/// Shards that are loaded at the same time, at most.
const LOADS_MAX: usize = 4;
/// Wait before a failed load is tried again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A shard that can be loaded.
pub trait LoadShard: Send + Sync + 'static {
    /// The topic whose partition it is.
    const TOPIC: &'static str;
    /// Which partition.
    fn partition(&self) -> PartitionIndex;
    /// Notes why a try to load failed.
    fn note_load_problem(&self, what: String);
}

/// Loads what comes over `loads` with `try_load`, until the sender is gone. Dropping it ends what is under way, but for
/// a read, which sees the stop itself.
pub async fn load_shards<S, Loading>(
    mut loads: mpsc::UnboundedReceiver<Arc<S>>,
    try_load: impl Fn(Arc<S>) -> Loading + Clone + Send + Sync + 'static,
) where
    S: LoadShard,
    Loading: Future<Output = Result<(), LoadError>> + Send + 'static,
{
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get().min(LOADS_MAX));
    let permits = Arc::new(Semaphore::new(workers));
    let mut running = JoinSet::new();
    while let Some(shard) = loads.recv().await {
        while running.try_join_next().is_some() {}
        running.spawn(load_shard(shard, Arc::clone(&permits), try_load.clone()));
    }
}

/// Loads one shard, as often as it takes. Damage stays until somebody repairs it; clients are told to come back.
async fn load_shard<S, Loading>(shard: Arc<S>, permits: Arc<Semaphore>, try_load: impl Fn(Arc<S>) -> Loading)
where
    S: LoadShard,
    Loading: Future<Output = Result<(), LoadError>>,
{
    let mut wait = RETRY_MIN;
    loop {
        let tried = {
            // Never closed.
            let _permit = permits.acquire().await;
            try_load(Arc::clone(&shard)).await
        };
        let what = match tried {
            Ok(()) | Err(LoadError::Stopping) => return,
            Err(error) => error.to_string(),
        };
        tracing::error!(
            partition = shard.partition().0,
            error = what,
            retry_seconds = wait.as_secs(),
            "a partition of {} cannot be loaded",
            S::TOPIC
        );
        shard.note_load_problem(what);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}
