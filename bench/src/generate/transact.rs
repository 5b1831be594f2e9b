//! Transactional librdkafka producers at full speed: begin, send, flush, commit, and again.
//!
//! Each producer is a client of its own with a transactional id of its own. The latency of a commit is the time from
//! asking for it, when all records were handed in and few were sent, until the client says that it is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::{Payload, Transacted};
use crate::histogram::Histogram;

/// How long one call of a client may take.
const CALL: Duration = Duration::from_secs(60);
/// Each producer is a client with threads and connections of its own.
const PRODUCERS_MAX: u32 = 256;

/// What to produce.
#[derive(Debug, Clone, Args)]
pub struct TransactOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// Its partitions.
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Producers that work side by side.
    #[arg(long, default_value_t = 1)]
    pub producers: u32,
    /// What their transactional ids begin with.
    #[arg(long, default_value = "bench")]
    pub id: String,
    /// Records of each transaction.
    #[arg(long, default_value_t = 10)]
    pub records: u32,
    /// Partitions of each transaction.
    #[arg(long, default_value_t = 4)]
    pub spread: i32,
    /// Bytes of a record's value.
    #[arg(long, default_value_t = 1024)]
    pub record_bytes: usize,
    /// Every so many transactions one is aborted after its records were acknowledged; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub abort_every: u64,
    /// Transactions of all producers together; 0 for no limit.
    #[arg(long, default_value_t = 0)]
    pub transactions: u64,
    /// Seconds to send; 0 for no limit.
    #[arg(long, default_value_t = 0.0)]
    pub seconds: f64,
    /// Share of transactions or seconds that is not in the steady figures.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
}

impl TransactOptions {
    /// How much of the load is done, from 0 to 1: by transactions or by time, whichever is further.
    fn progress(&self, begun: u64, elapsed: Duration) -> f64 {
        let part = |done: f64, all: f64| if all > 0.0 { done / all } else { 0.0 };
        part(begun as f64, self.transactions as f64).max(part(elapsed.as_secs_f64(), self.seconds))
    }

    /// Where record `index` of transaction `number` goes: `spread` neighbours, the next transaction's one further.
    fn partition(&self, number: u64, index: u32) -> i32 {
        let all = u64::try_from(self.partitions.max(1)).unwrap_or(1);
        let spread = u64::try_from(self.spread.max(1)).unwrap_or(1);
        i32::try_from((number + u64::from(index) % spread) % all).unwrap_or(0)
    }

    fn is_aborted(&self, number: u64) -> bool {
        self.abort_every > 0 && number % self.abort_every == self.abort_every - 1
    }

    fn check(&self) -> Result<()> {
        if self.transactions == 0 && self.seconds <= 0.0 {
            bail!("neither --transactions nor --seconds: the load would not end");
        }
        if self.producers == 0 || self.producers > PRODUCERS_MAX {
            bail!("--producers is {}, not 1 to {PRODUCERS_MAX}", self.producers);
        }
        let spread = u32::try_from(self.spread).unwrap_or(0);
        if spread == 0 || self.spread > self.partitions || self.records < spread {
            bail!(
                "--spread is {}: at least 1, at most --partitions ({}) and --records ({})",
                self.spread,
                self.partitions,
                self.records
            );
        }
        Ok(())
    }
}

/// Counts the records of one client that were answered, in whatever way: a failure shows in the commit.
///
/// The binding's own `flush` sleeps for up to 100 ms after the last answer.
#[derive(Default)]
struct Answered {
    count: Mutex<u64>,
    changed: Condvar,
}

type Client = ThreadedProducer<Answered>;

impl ClientContext for Answered {}

impl ProducerContext for Answered {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }
}

impl Answered {
    /// Waits until `count` records were answered in all, and the client holds none any more.
    fn wait_for(&self, count: u64, producer: &Client) -> Result<()> {
        let deadline = Instant::now() + CALL;
        let answered = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(answered, CALL, |answered| *answered < count);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        // The last report is freed a moment after it was handed out.
        while producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                bail!("the records of a transaction were not answered within {CALL:?}");
            }
            thread::yield_now();
        }
        Ok(())
    }
}

/// A load that many threads work on.
struct Run<'a> {
    options: &'a TransactOptions,
    values: Vec<Vec<u8>>,
    began: Instant,
    begun: AtomicU64,
    seen: Mutex<Seen>,
    failure: OnceLock<String>,
}

