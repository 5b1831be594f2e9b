//! A seeded simulation without threads: partitions, commit path, write-ahead log, segments and recovery over a disk
//! that loses what was not synced. Every order of events comes from the seed, so that a failing seed replays.
//!
//! The oracle keeps, per partition, the state of which all is durable and the operations after it whose tickets are
//! open. What a crash leaves must be the durable state and some first part of those operations.

use super::transactions::check as check_transactions;
use super::transactions::{append_transactional, marker, marker_content, transactional_header};
use super::*;
use crate::log::{Appended, TransactionOutcome};
use crate::planted::{Bug, plant};
use std::fmt::Write;
use thalweg_types::ProducerId;
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::records::EndTransactionMarker;

/// A batch as it must be read: first and last offset, and the bytes behind base offset and epoch.
type Stored = (i64, i64, Bytes);

/// One durable or pending change of a partition.
#[derive(Clone, Debug)]
enum Change {
    Batch(Stored, Option<(i32, i32)>),
    LogStart(i64),
    Jump(i64),
    Truncate(i64),
    ResetProducers,
    WriteState(WriteState),
}

/// What a partition holds.
#[derive(Clone, Debug, PartialEq)]
struct State {
    batches: Vec<Stored>,
    start: i64,
    end: i64,
    write_state: WriteState,
    /// Sequences and offset of the producer's last five batches.
    window: VecDeque<((i32, i32), i64)>,
}

impl State {
    fn new() -> Self {
        Self {
            batches: Vec::new(),
            start: 0,
            end: 0,
            write_state: WriteState::Open,
            window: VecDeque::new(),
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Batch(stored, sequences) => {
                self.end = stored.1 + 1;
                if let Some(sequences) = sequences {
                    self.window.push_back((*sequences, stored.0));
                    if self.window.len() > 5 {
                        self.window.pop_front();
                    }
                }
                self.batches.push(stored.clone());
            }
            Change::LogStart(offset) => self.start = self.start.max(*offset),
            Change::Jump(offset) => self.end = *offset,
            Change::Truncate(offset) => {
                self.batches.retain(|(_, last, _)| last < offset);
                // A log start inside a batch is a place to cut: the whole batch goes.
                let last = |((first, last), base): &((i32, i32), i64)| base + i64::from(last - first);
                self.window.retain(|entry| last(entry) < *offset);
                self.end = *offset;
            }
            Change::ResetProducers => self.window.clear(),
            Change::WriteState(WriteState::SealedAt(_)) => {
                self.write_state = WriteState::SealedAt(Offset(self.end))
            }
            Change::WriteState(state) => self.write_state = *state,
        }
    }

    /// Retention may move the log start over a gap: no record is lost then.
    fn advance_start_over_gap(&mut self, start: i64) {
        let lost = |(_, last, _): &Stored| *last >= self.start && *last < start;
        if start > self.start && start <= self.end && !self.batches.iter().any(lost) {
            self.start = start;
        }
    }

    /// A batch that was pushed but not durable may have taken an old one's place among the five: its producer waits
    /// for an answer to it, so it has no more than four others under way.
    fn remembers(&self, remembered: &VecDeque<((i32, i32), i64)>, lost_max: usize) -> bool {
        match self.window.len().checked_sub(remembered.len()) {
            Some(missing) => missing <= lost_max && self.window.range(missing..).eq(remembered),
            // Replay starts before the newest recovery point and may remember more than five batches ago.
            None => remembered
                .range(remembered.len() - self.window.len()..)
                .eq(&self.window),
        }
    }

    fn summary(&self) -> String {
        let bases: Vec<i64> = self.readable().iter().map(|(base, _, _)| *base).collect();
        format!("{}..{} {:?} {bases:?}", self.start, self.end, self.write_state)
    }

    fn readable(&self) -> Vec<Stored> {
        let all = self.batches.iter().filter(|(_, last, _)| *last >= self.start);
        all.cloned().collect()
    }
}

struct Partition {
    durable: State,
    pending: VecDeque<(Change, Ticket)>,
    /// With all that is pending.
    newest: State,
}

impl Partition {
    fn note(&mut self, change: Change, ticket: Ticket) {
        self.newest.apply(&change);
        self.pending.push_back((change, ticket));
    }

