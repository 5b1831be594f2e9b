use thalweg_client::EpochEnd;
use thalweg_wire::mirror::Ownership;

use super::*;
use crate::config::{LogStart, OnGap, OnRewind, ReadUpTo, Start};
use crate::run;

const LINK: LinkId = LinkId([7; 16]);

fn rules() -> Rules {
    Rules {
        start: Start::Earliest,
        on_gap: OnGap::Stop,
        on_rewind: OnRewind::Stop,
        log_start: LogStart::Follow,
        read: ReadUpTo::Committed,
        lease: Duration::from_secs(10),
    }
}

/// One batch, without bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    base: i64,
    last: i64,
    epoch: i32,
    /// Stands for the content.
    crc: u32,
}

impl Batch {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = run::tests::batch(self.base, self.last, 3);
        bytes[12..16].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Self> {
        let mut batches = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = thalweg_wire::batch::BatchHeader::parse(rest).unwrap();
            batches.push(Self {
                base: header.base_offset.get(),
                last: header.last_offset().get(),
                epoch: header.leader_epoch.get(),
                crc: header.crc,
            });
            rest = &rest[header.total_len()..];
        }
        batches
    }
}

/// A source's log.
#[derive(Clone, Debug, Default)]
struct Source {
    batches: Vec<Batch>,
    start: i64,
    end: i64,
    /// Where the tail that transactions keep back begins.
    unstable: i64,
}

impl Source {
    fn with(batches: &[(i64, i64, i32)]) -> Self {
        let batches: Vec<Batch> = batches
            .iter()
            .map(|(base, last, epoch)| Batch {
                base: *base,
                last: *last,
                epoch: *epoch,
                crc: (*base as u32) * 31 + *epoch as u32,
            })
            .collect();
        Self {
            end: batches.last().map_or(0, |batch| batch.last + 1),
            start: batches.first().map_or(0, |batch| batch.base),
            batches,
            unstable: 0,
        }
    }

    fn stable_end(&self) -> i64 {
        self.end - self.unstable
    }

    fn place(&self, epoch: Option<LeaderEpoch>) -> Place {
        let epoch_end = epoch.map(|epoch| {
            let next = self.batches.iter().find(|batch| batch.epoch > epoch.get());
            EpochEnd {
                leader_epoch: epoch,
                end_offset: Offset(next.map_or(self.end, |batch| batch.base)),
            }
        });
        Place {
            start: Offset(self.start),
            end: Offset(self.end),
            stable_end: Offset(self.stable_end()),
            epoch_end,
        }
    }

    fn fetch(&self, at: i64, batches_max: usize, was_alone: bool) -> Result<Fetched, FetchFailure> {
        if at < self.start || at > self.end {
            return Err(FetchFailure::OutOfRange);
        }
        let bytes: Vec<u8> = self
            .batches
            .iter()
            .filter(|batch| batch.last >= at && batch.last < self.stable_end())
            .take(batches_max)
            .flat_map(Batch::bytes)
            .collect();
        Ok(Fetched {
            log_start: Offset(self.start),
            high_watermark: Offset(self.end),
            last_stable: Offset(self.stable_end()),
            records: bytes.into(),
            was_alone,
        })
    }
}

/// A target that keeps the rules of [`thalweg_wire::mirror`].
#[derive(Clone, Debug)]
struct Target {
    batches: Vec<Batch>,
    start: i64,
    end: i64,
    session: i64,
    lease_left_ms: i32,
    owner: LinkId,
    ownership: Ownership,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            batches: Vec::new(),
            start: 0,
            end: 0,
            session: 0,
            lease_left_ms: 0,
            owner: LINK,
            ownership: Ownership::Link,
        }
    }
}

impl Target {
    fn report(&self) -> Report {
        Report {
            link: self.owner,
            session: self.session,
            log_start: Offset(self.start),
            log_end: Offset(self.end),
            high_watermark: Offset(self.end),
            source_end: Offset::UNKNOWN,
            leader_epoch: LeaderEpoch(1_000_000),
            last_epoch: self
                .batches
                .last()
                .map_or(LeaderEpoch::UNKNOWN, |batch| LeaderEpoch(batch.epoch)),
            lease_left_ms: self.lease_left_ms,
            ownership: self.ownership,
        }
    }

