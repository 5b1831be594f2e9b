//! A seeded simulation with the cleaner as an actor: appends, cleanings, deletions, truncations, crashes at named
//! points, in the middle of a cleaning too. Every order of events comes from the seed.
//!
//! The oracle keeps every record that was written. What is read must be records that were written, at their offsets;
//! of each key the newest that counts must be there, unless it is a tombstone, and then nothing older may be; and
//! everything above what a cleaning was ever allowed to touch.

use super::cleaner::{compacted, parts, read_records, records};
use super::*;
use crate::cleaner::{CleanError, CleanParts, MapLimits, Pace, SLOT_BYTES};
use crate::log::TruncateError;
use crate::log_config::Deletion;
use crate::planted::{Bug, plant};
use std::collections::HashMap;
use std::fmt::Write;
use thalweg_types::{ProducerEpoch, ProducerId};
use thalweg_wire::compression::Compression;
use thalweg_wire::records::{BatchOptions, ProducerStamp};

const PARTITIONS: i32 = 2;
/// A partition that a link owns: it can be truncated.
const LINKED: usize = 1;
const KEYS: u8 = 12;
/// Bytes above which every second history loses its oldest segments (`cleanup.policy=compact,delete`).
const RETAINED: i64 = 12 << 10;
/// Bytes of the write-ahead log that one group and a roll never pass.
const ROOM: u64 = 40 << 10;

#[derive(Clone, Debug, PartialEq)]
struct Written {
    offset: i64,
    key: u8,
    value: Option<Vec<u8>>,
    /// Offset after its batch: what a crash may cut at.
    batch_end: i64,
    /// A newer record of its key was cut off again, and may have made a cleaning drop this one.
    may_be_gone: bool,
}

#[derive(Default)]
struct Partition {
    written: Vec<Written>,
    pending: VecDeque<(i64, Ticket)>,
    durable_end: i64,
    start_asked: i64,
    start_seen: i64,
    /// No cleaning was ever allowed to touch anything from here on.
    touched_end: i64,
    /// A truncation that failed may have been done.
    maybe_cut: Option<i64>,
    next_sequence: i32,
}

impl Partition {
    fn settle(&mut self) {
        let is_durable = |ticket: &Ticket| ticket.is_done() && ticket.wait().is_ok();
        while let Some((end, _)) = self.pending.front().filter(|(_, ticket)| is_durable(ticket)) {
            self.durable_end = self.durable_end.max(*end);
            self.pending.pop_front();
        }
    }

    fn cut(&mut self, to: i64) {
        let gone: BTreeSet<u8> = self
            .written
            .iter()
            .filter(|r| r.offset >= to)
            .map(|r| r.key)
            .collect();
        self.written.retain(|record| record.offset < to);
        for record in self.written.iter_mut().filter(|r| r.offset < self.touched_end) {
            record.may_be_gone |= gone.contains(&record.key);
        }
        self.durable_end = to;
        self.touched_end = self.touched_end.min(to);
        self.pending.clear();
    }

    /// What is wrong with what was read, between the log start and the durable end.
    fn judge(&self, found: &[(i64, u8, Option<Vec<u8>>)], start: i64) -> Result<(), String> {
        let expected: HashMap<i64, &Written> = self.written.iter().map(|r| (r.offset, r)).collect();
        let mut last = -1;
        for (offset, key, value) in found {
            if *offset <= last {
                return Err(format!("offset {offset} after {last}"));
            }
            last = *offset;
            match expected.get(offset) {
                Some(record) if (record.key, &record.value) == (*key, value) => {}
                other => return Err(format!("offset {offset} is not what was written: {other:?}")),
            }
        }
        let have: BTreeSet<i64> = found.iter().map(|(offset, ..)| *offset).collect();
        let count = |record: &&Written| record.offset >= start && record.offset < self.durable_end;
        for record in self.written.iter().filter(count) {
            if !record.may_be_gone && record.offset >= self.touched_end && !have.contains(&record.offset) {
                return Err(format!(
                    "offset {} is gone, and was not to be cleaned",
                    record.offset
                ));
            }
        }
        for key in 0..KEYS {
            let of_key: Vec<&Written> = self
                .written
                .iter()
                .filter(count)
                .filter(|r| r.key == key)
                .collect();
            let Some(newest) = of_key.last() else { continue };
            if newest.may_be_gone || have.contains(&newest.offset) {
                continue;
            }
            if newest.value.is_some() {
                return Err(format!(
                    "key {key}: the newest record, at {}, is gone",
                    newest.offset
                ));
            }
            if let Some(older) = of_key.iter().find(|record| have.contains(&record.offset)) {
                return Err(format!(
                    "key {key}: deleted at {}, and back from {}",
                    newest.offset, older.offset
                ));
            }
        }
        Ok(())
    }
}

