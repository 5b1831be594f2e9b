//! The drill's producers: one idempotent, one transactional, each writing to every partition until it is refused or stopped.
//!
//! Both begin before their side is open and try again until it is, so that the time without writes is what the switch costs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_client::{
    ClientError, Cluster, CommitOffset, ProduceBatch, ProduceOptions, ProducerIdentity, TopicPartition,
};
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use thalweg_wire::compression::Compression;
use thalweg_wire::records::{
    BatchBuilder, BatchOptions, ProducerStamp, TransactionOutcome, Transactionality,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::{Batch, Ledger, Outcome};
use super::{GROUP_OF_TRANSACTIONS, PARTITIONS, TOPIC};

/// Records of one batch.
const RECORDS: u32 = 1_000;
/// Records of one batch of a transaction.
const TRANSACTION_RECORDS: u32 = 250;
/// Pause between two requests: the drill is about what is kept, not about how fast.
const PACE: Duration = Duration::from_millis(200);
/// Pause before a refused request is tried again.
const AGAIN: Duration = Duration::from_millis(50);
/// Every how many transactions one is aborted.
const ABORT_EVERY: usize = 5;
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a record's value.
const VALUE_BYTES: usize = 100;

pub(super) type SharedLedger = Arc<Mutex<Ledger>>;

/// Locks the ledger; a panic elsewhere leaves it readable.
pub(super) fn locked(ledger: &SharedLedger) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When records were acknowledged first and last in a time of writing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
}

/// Producers that run.
pub(super) struct Writers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Result<(), String>>>,
    times: Arc<Mutex<Times>>,
}

impl Writers {
    /// Starts both.
    pub(super) fn start(cluster: &Cluster, term: u8, ledger: &SharedLedger) -> Self {
        let (stop, stopped) = watch::channel(false);
        let times = Arc::new(Mutex::new(Times::default()));
        let writer = Writer {
            cluster: cluster.clone(),
            term,
            ledger: Arc::clone(ledger),
            stopped,
            times: Arc::clone(&times),
            sequences: vec![0; PARTITIONS],
        };
        let tasks = vec![
            tokio::task::spawn_local(writer.clone().write_plainly()),
            tokio::task::spawn_local(writer.write_transactions()),
        ];
        Self { stop, tasks, times }
    }

    /// When the first and the last record were acknowledged.
    pub(super) fn times(&self) -> Times {
        *self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets both finish what they do.
    pub(super) async fn stop(self) -> Result<Times, String> {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.map_err(|error| error.to_string())??;
        }
        let times = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(times)
    }
}

#[derive(Clone)]
struct Writer {
    cluster: Cluster,
    term: u8,
    ledger: SharedLedger,
    stopped: watch::Receiver<bool>,
    times: Arc<Mutex<Times>>,
    sequences: Vec<i32>,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// Every partition took its batch.
    All,
    /// Some refused, and what they refused is not there.
    Refused,
    /// The transaction before is still ending.
    Early,
    /// Nobody knows: the broker went away.
    InDoubt,
}

impl Writer {
    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    fn note_time(&self) {
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.first.get_or_insert(now);
        times.last = Some(now);
    }

