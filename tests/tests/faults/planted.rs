//! Transactions on a broker that breaks its word on purpose: the clients, the book and the checker together must name
//! each kind of broken promise.
//!
//! Needs a broker built with the feature `planted-faults`, which `THALWEG_PLANTED_BIN` names, and the same feature here;
//! `tests/run-long` builds both. A short run leaves them out: the second build would cost more than it shows, since the
//! checker's own tests falsify recorded lists in the same ways.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use thalweg_tests::actors::Actor;
use thalweg_tests::chance::Chance;
use thalweg_tests::clients::librdkafka::create_topic;
use thalweg_tests::transactions::actors::{
    PARTITIONS, Stage, TOPICS, read_committed_offsets, read_everything, send_home, start_poller,
    start_processor, start_writer,
};
use thalweg_tests::transactions::{Book, Isolation, Tally, Violation, check};
use thalweg_tests::{Broker, BrokerConfig, Product, wait, watchdog};

use crate::company::let_pass;

/// How often a broker that loses what it has acknowledged is killed.
const KILLS: usize = 6;

/// A fault of the broker: its name there, and what the checker has to say.
struct Planted {
    name: &'static str,
    is_named: fn(&Violation) -> bool,
    kills: usize,
}

const FAULTS: [Planted; 8] = [
    Planted {
        name: "acknowledged-early",
        is_named: |found| matches!(found, Violation::LostWrite { .. }),
        kills: KILLS,
    },
    Planted {
        name: "aborts-forgotten",
        is_named: |found| matches!(found, Violation::AbortedRead { .. }),
        kills: 0,
    },
    Planted {
        name: "open-transactions-passed",
        is_named: |found| matches!(found, Violation::IntermediateRead { .. }),
        kills: 0,
    },
    Planted {
        name: "appended-twice",
        is_named: |found| matches!(found, Violation::Duplicate { .. }),
        kills: 0,
    },
    Planted {
        name: "records-swapped",
        is_named: |found| matches!(found, Violation::OutOfOrder { .. }),
        kills: 0,
    },
    Planted {
        name: "marker-turned",
        is_named: |found| matches!(found, Violation::TornTransaction { .. }),
        kills: 0,
    },
    Planted {
        name: "wrong-offset-answered",
        is_named: |found| matches!(found, Violation::InconsistentOffset { .. }),
        kills: 0,
    },
    Planted {
        name: "group-offsets-forgotten",
        is_named: |found| {
            matches!(
                found,
                Violation::ProcessedTwice { .. } | Violation::OffsetsTorn { .. }
            )
        },
        kills: 0,
    },
];

/// The broker with faults in it.
fn program() -> PathBuf {
    let named = std::env::var_os("THALWEG_PLANTED_BIN").map(PathBuf::from);
    named.expect(
        "THALWEG_PLANTED_BIN names a broker built with \
         cargo build -p thalweg-broker --bin thalweg --features planted-faults --target-dir target/planted-faults",
    )
}

fn start(program: PathBuf, fault: Option<&str>) -> Broker {
    let config = BrokerConfig::new(Product::Thalweg)
        .small_files()
        .set("auto.create.topics.enable", "false")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", 500)
        .program(program);
    match fault {
        Some(name) => config.environment("PLANTED_FAULT", name).start(),
        None => config.start(),
    }
}

/// Runs the workload and returns what the checker finds.
fn found_on(mut broker: Broker, kills: usize) -> Vec<Violation> {
    let mut chance = Chance::from_environment();
    for topic in TOPICS {
        create_topic(&broker, topic, PARTITIONS, &[("retention.ms", "-1")]);
    }
    let stage = Stage {
        bootstrap: broker.bootstrap().to_owned(),
        book: Book::default(),
    };
    let mut actors: Vec<Actor> = (0..3)
        .map(|number| start_writer(&stage, number, chance.fork()))
        .collect();
    actors.extend((3..5).map(|number| start_processor(&stage, number, chance.fork())));
    for isolation in [Isolation::Committed, Isolation::Uncommitted] {
        actors.push(start_poller(&stage, isolation, chance.fork()));
    }
    for _ in 0..kills {
        let before = stage.book.tally();
        wait::until("transactions are committed", || {
            stage.book.tally().committed > before.committed + 10
        });
        let_pass(chance.millis(0, 300));
        broker.kill_nine();
        broker.start_again();
    }
    wait::until("there is something of every kind", || {
        let Tally {
            committed,
            aborted,
            processed,
            polled,
            ..
        } = stage.book.tally();
        committed > 150 && aborted > 40 && processed > 200 && polled > 2_000
    });
    send_home(actors);
    read_everything(&stage);
    read_committed_offsets(&stage);
    let tally = stage.book.tally();
    let found = check(&stage.book.events());
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for one in &found {
        let text = format!("{one:?}");
        let kind = text.split([' ', '(']).next().unwrap_or_default();
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    eprintln!("{tally:?}, violations: {kinds:?}");
    found
}

fn show(found: &[Violation]) -> String {
    let first: Vec<String> = found.iter().take(10).map(|one| format!("{one:?}")).collect();
    first.join("\n")
}

#[test]
fn the_checker_names_every_fault_that_is_planted_in_the_broker() {
    watchdog::allow(Duration::from_secs(1_800));
    let program = program();
    // All of them are tried, so that one run tells of every fault that was not seen.
    let mut unseen = Vec::new();
    for fault in FAULTS {
        eprintln!("planted: {}", fault.name);
        let found = found_on(start(program.clone(), Some(fault.name)), fault.kills);
        if !found.iter().any(fault.is_named) {
            let (name, count) = (fault.name, found.len());
            unseen.push(format!("{name}, among {count} violations:\n{}", show(&found)));
        }
    }
    assert!(unseen.is_empty(), "not named: {}", unseen.join("\n"));
}

/// What the others are measured by: the same workload and the same kills on the same program without a fault.
#[test]
fn the_checker_is_silent_about_the_same_broker_without_a_fault() {
    let found = found_on(start(program(), None), KILLS);
    assert!(found.is_empty(), "{}", show(&found));
}
