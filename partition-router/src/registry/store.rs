//! The topic behind the registry: one task follows it, one writer at a time adds to it.
//!
//! The writer has a transactional id, which is the lock between instances: whoever takes it over fences the others, reads
//! to the end, decides on what it read and writes in a transaction. An instance that was paused meanwhile finds itself
//! fenced at its next write, takes the id back, reads, and decides again; so no id is given twice. Invariant: a decision
//! is written only if nothing was written since the state that it was made on.
//!
//! An answer is given when the change is committed and this instance has read it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use thalweg_client::{
    AbortedTransaction, ClientError, Cluster, Connection, FetchOptions, FetchTarget, Isolation, NewTopic,
    TopicCreation, TopicPartition, TransactionError, TransactionRecord, TransactionalProducer,
};
use thalweg_telemetry::Shutdown;
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TimestampMs, TopicId};
use thalweg_wire::batch::{split_batches, verify_crc};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::decode_records;
use tokio::sync::{Mutex, watch};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout_at};

use super::RegistryError;
use super::changes::Change;
use super::record::Record;
use super::state::State;
use crate::metrics::RouterMetrics;

/// How long a transaction may stay open: a writer that stops answering holds readers up for so long at most.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one fetch.
const FETCH_BYTES_MAX: i32 = 4 * 1024 * 1024;
/// Wait of the follower after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// Where the registry is kept, and how long it waits for the cluster.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The compacted topic.
    pub topic: String,
    /// Copies of its partition when it is created; `None` takes the broker's default.
    pub replication_factor: Option<i16>,
    /// Longest time for a change or for reading to the end.
    pub patience: Duration,
}

/// The registry on its topic.
#[derive(Debug)]
pub struct Store {
    cluster: Cluster,
    config: StoreConfig,
    partition: TopicPartition,
    state: RwLock<State>,
    /// The offset up to which `state` holds the topic.
    applied: watch::Sender<Offset>,
    writer: Mutex<Option<TransactionalProducer>>,
    metrics: RouterMetrics,
}

