//! Well-behaved clients that must be served whatever others do, and a bound on the broker's memory meanwhile.

use thalweg_tests::actors::{
    Actor, Pace, ProducerPlan, Theatre, Topic, check_topic, start_member, start_producer,
};
use thalweg_tests::chance::Chance;
use thalweg_tests::history::{Promise, Violation};
use thalweg_tests::memory::{self, mebibytes};
use thalweg_tests::{Broker, wait};

use crate::company::make_topic;

const PACE: Pace = Pace {
    burst_max: 20,
    pause_ms_max: 50,
    value_bytes: (100, 1_000),
};

/// The well-behaved clients: a producer and a group member on a topic of their own.
pub struct Witnesses {
    theatre: Theatre,
    topic: Topic,
    actors: Vec<Actor>,
}

impl Witnesses {
    pub fn start(broker: &Broker) -> Witnesses {
        let theatre = Theatre::new(broker.bootstrap());
        let topic = make_topic(broker, &theatre, "witnessed", 2);
        let mut chance = Chance::new(1);
        let plan = ProducerPlan {
            topic: topic.clone(),
            promise: Promise::Once,
            pace: PACE,
            settings: Vec::new(),
        };
        let actors = vec![
            start_producer(&theatre, plan, chance.fork()),
            start_member(&theatre, "witnesses", &topic, chance.fork()),
        ];
        Witnesses {
            theatre,
            topic,
            actors,
        }
    }

    /// Waits until the well-behaved clients got more done.
    #[track_caller]
    pub fn are_served(&self) {
        let counts = || {
            let history = self.theatre.history();
            (history.acknowledged_count(), history.read_count())
        };
        let (written, read) = counts();
        wait::until("others are served meanwhile", || {
            let now = counts();
            now.0 > written + 100 && now.1 > read + 100
        });
    }

    #[track_caller]
    pub fn finish(self) {
        for actor in self.actors {
            actor.stop();
        }
        let violations = self.theatre.history().violations().to_vec();
        Violation::assert_none(&violations, "at the end");
        Violation::assert_none(&check_topic(&self.theatre, &self.topic), "at the end");
    }
}

/// Prints and bounds the growth of the broker's memory since `before`.
#[track_caller]
pub fn bounded(broker: &Broker, before: u64, what: &str, growth_max: u64) {
    let now = memory::of(broker.pid());
    eprintln!(
        "{what}: {} resident, {} before, {} at most",
        mebibytes(now.resident),
        mebibytes(before),
        mebibytes(now.resident_peak)
    );
    assert!(
        now.resident_peak <= before + growth_max,
        "{what}: the broker grew from {} to {}",
        mebibytes(before),
        mebibytes(now.resident_peak)
    );
}
