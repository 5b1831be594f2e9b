//! Kafka Streams with `exactly_once_v2`: a word count through a repartition topic and a changelog, over kills of the
//! program and of the broker.

use std::collections::BTreeMap;

use thalweg_tests::chance::Chance;
use thalweg_tests::clients::java::Java;
use thalweg_tests::clients::librdkafka::{Consumed, Producer, Record, create_topic, read_topic};
use thalweg_tests::{require_client, wait};

use crate::programs::{Follower, PATIENCE, Program, end_broker, start_broker};

const WORDS: [&str; 12] = [
    "river", "bed", "flow", "bank", "ford", "delta", "spring", "mouth", "bend", "shoal", "weir", "lock",
];
const LINES: u64 = 250;

/// What was sent, and what the program has said about it.
struct Counts {
    producer: Producer,
    follower: Follower,
    sent: BTreeMap<String, u64>,
    counted: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

#[test]
fn kafka_streams_counts_every_word_once_over_kills() {
    let java = require_client!(Java::find());
    let mut chance = Chance::from_environment();
    let mut broker = start_broker();
    create_topic(&broker, "lines", 2, &[]);
    create_topic(&broker, "counts", 2, &[]);
    let (bootstrap, state) = (broker.bootstrap().to_owned(), broker.directory().join("streams"));
    let mut program = Program::start(&broker, "word-count", move || {
        java.source("WordCount.java", &[&bootstrap, &state.to_string_lossy()])
    });
    let mut counts = Counts {
        producer: Producer::new(&broker, &[("enable.idempotence", "true")]),
        follower: Follower::new(&broker, "counts", 2),
        sent: BTreeMap::new(),
        counted: BTreeMap::new(),
        wrong: Vec::new(),
    };
    counts.send(&mut chance);
    counts.wait_for_some(&mut program);

    counts.send(&mut chance);
    program.kill();
    counts.send(&mut chance);
    program.start_again();
    counts.wait_for_some(&mut program);

    counts.send(&mut chance);
    end_broker(&mut broker);
    broker.start_again();
    counts.wait_for_some(&mut program);

    counts.send(&mut chance);
    program.kill();
    end_broker(&mut broker);
    broker.start_again();
    program.start_again();
    counts.send(&mut chance);
    counts.producer.flush_acknowledged();
    counts.wait_until(&mut program, "all words are counted", Counts::is_complete);

    // Once more from the beginning: each count of each word exactly once and in order, and nothing after the last.
    assert_eq!(counts.wrong, Vec::<String>::new());
    let mut again = BTreeMap::new();
    let mut wrong = Vec::new();
    for record in read_topic(&broker, "counts", &[]) {
        count(&record, &mut again, &mut wrong);
    }
    assert_eq!((again, wrong), (counts.sent, Vec::new()));
}

impl Counts {
    fn send(&mut self, chance: &mut Chance) {
        for _ in 0..LINES {
            let words: Vec<&str> = (0..chance.between(1, 6))
                .map(|_| WORDS[chance.index(WORDS.len())])
                .collect();
            for word in &words {
                *self.sent.entry((*word).to_owned()).or_default() += 1;
            }
            let partition = i32::try_from(chance.index(2)).unwrap_or(0);
            let line = Record::new("line", words.join(" ")).to_partition(partition);
            self.producer.send("lines", &line);
        }
    }

    fn is_complete(&self) -> bool {
        self.counted == self.sent
    }

    /// Waits until a part of what was sent is counted: the next fault then falls into the work.
    #[track_caller]
    fn wait_for_some(&mut self, program: &mut Program) {
        let before: u64 = self.counted.values().sum();
        self.wait_until(program, "the program goes on", |counts| {
            counts.counted.values().sum::<u64>() > before + 200
        });
    }

    #[track_caller]
    fn wait_until(&mut self, program: &mut Program, what: &str, done: impl Fn(&Counts) -> bool) {
        let reached = wait::poll(PATIENCE, || {
            program.must_run();
            for record in self.follower.poll() {
                count(&record, &mut self.counted, &mut self.wrong);
            }
            done(self).then_some(())
        });
        if reached.is_none() || !self.wrong.is_empty() {
            let all: u64 = self.sent.values().sum();
            let counted: u64 = self.counted.values().sum();
            program.fail(&format!(
                "waited until {what}: {counted} of {all} words are counted; wrong: {:?}\n{}",
                self.wrong,
                program.printed()
            ));
        }
    }
}

/// Takes in one count: it must be the one after the word's last.
fn count(record: &Consumed, counted: &mut BTreeMap<String, u64>, wrong: &mut Vec<String>) {
    let word = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
    let last = counted.entry(word.clone()).or_default();
    match record.text().parse::<u64>() {
        Ok(count) if count == *last + 1 => *last = count,
        other => wrong.push(format!(
            "{word} at {}/{}: {other:?} after {last}",
            record.partition, record.offset
        )),
    }
}
