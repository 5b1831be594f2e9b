//! A cluster: its brokers, one connection to each, and the newest metadata.
//!
//! Owns the choice of the broker a request goes to and the retries around it. Keeps one connection per address and
//! forgets those of brokers that left. Invariant: a change is sent again only if the first try certainly had no
//! effect; a read is sent again whenever it may help; both stop at [`ClientConfig::operation_timeout`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use thalweg_types::{BrokerId, ErrorCode, PartitionIndex};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, sleep};

use crate::{
    Address, BrokerNode, ClientConfig, ClientError, Connection, Metadata, TopicCreation, TopicMetadata,
    TopicPartition, TopicSelection,
};

/// Tries for a topic the cluster does not know: its metadata may be a moment behind, but a misspelt name must
/// not cost the whole deadline.
const UNKNOWN_TOPIC_ATTEMPTS: u32 = 3;

/// The connection to one address; the lock is held while it is being made, so that callers share one attempt.
type Slot = Arc<AsyncMutex<Option<Connection>>>;

struct Inner {
    config: ClientConfig,
    slots: Mutex<HashMap<Address, Slot>>,
    cache: Mutex<Metadata>,
}

/// A handle on a cluster. Clones share connections and metadata.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("bootstrap", &self.inner.config.bootstrap)
            .finish_non_exhaustive()
    }
}

/// What a failed attempt may be followed by.
#[derive(Clone, Copy)]
enum Policy {
    /// A read: may be repeated.
    Read,
    /// A change: may be repeated only if it had no effect.
    Change,
}

impl Cluster {
    /// Makes a handle. Nothing is sent before the first call.
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        let inner = Inner {
            config,
            slots: Mutex::default(),
            cache: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes a handle and learns the brokers.
    ///
    /// # Errors
    /// [`ClientError::NoBroker`] if no bootstrap address answers. It is not retried: an operator who misspelt an
    /// address wants to know now.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let cluster = Self::new(config);
        cluster
            .refresh(TopicSelection::None, TopicCreation::Never)
            .await?;
        Ok(cluster)
    }

    /// Returns the limits and addresses of this client.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// Asks the cluster for metadata, remembers and returns it.
    ///
    /// # Errors
    /// Those of the connection, after retries. Errors of single topics are in [`Metadata::topics`].
    pub async fn metadata(
        &self,
        selection: TopicSelection<'_>,
        creation: TopicCreation,
    ) -> Result<Metadata, ClientError> {
        self.retry_read("Metadata", async || self.refresh(selection, creation).await)
            .await
    }

    /// Returns the metadata of one topic, fresh from the cluster.
    ///
    /// # Errors
    /// The topic's error (UNKNOWN_TOPIC_OR_PARTITION after a few tries), or the connection's.
    pub async fn topic(&self, name: &str, creation: TopicCreation) -> Result<TopicMetadata, ClientError> {
        let names = [name.to_owned()];
        self.retry_read("Metadata", async || {
            let mut metadata = self.refresh(TopicSelection::Names(&names), creation).await?;
            match metadata.topics.remove(name) {
                Some(topic) => Ok(topic?),
                None => Err(ClientError::Missing {
                    address: "the cluster".to_owned(),
                    api: "Metadata",
                    resource: crate::Resource::Topic(name.to_owned()),
                }),
            }
        })
        .await
    }