struct Simulation {
    seed: u64,
    rng: StdRng,
    world: World,
    engine: Option<Arc<LogEngine>>,
    partitions: Vec<Partition>,
    trace: VecDeque<String>,
    faulty: bool,
    step: u64,
    crashes: u64,
    replaced: u64,
    /// Segments that retention deleted.
    expired: usize,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new(PARTITIONS);
        let mut config = compacted();
        if let Some(compaction) = &mut config.compaction {
            compaction.delete_retention_ms = rng.random_range(0..2) * 1000;
            compaction.dirty_ratio_min = [0.0, 0.3][rng.random_range(0..2)];
        }
        if seed.is_multiple_of(2) {
            config.deletion = Deletion::ByRetention;
            config.retention_bytes = RETAINED;
        }
        world.topic.config = Arc::new(config);
        Self {
            seed,
            rng,
            world,
            engine: None,
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            trace: VecDeque::new(),
            faulty: false,
            step: 0,
            crashes: 0,
            replaced: 0,
            expired: 0,
        }
    }

    fn violation(&self, what: &str) -> String {
        let mut text = format!("seed {} step {}: {what}", self.seed, self.step);
        for line in &self.trace {
            let _ = write!(text, "\n  {line}");
        }
        text
    }

    fn note(&mut self, what: String) {
        if self.trace.len() == 40 {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{}: {what}", self.step));
    }

    fn engine(&self) -> Arc<LogEngine> {
        self.engine.clone().unwrap()
    }

    fn log(&self, index: usize) -> Arc<PartitionLog> {
        log(&self.engine(), index as i32)
    }

    fn in_trouble(&self) -> bool {
        self.faulty || self.world.disk.is_dark()
    }

    fn run(&mut self, steps: u64) -> Result<(), String> {
        self.open()?;
        while self.step < steps {
            self.step += 1;
            self.act()?;
            self.partitions.iter_mut().for_each(Partition::settle);
            let failed = !self.world.fatal.lock().is_empty();
            if failed && !self.in_trouble() {
                let fatal = self.world.fatal.lock().clone();
                return Err(self.violation(&format!("the log failed: {fatal:?}")));
            }
            if self.world.disk.is_dark() || failed || (self.faulty && self.rng.random_bool(0.05)) {
                self.crash()?;
            }
        }
        self.world.disk.set_capacity(1 << 40);
        self.crash()?;
        (0..self.partitions.len()).try_for_each(|index| self.compare(index))
    }

    fn act(&mut self) -> Result<(), String> {
        let index = self.rng.random_range(0..self.partitions.len());
        match self.rng.random_range(0..1000) {
            0..500 => self.append(index),
            500..620 => drop(self.commit()),
            620..660 => drop(self.engine().checkpoint()),
            660..800 => self.clean()?,
            800..820 => self.delete_records(index),
            820..835 => {
                if let Ok(report) = self.log(index).apply_retention(self.world.clock.now()) {
                    self.expired += report.segments;
                }
            }
            835..850 => self.truncate()?,
            850..870 => self.world.clock.advance(self.rng.random_range(0..900)),
            870..960 => self.compare(index)?,
            960..985 => {
                let cleaner = CrashPoint::ALL
                    .into_iter()
                    .filter(|point| point.name().starts_with("cleaner-"));
                let points: Vec<CrashPoint> = match self.rng.random_range(0..3) {
                    0 => CrashPoint::ALL.to_vec(),
                    _ => cleaner.collect(),
                };
                let point = points[self.rng.random_range(0..points.len())];
                let count = self.rng.random_range(1..4);
                self.note(format!("the power is to go at {point}:{count}"));
                self.world.disk.crash_at(point, count);
            }
            985..988 => {
                self.note("a call is to fail".into());
                self.faulty = true;
                let after = self.rng.random_range(0..80);
                self.world.disk.fail_after(after, Fault::Io);
            }
            988..991 => {
                let left = self.rng.random_range(0..100 << 10);
                self.note(format!("{left} bytes are left on the disk"));
                self.world.disk.set_capacity(self.world.disk.used() + left);
            }
            991..996 => self.world.disk.set_capacity(1 << 40),
            _ => self.crash()?,
        }
        Ok(())
    }

    fn commit(&mut self) -> bool {
        let engine = self.engine();
        engine.step_background();
        if engine.wal_usage().free < ROOM {
            let _ = engine.checkpoint();
            if engine.wal_usage().free < ROOM {
                return false;
            }
        }
        engine.step_commit()
    }

    fn append(&mut self, index: usize) {
        let log = self.log(index);
        let count = self.rng.random_range(1..6usize);
        let rows: Vec<(u8, Option<Vec<u8>>)> = (0..count)
            .map(|_| {
                let len = self.rng.random_range(0..120);
                let value = (0..len).map(|_| self.rng.random()).collect();
                (
                    self.rng.random_range(0..KEYS),
                    self.rng.random_bool(0.75).then_some(value),
                )
            })
            .collect();
        let keys: Vec<[u8; 1]> = rows.iter().map(|(key, _)| [*key]).collect();
        let pairs: Vec<(&[u8], Option<&[u8]>)> = keys
            .iter()
            .zip(&rows)
            .map(|(key, (_, value))| (&key[..], value.as_deref()))
            .collect();
        let partition = &self.partitions[index];
        let mut options = BatchOptions {
            compression: [Compression::None, Compression::Lz4][self.rng.random_range(0..2)],
            ..BatchOptions::default()
        };
        if index != LINKED && self.rng.random_bool(0.5) {
            options.producer = Some(ProducerStamp {
                id: ProducerId(3),
                epoch: ProducerEpoch(self.crashes as i16),
                base_sequence: partition.next_sequence,
            });
        }
        let mut bytes = records(options, &pairs);
        let end = log.offsets().log_end_offset;
        let mut origin = Origin::Client;
        if index == LINKED {
            thalweg_wire::batch::patch_base_offset_and_epoch(&mut bytes, end, log.offsets().leader_epoch)
                .unwrap();
            origin = Origin::Mirror { expected_end: end };
        }
        let Ok(appended) = log.append(CheckedBatch::check(bytes).unwrap(), origin, TimestampMs(1)) else {
            return;
        };
        let place = appended.place();
        let batch_end = place.last_offset.0 + 1;
        self.note(format!("{index}: append {}..{batch_end}", place.base_offset));
        let partition = &mut self.partitions[index];
        if options.producer.is_some() {
            partition.next_sequence += count as i32;
        }
        for (at, (key, value)) in rows.into_iter().enumerate() {
            partition.written.push(Written {
                offset: place.base_offset.0 + at as i64,
                key,
                value,
                batch_end,
                may_be_gone: false,
            });
        }
        partition.pending.push_back((batch_end, place.ticket.unwrap()));
    }

    fn clean(&mut self) -> Result<(), String> {
        let now = self.world.clock.now();
        for index in 0..self.partitions.len() {
            // What a drain in the turn may still close counts too: it is durable by then.
            let end = self.log(index).offsets().high_watermark.0;
            let partition = &mut self.partitions[index];
            partition.touched_end = partition.touched_end.max(end);
        }
        let engine = self.engine();
        let interfere = self
            .rng
            .random_bool(0.3)
            .then(|| (self.rng.random_range(1..40u64), self.rng.random_range(0..5)));
        let (calls, cut) = (AtomicU64::new(0), Mutex::new(None));
        let starts = Mutex::new(Vec::new());
        let pace = |_| {
            let Some((at, what)) = interfere else {
                return Pace::GoOn;
            };
            if calls.fetch_add(1, Ordering::Relaxed) != at {
                return Pace::GoOn;
            }
            match what {
                0 => return Pace::Stop,
                1 => drop(engine.checkpoint()),
                2 => {
                    let partition = log(&engine, 0);
                    let to = partition.offsets().high_watermark;
                    if engine.wal_usage().free >= ROOM && partition.delete_records(to).is_ok() {
                        starts.lock().push(to.0);
                        engine.step_commit();
                        let _ = partition.apply_retention(now);
                    }
                }
                3 => *cut.lock() = truncate(&engine, 3),
                _ => drop(log(&engine, 0).apply_retention(now)),
            }
            Pace::GoOn
        };
        let small = self.rng.random_bool(0.3);
        let parts = CleanParts {
            map: MapLimits {
                bytes: if small { 16 * SLOT_BYTES } else { 1 << 16 },
                load_factor: 0.5,
            },
            random: self.rng.random(),
            ..parts(now.0, &pace)
        };
        let turn = self.engine().clean_next(&parts);
        for to in starts.lock().drain(..) {
            self.partitions[0].start_asked = self.partitions[0].start_asked.max(to);
        }
        if let Some((to, outcome)) = cut.lock().take() {
            self.note_cut(to, outcome)?;
        }
        self.note(format!("clean with {interfere:?}: {turn:?}"));
        match turn {
            CleanTurn::Cleaned(_, report) => self.replaced += report.segments_replaced,
            CleanTurn::Failed(_, error @ CleanError::Corrupt { .. }) if !self.in_trouble() => {
                return Err(self.violation(&format!("the cleaner met {error}")));
            }
            _ => {}
        }
        Ok(())
    }

    fn delete_records(&mut self, index: usize) {
        let log = self.log(index);
        let offsets = log.offsets();
        let to = self
            .rng
            .random_range(offsets.log_start_offset.0..=offsets.high_watermark.0);
        if log.delete_records(Offset(to)).is_ok() {
            self.note(format!("{index}: delete below {to}"));
            let partition = &mut self.partitions[index];
            partition.start_asked = partition.start_asked.max(to);
        }
    }

    fn truncate(&mut self) -> Result<(), String> {
        while self.commit() {}
        let back = self.rng.random_range(1..30);
        match truncate(&self.engine(), back) {
            Some((to, outcome)) => self.note_cut(to, outcome),
            None => Ok(()),
        }
    }

    fn note_cut(&mut self, to: i64, outcome: Result<(), TruncateError>) -> Result<(), String> {
        self.note(format!("truncate to {to}: {outcome:?}"));
        self.partitions[LINKED].settle();
        match outcome {
            Ok(()) => self.partitions[LINKED].cut(to),
            Err(TruncateError::NotABoundary { .. }) => {}
            Err(_) => {
                // Whether it was done is known after the next start.
                self.partitions[LINKED].maybe_cut = Some(to);
                self.crash()?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, index: usize) -> Result<(), String> {
        if self.in_trouble() {
            return Ok(());
        }
        let log = self.log(index);
        let start = log.offsets().log_start_offset.0;
        let partition = &mut self.partitions[index];
        if start < partition.start_seen || start > partition.start_asked.max(partition.durable_end) {
            let (seen, asked) = (partition.start_seen, partition.start_asked);
            return Err(self.violation(&format!("{index}: log start {start}, seen {seen}, asked {asked}")));
        }
        partition.start_seen = start;
        let found = match read_records(&log) {
            Ok(found) => found,
            Err(_) if self.in_trouble() => return Ok(()),
            Err(error) => return Err(self.violation(&format!("{index}: {error}"))),
        };
        if self.in_trouble() {
            return Ok(());
        }
        let found: Vec<(i64, u8, Option<Vec<u8>>)> = found
            .into_iter()
            .map(|r| (r.offset.0, r.key.unwrap()[0], r.value.map(|value| value.to_vec())))
            .collect();
        self.partitions[index]
            .judge(&found, start)
            .map_err(|what| self.violation(&format!("{index}: {what}")))
    }

    fn crash(&mut self) -> Result<(), String> {
        self.partitions.iter_mut().for_each(Partition::settle);
        self.crashes += 1;
        self.note("crash".into());
        loop {
            self.engine = None;
            self.faulty = false;
            self.world.fatal.lock().clear();
            let rng = &mut self.rng;
            self.world.disk.crash(&mut |n| rng.random_range(0..n));
            // Some starts crash themselves.
            if self.rng.random_bool(0.2) {
                let points = [CrashPoint::RecoverySegmentsCut, CrashPoint::RecoveryReplaying];
                let point = points[self.rng.random_range(0..points.len())];
                self.world.disk.crash_at(point, self.rng.random_range(1..20));
            }
            match self.open() {
                Ok(()) => break,
                Err(_) if self.world.disk.is_dark() => {}
                Err(violation) => return Err(violation),
            }
        }
        self.recovered()
    }

    fn open(&mut self) -> Result<(), String> {
        match self.world.open_by_hand() {
            Ok((engine, _)) => {
                self.engine = Some(engine);
                let linked = self.log(LINKED);
                if linked.write_state() != WriteState::OwnedByLink {
                    let _ = linked.set_write_state(WriteState::OwnedByLink);
                    self.engine().step_commit();
                }
                Ok(())
            }
            Err(error) => Err(self.violation(&format!("the start was refused: {error}"))),
        }
    }

    fn recovered(&mut self) -> Result<(), String> {
        for index in 0..self.partitions.len() {
            let offsets = self.log(index).offsets();
            let end = offsets.log_end_offset.0;
            let partition = &mut self.partitions[index];
            let was_cut = partition.maybe_cut.take().filter(|to| *to == end);
            if let Some(to) = was_cut {
                partition.cut(to);
            }
            if end < partition.durable_end {
                let durable = partition.durable_end;
                return Err(self.violation(&format!("{index}: ends at {end}, {durable} was durable")));
            }
            let torn = partition
                .written
                .iter()
                .find(|r| r.offset < end && r.batch_end > end);
            if let Some(record) = torn {
                let at = record.offset;
                return Err(self.violation(&format!("{index}: ends at {end}, inside the batch of {at}")));
            }
            partition.written.retain(|record| record.offset < end);
            partition.pending.clear();
            partition.durable_end = end;
            partition.next_sequence = 0;
            self.compare(index)?;
        }
        Ok(())
    }
}

/// Cuts the linked partition at the `back`-th batch from its end, when the write-ahead log has room.
fn truncate(engine: &LogEngine, back: usize) -> Option<(i64, Result<(), TruncateError>)> {
    let linked = log(engine, LINKED as i32);
    if engine.wal_usage().free < ROOM {
        return None;
    }
    while engine.step_commit() {}
    let offsets = linked.offsets();
    let records = read_records(&linked).ok()?;
    let at = records.len().checked_sub(back)?;
    let to = records.get(at)?.offset;
    if to < offsets.log_start_offset || to > offsets.high_watermark {
        return None;
    }
    Some((
        to.0,
        linked.truncate_to(to, LeaderEpoch(offsets.leader_epoch.0 + 1)),
    ))
}

fn variable(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn a_seeded_simulation_with_the_cleaner_agrees_with_the_oracle() {
    let (first, count) = (variable("THALWEG_SEED", 1), variable("THALWEG_SEEDS", 30));
    let (mut crashes, mut replaced, mut expired) = (0, 0, 0);
    let mut reached: BTreeMap<CrashPoint, u64> = BTreeMap::new();
    for seed in first..first + count {
        let mut simulation = Simulation::new(seed);
        let outcome = simulation.run(variable("THALWEG_STEPS", 2000));
        outcome.unwrap_or_else(|violation| panic!("{violation}"));
        crashes += simulation.crashes;
        replaced += simulation.replaced;
        expired += simulation.expired;
        for (point, count) in simulation.world.disk.reached_counts() {
            *reached.entry(point).or_insert(0) += count;
        }
    }
    println!("{count} seeds: {crashes} crashes, {replaced} segments cleaned, {expired} deleted, {reached:?}");
    assert!(
        crashes > 0 && replaced > 0 && expired > 0,
        "a run without a fault, a cleaning or a deletion proves nothing"
    );
    for point in CrashPoint::ALL {
        let is_cleaner = point.name().starts_with("cleaner-");
        assert!(
            !is_cleaner || reached.contains_key(&point),
            "{point} was never reached"
        );
    }
}

#[test]
fn a_seed_with_the_cleaner_replays_step_by_step() {
    let run = || {
        let mut simulation = Simulation::new(11);
        simulation.run(1500).unwrap();
        (
            simulation.trace,
            simulation.replaced,
            simulation.world.disk.calls(),
        )
    };
    assert_eq!(run(), run());
}

#[test]
fn every_bug_planted_in_the_cleaner_is_found() {
    let seeds = variable("THALWEG_PLANTED_SEEDS", 60);
    for bug in [
        Bug::CleanedUnsynced,
        Bug::SwappedBeforeRow,
        Bug::SwapNotFinished,
        Bug::NewestDropped,
    ] {
        let found = (1..=seeds).find_map(|seed| {
            plant(Some(bug));
            // A planted bug may also break what the engine takes for certain.
            let outcome = std::panic::catch_unwind(|| Simulation::new(seed).run(2000));
            plant(None);
            match outcome {
                Ok(Ok(())) => None,
                Ok(Err(violation)) => Some((seed, violation)),
                Err(_) => Some((seed, "a panic".to_owned())),
            }
        });
        let Some((seed, violation)) = found else {
            panic!("{bug:?} was not found with {seeds} seeds");
        };
        println!(
            "{bug:?} found with seed {seed}: {}",
            violation.lines().next().unwrap_or_default()
        );
    }
}
