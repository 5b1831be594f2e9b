//! Kafka's own `TransactionalMessageCopier` in a chain over three topics, with kills of copiers and broker: in the end
//! every record is there once and in order.

use std::time::Duration;

use thalweg_tests::chance::Chance;
use thalweg_tests::clients::java::Java;
use thalweg_tests::clients::librdkafka::{Producer, Record, create_topic, read_topic};
use thalweg_tests::{Broker, require_client, wait};

use crate::programs::{Follower, PATIENCE, Program, end_broker, start_broker};

const TOPICS: [&str; 3] = ["copied-0", "copied-1", "copied-2"];
const RECORDS: usize = 4_000;

/// One hop of the chain: copies from one topic to the next until all records have arrived.
struct Hop {
    program: Program,
    follower: Follower,
    /// Values in the order in which they came.
    arrived: Vec<String>,
}

impl Hop {
    fn start(broker: &Broker, java: &Java, number: usize) -> Hop {
        let (java, bootstrap) = (java.clone(), broker.bootstrap().to_owned());
        let program = Program::start(broker, &format!("copier-{number}"), move || {
            copier(&java, &bootstrap, number)
        });
        Hop {
            program,
            follower: Follower::new(broker, TOPICS[number + 1], 1),
            arrived: Vec::new(),
        }
    }

    /// Reads what has arrived; a copier that came to what was the end when it began is started again.
    fn go_on(&mut self) {
        let records = self.follower.poll();
        self.arrived.extend(records.iter().map(|record| record.text()));
        if let Some(code) = self.program.ended() {
            // Another code says that it was fenced or met the broker's death; Kafka's own tests start it again, too.
            self.program.kill();
            if self.arrived.len() < RECORDS || code != Some(0) {
                self.program.start_again();
            }
        }
    }
}

fn copier(java: &Java, bootstrap: &str, hop: usize) -> std::process::Command {
    let (number, group) = (format!("copier-{hop}"), format!("copiers-{hop}"));
    let arguments = [
        ("--broker-list", bootstrap),
        ("--input-topic", TOPICS[hop]),
        ("--input-partition", "0"),
        ("--output-topic", TOPICS[hop + 1]),
        ("--consumer-group", &group),
        ("--transactional-id", &number),
        ("--transaction-size", "100"),
        ("--transaction-timeout", "5000"),
    ];
    let mut command = java.class("org.apache.kafka.tools.TransactionalMessageCopier", &[]);
    for (name, value) in arguments {
        command.args([name, value]);
    }
    command.args(["--enable-random-aborts", "--use-group-metadata"]);
    command
}

#[test]
fn a_chain_of_transactional_copiers_ends_with_every_record_once() {
    let java = require_client!(Java::find());
    let mut chance = Chance::from_environment();
    let mut broker = start_broker();
    for topic in TOPICS {
        create_topic(&broker, topic, 1, &[]);
    }
    let values: Vec<String> = (0..RECORDS).map(|number| format!("record {number}")).collect();
    let records: Vec<Record> = values
        .iter()
        .map(|value| Record::new("k", value.as_str()).to_partition(0))
        .collect();
    Producer::new(&broker, &[("enable.idempotence", "true")]).send_all(TOPICS[0], &records);
    let mut hops = [Hop::start(&broker, &java, 0), Hop::start(&broker, &java, 1)];
    // The kills fall when so many records have come through the chain.
    for share in [10, 30, 50] {
        wait_for(&mut hops, RECORDS * share / 100);
        std::thread::sleep(chance.millis(0, 300));
        match chance.index(3) {
            0 => hops[0].program.kill(),
            1 => hops[1].program.kill(),
            _ => hops.iter_mut().for_each(|hop| hop.program.kill()),
        }
        if share > 10 {
            end_broker(&mut broker);
            broker.start_again();
        }
        for hop in &mut hops {
            hop.program.kill();
            hop.program.start_again();
        }
    }
    wait_for(&mut hops, RECORDS);
    for hop in &mut hops {
        hop.program.kill();
    }
    for topic in &TOPICS[1..] {
        let copied: Vec<String> = read_topic(&broker, topic, &[])
            .iter()
            .map(|record| record.text())
            .collect();
        assert_eq!(copied.len(), RECORDS, "{topic}");
        assert!(copied == values, "{topic} has all records, but not in order");
    }
}

/// Waits until so many records have come through the whole chain.
#[track_caller]
fn wait_for(hops: &mut [Hop; 2], count: usize) {
    let reached = wait::poll(PATIENCE, || {
        hops.iter_mut().for_each(Hop::go_on);
        std::thread::sleep(Duration::from_millis(20));
        (hops[1].arrived.len() >= count).then_some(())
    });
    if reached.is_none() {
        let arrived: Vec<usize> = hops.iter().map(|hop| hop.arrived.len()).collect();
        hops[1].program.fail(&format!(
            "{arrived:?} of {RECORDS} records after {PATIENCE:?}, {count} were awaited"
        ));
    }
}