impl Store {
    /// Finds the topic, or creates it.
    ///
    /// # Errors
    /// A sentence for people: the cluster does not answer, or the topic has more than one partition.
    pub async fn open(
        cluster: Cluster,
        config: StoreConfig,
        metrics: RouterMetrics,
    ) -> Result<Arc<Self>, String> {
        let found = match cluster.topic(&config.topic, TopicCreation::Never).await {
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                create(&cluster, &config).await?;
                cluster.topic(&config.topic, TopicCreation::Never).await
            }
            other => other,
        };
        let topic = found.map_err(|error| format!("the topic '{}': {error}", config.topic))?;
        if topic.partitions.len() != 1 {
            let count = topic.partitions.len();
            return Err(format!(
                "the topic '{}' has {count} partitions; a registry's has 1, so that its records have one order",
                config.topic
            ));
        }
        let partition = TopicPartition::new(config.topic.clone(), PartitionIndex(0));
        Ok(Arc::new(Self {
            cluster,
            config,
            partition,
            state: RwLock::default(),
            applied: watch::Sender::new(Offset::ZERO),
            writer: Mutex::new(None),
            metrics,
        }))
    }

    /// Returns what is known now.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        // A panic while the lock was held would leave a state that is still whole: records are taken in one by one.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on and on, until the process stops.
    pub async fn follow(self: Arc<Self>, shutdown: Shutdown) {
        let mut reader = Reader::default();
        loop {
            // A fetch that is dropped changes nothing: its answer is not taken in.
            let fetched = tokio::select! {
                fetched = self.fetch(&mut reader) => fetched,
                () = shutdown.requested() => return,
            };
            let result = match fetched {
                Ok((records, aborted)) => self.take_in(&mut reader, &records, aborted),
                Err(error) => Err(error.to_string()),
            };
            match result {
                Ok(()) => {
                    self.metrics.follower_up.set(1);
                }
                Err(error) => {
                    self.metrics.follower_up.set(0);
                    tracing::warn!(
                        topic = self.config.topic,
                        offset = reader.next.get(),
                        error,
                        "the schemas topic cannot be read"
                    );
                    self.cluster.forget_topic(&self.config.topic);
                    tokio::select! {
                        () = sleep(RETRY) => {}
                        () = shutdown.requested() => return,
                    }
                }
            }
        }
    }

    /// Fetches on a connection of its own: what a broker is asked behind a long poll is answered behind it.
    async fn fetch(&self, reader: &mut Reader) -> Result<(Bytes, Vec<AbortedTransaction>), ClientError> {
        let connection = match reader
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            Some(connection) => connection,
            None => {
                self.cluster
                    .dial(self.cluster.leader_id(&self.partition).await?)
                    .await?
            }
        };
        let target = FetchTarget {
            partition: self.partition.clone(),
            topic_id: TopicId::ZERO,
            offset: reader.next,
            leader_epoch: LeaderEpoch::UNKNOWN,
            size_bytes_max: FETCH_BYTES_MAX,
        };
        let options = FetchOptions {
            wait_max: Duration::from_millis(500),
            size_bytes_min: 1,
            size_bytes_max: FETCH_BYTES_MAX,
            isolation: Isolation::ReadCommitted,
        };
        let fetched = connection.fetch(&[target], options).await?;
        let Some(fetched) = fetched.into_iter().next() else {
            return Ok((Bytes::new(), Vec::new()));
        };
        let records = fetched.result?;
        // Kept only after a good answer: the next try after an error looks for the leader again.
        reader.connection = Some(connection);
        Ok((records.records, records.aborted_transactions))
    }

    fn take_in(
        &self,
        reader: &mut Reader,
        bytes: &Bytes,
        aborted: Vec<AbortedTransaction>,
    ) -> Result<(), String> {
        let mut aborted = in_order(aborted);
        for batch in split_batches(bytes) {
            let batch = match batch {
                Ok(batch) => batch,
                // The last one may be cut; the next fetch begins with it.
                Err(thalweg_wire::batch::BatchError::Truncated { .. }) => break,
                Err(error) => return Err(error.to_string()),
            };
            let header = batch.header;
            if header.next_offset() <= reader.next {
                continue;
            }
            reader.open_aborted(&mut aborted, header.last_offset());
            if header.is_control() {
                reader.aborted.remove(&header.producer_id);
            } else if !(header.is_transactional() && reader.aborted.contains(&header.producer_id)) {
                verify_crc(batch.bytes).map_err(|error| error.to_string())?;
                self.take_in_batch(reader.next, batch.bytes)?;
            }
            reader.next = header.next_offset();
            self.applied.send_replace(reader.next);
        }
        let state = self.state();
        self.metrics
            .schemas
            .set(i64::try_from(state.schema_count()).unwrap_or(i64::MAX));
        self.metrics.applied_offset.set(reader.next.get());
        Ok(())
    }

    fn take_in_batch(&self, from: Offset, batch: &[u8]) -> Result<(), String> {
        let records =
            decode_records(batch, &CompressionLimits::default()).map_err(|error| error.to_string())?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for record in records.iter().filter(|record| record.offset >= from) {
            let key = record.key.as_deref().unwrap_or_default();
            match Record::decode(key, record.value.as_deref()) {
                Ok(Some(read)) => state.apply(read),
                Ok(None) => {}
                // One strange record must not keep all schemas from being served.
                Err(error) => {
                    self.metrics.strange_records.inc();
                    tracing::error!(
                        topic = self.config.topic, offset = record.offset.get(), %error,
                        "a record of the schemas topic is not understood and left out"
                    );
                }
            }
        }
        Ok(())
    }

    /// Waits until everything that is committed now is in the state.
    ///
    /// # Errors
    /// [`RegistryError::Store`], [`RegistryError::Timeout`].
    pub async fn read_to_end(self: &Arc<Self>) -> Result<(), RegistryError> {
        let deadline = Instant::now() + self.config.patience;
        let listing = apart(committed_end(self.cluster.clone(), self.partition.clone()));
        let Ok(end) = timeout_at(deadline, listing).await else {
            return Err(self.timed_out());
        };
        self.wait_applied(end?, deadline).await
    }

    async fn wait_applied(&self, end: Offset, deadline: Instant) -> Result<(), RegistryError> {
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|applied| *applied >= end);
        match timeout_at(deadline, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> RegistryError {
        RegistryError::Timeout(self.config.patience.as_millis())
    }

    /// Answers a question; one that finds nothing is asked again after reading to the end.
    ///
    /// # Errors
    /// The question's; those of [`Store::read_to_end`].
    pub async fn ask<T>(
        self: &Arc<Self>,
        question: impl Fn(&State) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        // Comparing large schemas takes long: other requests go on meanwhile on other threads.
        let first = block_in_place(|| question(&self.state()));
        match first {
            Err(error) if error.is_not_found() => {
                self.read_to_end().await?;
                block_in_place(|| question(&self.state()))
            }
            answer => answer,
        }
    }

    /// Decides a change, writes it, and answers when it is committed and read.
    ///
    /// May be dropped: the writer is given up then, and the next change takes over again.
    ///
    /// # Errors
    /// The decision's; [`RegistryError::Store`] or [`RegistryError::Timeout`] when the cluster does not take it, after
    /// which it may or may not be written: asking again is safe.
    pub async fn change<T>(
        self: &Arc<Self>,
        decide: impl Fn(&State) -> Result<Change<T>, RegistryError>,
    ) -> Result<T, RegistryError> {
        let deadline = Instant::now() + self.config.patience;
        let Ok(mut writer) = timeout_at(deadline, self.writer.lock()).await else {
            return Err(self.timed_out());
        };
        let mut attempt: u32 = 0;
        loop {
            // Out of its place while it writes: if this call is dropped, nobody goes on with a half-written transaction.
            let taken = writer.take();
            let tried = timeout_at(deadline, self.try_change(taken, &decide)).await;
            let error = match tried {
                Err(_) => return Err(self.timed_out()),
                Ok(Ok((answer, kept))) => {
                    *writer = kept;
                    return answer;
                }
                // No other try makes it shorter.
                Ok(Err(error @ RegistryError::InvalidSchema(_))) => return Err(error),
                Ok(Err(error)) => error,
            };
            self.metrics.write_retries.inc();
            tracing::info!(error = %error, "a change of the schemas is decided again");
            let wait = self.cluster.config().backoff.wait(attempt.min(3));
            attempt = attempt.saturating_add(1);
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait).await;
        }
    }

    /// One try. `Ok`: the answer, or the decision's refusal, and the writer to keep; `Err`: it may be tried again.
    async fn try_change<T>(
        self: &Arc<Self>,
        writer: Option<TransactionalProducer>,
        decide: &impl Fn(&State) -> Result<Change<T>, RegistryError>,
    ) -> Result<(Result<T, RegistryError>, Option<TransactionalProducer>), RegistryError> {
        let writer = match writer {
            Some(writer) => writer,
            None => apart(Arc::clone(self).take_over()).await?,
        };
        let decided = block_in_place(|| decide(&self.state()));
        let change = match decided {
            Ok(change) => change,
            Err(refusal) => return Ok((Err(refusal), Some(writer))),
        };
        if change.records.is_empty() {
            return Ok((Ok(change.answer), Some(writer)));
        }
        let records = encode(&change.records)?;
        let writer = apart(Arc::clone(self).write(writer, records)).await?;
        // Committed: from here on the change is there, so a failure to read it is no reason to decide again.
        let seen = apart(Arc::clone(self).read_written()).await;
        Ok(match seen {
            Ok(()) => (Ok(change.answer), Some(writer)),
            Err(error) => (Err(error), None),
        })
    }

    /// Commits records, and gives the writer back if it may write on.
    async fn write(
        self: Arc<Self>,
        mut writer: TransactionalProducer,
        records: Vec<TransactionRecord>,
    ) -> Result<TransactionalProducer, RegistryError> {
        match writer.write(&self.partition, &records, now()).await {
            Ok(()) => {
                self.metrics.writes.inc();
                Ok(writer)
            }
            Err(error) => {
                if matches!(error, TransactionError::Fenced { .. }) {
                    self.metrics.fenced.inc();
                }
                if is_too_long(&error) {
                    return Err(RegistryError::InvalidSchema(format!(
                        "it is longer than the topic '{}' takes in one batch; raise its max.message.bytes",
                        self.config.topic
                    )));
                }
                Err(RegistryError::Store(error.to_string()))
            }
        }
    }

    /// Waits until the last commit is in the state. Its marker may be a moment behind the answer to the commit.
    async fn read_written(self: Arc<Self>) -> Result<(), RegistryError> {
        let deadline = Instant::now() + self.config.patience;
        let stable =
            TransactionalProducer::wait_for_stable(&self.cluster, &self.partition, self.config.patience);
        let end = stable.await.map_err(store_error)?;
        self.wait_applied(end, deadline).await
    }

    /// Fences all other writers and reads what they have committed.
    async fn take_over(self: Arc<Self>) -> Result<TransactionalProducer, RegistryError> {
        let id = format!("thalweg-registry-{}", self.config.topic);
        let writer = TransactionalProducer::take_over(&self.cluster, &id, TRANSACTION_TIMEOUT)
            .await
            .map_err(store_error)?;
        Arc::clone(&self).read_written().await?;
        self.metrics.takeovers.inc();
        tracing::info!(topic = self.config.topic, "this instance writes the schemas now");
        Ok(writer)
    }
}

