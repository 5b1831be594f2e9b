//! Transactions over kill -9, pauses and a network that delays, stalls, loses answers and cuts, judged in the manner of
//! Jepsen's workload for Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use thalweg_tests::actors::Actor;
use thalweg_tests::chance::{Chance, number_from_environment};
use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::relay::{Relay, Weather};
use thalweg_tests::transactions::actors::{
    PARTITIONS, Stage, TOPICS, TRANSACTION_TIMEOUT, read_committed_offsets, read_everything, send_home,
    start_deceived_poller, start_poller, start_processor, start_writer,
};
use thalweg_tests::transactions::{Book, Event, Isolation, Outcome, Tally, Violation, check};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};

use crate::company::let_pass;
use crate::kill_loop::copy_directory;

/// How long faults happen in a short run, in seconds; `THALWEG_TRANSACTION_SECONDS` sets it.
const SECONDS: u64 = 25;

/// Writers and processors; each has a transactional id.
const WRITERS: u32 = 3;
const PROCESSORS: u32 = 2;

/// What can happen. Each kind happens at least once in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Kill,
    Pause,
    LongPause,
    Delay,
    Stall,
    AnswersLost,
    Cut,
    Refusal,
}

const FAULTS: [Fault; 8] = [
    Fault::Kill,
    Fault::AnswersLost,
    Fault::Pause,
    Fault::Cut,
    Fault::Delay,
    Fault::Kill,
    Fault::Stall,
    Fault::Refusal,
];

/// The faults of a run. Apache Kafka 4.3.1, which this test is checked against, is not killed: a node that finds a
/// prepared abort when it starts can take it for done although partitions have no marker, and the open records there
/// become visible with the producer's next commit. This test found that; it has to be silent about everything else.
fn faults() -> Vec<Fault> {
    let mut faults = FAULTS.to_vec();
    if Product::under_test() == Product::ApacheKafka {
        faults.retain(|fault| *fault != Fault::Kill);
    }
    faults
}

struct Run {
    seed: u64,
    chance: Chance,
    relay: Relay,
    broker: Broker,
    stage: Stage,
    actors: Vec<Actor>,
    faults: BTreeMap<Fault, u64>,
}

#[test]
fn committed_transactions_are_whole_and_others_are_nothing_over_faults() {
    let mut chance = Chance::from_environment();
    let seed = chance.seed();
    let seconds = number_from_environment("THALWEG_TRANSACTION_SECONDS", SECONDS);
    let begin = Instant::now();
    let mut run = Run::start(&mut chance, seed);
    let end = begin + Duration::from_secs(seconds);
    let faults = faults();
    let kinds = faults.iter().collect::<BTreeSet<_>>().len();
    let mut turns = faults.iter().copied().cycle();
    run.must_go_on(seed);
    while Instant::now() < end || run.faults.len() < kinds {
        let fault = match run.chance.index(8) {
            0 if run.faults.len() >= kinds => Fault::LongPause,
            _ => turns.next().unwrap_or(Fault::Pause),
        };
        run.let_happen(fault);
        run.must_go_on(seed);
    }
    run.finish();
}

fn config() -> BrokerConfig {
    BrokerConfig::default()
        .small_files()
        .set("auto.create.topics.enable", "false")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
}

fn make_topics(broker: &Broker) {
    for topic in TOPICS {
        create_topic(broker, topic, PARTITIONS, &[("retention.ms", "-1")]);
    }
}

impl Run {
    fn start(chance: &mut Chance, seed: u64) -> Run {
        let relay = Relay::start(chance.fork());
        let advertised = format!("PLAINTEXT://{}", relay.address());
        let broker = config().set("advertised.listeners", advertised).start();
        relay.lead_to(broker.bootstrap());
        make_topics(&broker);
        let stage = Stage {
            bootstrap: relay.address(),
            book: Book::default(),
        };
        let mut actors = Vec::new();
        for number in 0..WRITERS {
            actors.push(start_writer(&stage, number, chance.fork()));
        }
        for number in WRITERS..WRITERS + PROCESSORS {
            actors.push(start_processor(&stage, number, chance.fork()));
        }
        for isolation in [Isolation::Committed, Isolation::Committed, Isolation::Uncommitted] {
            actors.push(start_poller(&stage, isolation, chance.fork()));
        }
        Run {
            seed,
            chance: chance.fork(),
            relay,
            broker,
            stage,
            actors,
            faults: BTreeMap::new(),
        }
    }

