//! SIGKILL under a transactional producer: how long after the new start until it commits again.
//!
//! The producer is one librdkafka client that lives through all kills, as a program's would: it goes on with the calls
//! it was in, aborts when told to, and is made anew with the same transactional id only when the client says that it is
//! of no more use. What counts is the first commit of a transaction that was begun after the start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use thalweg_tests::wait;

use super::Contender;
use super::transactions::transact;
use crate::admin::Topics;
use crate::figures::{Figures, Spread, names};
use crate::lineup::{self, Lineup};
use crate::scenario::Scale;
use crate::side::Served;

const PARTITIONS: i32 = 8;
const RECORDS: i32 = 10;
const VALUE: [u8; 1024] = [b'v'; 1024];
/// How long one call of the client may take before the thread looks whether it is wanted.
const CALL: Duration = Duration::from_millis(500);
/// How long a broker may take from its start to a commit.
const AGAIN: Duration = Duration::from_secs(180);
/// Commits before each kill, so that it comes in the middle of them.
const COMMITS_BEFORE: usize = 200;
/// Seconds of the load that fills the log before, by [`PRODUCERS`] other producers.
const LOAD_SECONDS: f64 = 8.0;
const PRODUCERS: u32 = 8;
/// Between two attempts of a call that may be tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts, loads, kills and starts again with brokers of its own.
///
/// # Errors
/// When a broker does not start, or the producer does not commit again within three minutes.
pub fn round(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    // Nothing else on the machine.
    lineup.stop_all()?;
    let scale = lineup.scale();
    let kills = match scale {
        Scale::Full => 5,
        Scale::Quick => 2,
    };
    let mut served = Served::prepare(contender.product(), lineup::usual_sizes(scale))?;
    served.start()?;
    let topics = Topics::spread("survivors", PARTITIONS);
    served.admin()?.create(&topics, &[])?;
    let load = [
        format!("--producers={PRODUCERS}"),
        format!("--seconds={}", scale.seconds(LOAD_SECONDS)),
    ];
    transact(&served, &topics, &load)?;
    let worker = Worker::new(served.bootstrap(), topics.first());
    let times = thread::scope(|scope| {
        // After a panic too, or the scope would wait for the thread for ever.
        let _stop = StopAtEnd(&worker.stop);
        scope.spawn(|| worker.work());
        (0..kills)
            .map(|_| killed(&mut served, &worker))
            .collect::<Result<Vec<_>>>()
    })?;
    served.stop()?;
    let mut figures = Figures::new();
    let spread = |of: fn(&Again) -> f64| Spread::of(times.iter().map(of));
    if let (Some(commits), Some(starts)) = (spread(|one| one.commits), spread(|one| one.answers)) {
        figures.insert(names::COMMITS_AGAIN.to_owned(), commits.median);
        figures.insert(names::COMMITS_AGAIN_MAX.to_owned(), commits.max);
        figures.insert(names::START_AGAIN.to_owned(), starts.median);
    }
    Ok(figures)
}

/// Seconds from the start of the process.
#[derive(Clone, Copy, Debug)]
struct Again {
    /// Until it answered.
    answers: f64,
    /// Until the producer had committed a new transaction.
    commits: f64,
}

/// Kills the broker while the producer commits, starts it, and waits.
fn killed(served: &mut Served, worker: &Worker) -> Result<Again> {
    let target = worker.count() + COMMITS_BEFORE;
    let reached = wait::poll(AGAIN, || (worker.count() >= target).then_some(()));
    ensure!(
        reached.is_some(),
        "the producer does not commit before the kill: {}",
        worker.last_words()
    );
    served.kill_nine();
    let began = Instant::now();
    worker.seen().await_one(began);
    let started = served.start()?;
    let committed = wait::poll(AGAIN, || worker.seen().first);
    let committed = committed.ok_or_else(|| {
        anyhow!(
            "the producer does not commit within {AGAIN:?} of the start: {}",
            worker.last_words()
        )
    })?;
    Ok(Again {
        answers: started.elapsed.as_secs_f64(),
        commits: committed.duration_since(began).as_secs_f64(),
    })
}

struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The producer's program.
struct Worker {
    config: ClientConfig,
    topic: String,
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    count: usize,
    /// Since when a commit is waited for.
    since: Option<Instant>,
    /// The first answer to a commit of a transaction that was begun after that.
    first: Option<Instant>,
    /// What went wrong last.
    words: String,
}

impl Seen {
    fn committed(&mut self, begun: Instant, answered: Instant) {
        self.count += 1;
        if self.since.is_some_and(|since| begun >= since) {
            self.first.get_or_insert(answered);
        }
    }

    fn await_one(&mut self, since: Instant) {
        self.since = Some(since);
        self.first = None;
    }
}

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Usable,
    Broken,
}

impl Worker {
    fn new(bootstrap: &str, topic: &str) -> Worker {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", "survivor")
            .set("linger.ms", "0")
            // The client's own wait before it connects again would grow to 10 s.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "100")
            .set_log_level(RDKafkaLogLevel::Emerg);
        Worker {
            config,
            topic: topic.to_owned(),
            stop: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.seen().count
    }

    fn last_words(&self) -> String {
        self.seen().words.clone()
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, error: &dyn std::fmt::Display) {
        self.seen().words = error.to_string();
    }

    /// Commits until it is told to stop, with as many clients as that takes.
    fn work(&self) {
        while self.goes_on() {
            match self.client() {
                Ok(producer) => while self.goes_on() && self.transaction(&producer) == Client::Usable {},
                Err(error) => {
                    self.note(&format!("{error:#}"));
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn client(&self) -> Result<BaseProducer> {
        let producer: BaseProducer = self.config.create()?;
        self.insist(|| producer.init_transactions(CALL))
            .context("the producer id")?;
        Ok(producer)
    }

    fn transaction(&self, producer: &BaseProducer) -> Client {
        let begun = Instant::now();
        match self.commit(producer) {
            Ok(()) => {
                self.seen().committed(begun, Instant::now());
                Client::Usable
            }
            Err(error) => {
                self.note(&error);
                match &error {
                    KafkaError::Transaction(told) if told.txn_requires_abort() => self.abort(producer),
                    _ => Client::Broken,
                }
            }
        }
    }

    fn commit(&self, producer: &BaseProducer) -> Result<(), KafkaError> {
        producer.begin_transaction()?;
        for index in 0..RECORDS {
            let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic)
                .partition(index % PARTITIONS)
                .payload(&VALUE);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        self.insist(|| answered(producer))?;
        self.insist(|| producer.commit_transaction(CALL))
    }

    fn abort(&self, producer: &BaseProducer) -> Client {
        match self.insist(|| producer.abort_transaction(CALL)) {
            Ok(()) => Client::Usable,
            Err(_) => Client::Broken,
        }
    }

    /// Calls again while the client says that this may help and the thread is wanted.
    fn insist(&self, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
        loop {
            match call() {
                Err(error) if may_try_again(&error) && self.goes_on() => {
                    self.note(&error);
                    thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    }
}

/// Waits until all records were answered; the binding's own `flush` sleeps for up to 100 ms after the last answer.
fn answered(producer: &BaseProducer) -> Result<(), KafkaError> {
    let deadline = Instant::now() + CALL;
    while producer.in_flight_count() > 0 {
        if Instant::now() >= deadline {
            return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
        }
        producer.poll(PAUSE);
    }
    Ok(())
}

fn may_try_again(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(told) => told.is_retriable(),
        // Not all records were answered within the call.
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

#[cfg(test)]
#[path = "after_kill_test.rs"]
mod tests;
