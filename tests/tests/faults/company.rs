//! The clients that work while something happens to the broker: producers of both kinds, a group of readers, commits,
//! deletions of records, topics that come and go.

use std::sync::Arc;
use std::time::Duration;

use thalweg_tests::actors::{
    Actor, ChurnCount, Pace, ProducerPlan, Theatre, Topic, check_commits, check_topic, start_churn,
    start_deletions, start_member, start_producer, start_steady_commits,
};
use thalweg_tests::chance::Chance;
use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::history::{Promise, Violation};
use thalweg_tests::{Broker, wait};

/// Bursts of records of a few kilobytes: some 2 MB/s with all six producers.
pub const PACE: Pace = Pace {
    burst_max: 60,
    pause_ms_max: 120,
    value_bytes: (200, 4_000),
};

/// The group that reads, and the one that commits rising numbers.
const READERS: &str = "readers";
pub const STEADY: &str = "steady";

/// All clients of a run.
pub struct Company {
    pub theatre: Theatre,
    pub churn: Arc<ChurnCount>,
    idempotent: Topic,
    plain: Topic,
    /// Loses its oldest records now and then.
    trimmed: Topic,
    actors: Vec<Actor>,
}

impl Company {
    /// Makes the topics and starts the clients.
    pub fn start(broker: &Broker, pace: Pace, chance: &mut Chance) -> Company {
        let theatre = Theatre::new(broker.bootstrap());
        let mut company = Company {
            churn: Arc::default(),
            idempotent: make_topic(broker, &theatre, "idempotent", 4),
            plain: make_topic(broker, &theatre, "plain", 2),
            trimmed: make_topic(broker, &theatre, "trimmed", 2),
            actors: Vec::new(),
            theatre,
        };
        company.start_producers(pace, chance);
        company.start_others(chance);
        company
    }

    fn start_producers(&mut self, pace: Pace, chance: &mut Chance) {
        for (topic, promise, count) in [
            (&self.idempotent, Promise::Once, 3),
            (&self.plain, Promise::AtLeastOnce, 2),
            (&self.trimmed, Promise::Once, 1),
        ] {
            for _ in 0..count {
                let plan = ProducerPlan {
                    topic: topic.clone(),
                    promise,
                    pace,
                    settings: Vec::new(),
                };
                self.actors
                    .push(start_producer(&self.theatre, plan, chance.fork()));
            }
        }
    }

    fn start_others(&mut self, chance: &mut Chance) {
        let theatre = &self.theatre;
        for _ in 0..2 {
            let member = start_member(theatre, READERS, &self.idempotent, chance.fork());
            self.actors.push(member);
        }
        let steady = start_steady_commits(theatre, STEADY, &self.plain, chance.fork());
        self.actors.push(steady);
        let deletions = start_deletions(theatre, &self.trimmed, chance.fork());
        self.actors.push(deletions);
        for prefix in ["come", "and", "go"] {
            let churn = start_churn(theatre, prefix, 2, &self.churn, chance.fork());
            self.actors.push(churn);
        }
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.theatre.history().acknowledged_count()
    }

    /// Waits until so many further records are acknowledged.
    #[track_caller]
    pub fn wait_for_records(&self, more: u64) {
        let before = self.acknowledged();
        wait::until("the broker acknowledges records", || {
            self.acknowledged() >= before + more
        });
    }

    /// Waits until every kind of client has got something done.
    #[track_caller]
    pub fn wait_for_all(&self) {
        let counts = || {
            let history = self.theatre.history();
            [
                history.acknowledged_count() / 100,
                history.read_count() / 100,
                history.confirmed_commit_count(),
                self.churn.checks(),
            ]
        };
        let before = counts();
        wait::until("records, readings, commits and new topics go on", || {
            counts().iter().zip(before).all(|(now, before)| *now > before)
        });
    }

    /// Asks what is committed.
    pub fn check_commits(&self) {
        check_commits(&self.theatre, &self.idempotent, &[READERS]);
        check_commits(&self.theatre, &self.plain, &[STEADY]);
    }

    /// Panics if a promise was broken so far, or a client ended by itself.
    #[track_caller]
    pub fn assert_sound(&self, when: &str) {
        Violation::assert_none(&self.violations(), when);
        let ended = self.actors.iter().any(Actor::has_ended);
        assert!(!ended, "{when}: a client gave up by itself; its output is above");
    }

    /// A copy: a panic under the history's lock would end the actors with a misleading message.
    fn violations(&self) -> Vec<Violation> {
        self.theatre.history().violations().to_vec()
    }

    /// Stops all clients and waits for the last answers.
    #[track_caller]
    pub fn send_home(&mut self) {
        for actor in &self.actors {
            actor.ask_to_stop();
        }
        for actor in self.actors.drain(..) {
            actor.stop();
        }
        let unanswered = self.theatre.history().unanswered();
        Violation::assert_none(&unanswered, "all answers are there");
    }

    /// Reads everything and judges it.
    #[track_caller]
    pub fn read_all(&self, when: &str) {
        for topic in [&self.idempotent, &self.plain, &self.trimmed] {
            Violation::assert_none(&check_topic(&self.theatre, topic), when);
        }
        self.check_commits();
        Violation::assert_none(&self.violations(), when);
    }

    /// Judges another broker, which has a copy of the data, by all that was confirmed up to now.
    pub fn judge_copy(&self, theatre: &Theatre) -> Vec<Violation> {
        let mut found = Vec::new();
        for topic in [&self.idempotent, &self.plain, &self.trimmed] {
            found.extend(check_topic(theatre, topic));
        }
        check_commits(theatre, &self.idempotent, &[READERS]);
        check_commits(theatre, &self.plain, &[STEADY]);
        found.extend(theatre.history().violations().iter().cloned());
        found
    }

    /// Sends the clients home and reads everything: as it is, after a kill, and after a clean stop.
    #[track_caller]
    pub fn finish(mut self, broker: &mut Broker) {
        self.assert_sound("before the end");
        self.send_home();
        self.read_all("at the end");
        broker.kill_nine();
        broker.start_again();
        self.read_all("after the last kill");
        let status = broker.terminate();
        assert!(status.success(), "a clean stop ends with 0, not {status}");
        broker.start_again();
        self.read_all("after a clean stop");
    }
}

/// Makes a topic that keeps its records for ever, with a number in the history.
pub fn make_topic(broker: &Broker, theatre: &Theatre, name: &str, partitions: i32) -> Topic {
    create_topic(broker, name, partitions, &[("retention.ms", "-1")]);
    theatre.new_topic(name, partitions)
}

/// True for the long form of the tests, which takes minutes.
pub fn is_long() -> bool {
    std::env::var_os("THALWEG_LONG").is_some_and(|value| value == "1")
}

/// Sleeps; for times that are themselves what is tested.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
