//! Mirroring from one broker to another of the same kind: `thalweg-mirror` beside MirrorMaker 2.
//!
//! Three processes work; each has its own CPU time in the figures. All figures but the first record's are of the part
//! of a run that comes after a warm-up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use thalweg_client::OffsetQuery;

use super::Contender;
use crate::account::{self, GIB};
use crate::admin::{Admin, Topics};
use crate::figures::{Figures, names};
use crate::generate::{self, Paced, Payload};
use crate::line::Line;
use crate::lineup::{self, Lineup};
use crate::procfs::{self, ProcessSample};
use crate::replicator::Replicator;
use crate::scenario::{Generator, Produce, Scale};
use crate::side::{Product, Served};

const RECORD_BYTES: u64 = 1 << 10;
const PARTITIONS: i32 = 8;
const COPY_BYTES: u64 = 3 << 30;
const FAR_BYTES: u64 = 1 << 30;
/// Half of a round trip of 85 ms.
const FAR_ONE_WAY: Duration = Duration::from_micros(42_500);
/// Of what is to be copied, what is warm-up.
const WARM_UP: f64 = 0.4;
/// Records per second of the steady load: some 70 % of what MirrorMaker 2 can copy on such a machine.
const STEADY_RATE: u64 = 30_000;
const LOOK: Duration = Duration::from_millis(10);
/// How long a mirror may take to begin, and then to bring the next record.
const STALL_MAX: Duration = Duration::from_secs(90);
const MIB: f64 = (1u64 << 20) as f64;

/// Two brokers.
struct Pair {
    source: Served,
    target: Served,
    line: Option<Line>,
    topics: Topics,
    product: Product,
}

impl Pair {
    fn start(contender: Contender, scale: Scale, partitions: i32, is_far: bool) -> Result<Pair> {
        let product = contender.product();
        let sizes = lineup::usual_sizes(scale);
        let mut source = Served::prepare(product, sizes)?;
        let line = is_far.then(Line::free_address);
        if let Some(address) = line {
            source.advertise(&address.to_string())?;
        }
        let line = match line {
            Some(address) => {
                let target: SocketAddr = source.bootstrap().parse().context("the broker's address")?;
                Some(Line::start(address, target)?)
            }
            None => None,
        };
        let mut target = Served::prepare(product, sizes)?;
        source.start()?;
        target.start()?;
        Ok(Pair {
            source,
            target,
            line,
            topics: Topics::spread("load", partitions),
            product,
        })
    }

    fn replicator(&self) -> Result<Replicator> {
        let source = match &self.line {
            Some(line) => line.address().to_string(),
            None => self.source.bootstrap().to_owned(),
        };
        Replicator::prepare(
            self.product,
            &source,
            self.target.bootstrap(),
            self.topics.first(),
        )
    }

    /// Fills the source.
    fn fill(&self, bytes: u64) -> Result<()> {
        self.source
            .admin()?
            .create(&self.topics, &[("retention.ms", "-1")])?;
        let load = Produce {
            generator: Generator::Librdkafka,
            partitions: self.topics.partitions,
            record_bytes: RECORD_BYTES as usize,
            bytes,
            seconds_max: 0.0,
            batch_bytes: 128 << 10,
            linger_ms: 5,
            codec: "none",
            payload: Payload::Letters,
        };
        lineup::produce_by_librdkafka(self.source.bootstrap(), &self.topics, &load)?;
        account::settle(self.source.pid()?, &self.source.data())
    }

    fn look(&self, replicator: &mut Replicator) -> Result<Look> {
        Ok(Look {
            at: Instant::now(),
            mirror: replicator.sample()?,
            source: procfs::cpu_times(self.source.pid()?)?.own,
            target: procfs::cpu_times(self.target.pid()?)?.own,
        })
    }

    fn stop(mut self, replicator: Replicator) -> Result<()> {
        drop(replicator);
        self.source.stop()?;
        self.target.stop()
    }
}

/// One look at all three processes.
struct Look {
    at: Instant,
    mirror: ProcessSample,
    source: Duration,
    target: Duration,
}

