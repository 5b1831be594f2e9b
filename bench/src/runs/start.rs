//! Starts: on an empty directory, after an orderly stop, after SIGKILL; and what a broker without work holds.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Contender;
use crate::account;
use crate::admin::Topics;
use crate::figures::{Figures, names};
use crate::lineup::{self, Lineup};
use crate::procfs::{self, ProcessSample};
use crate::scenario::{Generator, Produce, Scale};
use crate::side::Served;

const IDLE: Duration = Duration::from_secs(5);
/// How long a broker may take from its start to its first acknowledged record.
const FIRST: Duration = Duration::from_secs(180);
/// Records in the log when it is stopped and when it is killed.
const LOAD_BYTES: u64 = 512 << 20;

/// One round with brokers of its own.
///
/// # Errors
/// When a broker does not start, stop or take a record.
pub fn round(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    // Nothing else on the machine.
    lineup.stop_all()?;
    let scale = lineup.scale();
    let mut figures = Figures::new();
    let mut served = Served::prepare(contender.product(), lineup::usual_sizes(scale))?;
    let started = served.start()?;
    figures.insert(names::START.to_owned(), started.elapsed.as_secs_f64());
    figures.insert(names::START_CPU.to_owned(), started.cpu.as_secs_f64());
    figures.extend(idle(&served)?);
    let topics = Topics::spread("orders", 8);
    served.admin()?.create(&topics, &[])?;
    load(&served, &topics, scale)?;
    served.stop()?;
    let started = served.start()?;
    figures.insert(names::START_AGAIN.to_owned(), started.elapsed.as_secs_f64());
    load(&served, &topics, scale)?;
    figures.extend(replay(&served));
    served.kill_nine();
    figures.insert(
        names::FIRST_PRODUCE.to_owned(),
        first_produce(&mut served, topics.first())?,
    );
    served.stop()?;
    Ok(figures)
}

fn load(served: &Served, topics: &Topics, scale: Scale) -> Result<()> {
    let load = Produce {
        generator: Generator::Librdkafka,
        partitions: topics.partitions,
        record_bytes: 1 << 10,
        bytes: scale.bytes(LOAD_BYTES),
        seconds_max: 0.0,
        batch_bytes: 128 << 10,
        linger_ms: 5,
        codec: "none",
        payload: crate::generate::Payload::Letters,
    };
    lineup::produce_by_librdkafka(served.bootstrap(), topics, &load)?;
    Ok(())
}

/// Seconds from the start of the process to the first acknowledged record.
///
/// # Errors
/// When there is none in time.
pub fn first_produce(served: &mut Served, topic: &str) -> Result<f64> {
    let began = Instant::now();
    served.start()?;
    let deadline = began + FIRST;
    loop {
        // The first answer comes before leaders are known, with Kafka.
        let tried = served.admin().and_then(|admin| admin.produce_one(topic));
        match tried {
            Ok(()) => return Ok(began.elapsed().as_secs_f64()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// What a start after a kill at this moment has to read.
pub fn replay(served: &Served) -> Option<(String, f64)> {
    let bytes = served.log_to_replay()?;
    Some((names::REPLAY.to_owned(), bytes / account::GIB))
}

/// Memory, descriptors and CPU use of a broker that nobody uses.
///
/// # Errors
/// When it does not run.
pub fn idle(served: &Served) -> Result<Figures> {
    let pid = served.pid()?;
    account::settle(pid, &served.data())?;
    let before = procfs::cpu_times(pid)?.own;
    let began = Instant::now();
    std::thread::sleep(IDLE);
    let sample = ProcessSample::take(pid)?;
    let used = sample.cpu.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    let mut figures = account::memory(&sample);
    figures.insert(names::IDLE_CPU.to_owned(), used * 100.0);
    Ok(figures)
}