/// One transaction.
#[derive(Clone, Copy)]
struct Place {
    /// Its number among those of all producers.
    number: u64,
    /// Records that its producer has sent when all of it is sent.
    sent: u64,
    is_steady: bool,
}

#[derive(Default)]
struct Seen {
    committed: u64,
    aborted: u64,
    steady: u64,
    steady_since: Option<Instant>,
    commits: Histogram,
}

/// Runs all producers until the limit.
///
/// # Errors
/// When the options make no sense, the broker does not take a transaction, or none was committed.
pub fn run(options: &TransactOptions) -> Result<Transacted> {
    options.check()?;
    let producers = (0..options.producers)
        .map(|number| producer(options, number))
        .collect::<Result<Vec<_>>>()?;
    let run = Run {
        options,
        values: Payload::Letters.values(options.record_bytes),
        began: Instant::now(),
        begun: AtomicU64::new(0),
        seen: Mutex::new(Seen::default()),
        failure: OnceLock::new(),
    };
    thread::scope(|scope| {
        let run = &run;
        for producer in &producers {
            scope.spawn(move || {
                if let Err(error) = run.work(producer) {
                    run.failure.get_or_init(|| format!("{error:#}"));
                }
            });
        }
    });
    match run.failure.get() {
        Some(failure) => Err(anyhow!("a transaction failed: {failure}")),
        None => run.report(Instant::now()),
    }
}

/// A client that has its producer id.
fn producer(options: &TransactOptions, number: u32) -> Result<Client> {
    let producer: Client = ClientConfig::new()
        .set("bootstrap.servers", &options.bootstrap)
        .set("transactional.id", format!("{}-{number}", options.id))
        // The records of a transaction wait for the broker's leave to write to their partitions, and by then all of
        // them are there: batches are full without a wait.
        .set("linger.ms", "0")
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create_with_context(Answered::default())?;
    producer
        .init_transactions(CALL)
        .with_context(|| format!("the producer id of {}-{number}", options.id))?;
    Ok(producer)
}

impl Run<'_> {
    fn work(&self, producer: &Client) -> Result<()> {
        let mut sent = 0;
        while self.failure.get().is_none() {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            let progress = self.options.progress(number, self.began.elapsed());
            if progress >= 1.0 {
                break;
            }
            sent += u64::from(self.options.records);
            let place = Place {
                number,
                sent,
                is_steady: progress >= self.options.warm_up,
            };
            self.transaction(producer, place)?;
        }
        Ok(())
    }

    fn transaction(&self, producer: &Client, place: Place) -> Result<()> {
        let number = place.number;
        let began = Instant::now();
        producer.begin_transaction().context("begin")?;
        for index in 0..self.options.records {
            let value = number.wrapping_mul(u64::from(self.options.records)) + u64::from(index);
            let value = &self.values[usize::try_from(value)? % self.values.len()];
            let record: BaseRecord<'_, (), Vec<u8>> = BaseRecord::to(&self.options.topic)
                .partition(self.options.partition(number, index))
                .payload(value);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .context("send")?;
        }
        let asked = Instant::now();
        // Before an abort too: a record that was not sent yet would only be dropped.
        producer.context().wait_for(place.sent, producer)?;
        if self.options.is_aborted(number) {
            producer.abort_transaction(CALL).context("abort")?;
            self.seen().aborted += 1;
            return Ok(());
        }
        producer.commit_transaction(CALL).context("commit")?;
        let mut seen = self.seen();
        seen.committed += 1;
        if place.is_steady {
            seen.steady += 1;
            seen.steady_since.get_or_insert(began);
            seen.commits.note(nanoseconds(asked), 1);
        }
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, ended: Instant) -> Result<Transacted> {
        let seen = self.seen();
        let Some(since) = seen.steady_since else {
            bail!("no transaction was committed after the warm-up");
        };
        let each = u64::from(self.options.records);
        let ms = |percent| seen.commits.percentile(percent) as f64 / 1e6;
        Ok(Transacted {
            committed: seen.committed,
            aborted: seen.aborted,
            committed_records: seen.committed * each,
            records: (seen.committed + seen.aborted) * each,
            steady_committed: seen.steady,
            steady_seconds: ended.duration_since(since).as_secs_f64(),
            p50_ms: ms(50.0),
            p99_ms: ms(99.0),
            p999_ms: ms(99.9),
            max_ms: seen.commits.max() as f64 / 1e6,
        })
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "transact_test.rs"]
mod tests;
