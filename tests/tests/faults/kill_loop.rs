//! kill -9 again and again, one time in five while the broker recovers, under a load of every kind.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg_tests::actors::{
    ProducerPlan, Theatre, Topic, check_commits, check_topic, start_producer, start_steady_commits,
};
use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::counters::{self, Lives};
use thalweg_tests::history::{Promise, Violation};
use thalweg_tests::{Broker, BrokerConfig, Product, http, wait, watchdog};

use crate::company::{Company, PACE, STEADY, let_pass, make_topic};

/// Kills of a short run, in which everything below must happen so many times.
const KILLS: u64 = 30;
const EACH_EVENT: u64 = 50;
const ACKNOWLEDGED: u64 = 100_000;
/// Size of the write-ahead log: it wrapped once when so much was written to it.
const WAL_BYTES: f64 = 4.0 * 1024.0 * 1024.0;

struct Run {
    broker: Broker,
    company: Company,
    chance: Chance,
    lives: Lives,
    kills: u64,
    kills_in_recovery: u64,
    /// How long the latest start took.
    start_time: Duration,
}

#[test]
fn nothing_acknowledged_is_lost_over_kills() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let kills = number_from_environment("THALWEG_KILLS", KILLS).max(1);
    watchdog::allow(Duration::from_secs(600 + 30 * kills));
    let begin = Instant::now();
    let mut run = Run::start(Chance::from_environment());
    let goals = Goals::of(kills);
    while run.kills < kills || !run.reached(&goals) {
        assert!(
            run.kills < 3 * kills + 5,
            "too little happened between the kills: {}",
            run.tally()
        );
        run.round();
    }
    eprintln!("kill loop after {} s: {}", begin.elapsed().as_secs(), run.tally());
    let Run {
        mut broker, company, ..
    } = run;
    company.finish(&mut broker);
    eprintln!("kill loop checked after {} s", begin.elapsed().as_secs());
}

/// What a run must have done before it counts.
struct Goals {
    acknowledged: u64,
    each_event: u64,
    kills_in_recovery: u64,
}

impl Goals {
    fn of(kills: u64) -> Goals {
        Goals {
            acknowledged: (ACKNOWLEDGED * kills).div_ceil(KILLS),
            each_event: (EACH_EVENT * kills).div_ceil(KILLS),
            kills_in_recovery: kills / 5,
        }
    }
}