    async fn write_plainly(mut self) -> Result<(), String> {
        let producer = loop {
            match self.cluster.init_producer_id().await {
                Ok(producer) => break producer,
                Err(_) if self.is_stopped() => return Ok(()),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        let mut had_success = false;
        while !self.is_stopped() {
            match self.send(producer, None).await? {
                Sent::All => {
                    had_success = true;
                    tokio::time::sleep(PACE).await;
                }
                // What was open a moment ago is sealed: another side takes over. Partitions open and close one by one.
                Sent::Refused if had_success => return Ok(()),
                Sent::Refused | Sent::Early => tokio::time::sleep(AGAIN).await,
                Sent::InDoubt => return Ok(()),
            }
        }
        Ok(())
    }

    async fn write_transactions(mut self) -> Result<(), String> {
        let id = format!("drill-{}", self.term);
        let producer = loop {
            match self.cluster.init_transactions(&id, TRANSACTION_TIMEOUT).await {
                Ok(producer) => break producer,
                Err(_) if self.is_stopped() => return Ok(()),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        let mut had_success = false;
        while !self.is_stopped() {
            match self.transaction(&id, producer).await? {
                Sent::All => {
                    had_success = true;
                    tokio::time::sleep(PACE).await;
                }
                Sent::Refused if had_success => return Ok(()),
                Sent::Refused | Sent::Early => tokio::time::sleep(AGAIN).await,
                Sent::InDoubt => return Ok(()),
            }
        }
        Ok(())
    }

    async fn transaction(&mut self, id: &str, producer: ProducerIdentity) -> Result<Sent, String> {
        let Ok(coordinator) = self.cluster.transaction_coordinator(id).await else {
            return Ok(Sent::InDoubt);
        };
        let partitions: Vec<TopicPartition> = partitions().collect();
        let added = coordinator
            .add_partitions_to_transaction(id, producer, &partitions)
            .await;
        match added {
            Ok(()) => {}
            Err(error) => return Ok(judge(&error)),
        }
        let number = locked(&self.ledger).begin_transaction();
        let sent = self.send(producer, Some((id, number))).await?;
        if sent == Sent::InDoubt {
            return Ok(sent);
        }
        let aborts = sent == Sent::Refused || number % ABORT_EVERY == ABORT_EVERY - 1;
        if !aborts && !self.commit_offsets(id, producer, number).await {
            return Ok(Sent::InDoubt);
        }
        let (outcome, told) = match aborts {
            true => (TransactionOutcome::Abort, Outcome::Aborted),
            false => (TransactionOutcome::Commit, Outcome::Committed),
        };
        match coordinator.end_transaction(id, producer, outcome).await {
            Ok(()) => locked(&self.ledger).end_transaction(number, told),
            Err(_) => return Ok(Sent::InDoubt),
        }
        Ok(sent)
    }

    /// Commits where the transaction's batches lie, in its name.
    async fn commit_offsets(&self, id: &str, producer: ProducerIdentity, number: usize) -> bool {
        let places = locked(&self.ledger).places(number);
        let offsets: Vec<CommitOffset> = places
            .into_iter()
            .map(|(partition, offset)| CommitOffset {
                partition: of(partition),
                offset,
                leader_epoch: LeaderEpoch::UNKNOWN,
                metadata: String::new(),
            })
            .collect();
        let committed = async {
            let coordinator = self.cluster.transaction_coordinator(id).await?;
            coordinator
                .add_offsets_to_transaction(id, producer, GROUP_OF_TRANSACTIONS)
                .await?;
            let broker = self.cluster.find_coordinator(GROUP_OF_TRANSACTIONS).await?;
            let group = self.cluster.broker(broker).await?;
            group
                .commit_transaction_offsets(id, producer, (GROUP_OF_TRANSACTIONS, &offsets))
                .await
        };
        committed.await.is_ok()
    }

    /// Sends one batch to every partition and notes what became of each.
    async fn send(
        &mut self,
        producer: ProducerIdentity,
        transaction: Option<(&str, usize)>,
    ) -> Result<Sent, String> {
        let count = match transaction {
            Some(_) => TRANSACTION_RECORDS,
            None => RECORDS,
        };
        let mut batches = Vec::with_capacity(PARTITIONS);
        let mut ids = Vec::with_capacity(PARTITIONS);
        for index in 0..PARTITIONS {
            let id = locked(&self.ledger).next_id();
            let sequence = self.sequences.get(index).copied().unwrap_or(0);
            ids.push(id);
            batches.push(ProduceBatch {
                partition: of(index),
                records: build(id, count, (producer, sequence), transaction.is_some())?,
            });
        }
        let answers = match self.cluster.leader(&of(0)).await {
            Ok(connection) => {
                let options = ProduceOptions::default();
                match transaction {
                    Some((id, _)) => connection.produce_in_transaction(id, batches, options).await,
                    None => connection.produce(batches, options).await,
                }
            }
            Err(error) => Err(error),
        };
        let note = |partition: usize, id: u64, at: Option<Offset>| {
            let batch = Batch {
                id,
                at,
                count,
                transaction: transaction.map(|(_, number)| number),
                term: self.term,
            };
            locked(&self.ledger).note(partition, batch);
        };
        let Ok(answers) = answers else {
            for (partition, id) in ids.into_iter().enumerate() {
                note(partition, id, None);
            }
            return Ok(Sent::InDoubt);
        };
        let mut outcome = Sent::All;
        for answer in answers {
            let index = usize::try_from(answer.partition.partition.get()).unwrap_or(usize::MAX);
            let id = ids
                .get(index)
                .copied()
                .ok_or("an answer for a partition that was not asked")?;
            match answer.result {
                Ok(place) => {
                    note(index, id, Some(place.base_offset));
                    self.note_time();
                    if let Some(sequence) = self.sequences.get_mut(index) {
                        *sequence += i32::try_from(count).unwrap_or(0);
                    }
                }
                // By name, and for good: it is not there.
                Err(error) if error.code == ErrorCode::PolicyViolation => outcome = Sent::Refused,
                Err(error) => return Err(format!("a producer of term {}: {error}", self.term)),
            }
        }
        Ok(outcome)
    }
}

fn judge(error: &ClientError) -> Sent {
    match error.code() {
        Some(ErrorCode::PolicyViolation | ErrorCode::OperationNotAttempted) => Sent::Refused,
        Some(ErrorCode::ConcurrentTransactions) => Sent::Early,
        _ => Sent::InDoubt,
    }
}

/// One of the drill's partitions.
pub(super) fn of(partition: usize) -> TopicPartition {
    TopicPartition::new(
        TOPIC,
        PartitionIndex(i32::try_from(partition).unwrap_or(i32::MAX)),
    )
}

/// All of them.
pub(super) fn partitions() -> impl Iterator<Item = TopicPartition> {
    (0..PARTITIONS).map(of)
}

/// A batch whose records say which they are: the batch's number, the place in it, and filling that follows from both.
fn build(
    id: u64,
    count: u32,
    (producer, base_sequence): (ProducerIdentity, i32),
    is_transactional: bool,
) -> Result<Bytes, String> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: match id % 3 {
            0 => Compression::None,
            1 => Compression::Lz4,
            _ => Compression::Zstd,
        },
        producer: Some(ProducerStamp {
            id: producer.id,
            epoch: producer.epoch,
            base_sequence,
        }),
        transactionality: match is_transactional {
            true => Transactionality::Transactional,
            false => Transactionality::NonTransactional,
        },
        ..BatchOptions::default()
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    let mut value = vec![0; VALUE_BYTES];
    for index in 0..count {
        fill(&mut value, id, index);
        builder
            .push(TimestampMs(now), None, Some(&value), &[])
            .map_err(|error| error.to_string())?;
    }
    Ok(builder.build().map_err(|error| error.to_string())?.freeze())
}

fn fill(value: &mut [u8], id: u64, index: u32) {
    let words = id.to_be_bytes().into_iter().chain(index.to_be_bytes());
    let filling =
        (0u64..).map(|place| (id.wrapping_mul(31).wrapping_add(u64::from(index)) >> (place % 24)) as u8);
    for (byte, word) in value.iter_mut().zip(words.chain(filling)) {
        *byte = word;
    }
}

/// Reads which record a value is; `None` for one that no writer of the drill made.
pub(super) fn identity(value: &[u8]) -> Option<(u64, u32)> {
    let (id, rest) = value.split_first_chunk::<8>()?;
    let index = rest.first_chunk::<4>()?;
    let (id, index) = (u64::from_be_bytes(*id), u32::from_be_bytes(*index));
    let mut expected = [0; VALUE_BYTES];
    fill(&mut expected, id, index);
    (value == expected).then_some((id, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_which_record_it_is_and_a_changed_one_does_not() {
        let mut value = vec![0; VALUE_BYTES];
        fill(&mut value, 7, 3);
        assert_eq!(identity(&value), Some((7, 3)));
        if let Some(last) = value.last_mut() {
            *last ^= 1;
        }
        assert_eq!(identity(&value), None);
        assert_eq!(identity(&value[..50]), None);
    }
}