    fn settle(&mut self) {
        // One that failed may be there after a crash, or not.
        let is_durable = |ticket: &Ticket| ticket.is_done() && ticket.wait().is_ok();
        while let Some((change, _)) = self.pending.front().filter(|(_, ticket)| is_durable(ticket)) {
            self.durable.apply(change);
            self.pending.pop_front();
        }
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
    steps: u64,
    crashes: u64,
    acknowledged: u64,
}

/// What is wrong, with the last steps that led there.
type Violation = String;

const PARTITIONS: i32 = 3;
/// Bytes of the write-ahead log that one group and a roll never pass.
const ROOM: u64 = 40 << 10;

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new(PARTITIONS);
        if rng.random_bool(0.5) {
            world.disk = world.disk.without_direct_writes();
        }
        let partition = |_| Partition {
            durable: State::new(),
            pending: VecDeque::new(),
            newest: State::new(),
        };
        Self {
            seed,
            rng,
            world,
            engine: None,
            partitions: (0..PARTITIONS).map(partition).collect(),
            trace: VecDeque::new(),
            faulty: false,
            steps: 0,
            crashes: 0,
            acknowledged: 0,
        }
    }

    fn run(&mut self, steps: u64) -> Result<(), Violation> {
        self.open()?;
        while self.steps < steps {
            self.steps += 1;
            self.step()?;
            for partition in &mut self.partitions {
                let before = partition.pending.len();
                partition.settle();
                self.acknowledged += (before - partition.pending.len()) as u64;
            }
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
        for index in 0..self.partitions.len() {
            self.compare(index)?;
        }
        Ok(())
    }

    fn violation(&self, what: &str) -> Violation {
        let mut text = format!("seed {} step {}: {what}", self.seed, self.steps);
        for line in &self.trace {
            let _ = write!(text, "\n  {line}");
        }
        text
    }

    fn note(&mut self, what: String) {
        if self.trace.len() == 40 {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{}: {what}", self.steps));
    }

    fn engine(&self) -> Arc<LogEngine> {
        self.engine.clone().unwrap()
    }

    fn log(&self, index: usize) -> Arc<PartitionLog> {
        log(&self.engine(), index as i32)
    }

    fn step(&mut self) -> Result<(), Violation> {
        let index = self.rng.random_range(0..self.partitions.len());
        match self.rng.random_range(0..1000) {
            0..320 => self.append(index),
            320..390 => self.append_in_transaction(index),
            390..420 => self.end_transaction(index),
            420..620 => drop(self.commit()),
            620..720 => self.read_some(index)?,
            720..760 => self.resend(index)?,
            760..790 => self.engine().step_background(),
            790..815 => self.delete_records(index),
            815..835 => drop(self.engine().checkpoint()),
            835..850 => drop(self.log(index).apply_retention(TimestampMs(0))),
            850..880 => self.change_write_state(index),
            880..895 => self.jump(index),
            895..915 => self.truncate(index),
            915..925 => self.reset_producers(index),
            925..985 => self.compare(index)?,
            985..988 => self.stop()?,
            988..994 => {
                let point = CrashPoint::ALL[self.rng.random_range(0..CrashPoint::ALL.len())];
                let count = self.rng.random_range(1..4);
                self.note(format!("the power is to go at {point}:{count}"));
                self.world.disk.crash_at(point, count);
            }
            994 => {
                self.note("a call is to fail".into());
                self.faulty = true;
                self.world
                    .disk
                    .fail_after(self.rng.random_range(0..60), Fault::Io);
            }
            995..997 => {
                let left = self.rng.random_range(0..200 << 10);
                self.note(format!("{left} bytes are left on the disk"));
                self.world.disk.set_capacity(self.world.disk.used() + left);
            }
            997..999 => self.world.disk.set_capacity(1 << 40),
            _ => self.crash()?,
        }
        Ok(())
    }

    /// The power is gone or a call may have failed: reads tell nothing until the next start.
    fn in_trouble(&self) -> bool {
        self.faulty || self.world.disk.is_dark()
    }

    /// Without threads nobody trims while the log waits for room, so room is made first.
    fn commit(&mut self) -> bool {
        let engine = self.engine();
        // Whether the log can grow is known once it was tried.
        engine.step_background();
        if engine.wal_usage().free < ROOM {
            self.note("background, for room".into());
            let _ = engine.checkpoint();
            if engine.wal_usage().free < ROOM {
                return false;
            }
        }
        let wrote = engine.step_commit();
        self.note(format!("commit: {wrote}"));
        wrote
    }

    fn append(&mut self, index: usize) {
        let log = self.log(index);
        let (count, len) = (self.rng.random_range(1..6), self.rng.random_range(1..700));
        let filler: Vec<u8> = (0..len).map(|_| self.rng.random()).collect();
        let newest = &self.partitions[index].newest;
        let next = newest.window.back().map_or(0, |((_, last), _)| last + 1);
        let sequences = match newest.write_state {
            WriteState::Open if self.rng.random_bool(0.7) => Some((next, next + count - 1)),
            _ => None,
        };
        let mut header = match sequences {
            Some((first, _)) => idempotent_header(index as i64, 0, first, count),
            None => idempotent_header(-1, -1, -1, count),
        };
        let mut origin = Origin::Client;
        if newest.write_state == WriteState::OwnedByLink {
            let gap = if self.rng.random_bool(0.2) { 7 } else { 0 };
            header.base_offset = Offset(newest.end + gap);
            header.leader_epoch = log.offsets().leader_epoch;
            origin = Origin::Mirror {
                expected_end: Offset(newest.end),
            };
        }
        let bytes = with_header(header, &filler);
        let content = Bytes::copy_from_slice(&bytes[21..]);
        let batch = CheckedBatch::check(bytes).unwrap();
        let appended = log.append(batch, origin, TimestampMs(1)).map(Append::place);
        self.note_batch(index, appended, content, sequences);
    }

    fn note_batch(
        &mut self,
        index: usize,
        appended: Result<Appended, AppendError>,
        content: Bytes,
        sequences: Option<(i32, i32)>,
    ) {
        if let Ok(place) = appended {
            let stored = (place.base_offset.0, place.last_offset.0, content);
            self.note(format!("{index}: append {}..={}", stored.0, stored.1));
            self.partitions[index].note(Change::Batch(stored, sequences), place.ticket.unwrap());
        }
    }

    /// Records of one of a few producers, which begin its transaction or go on with it.
    fn append_in_transaction(&mut self, index: usize) {
        let log = self.log(index);
        let producer = 100 + self.rng.random_range(0..3);
        let filler = vec![3; self.rng.random_range(1..500)];
        let mut header = transactional_header(&log, producer, self.rng.random_range(1..4));
        let newest = &self.partitions[index].newest;
        let appended = if newest.write_state == WriteState::OwnedByLink {
            header.base_offset = Offset(newest.end);
            header.leader_epoch = log.offsets().leader_epoch;
            let origin = Origin::Mirror {
                expected_end: Offset(newest.end),
            };
            let batch = CheckedBatch::check(with_header(header, &filler)).unwrap();
            log.append(batch, origin, TimestampMs(1))
        } else {
            append_transactional(&log, header, &filler)
        };
        let content = Bytes::copy_from_slice(&with_header(header, &filler)[21..]);
        self.note_batch(index, appended.map(Append::place), content, None);
    }

    /// A marker, mostly of a producer whose transaction is open.
    fn end_transaction(&mut self, index: usize) {
        let log = self.log(index);
        let open = log.transactions();
        let open = open.iter().find(|one| one.transaction_start.is_some());
        let producer = open.map_or(100 + self.rng.random_range(0..3), |one| one.producer_id.0);
        let outcome = match self.rng.random_range(0..2) {
            0 => TransactionOutcome::Abort,
            _ => TransactionOutcome::Commit,
        };
        let marker = marker(producer, 0, outcome);
        let now = TimestampMs(1);
        let newest = &self.partitions[index].newest;
        let appended = if newest.write_state == WriteState::OwnedByLink {
            let content = EndTransactionMarker {
                outcome,
                coordinator_epoch: marker.coordinator_epoch,
            };
            let mut bytes = content
                .build((marker.producer_id, marker.producer_epoch), now)
                .unwrap();
            let (end, epoch) = (Offset(newest.end), log.offsets().leader_epoch);
            patch_base_offset_and_epoch(&mut bytes, end, epoch).unwrap();
            let batch = CheckedBatch::check(bytes).unwrap();
            let origin = Origin::Mirror { expected_end: end };
            log.append(batch, origin, now).map(Append::place)
        } else {
            log.append_marker(marker, now)
        };
        self.note_batch(index, appended, marker_content(&marker, now), None);
    }

    /// A client that saw no answer sends again: one of the last five batches is found, not appended.
    fn resend(&mut self, index: usize) -> Result<(), Violation> {
        let newest = &self.partitions[index].newest;
        if newest.write_state != WriteState::Open || newest.window.is_empty() {
            return Ok(());
        }
        let chosen = self.rng.random_range(0..newest.window.len());
        let ((first, last), base) = newest.window[chosen];
        let header = idempotent_header(index as i64, 0, first, last - first + 1);
        let again = append(&self.log(index), with_header(header, b"again"));
        match again {
            Ok(Append::Duplicate(place)) if place.base_offset.0 == base => Ok(()),
            Err(AppendError::Commit(_)) => Ok(()),
            other => Err(self.violation(&format!("{index}: batch at {base}, sent again, gave {other:?}"))),
        }
    }

    fn delete_records(&mut self, index: usize) {
        let log = self.log(index);
        let offsets = log.offsets();
        let to = self
            .rng
            .random_range(offsets.log_start_offset.0..=offsets.high_watermark.0);
        if to > self.partitions[index].newest.start
            && let Ok((_, Some(ticket))) = log.delete_records(Offset(to))
        {
            self.note(format!("{index}: delete below {to}"));
            self.partitions[index].note(Change::LogStart(to), ticket);
        }
    }

    fn change_write_state(&mut self, index: usize) {
        let to = match self.rng.random_range(0..5) {
            0..2 => WriteState::Open,
            2..4 => WriteState::OwnedByLink,
            _ => WriteState::SealedAt(Offset::ZERO),
        };
        if let Ok(ticket) = self.log(index).set_write_state(to) {
            self.note(format!("{index}: {to:?}"));
            self.partitions[index].note(Change::WriteState(to), ticket);
        }
    }

    fn jump(&mut self, index: usize) {
        let to = self.partitions[index].newest.end + self.rng.random_range(1..20);
        if let Ok(ticket) = self.log(index).jump_to(Offset(to)) {
            self.note(format!("{index}: jump to {to}"));
            self.partitions[index].note(Change::Jump(to), ticket);
        }
    }

    fn truncate(&mut self, index: usize) {
        if self.partitions[index].newest.write_state != WriteState::OwnedByLink {
            return;
        }
        while self.commit() {}
        if self.engine().wal_usage().free < ROOM {
            return;
        }
        self.partitions[index].settle();
        let newest = &self.partitions[index].newest;
        let candidates: Vec<i64> = newest.readable().iter().map(|(base, _, _)| *base).collect();
        let to = match candidates.len() {
            0 => newest.end,
            count => candidates[self.rng.random_range(0..count)],
        };
        let to = to.max(newest.start);
        let log = self.log(index);
        let epoch = LeaderEpoch(log.offsets().leader_epoch.0 + 1);
        let before = log.last_ticket();
        let outcome = log.truncate_to(Offset(to), epoch);
        self.note(format!("{index}: truncate to {to}: {outcome:?}"));
        // Once its event is pushed, a crash may leave it done or not; after success it is done.
        let ticket = log.last_ticket();
        let is_new = match (&before, &ticket) {
            (Some(before), Some(ticket)) => !before.is_same(ticket),
            (None, Some(_)) => true,
            _ => false,
        };
        if let (true, Some(ticket)) = (is_new, ticket) {
            self.partitions[index].note(Change::Truncate(to), ticket);
        }
    }

    fn reset_producers(&mut self, index: usize) {
        if let Ok(ticket) = self.log(index).reset_producers() {
            self.note(format!("{index}: producers reset"));
            self.partitions[index].note(Change::ResetProducers, ticket);
        }
    }

    fn read_some(&mut self, index: usize) -> Result<(), Violation> {
        let expected = self.partitions[index].durable.readable();
        if expected.is_empty() || self.in_trouble() {
            return Ok(());
        }
        let (base, last, content) = &expected[self.rng.random_range(0..expected.len())];
        let at = self.rng.random_range(*base..=*last);
        let start = self.log(index).offsets().log_start_offset.0;
        if at < start {
            return Ok(());
        }
        match read_at(&self.log(index), at) {
            Ok(found) if found.batches[0].slice(21..).starts_with(content) => Ok(()),
            _ if self.in_trouble() => Ok(()),
            other => Err(self.violation(&format!("{index}: offset {at} of batch {base} gave {other:?}"))),
        }
    }

    /// The whole partition, against what is durable.
    fn compare(&mut self, index: usize) -> Result<(), Violation> {
        if self.in_trouble() {
            return Ok(());
        }
        let log = self.log(index);
        let offsets = log.offsets();
        let partition = &mut self.partitions[index];
        for state in [&mut partition.durable, &mut partition.newest] {
            state.advance_start_over_gap(offsets.log_start_offset.0);
        }
        let durable = &self.partitions[index].durable;
        let numbers = (offsets.log_start_offset.0, offsets.high_watermark.0);
        // A read sets nothing in motion: with an acknowledged end above the high watermark something is wrong.
        if numbers != (durable.start, durable.end) {
            return Err(self.violation(&format!("{index}: {offsets:?}, expected {}", durable.summary())));
        }
        let found = match try_read_all(&log) {
            Ok(found) => found,
            Err(_) if self.in_trouble() => return Ok(()),
            Err(error) => return Err(self.violation(&format!("{index}: {error}"))),
        };
        let expected = durable
            .readable()
            .into_iter()
            .map(|(base, _, content)| (base, content));
        if !self.in_trouble() && found != expected.collect::<Vec<_>>() {
            return Err(self.violation(&format!("{index}: the records differ")));
        }
        let told = check_transactions(&log, &self.partitions[index].durable.batches);
        match told {
            Err(what) if !self.in_trouble() => Err(self.violation(&format!("{index}: {what}"))),
            _ => Ok(()),
        }
    }

    fn stop(&mut self) -> Result<(), Violation> {
        self.note("clean stop".into());
        while self.commit() {}
        if self.engine().wal_usage().free < ROOM {
            return Ok(());
        }
        self.engine().close(Duration::from_secs(60));
        if self.in_trouble() {
            return self.crash();
        }
        self.partitions.iter_mut().for_each(Partition::settle);
        self.engine = None;
        match self.open() {
            Ok(()) => self.recovered(),
            // The power went in this start.
            Err(_) if self.in_trouble() => self.crash(),
            Err(violation) => Err(violation),
        }
    }

    fn crash(&mut self) -> Result<(), Violation> {
        self.partitions.iter_mut().for_each(Partition::settle);
        self.crashes += 1;
        self.note("crash".into());
        self.engine = None;
        self.faulty = false;
        self.world.fatal.lock().clear();
        let rng = &mut self.rng;
        self.world.disk.crash(&mut |n| rng.random_range(0..n));
        // Some starts crash themselves.
        while self.rng.random_bool(0.2) {
            let points = [
                CrashPoint::RecoverySegmentsCut,
                CrashPoint::RecoveryReplaying,
                CrashPoint::RecoveryReplayed,
            ];
            let point = points[self.rng.random_range(0..points.len())];
            self.world.disk.crash_at(point, self.rng.random_range(1..20));
            let opened = self.open();
            if let (Err(violation), false) = (opened, self.world.disk.is_dark()) {
                return Err(violation);
            }
            self.engine = None;
            let rng = &mut self.rng;
            self.world.disk.crash(&mut |n| rng.random_range(0..n));
        }
        self.open()?;
        self.recovered()
    }

    fn open(&mut self) -> Result<(), Violation> {
        match self.world.open_by_hand() {
            Ok((engine, report)) => {
                self.note(format!("open: {} groups replayed", report.groups));
                self.engine = Some(engine);
                Ok(())
            }
            Err(error) => Err(self.violation(&format!("the start was refused: {error}"))),
        }
    }

    /// What is there now is the durable state and a first part of what was pending.
    fn recovered(&mut self) -> Result<(), Violation> {
        for index in 0..self.partitions.len() {
            let log = self.log(index);
            let offsets = log.offsets();
            let found = match try_read_all(&log) {
                Ok(found) => found,
                Err(_) if self.in_trouble() => return self.crash(),
                Err(error) => return Err(self.violation(&format!("{index}: recovered, but {error}"))),
            };
            let remembered = log.remembered(ProducerId(index as i64));
            let mut state = self.partitions[index].durable.clone();
            let lost_max = self.partitions[index].pending.len();
            let mut pending = std::mem::take(&mut self.partitions[index].pending).into_iter();
            let settled = loop {
                state.advance_start_over_gap(offsets.log_start_offset.0);
                let same = (state.start, state.end, state.write_state)
                    == (
                        offsets.log_start_offset.0,
                        offsets.log_end_offset.0,
                        log.write_state(),
                    )
                    && state.remembers(&remembered, lost_max);
                let batches = state
                    .readable()
                    .into_iter()
                    .map(|(base, _, content)| (base, content));
                if same && found == batches.collect::<Vec<_>>() {
                    break Some(state);
                }
                match pending.next() {
                    Some((change, _)) => state.apply(&change),
                    None => break None,
                }
            };
            let Some(mut state) = settled else {
                let durable = &self.partitions[index].durable;
                let numbers: Vec<i64> = found.iter().map(|(base, _)| *base).collect();
                return Err(self.violation(&format!(
                    "{index}: recovered {offsets:?} {:?} {numbers:?} {:?}, durable was {} {:?}",
                    log.write_state(),
                    remembered,
                    durable.summary(),
                    durable.window,
                )));
            };
            match check_transactions(&log, &state.batches) {
                Err(_) if self.in_trouble() => return self.crash(),
                Err(what) => return Err(self.violation(&format!("{index}: recovered, but {what}"))),
                Ok(()) => {}
            }
            state.window = remembered;
            self.partitions[index].newest = state.clone();
            self.partitions[index].durable = state;
        }
        Ok(())
    }
}

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn a_seeded_simulation_over_a_faulty_disk_agrees_with_the_model() {
    let (first, count) = (variable("THALWEG_SEED", 1), variable("THALWEG_SEEDS", 40));
    let steps = variable("THALWEG_STEPS", 3000);
    let started = std::time::Instant::now();
    let (mut total, mut crashes, mut acknowledged) = (0, 0, 0);
    for seed in first..first + count {
        let mut simulation = Simulation::new(seed);
        simulation
            .run(steps)
            .unwrap_or_else(|violation| panic!("{violation}"));
        total += simulation.steps;
        crashes += simulation.crashes;
        acknowledged += simulation.acknowledged;
    }
    let rate = total as f64 / started.elapsed().as_secs_f64() * 60.0;
    println!(
        "seeds {first}..{}: {total} steps, {crashes} crashes, {acknowledged} acknowledged changes",
        first + count
    );
    println!("{:.2} million steps a minute", rate / 1e6);
    assert!(
        crashes > 0 && acknowledged > 0,
        "a run without a fault or a promise proves nothing"
    );
}

#[test]
fn a_seed_replays_step_by_step() {
    let run = || {
        let mut simulation = Simulation::new(77);
        simulation.run(2000).unwrap();
        (
            simulation.trace,
            simulation.acknowledged,
            simulation.world.disk.calls(),
        )
    };
    assert_eq!(run(), run());
}

#[test]
fn every_planted_bug_is_found() {
    let seeds = variable("THALWEG_PLANTED_SEEDS", 40);
    for bug in [
        Bug::FlushSkipped,
        Bug::AcknowledgedEarly,
        Bug::DirectorySyncLost,
        Bug::TrimmedTooSoon,
        Bug::TruncationResurrected,
        Bug::StableBeforeMarker,
        Bug::AbortsForgotten,
        Bug::OpenTransactionsLost,
    ] {
        let found = (1..=seeds).find_map(|seed| {
            plant(Some(bug));
            // A planted bug may also break what the engine takes for certain.
            let outcome = std::panic::catch_unwind(|| Simulation::new(seed).run(3000));
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