/// What happened so far.
#[derive(Debug)]
#[allow(dead_code)]
struct Tally {
    kills: u64,
    kills_in_recovery: u64,
    acknowledged: u64,
    confirmed_commits: u64,
    wal_wraps: u64,
    wal_trims: u64,
    segment_rolls: u64,
    recovery_points: u64,
    topics_deleted: u64,
    topics_checked: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl Run {
    fn start(mut chance: Chance) -> Run {
        let config = BrokerConfig::default()
            .small_files()
            .set("auto.create.topics.enable", "false")
            .set("log.retention.check.interval.ms", 1_000)
            .set("log.segment.delete.delay.ms", 200)
            .set_for(Product::Thalweg, "wal.tail.memory.bytes", 1 << 20)
            .set_for(Product::Thalweg, "segment.write.bytes", 64 << 10);
        let broker = config.start();
        let company = Company::start(&broker, PACE, &mut chance);
        Run {
            broker,
            company,
            chance,
            lives: Lives::default(),
            kills: 0,
            kills_in_recovery: 0,
            start_time: Duration::from_millis(300),
        }
    }

    /// Waits for progress, kills, starts, and asks for what must have stayed.
    fn round(&mut self) {
        let wanted = self.chance.between(1, 2 * ACKNOWLEDGED / KILLS);
        self.company.wait_for_records(wanted);
        let_pass(self.chance.millis(0, 300));
        self.look();
        self.kill();
        // One kill in five falls into a recovery: then there is another start at once.
        if self.kills % 5 == 4 {
            self.kill_in_recovery();
        }
        let begin = Instant::now();
        self.broker.start_again();
        self.start_time = begin.elapsed();
        self.company.check_commits();
        self.company.assert_sound("after a kill");
    }

    fn kill(&mut self) {
        self.broker.kill_nine();
        self.lives.end();
        self.kills += 1;
    }

    /// Starts the broker and kills it before it serves. One that was ready first counts as an ordinary kill.
    fn kill_in_recovery(&mut self) {
        let longest = u64::try_from(self.start_time.as_millis()).unwrap_or(300).max(20);
        for _ in 0..5 {
            self.broker.launch();
            let_pass(self.chance.millis(5, longest * 9 / 10));
            let address = self.broker.http().map(str::to_owned).unwrap_or_default();
            let is_ready = http::get(&address, "/readyz").is_ok_and(|answer| answer.status == 200);
            let server = self.broker.server().expect("it was launched");
            if let Some(status) = server.exit_status() {
                panic!("the broker ended by itself: {status}\n{}", self.broker.log_tail());
            }
            self.kill();
            if !is_ready {
                self.kills_in_recovery += 1;
                return;
            }
        }
    }

    fn look(&mut self) {
        let address = self.broker.http().map(str::to_owned).unwrap_or_default();
        let numbers = counters::scrape(&address)
            .unwrap_or_else(|error| panic!("no metrics before a kill: {error}\n{}", self.broker.log_tail()));
        self.lives.look(numbers);
    }

    fn tally(&self) -> Tally {
        let total = |name: &str| self.lives.total(name) as u64;
        let history = self.company.theatre.history();
        Tally {
            kills: self.kills,
            kills_in_recovery: self.kills_in_recovery,
            acknowledged: history.acknowledged_count(),
            confirmed_commits: history.confirmed_commit_count(),
            wal_wraps: (self.lives.total("thalweg_wal_written_bytes_total") / WAL_BYTES) as u64,
            wal_trims: total("thalweg_wal_trims_total"),
            segment_rolls: total("thalweg_segment_rolls_total"),
            recovery_points: total("thalweg_checkpoints_total"),
            topics_deleted: self.company.churn.deleted.load(Ordering::Relaxed),
            topics_checked: self.company.churn.checks(),
        }
    }

    fn reached(&self, goals: &Goals) -> bool {
        let tally = self.tally();
        let events = [
            tally.wal_wraps,
            tally.wal_trims,
            tally.segment_rolls,
            tally.recovery_points,
            tally.topics_deleted,
            tally.confirmed_commits,
        ];
        tally.acknowledged >= goals.acknowledged
            && tally.kills_in_recovery >= goals.kills_in_recovery
            && events.iter().all(|count| *count >= goals.each_event)
    }
}

/// The whole chain of clients, history and reading finds a loss: the broker is given back an older directory.
#[test]
fn a_broker_that_forgot_is_found_out() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let mut broker = BrokerConfig::default().small_files().start();
    let theatre = Theatre::new(broker.bootstrap());
    let topic = make_topic(&broker, &theatre, "forgotten", 2);
    let mut chance = Chance::new(1);
    work(&theatre, &topic, &mut chance);
    broker.kill_nine();
    let copy = broker.directory().join("older");
    copy_directory(&broker.log_directory(), &copy);
    broker.start_again();
    assert_eq!(judge(&theatre, &topic), []);
    work(&theatre, &topic, &mut chance);
    broker.kill_nine();
    std::fs::remove_dir_all(broker.log_directory()).expect("the directory can be removed");
    std::fs::rename(&copy, broker.log_directory()).expect("the copy takes its place");
    broker.start_again();
    let found = judge(&theatre, &topic);
    let lost = found.iter().any(|one| matches!(one, Violation::Lost { .. }));
    let back = found
        .iter()
        .any(|one| matches!(one, Violation::CommitWentBack { .. }));
    assert!(lost && back, "{found:?}");
}

/// Produces and commits for a moment.
fn work(theatre: &Theatre, topic: &Topic, chance: &mut Chance) {
    let plan = ProducerPlan {
        topic: topic.clone(),
        promise: Promise::Once,
        pace: PACE,
        settings: Vec::new(),
    };
    let (records, commits) = {
        let history = theatre.history();
        (history.acknowledged_count(), history.confirmed_commit_count())
    };
    let producer = start_producer(theatre, plan, chance.fork());
    let committer = start_steady_commits(theatre, STEADY, topic, chance.fork());
    wait::until("records and commits are acknowledged", || {
        let history = theatre.history();
        history.acknowledged_count() > records + 200 && history.confirmed_commit_count() > commits + 10
    });
    producer.stop();
    committer.stop();
}

fn judge(theatre: &Theatre, topic: &Topic) -> Vec<Violation> {
    let mut found = check_topic(theatre, topic);
    check_commits(theatre, topic, &[STEADY]);
    found.extend(theatre.history().violations().iter().cloned());
    found
}

/// Copies a directory and what is in it.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a readable directory") {
        let entry = entry.expect("a readable entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