/// Does work in a task of its own, which goes to its end even if nobody waits for it any more.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, RegistryError>> + Send + 'static,
) -> Result<T, RegistryError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(RegistryError::Store(error.to_string())),
    }
}

/// The offset behind everything that is committed.
async fn committed_end(cluster: Cluster, partition: TopicPartition) -> Result<Offset, RegistryError> {
    cluster
        .end_offset(&partition, Isolation::ReadCommitted)
        .await
        .map_err(store_error)
}

/// How far a reader is.
#[derive(Debug)]
struct Reader {
    connection: Option<Connection>,
    next: Offset,
    /// Producers whose transaction at this place was aborted, until their marker comes.
    aborted: HashSet<ProducerId>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            connection: None,
            next: Offset::ZERO,
            aborted: HashSet::new(),
        }
    }
}

impl Reader {
    fn open_aborted(&mut self, aborted: &mut VecDeque<AbortedTransaction>, last: Offset) {
        while let Some(first) = aborted
            .front()
            .copied()
            .filter(|first| first.first_offset <= last)
        {
            // The broker lists those that reach into the fetched range, so a marker of each is still to come.
            self.aborted.insert(first.producer_id);
            aborted.pop_front();
        }
    }
}

fn in_order(mut aborted: Vec<AbortedTransaction>) -> VecDeque<AbortedTransaction> {
    aborted.sort_by_key(|transaction| transaction.first_offset);
    aborted.into()
}