impl Look {
    fn costs(&self, after: &Look, bytes: f64) -> Figures {
        let gib = bytes / GIB;
        let less = |after: Duration, before: Duration| after.saturating_sub(before).as_secs_f64() / gib;
        let values = [
            (names::MIRROR_CPU, less(after.mirror.cpu, self.mirror.cpu)),
            (names::SOURCE_CPU, less(after.source, self.source)),
            (names::TARGET_CPU, less(after.target, self.target)),
            (
                names::MIRROR_RESIDENT,
                after.mirror.resident_peak_bytes as f64 / MIB,
            ),
        ];
        values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// A full topic is copied: how soon it begins, how fast it goes, what it costs.
///
/// # Errors
/// When a broker or the mirror fails, or the mirror stands still.
pub fn copy(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    lineup.stop_all()?;
    let scale = lineup.scale();
    let pair = Pair::start(contender, scale, PARTITIONS, false)?;
    copied(pair, scale.bytes(COPY_BYTES))
}

/// One partition is copied from a source 85 ms away, there and back.
///
/// # Errors
/// As [`copy`].
pub fn far(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    lineup.stop_all()?;
    let scale = lineup.scale();
    let pair = Pair::start(contender, scale, 1, true)?;
    copied(pair, scale.bytes(FAR_BYTES))
}

fn copied(pair: Pair, bytes: u64) -> Result<Figures> {
    pair.fill(bytes)?;
    let records = bytes / RECORD_BYTES;
    let mut replicator = pair.replicator()?;
    if let Some(line) = &pair.line {
        line.set_delay(FAR_ONE_WAY);
    }
    let admin = pair.target.admin()?;
    let began = Instant::now();
    replicator.start()?;
    wait_for(&pair, &admin, &mut replicator, 1)?;
    let first = began.elapsed();
    let warm = wait_for(&pair, &admin, &mut replicator, (records as f64 * WARM_UP) as u64)?;
    replicator.reset_peak();
    let before = pair.look(&mut replicator)?;
    let all = wait_for(&pair, &admin, &mut replicator, records)?;
    let seconds = before.at.elapsed().as_secs_f64();
    if let Some(line) = &pair.line {
        line.set_delay(Duration::ZERO);
    }
    account::settle(pair.target.pid()?, &pair.target.data())?;
    let after = pair.look(&mut replicator)?;
    let bytes = ((all - warm) * RECORD_BYTES) as f64;
    let mut figures = before.costs(&after, bytes);
    figures.insert(names::THROUGHPUT.to_owned(), bytes / 1e6 / seconds);
    figures.insert(names::FIRST_RECORD.to_owned(), first.as_secs_f64());
    pair.stop(replicator)?;
    Ok(figures)
}

/// Waits until the target has so many records; returns how many it has then.
fn wait_for(pair: &Pair, admin: &Admin, replicator: &mut Replicator, wanted: u64) -> Result<u64> {
    let (mut moved, mut last) = (Instant::now(), 0);
    loop {
        // The topic is not there at first.
        let found = end(admin, &pair.topics);
        if found >= wanted {
            return Ok(found);
        }
        if found != last {
            (moved, last) = (Instant::now(), found);
        }
        if moved.elapsed() >= STALL_MAX {
            bail!(
                "the mirror has {found} of {wanted} records and stands still\n{}",
                replicator.log_tail()
            );
        }
        replicator.sample()?;
        thread::sleep(LOOK);
    }
}

/// Records of all partitions; 0 for a topic that is not there.
fn end(admin: &Admin, topics: &Topics) -> u64 {
    let ends = admin.offsets(topics, OffsetQuery::Latest);
    ends.map_or(0, |ends| u64::try_from(ends.values().sum::<i64>()).unwrap_or(0))
}

/// A steady load, and how far the mirror is behind it.
///
/// # Errors
/// As [`copy`].
pub fn steady(lineup: &mut Lineup, contender: Contender) -> Result<Figures> {
    lineup.stop_all()?;
    let scale = lineup.scale();
    let seconds = scale.seconds(75.0);
    let pair = Pair::start(contender, scale, PARTITIONS, false)?;
    pair.source
        .admin()?
        .create(&pair.topics, &[("retention.ms", "-1")])?;
    let mut replicator = pair.replicator()?;
    replicator.start()?;
    let arguments = [
        format!("--bootstrap={}", pair.source.bootstrap()),
        format!("--topics={}", pair.topics.first()),
        format!("--partitions={PARTITIONS}"),
        format!("--rate={STEADY_RATE}"),
        format!("--record-bytes={RECORD_BYTES}"),
        format!("--seconds={seconds}"),
        format!("--warm-up-seconds={}", seconds * WARM_UP),
    ];
    let within = Duration::from_secs_f64(seconds + 120.0);
    let figures = thread::scope(|scope| {
        let load = scope.spawn(|| generate::outcome::<Paced>("paced", &arguments, within));
        let watched = watch(&pair, &mut replicator, Duration::from_secs_f64(seconds));
        let paced = load.join().unwrap_or_else(|_| Err(anyhow!("the load failed")))?;
        let mut figures = watched?;
        figures.insert(
            names::DELIVERED.to_owned(),
            paced.acknowledged as f64 / paced.due.max(1) as f64,
        );
        anyhow::Ok(figures)
    })?;
    pair.stop(replicator)?;
    Ok(figures)
}

/// Looks at both ends all the time while the load runs. The lag at a moment is the age of the moment when the source
/// had what the target has now.
fn watch(pair: &Pair, replicator: &mut Replicator, length: Duration) -> Result<Figures> {
    let (source, target) = (pair.source.admin()?, pair.target.admin()?);
    let began = Instant::now();
    let mut history: VecDeque<(Instant, u64)> = VecDeque::new();
    let mut lags = Vec::new();
    let mut before: Option<(Look, u64)> = None;
    while began.elapsed() < length {
        history.push_back((Instant::now(), end(&source, &pair.topics)));
        let has = end(&target, &pair.topics);
        let now = Instant::now();
        // The front stays the last moment at which the source had no more than that.
        while history.get(1).is_some_and(|(_, then)| *then <= has) {
            history.pop_front();
        }
        if began.elapsed() >= length.mul_f64(WARM_UP) {
            if before.is_none() {
                replicator.reset_peak();
                before = Some((pair.look(replicator)?, has));
            }
            let since = history.front().map_or(now, |(at, _)| *at);
            lags.push(now.saturating_duration_since(since).as_secs_f64());
        }
        thread::sleep(LOOK);
    }
    let after = pair.look(replicator)?;
    let has = end(&target, &pair.topics);
    let (before, had) = before.context("the load was too short")?;
    let bytes = (has.saturating_sub(had) * RECORD_BYTES) as f64;
    if bytes == 0.0 {
        bail!("the mirror copied nothing\n{}", replicator.log_tail());
    }
    let mut figures = before.costs(&after, bytes);
    let seconds = after.at.saturating_duration_since(before.at).as_secs_f64();
    figures.insert(names::THROUGHPUT.to_owned(), bytes / 1e6 / seconds);
    lags.sort_by(f64::total_cmp);
    for (name, share) in [
        (names::LAG_P50, 0.5),
        (names::LAG_P99, 0.99),
        (names::LAG_MAX, 1.0),
    ] {
        let place = ((lags.len() - 1) as f64 * share) as usize;
        figures.insert(name.to_owned(), lags[place]);
    }
    Ok(figures)
}