    fn let_happen(&mut self, fault: Fault) {
        let_pass(self.chance.millis(0, 500));
        *self.faults.entry(fault).or_default() += 1;
        self.stage.book.note(Event::Mark(format!("{fault:?} begins")));
        self.happen(fault);
        self.stage.book.note(Event::Mark(format!("{fault:?} is over")));
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Kill => {
                self.broker.kill_nine();
                let_pass(self.chance.millis(0, 300));
                self.broker.start_again();
            }
            Fault::Pause => {
                let length = self.chance.millis(100, 1_500);
                self.pause(length);
            }
            // Longer than the transactions may take.
            Fault::LongPause => {
                let length = TRANSACTION_TIMEOUT + self.chance.millis(500, 2_500);
                self.pause(length);
            }
            Fault::Delay => self.weather(Weather::Delayed { millis_max: 60 }, (500, 2_500)),
            Fault::Stall => self.weather(Weather::Stalled, (100, 4_000)),
            Fault::AnswersLost => self.weather(Weather::AnswersLost, (20, 400)),
            Fault::Refusal => self.weather(Weather::Refused, (50, 800)),
            Fault::Cut => {
                for _ in 0..self.chance.between(1, 5) {
                    self.relay.cut();
                    let_pass(self.chance.millis(10, 300));
                }
            }
        }
    }

    fn pause(&mut self, length: Duration) {
        let server = self.broker.server().expect("the broker runs");
        server.signal(Signal::STOP);
        let_pass(length);
        server.signal(Signal::CONT);
    }

    fn weather(&mut self, weather: Weather, (shortest, longest): (u64, u64)) {
        self.relay.set(weather);
        let_pass(self.chance.millis(shortest, longest));
        self.relay.set(Weather::Clear);
    }

    /// Waits until transactions commit and consumers read again: nobody stays blocked by a fault.
    #[track_caller]
    fn must_go_on(&self, seed: u64) {
        let before = self.stage.book.tally();
        let goes_on = wait::poll(wait::PATIENCE, || {
            let now = self.stage.book.tally();
            let ended = self.actors.iter().any(Actor::has_ended);
            (ended
                || now.committed > before.committed + 3
                    && now.processed > before.processed
                    && now.polled > before.polled + 50)
                .then_some(())
        });
        let gone: Vec<&str> = self
            .actors
            .iter()
            .filter(|actor| actor.has_ended())
            .map(Actor::name)
            .collect();
        assert!(
            gone.is_empty(),
            "THALWEG_SEED={seed}: {gone:?} gave up; the output is above"
        );
        assert!(
            goes_on.is_some(),
            "THALWEG_SEED={seed}: nothing goes on after {:?}: {before:?}, then {:?}",
            self.faults,
            self.stage.book.tally()
        );
    }

    /// Reads everything and judges it: as it is, and after another kill.
    #[track_caller]
    fn finish(mut self) {
        send_home(std::mem::take(&mut self.actors));
        let tally = self.stage.book.tally();
        eprintln!("transactions: {tally:?}, faults {:?}", self.faults);
        self.must_have_happened(&tally);
        read_everything(&self.stage);
        read_committed_offsets(&self.stage);
        self.judge("at the end");
        if Product::under_test() == Product::ApacheKafka {
            return;
        }
        self.broker.kill_nine();
        self.broker.start_again();
        read_everything(&self.stage);
        read_committed_offsets(&self.stage);
        self.judge("after the last kill");
    }

    /// A run in which nothing was committed, aborted, left open or broken shows nothing.
    #[track_caller]
    fn must_have_happened(&self, tally: &Tally) {
        let counts = [tally.committed, tally.aborted, tally.unknown, tally.processed];
        assert!(
            counts.iter().all(|count| *count > 0) && tally.polled > 200 && !self.faults.is_empty(),
            "too little happened: {tally:?}, {:?}",
            self.faults
        );
    }

    #[track_caller]
    fn judge(&self, when: &str) {
        let events = self.stage.book.events();
        let found = check(&events);
        if !found.is_empty() {
            let path = self.broker.directory().join("transactions.events");
            let lines: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            let written = std::fs::write(&path, lines.join("\n"));
            eprintln!("{} events are in {} ({written:?})", events.len(), path.display());
        }
        Violation::assert_none(&found, self.seed, when);
        // Readers have something to read: the checker was given committed records at all.
        let committed = events.iter().filter(|event| {
            matches!(
                event,
                Event::Ended {
                    outcome: Outcome::Committed,
                    ..
                }
            )
        });
        let read_all = events
            .iter()
            .filter(|event| matches!(event, Event::ReadAll { .. }));
        eprintln!(
            "{when}: {} events, {} committed transactions, {} partitions read",
            events.len(),
            committed.count(),
            read_all.count()
        );
    }
}