    fn act(&mut self, wanted: &WantedCommand) -> Result<(), ErrorCode> {
        let fence = wanted.command.fence;
        if fence.link != self.owner || self.ownership != Ownership::Link {
            return Err(ErrorCode::PolicyViolation);
        }
        match wanted.command.operation {
            Operation::Inspect => return Ok(()),
            Operation::Claim { lease_ms } => {
                if self.lease_left_ms > 0 && fence.session != self.session {
                    return Err(ErrorCode::FencedLeaderEpoch);
                }
                (self.session, self.lease_left_ms) = (self.session + 1, lease_ms);
                return Ok(());
            }
            _ => {}
        }
        if fence.session != self.session {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if fence.expected_end != Offset::UNKNOWN && fence.expected_end.get() != self.end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        match wanted.command.operation {
            Operation::Append { .. } => {
                for batch in Batch::read(&wanted.records) {
                    assert!(batch.base >= self.end, "{batch:?} overlaps {}", self.end);
                    if self.end == 0 && batch.base > 0 {
                        self.start = batch.base;
                    }
                    self.end = batch.last + 1;
                    self.batches.push(batch);
                }
            }
            Operation::AdvanceEnd { to } => {
                assert!(to.get() > self.end);
                self.end = to.get();
            }
            Operation::SetLogStart { to } => {
                assert!(to.get() <= self.end);
                self.start = self.start.max(to.get());
            }
            Operation::Promote { .. } => self.ownership = Ownership::Open,
            Operation::Truncate { to } => {
                self.batches.retain(|batch| batch.last < to.get());
                self.end = to.get();
            }
            _ => {}
        }
        Ok(())
    }
}

/// Chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A partition between its two sides; time passes when nothing else can be done.
struct World {
    source: Source,
    target: Target,
    partition: Partition,
    now: Instant,
    batches_max: usize,
}

impl World {
    fn new(source: Source, rules: Rules) -> Self {
        let now = Instant::now();
        Self {
            source,
            target: Target::default(),
            partition: Partition::new(LINK, rules, now),
            now,
            batches_max: 2,
        }
    }

    /// Does one thing that is wanted; `false` when nothing is.
    fn step(&mut self) -> bool {
        if let Some(wanted) = self.partition.command(self.now) {
            self.partition.commanded(&wanted.command);
            let done = self.target.act(&wanted).map_err(|code| Refusal::Code(code, None));
            self.partition
                .answered(done, Some(self.target.report()), self.now);
            return true;
        }
        if let Some(question) = self.partition.question(self.now) {
            self.partition.asked();
            let place = self.source.place(question.epoch);
            self.partition.placed(question.generation, Ok(place), self.now);
            return true;
        }
        // At the end a fetch brings nothing: it is no step.
        if let Some(wanted) = self.partition.fetch(self.now) {
            let before = (self.partition.state(), self.partition.fetch_at);
            self.partition.fetching();
            let fetched = self
                .source
                .fetch(wanted.at.get(), self.batches_max, wanted.lane == Lane::Alone);
            self.partition.fetched(wanted.generation, fetched, self.now);
            return before != (self.partition.state(), self.partition.fetch_at)
                || self.partition.state() != State::Live;
        }
        false
    }

    fn settle(&mut self) -> State {
        for _ in 0..1000 {
            if !self.step() {
                match self.partition.state() {
                    State::Live | State::Stopped | State::Paused => return self.partition.state(),
                    _ => self.now += Duration::from_millis(100),
                }
            }
        }
        panic!("it does not come to rest: {:?}", self.partition);
    }