fn is_too_long(error: &TransactionError) -> bool {
    matches!(error, TransactionError::Failed(error) if error.code() == Some(ErrorCode::MessageTooLarge))
}

fn encode(records: &[Record]) -> Result<Vec<TransactionRecord>, RegistryError> {
    let encode = |record: &Record| {
        let (key, value) = record
            .encode()
            .map_err(|error| RegistryError::Store(error.to_string()))?;
        Ok(TransactionRecord {
            key: Some(key),
            value,
        })
    };
    records.iter().map(encode).collect()
}

fn store_error(error: ClientError) -> RegistryError {
    RegistryError::Store(error.to_string())
}

fn now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

async fn create(cluster: &Cluster, config: &StoreConfig) -> Result<(), String> {
    let topic = NewTopic {
        name: config.topic.clone(),
        partitions: Some(1),
        replication_factor: config.replication_factor,
        configs: vec![("cleanup.policy".to_owned(), "compact".to_owned())],
    };
    let created = cluster
        .create_topics(&[topic], thalweg_client::Validation::Apply)
        .await
        .map_err(|error| format!("create the topic '{}': {error}", config.topic))?;
    match created.into_values().next() {
        // Another instance was faster.
        Some(Err(error)) if error.code == ErrorCode::TopicAlreadyExists => Ok(()),
        Some(Err(error)) => Err(format!("create the topic '{}': {}", config.topic, error.reason())),
        _ => {
            tracing::info!(topic = config.topic, "created the schemas topic");
            Ok(())
        }
    }
}