/// Lets writers work until there is something of every kind.
#[track_caller]
fn let_write(stage: &Stage, numbers: std::ops::Range<u32>, others: Vec<Actor>, chance: &mut Chance) {
    let before = stage.book.tally();
    let mut actors = others;
    actors.extend(numbers.map(|number| start_writer(stage, number, chance.fork())));
    wait::until("transactions are committed and aborted", || {
        let now = stage.book.tally();
        now.committed > before.committed + 20 && now.aborted > before.aborted + 8
    });
    send_home(actors);
}

/// The whole chain of clients, book and checker finds a reader that is given what it must not see.
#[test]
fn a_reader_that_gets_aborted_records_is_found_out() {
    let mut chance = Chance::from_environment();
    let broker = config().start();
    make_topics(&broker);
    let stage = Stage {
        bootstrap: broker.bootstrap().to_owned(),
        book: Book::default(),
    };
    let deceived = start_deceived_poller(&stage, chance.fork());
    let_write(&stage, 0..2, vec![deceived], &mut chance);
    let found = check(&stage.book.events());
    let aborted = found
        .iter()
        .any(|one| matches!(one, Violation::AbortedRead { .. }));
    let early = found
        .iter()
        .any(|one| matches!(one, Violation::IntermediateRead { .. }));
    assert!(aborted || early, "{found:?}");
    let only = found.iter().all(|one| {
        matches!(
            one,
            Violation::AbortedRead { .. } | Violation::IntermediateRead { .. }
        )
    });
    assert!(only, "{found:?}");
}

/// The same for a broker that has lost committed transactions: it is given back an older directory.
#[test]
fn a_broker_that_forgot_transactions_is_found_out() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let mut chance = Chance::from_environment();
    let mut broker = config().start();
    make_topics(&broker);
    let stage = Stage {
        bootstrap: broker.bootstrap().to_owned(),
        book: Book::default(),
    };
    let_write(&stage, 0..2, Vec::new(), &mut chance);
    broker.kill_nine();
    let copy = broker.directory().join("older");
    copy_directory(&broker.log_directory(), &copy);
    broker.start_again();
    read_everything(&stage);
    assert_eq!(check(&stage.book.events()), []);
    let_write(&stage, 2..4, Vec::new(), &mut chance);
    broker.kill_nine();
    std::fs::remove_dir_all(broker.log_directory()).expect("the directory can be removed");
    std::fs::rename(&copy, broker.log_directory()).expect("the copy takes its place");
    broker.start_again();
    read_everything(&stage);
    let found = check(&stage.book.events());
    let lost = found.iter().any(|one| matches!(one, Violation::LostWrite { .. }));
    assert!(lost, "{found:?}");
}