    fn assert_equal(&self) {
        assert_eq!(self.target.batches, self.source.batches);
        assert_eq!(self.target.end, self.source.stable_end());
    }
}

fn three() -> Source {
    Source::with(&[(0, 4, 0), (5, 5, 0), (6, 20, 1)])
}

#[test]
fn an_empty_mirror_gets_everything_and_then_lives() {
    let mut world = World::new(three(), rules());
    assert_eq!(world.settle(), State::Live);
    world.assert_equal();
    assert_eq!(world.partition.lag(), Some(0));
    world.source.batches.push(Batch {
        base: 21,
        last: 30,
        epoch: 1,
        crc: 1,
    });
    world.source.end = 31;
    assert_eq!(world.settle(), State::Live);
    world.assert_equal();
}

#[test]
fn open_transactions_are_left_out_and_the_end_is_told() {
    let mut source = three();
    source.unstable = 15;
    let mut world = World::new(source, rules());
    assert_eq!(world.settle(), State::Live);
    assert_eq!(world.target.end, 6);
    assert_eq!(world.partition.lag(), Some(0), "what may not be read is no lag");
    world.source.unstable = 0;
    world.settle();
    world.assert_equal();
}

#[test]
fn an_idle_source_without_records_gives_its_start_and_end() {
    let mut source = Source::default();
    (source.start, source.end) = (100, 100);
    let mut world = World::new(source, rules());
    assert_eq!(world.settle(), State::Live);
    assert_eq!((world.target.start, world.target.end), (100, 100));
    assert!(world.partition.losses().is_empty(), "nothing was promised");
}

#[test]
fn a_log_start_inside_a_batch_is_followed_with_the_whole_batch() {
    let mut source = three();
    source.batches.remove(0);
    source.batches.remove(0);
    source.start = 10;
    let mut world = World::new(source, rules());
    assert_eq!(world.settle(), State::Live);
    world.assert_equal();
    assert_eq!(world.target.start, 10);
}

#[test]
fn the_log_start_is_followed_or_left() {
    for (log_start, expected) in [(LogStart::Follow, 6), (LogStart::Independent, 0)] {
        let mut world = World::new(three(), Rules { log_start, ..rules() });
        world.settle();
        world.source.start = 6;
        world.source.batches.push(Batch {
            base: 21,
            last: 21,
            epoch: 1,
            crc: 1,
        });
        world.source.end = 22;
        world.settle();
        assert_eq!(world.target.start, expected, "{log_start:?}");
    }
}

#[test]
fn only_what_comes_is_copied_when_asked() {
    let start = Start::Latest;
    let mut world = World::new(three(), Rules { start, ..rules() });
    world.settle();
    assert_eq!((world.target.start, world.target.end), (21, 21));
    assert!(world.target.batches.is_empty());
}

#[test]
fn a_tail_that_compaction_took_is_no_endless_wait() {
    let mut source = three();
    source.end = 40;
    let mut world = World::new(source, rules());
    assert_eq!(world.settle(), State::Live);
    assert_eq!(world.target.end, 40);
}

#[test]
fn a_gap_stops_or_is_jumped_with_its_range() {
    for on_gap in [OnGap::Stop, OnGap::Jump] {
        let mut world = World::new(three(), Rules { on_gap, ..rules() });
        world.settle();
        world.source = Source::with(&[(50, 60, 1)]);
        world.source.start = 55;
        let state = world.settle();
        let (from, to) = (Offset(21), Offset(55));
        match on_gap {
            OnGap::Stop => {
                assert_eq!(world.partition.stop(), Some(&Stop::Gap { from, to }));
                assert_eq!(world.target.end, 21);
            }
            OnGap::Jump => {
                assert_eq!(state, State::Live);
                assert_eq!(world.partition.losses(), [Loss::Missed { from, to }]);
                assert_eq!((world.target.start, world.target.end), (55, 61));
                assert_eq!(world.target.batches.last(), world.source.batches.last());
            }
        }
    }
}

#[test]
fn a_rewind_stops_or_is_cut_back_with_its_range() {
    for on_rewind in [OnRewind::Stop, OnRewind::Truncate] {
        let mut world = World::new(three(), Rules { on_rewind, ..rules() });
        world.settle();
        // An unclean election: the end of epoch 1 is lost and epoch 2 writes other records there.
        world.source = Source::with(&[(0, 4, 0), (5, 5, 0), (6, 30, 2)]);
        // A service that begins anew compares before it copies.
        world.partition = Partition::new(LINK, world.partition.rules, world.now);
        world.target.lease_left_ms = 0;
        world.settle();
        let (from, to) = (Offset(6), Offset(21));
        match on_rewind {
            OnRewind::Stop => assert_eq!(world.partition.stop(), Some(&Stop::Rewind { from, to })),
            OnRewind::Truncate => {
                assert_eq!(world.partition.losses(), [Loss::CutBack { from, to }]);
                world.assert_equal();
            }
        }
    }
}

#[test]
fn a_source_that_ends_below_the_mirror_is_a_rewind() {
    let mut world = World::new(three(), rules());
    world.settle();
    world.source = Source::with(&[(0, 4, 0)]);
    world.settle();
    let (from, to) = (Offset(5), Offset(21));
    assert_eq!(world.partition.stop(), Some(&Stop::Rewind { from, to }));
}

#[test]
fn another_owner_and_a_promoted_partition_stop_it() {
    let mut world = World::new(three(), rules());
    world.target.owner = LinkId([9; 16]);
    world.settle();
    assert!(matches!(world.partition.stop(), Some(Stop::NotOurs(_))));
    let mut world = World::new(three(), rules());
    world.settle();
    world.target.ownership = Ownership::Open;
    world.now += Duration::from_secs(20);
    world.settle();
    assert_eq!(world.partition.stop(), Some(&Stop::Promoted));
    world.target.ownership = Ownership::Link;
    world.partition.resume(world.now);
    assert_eq!(world.settle(), State::Live);
}

#[test]
fn a_living_holder_is_waited_for() {
    let mut world = World::new(three(), rules());
    (world.target.session, world.target.lease_left_ms) = (4, 5000);
    let began = world.now;
    for _ in 0..20 {
        if !world.step() {
            world.now += Duration::from_millis(100);
        }
    }
    assert_eq!(world.partition.state(), State::Claiming);
    assert!(world.target.batches.is_empty());
    world.target.lease_left_ms = 0;
    world.settle();
    assert!(world.now - began >= Duration::from_secs(5));
    assert_eq!(world.target.session, 5);
    world.assert_equal();
}

#[test]
fn damaged_bytes_are_fetched_again_and_then_stop_it() {
    let mut world = World::new(three(), rules());
    world.settle();
    let now = world.now;
    for attempt in 1..=3 {
        assert_ne!(world.partition.state(), State::Stopped, "{attempt}");
        world.partition.try_bytes_again("wrong checksum".to_owned(), now);
    }
    assert!(matches!(world.partition.stop(), Some(Stop::Unreadable(_))));
}

#[test]
fn a_paused_partition_wants_nothing() {
    let mut world = World::new(three(), rules());
    world.partition.pause();
    assert_eq!(world.settle(), State::Paused);
    assert!(world.target.batches.is_empty());
    world.partition.resume(world.now);
    assert_eq!(world.settle(), State::Live);
}

#[test]
fn a_planned_promotion_waits_until_everything_is_there_and_still() {
    let mut source = three();
    source.unstable = 15;
    let mut world = World::new(source, rules());
    world.settle();
    let still = Duration::from_secs(2);
    world
        .partition
        .promote(Promotion::Planned { still, seal: None }, world.now);
    for _ in 0..50 {
        world.now += Duration::from_millis(100);
        world.step();
    }
    assert_eq!(world.target.ownership, Ownership::Link, "a transaction is open");
    world.source.unstable = 0;
    for _ in 0..50 {
        world.now += Duration::from_millis(100);
        world.step();
    }
    assert_eq!(world.partition.stop(), Some(&Stop::Promoted));
    assert_eq!(
        (world.target.ownership, world.partition.cut()),
        (Ownership::Open, Some(Offset(21)))
    );
    world.assert_equal();
}

/// What the source says when it was asked to be sealed or opened.
fn source_says(world: &mut World, ownership: Ownership) -> Operation {
    let command = world.partition.source_command(world.now).expect("a wish");
    world.partition.source_commanded();
    assert_eq!(world.partition.source_command(world.now), None, "one at a time");
    let report = Report {
        log_end: Offset(world.source.end),
        ownership,
        ..world.target.report()
    };
    world.partition.source_answered(Ok(()), Some(report), world.now);
    command.operation
}

#[test]
fn a_source_that_can_be_sealed_is_and_nothing_that_it_got_before_is_left_out() {
    let mut source = three();
    source.unstable = 15;
    let mut world = World::new(source, rules());
    world.settle();
    let planned = Promotion::Planned {
        still: Duration::from_secs(3600),
        seal: Some(Duration::from_secs(5)),
    };
    world.partition.promote(planned, world.now);
    let operation = source_says(&mut world, Ownership::Sealed);
    assert!(matches!(operation, Operation::Seal { .. }));
    assert_eq!(world.partition.sealed_at(), Some(Offset(21)));
    for _ in 0..50 {
        world.now += Duration::from_millis(100);
        world.step();
    }
    assert_eq!(world.target.ownership, Ownership::Link, "a transaction is open");
    assert!(world.partition.waits_for_transactions(world.now));
    world.source.unstable = 0;
    for _ in 0..20 {
        world.now += Duration::from_millis(100);
        world.step();
    }
    assert_eq!(world.partition.stop(), Some(&Stop::Promoted));
    assert_eq!(world.partition.cut(), Some(Offset(21)));
    world.assert_equal();
}

#[test]
fn a_promotion_that_is_given_up_opens_the_source_and_one_that_was_sent_is_not() {
    let mut source = three();
    source.unstable = 15;
    let mut world = World::new(source, rules());
    world.settle();
    let planned = Promotion::Planned {
        still: Duration::ZERO,
        seal: Some(Duration::from_secs(5)),
    };
    world.partition.promote(planned, world.now);
    source_says(&mut world, Ownership::Sealed);
    world.partition.give_up(world.now);
    assert_eq!(source_says(&mut world, Ownership::Open), Operation::Unseal);
    assert_eq!(world.partition.sealed_at(), None);
    world.source.unstable = 0;
    assert_eq!(world.settle(), State::Live, "nothing is promoted");
    world.partition.promote(planned, world.now);
    source_says(&mut world, Ownership::Sealed);
    assert_eq!(world.settle(), State::Stopped);
    assert_eq!(world.partition.stop(), Some(&Stop::Promoted));
    world.partition.give_up(world.now);
    let wish = world
        .partition
        .source_command(world.now)
        .map(|command| command.operation);
    assert!(!matches!(wish, Some(Operation::Unseal)), "{wish:?}");
}

#[test]
fn the_source_of_a_promoted_partition_is_sealed_below_its_epoch() {
    let mut world = World::new(three(), rules());
    world.settle();
    world.partition.promote(Promotion::Failover, world.now);
    world.settle();
    let epoch_below = LeaderEpoch(1_000_000);
    let command = world.partition.source_command(world.now).expect("a seal");
    assert_eq!(command.operation, Operation::Seal { epoch_below });
    world.partition.source_commanded();
    let refusal = Refusal::Code(ErrorCode::FencedLeaderEpoch, None);
    world.partition.source_answered(Err(refusal), None, world.now);
    assert_eq!(
        world.partition.source_command(world.now),
        None,
        "it was given to clients since"
    );
}

#[test]
fn a_failover_takes_what_is_there_at_once() {
    let mut world = World::new(three(), rules());
    world.batches_max = 1;
    for _ in 0..5 {
        world.step();
    }
    assert!(world.target.end < 21);
    let cut = Offset(world.target.end);
    world.partition.promote(Promotion::Failover, world.now);
    world.settle();
    assert_eq!(world.partition.stop(), Some(&Stop::Promoted));
    assert_eq!(
        (world.target.ownership, world.partition.cut()),
        (Ownership::Open, Some(cut))
    );
    world.partition.promote(Promotion::Failover, world.now);
    assert_eq!(world.settle(), State::Stopped, "once is enough");
}

/// Answers get lost before or after their effect, come late, and in any order; other instances take the partition;
/// the source goes on meanwhile. In the end the mirror is equal.
#[test]
fn whatever_gets_lost_the_mirror_is_equal_in_the_end() {
    let seeds = std::env::var("THALWEG_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(300);
    for seed in 0..seeds {
        let mut chance = Chance(seed);
        let mut world = World::new(three(), rules());
        let mut late: Vec<(u64, Result<Fetched, FetchFailure>)> = Vec::new();
        for _ in 0..200 {
            disturb(&mut world, &mut chance, &mut late);
        }
        world.target.lease_left_ms = 0;
        world.now += Duration::from_secs(60);
        for (generation, answer) in late {
            world.partition.fetched(generation, answer, world.now);
        }
        let state = world.settle();
        assert_eq!(state, State::Live, "seed {seed}: {:?}", world.partition.reason());
        assert_eq!(world.target.batches, world.source.batches, "seed {seed}");
        assert_eq!(world.target.end, world.source.end, "seed {seed}");
    }
}

fn disturb(world: &mut World, chance: &mut Chance, late: &mut Vec<(u64, Result<Fetched, FetchFailure>)>) {
    match chance.below(10) {
        0 => {
            let (base, count) = (world.source.end, 1 + chance.below(5) as i64);
            // Compaction leaves holes.
            let base = base + chance.below(3) as i64;
            let epoch = 1;
            let crc = chance.below(1 << 30) as u32;
            world.source.batches.push(Batch {
                base,
                last: base + count - 1,
                epoch,
                crc,
            });
            world.source.end = base + count;
        }
        1 => world.now += Duration::from_millis(chance.below(3000)),
        2 => {
            // Another instance comes and goes.
            if chance.below(8) == 0 {
                world.target.session += 1;
            }
        }
        3 | 4 => {
            if let Some(wanted) = world.partition.command(world.now) {
                world.partition.commanded(&wanted.command);
                if chance.below(2) == 0 {
                    let _ = world.target.act(&wanted);
                }
                let lost = Err(Refusal::Lost("the connection was closed".to_owned()));
                world.partition.answered(lost, None, world.now);
            }
            world.target.lease_left_ms = 0;
        }
        5 => {
            if let Some(wanted) = world.partition.fetch(world.now) {
                world.partition.fetching();
                let answer = world.source.fetch(wanted.at.get(), 1, wanted.lane == Lane::Alone);
                late.push((wanted.generation, answer));
            }
        }
        6 if !late.is_empty() => {
            let (generation, answer) = late.remove(0);
            world.partition.fetched(generation, answer, world.now);
        }
        _ => {
            world.step();
        }
    }
}