    /// Returns a connection to any broker, the known ones first.
    ///
    /// # Errors
    /// [`ClientError::NoBroker`] if none answers.
    pub async fn any_broker(&self) -> Result<Connection, ClientError> {
        let mut addresses: Vec<Address> = self
            .lock_cache()
            .brokers
            .values()
            .map(|broker| broker.address.clone())
            .collect();
        addresses.extend(self.inner.config.bootstrap.iter().cloned());
        let mut last = None;
        let mut tried: Vec<Address> = Vec::new();
        for address in addresses {
            if tried.contains(&address) {
                continue;
            }
            match self.connection_to(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
            tried.push(address);
        }
        let addresses = tried
            .iter()
            .map(Address::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let last = last.unwrap_or_else(|| ClientError::Connect {
            address: "the cluster".to_owned(),
            reason: "no bootstrap address is configured".to_owned(),
        });
        Err(ClientError::NoBroker {
            addresses,
            last: Box::new(last),
        })
    }

    /// Makes a connection to one broker that nobody shares, for requests that hold up those behind them.
    ///
    /// # Errors
    /// As [`Cluster::broker`].
    pub async fn dial(&self, id: BrokerId) -> Result<Connection, ClientError> {
        let address = self.address(id).await?;
        Connection::connect(&address, &self.inner.config).await
    }

    /// Returns a connection to one broker.
    ///
    /// # Errors
    /// [`ClientError::UnknownBroker`] if the metadata does not list it, [`ClientError::Connect`].
    pub async fn broker(&self, id: BrokerId) -> Result<Connection, ClientError> {
        let address = self.address(id).await?;
        self.connection_to(&address).await
    }

    async fn address(&self, id: BrokerId) -> Result<Address, ClientError> {
        if !self.lock_cache().brokers.contains_key(&id) {
            self.refresh(TopicSelection::None, TopicCreation::Never).await?;
        }
        let address = self
            .lock_cache()
            .brokers
            .get(&id)
            .map(|broker| broker.address.clone());
        address.ok_or(ClientError::UnknownBroker { id })
    }

    /// Returns the brokers of the newest metadata, which is asked for if there is none.
    ///
    /// # Errors
    /// Those of [`Cluster::metadata`].
    pub async fn brokers(&self) -> Result<Vec<BrokerNode>, ClientError> {
        let known: Vec<BrokerNode> = self.lock_cache().brokers.values().cloned().collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let metadata = self.metadata(TopicSelection::None, TopicCreation::Never).await?;
        Ok(metadata.brokers.into_values().collect())
    }

    /// Returns a connection to the broker that takes administrative changes.
    pub(crate) async fn controller(&self) -> Result<Connection, ClientError> {
        let mut controller = self.lock_cache().controller;
        if controller.is_none() {
            controller = self
                .refresh(TopicSelection::None, TopicCreation::Never)
                .await?
                .controller;
        }
        match controller {
            Some(id) => self.broker(id).await,
            None => self.any_broker().await,
        }
    }

    /// Returns the leader of a partition, from the cache if it is there.
    ///
    /// # Errors
    /// The topic's error, [`ClientError::NoPartition`], [`ClientError::NoLeader`]; not retried.
    pub async fn leader_id(&self, of: &TopicPartition) -> Result<BrokerId, ClientError> {
        let cached = self.cached_leader(of).ok().flatten();
        match cached {
            Some(leader) => Ok(leader),
            None => {
                let names = [of.topic.clone()];
                self.refresh(TopicSelection::Names(&names), TopicCreation::Never)
                    .await?;
                self.cached_leader(of)?
                    .ok_or_else(|| no_leader(&of.topic, of.partition))
            }
        }
    }

    /// Returns a connection to the leader of a partition.
    ///
    /// # Errors
    /// Those of [`Cluster::leader_id`] and [`Cluster::broker`]; not retried.
    pub async fn leader(&self, of: &TopicPartition) -> Result<Connection, ClientError> {
        let id = self.leader_id(of).await?;
        self.broker(id).await
    }

    /// Groups partitions by their leader.
    ///
    /// # Errors
    /// Those of [`Cluster::leader_id`] for the first partition without a leader; not retried.
    pub async fn group_by_leader(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(BrokerId, Vec<TopicPartition>)>, ClientError> {
        self.learn_topics(partitions).await?;
        let mut groups: Vec<(BrokerId, Vec<TopicPartition>)> = Vec::new();
        for partition in partitions {
            let leader = self.leader_id(partition).await?;
            match groups.iter_mut().find(|(id, _)| *id == leader) {
                Some((_, members)) => members.push(partition.clone()),
                None => groups.push((leader, vec![partition.clone()])),
            }
        }
        Ok(groups)
    }

    /// Asks once for all topics of `partitions` that the cache does not hold, instead of once for each.
    async fn learn_topics(&self, partitions: &[TopicPartition]) -> Result<(), ClientError> {
        let mut missing: Vec<String> = {
            let cache = self.lock_cache();
            let unknown = |name: &String| !matches!(cache.topics.get(name), Some(Ok(_)));
            partitions
                .iter()
                .map(|partition| &partition.topic)
                .filter(|name| unknown(name))
                .cloned()
                .collect()
        };
        missing.sort();
        missing.dedup();
        if !missing.is_empty() {
            self.refresh(TopicSelection::Names(&missing), TopicCreation::Never)
                .await?;
        }
        Ok(())
    }

    /// Forgets what is known of a topic, for example after NOT_LEADER_OR_FOLLOWER.
    pub fn forget_topic(&self, name: &str) {
        self.lock_cache().topics.remove(name);
    }

    /// Repeats a read until it succeeds, fails for good or the deadline passes. Metadata is forgotten between tries.
    ///
    /// # Errors
    /// The last error; [`ClientError::DeadlineExceeded`] around it when time ran out.
    pub async fn retry_read<T>(
        &self,
        operation: &'static str,
        attempt: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.retry(operation, Policy::Read, attempt).await
    }

    /// Repeats a change while its failures prove that it had no effect.
    ///
    /// # Errors
    /// Those of [`Cluster::retry_read`].
    pub async fn retry_change<T>(
        &self,
        operation: &'static str,
        attempt: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.retry(operation, Policy::Change, attempt).await
    }

    async fn retry<T>(
        &self,
        operation: &'static str,
        policy: Policy,
        mut attempt: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut tries = self.tries(operation, policy);
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => tries.pause_after(self, error).await?,
            }
        }
    }

    /// Begins the tries of a read. A loop with these runs in a task of its own, which [`Cluster::retry_read`] does not:
    /// the compiler cannot show that the future of an async closure may move between threads.
    pub(crate) fn read_tries(&self, operation: &'static str) -> Tries {
        self.tries(operation, Policy::Read)
    }

    fn tries(&self, operation: &'static str, policy: Policy) -> Tries {
        Tries {
            operation,
            policy,
            deadline: Instant::now() + self.inner.config.operation_timeout,
            attempts: 0,
        }
    }

    /// Forgets topics and the controller, keeping the brokers: whom to ask is still known.
    fn forget_leaders(&self) {
        let mut cache = self.lock_cache();
        cache.topics.clear();
        cache.controller = None;
    }

    async fn refresh(
        &self,
        selection: TopicSelection<'_>,
        creation: TopicCreation,
    ) -> Result<Metadata, ClientError> {
        let metadata = self.any_broker().await?.metadata(selection, creation).await?;
        self.remember(&metadata, selection);
        Ok(metadata)
    }

    fn remember(&self, metadata: &Metadata, selection: TopicSelection<'_>) {
        let mut cache = self.lock_cache();
        cache.cluster_id.clone_from(&metadata.cluster_id);
        cache.controller = metadata.controller;
        cache.brokers.clone_from(&metadata.brokers);
        if selection == TopicSelection::All {
            cache.topics.clone_from(&metadata.topics);
        } else {
            cache.topics.extend(
                metadata
                    .topics
                    .iter()
                    .map(|(name, topic)| (name.clone(), topic.clone())),
            );
        }
        drop(cache);
        let bootstrap = &self.inner.config.bootstrap;
        let known = |address: &Address| {
            bootstrap.contains(address) || metadata.brokers.values().any(|broker| broker.address == *address)
        };
        self.lock_slots().retain(|address, _| known(address));
    }

    fn cached_leader(&self, of: &TopicPartition) -> Result<Option<BrokerId>, ClientError> {
        let cache = self.lock_cache();
        Ok(cache
            .partition(&of.topic, of.partition)?
            .and_then(|partition| partition.leader))
    }

    async fn connection_to(&self, address: &Address) -> Result<Connection, ClientError> {
        let slot = Arc::clone(self.lock_slots().entry(address.clone()).or_default());
        let mut held = slot.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = Connection::connect(address, &self.inner.config).await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    // A panic while a lock is held leaves maps that are still whole, so poisoning is of no interest.
    fn lock_cache(&self) -> std::sync::MutexGuard<'_, Metadata> {
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_slots(&self) -> std::sync::MutexGuard<'_, HashMap<Address, Slot>> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tries of one operation.
pub(crate) struct Tries {
    operation: &'static str,
    policy: Policy,
    deadline: Instant,
    attempts: u32,
}

impl Tries {
    /// Waits for the next try, with metadata forgotten.
    ///
    /// # Errors
    /// `error` itself if another try is of no use; [`ClientError::DeadlineExceeded`] around it when time ran out.
    pub(crate) async fn pause_after(
        &mut self,
        cluster: &Cluster,
        error: ClientError,
    ) -> Result<(), ClientError> {
        self.attempts = self.attempts.saturating_add(1);
        if !worth_another_try(&error, self.policy, self.attempts) {
            return Err(error);
        }
        let config = cluster.config();
        let wait = config.backoff.wait(self.attempts.saturating_sub(1));
        if Instant::now() + wait >= self.deadline {
            return Err(ClientError::DeadlineExceeded {
                operation: self.operation,
                after: config.operation_timeout,
                attempts: self.attempts,
                last: Box::new(error),
            });
        }
        cluster.forget_leaders();
        sleep(wait).await;
        Ok(())
    }
}

fn no_leader(topic: &str, partition: PartitionIndex) -> ClientError {
    ClientError::NoLeader {
        topic: topic.to_owned(),
        partition,
    }
}

fn worth_another_try(error: &ClientError, policy: Policy, attempts: u32) -> bool {
    // A wrong bootstrap address stays wrong; brokers that were known may come back.
    if matches!(error, ClientError::NoBroker { .. }) {
        return attempts < UNKNOWN_TOPIC_ATTEMPTS;
    }
    match policy {
        Policy::Change => error.is_retriable_without_effect(),
        Policy::Read => match error.code() {
            Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) => {
                attempts < UNKNOWN_TOPIC_ATTEMPTS
            }
            _ => error.is_retriable(),
        },
    }
}

#[cfg(test)]
#[path = "cluster_test.rs"]
mod tests;
