//! A full disk: records are refused with an error that clients understand, everything that makes room or keeps groups
//! going works, produce resumes, a kill meanwhile loses nothing.

use std::time::Duration;

use rdkafka::admin::{AlterConfig, ResourceSpecifier};
use rdkafka::error::RDKafkaErrorCode;
use thalweg_tests::actors::{
    Actor, Pace, ProducerPlan, Theatre, Topic, check_commits, check_topic, delete_below, start_member,
    start_producer, start_steady_commits,
};
use thalweg_tests::chance::Chance;
use thalweg_tests::clients::librdkafka::{
    Delivery, Member, Producer, Record, admin, admin_options, serve_until,
};
use thalweg_tests::counters;
use thalweg_tests::history::{Promise, Violation};
use thalweg_tests::process::Server;
use thalweg_tests::raw::{self, Heard, Raw};
use thalweg_tests::volume::Volume;
use thalweg_tests::wait::answer;
use thalweg_tests::{Broker, BrokerConfig, Product, require_client, wait, watchdog};

use crate::company::{STEADY, let_pass, make_topic};

const VOLUME_BYTES: u64 = 96 << 20;
/// Room above the mark for what is written between two looks at the space.
const MARKED_VOLUME_BYTES: u64 = 384 << 20;
const READERS: &str = "readers";

/// When produce is refused.
#[derive(Clone, Copy)]
enum Marks {
    /// At 40 % of the file system, again below 30 %: earlier than the default, since space is looked at once a second.
    Percent,
    /// Only when a write finds no space.
    Never,
}

#[test]
fn a_disk_that_reaches_its_mark_refuses_records_and_nothing_else() {
    if Product::under_test() == Product::Thalweg {
        let volume = require_client!(Volume::ext4(MARKED_VOLUME_BYTES));
        fill_and_recover(&volume, Marks::Percent);
    }
}

#[test]
fn a_disk_that_is_really_full_refuses_records_and_nothing_else() {
    if Product::under_test() == Product::Thalweg {
        let volume = require_client!(Volume::ext4(VOLUME_BYTES));
        fill_and_recover(&volume, Marks::Never);
    }
}

#[test]
fn a_full_tmpfs_refuses_records_and_nothing_else() {
    if Product::under_test() == Product::Thalweg {
        let volume = require_client!(Volume::tmpfs(VOLUME_BYTES));
        fill_and_recover(&volume, Marks::Never);
    }
}

struct Run {
    broker: Broker,
    theatre: Theatre,
    filling: Topic,
    /// Made to be deleted.
    ballast: Topic,
    actors: Vec<Actor>,
}

fn fill_and_recover(volume: &Volume, marks: Marks) {
    watchdog::allow(Duration::from_secs(600));
    let mut run = Run::start(volume, marks);
    run.wait_until_full();
    run.check_how(marks);
    run.others_work("on a full disk");
    run.change_settings();
    run.kill_and_start();
    run.others_work("on a full disk, after a kill");
    run.make_room();
    run.wait_until_records_are_taken();
    run.finish();
}

impl Run {
    fn start(volume: &Volume, marks: Marks) -> Run {
        let (high, low) = match marks {
            Marks::Percent => (40, 30),
            Marks::Never => (100, 99),
        };
        let broker = BrokerConfig::default()
            .small_files()
            .set("log.dirs", volume.path().display())
            .set("log.retention.check.interval.ms", 500)
            .set("log.segment.delete.delay.ms", 100)
            .set_for(Product::Thalweg, "disk.reserve.bytes", 8 << 20)
            .set_for(Product::Thalweg, "disk.use.high.percent", high)
            .set_for(Product::Thalweg, "disk.use.low.percent", low)
            .start();
        let theatre = Theatre::new(broker.bootstrap());
        let filling = make_topic(&broker, &theatre, "filling", 2);
        let ballast = make_topic(&broker, &theatre, "ballast", 2);
        let mut chance = Chance::from_environment();
        let plan = |topic: &Topic| ProducerPlan {
            topic: topic.clone(),
            promise: Promise::Once,
            pace: Pace {
                burst_max: 200,
                pause_ms_max: 10,
                value_bytes: (2_000, 10_000),
            },
            settings: Vec::new(),
        };
        let heavy = start_producer(&theatre, plan(&ballast), chance.fork());
        wait::until("there is something to delete", || {
            theatre.history().end(ballast.number, 0) > 1_500
        });
        heavy.stop();
        let actors = vec![
            start_producer(&theatre, plan(&filling), chance.fork()),
            start_producer(&theatre, plan(&filling), chance.fork()),
            start_member(&theatre, READERS, &filling, chance.fork()),
            start_steady_commits(&theatre, STEADY, &filling, chance.fork()),
        ];
        Run {
            broker,
            theatre,
            filling,
            ballast,
            actors,
        }
    }

    /// What the broker says to one more record of a client that does not repeat.
    fn probe(&self) -> Option<Delivery> {
        let settings = [("retries", "0"), ("message.timeout.ms", "10000")];
        let producer = Producer::new(&self.broker, &settings);
        let record = Record::new("k", vec![b'x'; 2_000]).to_partition(0);
        producer.send("probed", &record);
        producer.flush().remove(&0)
    }

    #[track_caller]
    fn wait_until_full(&self) {
        make_topic(&self.broker, &self.theatre, "probed", 1);
        let mut last = None;
        let full = wait::poll(wait::PATIENCE, || {
            last = self.probe();
            (last == Some(Delivery::Failed(RDKafkaErrorCode::KafkaStorageError))).then_some(())
        });
        assert!(full.is_some(), "the disk never got full; last answer: {last:?}");
        eprintln!(
            "full after {} acknowledged records",
            self.theatre.history().acknowledged_count()
        );
        Violation::assert_none(&self.violations(), "when the disk got full");
    }

    /// The disk is full in the way that is meant.
    #[track_caller]
    fn check_how(&self, marks: Marks) {
        let address = self.broker.http().unwrap_or_default();
        let numbers = counters::scrape(address).unwrap_or_else(|error| panic!("no metrics: {error}"));
        let number = |name: &str| numbers.get(name).copied().unwrap_or_default();
        match marks {
            Marks::Percent => assert_eq!(number("thalweg_disk_takes_records"), 0.0),
            Marks::Never => assert!(
                number("thalweg_disk_full_total") > 0.0,
                "no write has found the disk full"
            ),
        }
    }

    /// Reading, commits and rebalances go on.
    #[track_caller]
    fn others_work(&self, when: &str) {
        let before = self.theatre.history().confirmed_commit_count();
        wait::until(&format!("{when}: commits are confirmed"), || {
            self.theatre.history().confirmed_commit_count() > before + 20
        });
        // Two members of a new group share the topic, and it reads from the beginning.
        let group = format!("latecomers {when}");
        let (one, two) = (
            Member::join(&self.broker, &group, &self.filling.name, &[]),
            Member::join(&self.broker, &group, &self.filling.name, &[]),
        );
        let mut count = 0;
        serve_until(
            &[&one, &two],
            &format!("{when}: a group forms and reads"),
            |read| {
                count = count.max(read.len());
                count > 200 && one.assignment().len() == 1 && two.assignment().len() == 1
            },
        );
        one.commit()
            .unwrap_or_else(|error| panic!("{when}: commit: {error}"));
        check_commits(&self.theatre, &self.filling, &[READERS, STEADY]);
        Violation::assert_none(&self.violations(), when);
    }

    #[track_caller]
    fn change_settings(&self) {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&self.filling.name)).set("retention.ms", "-1");
        let change = change.set("max.message.bytes", "400000");
        let answer = answer(admin(&self.broker).alter_configs([&change], &admin_options()));
        let answer = answer.expect("settings are changed on a full disk");
        assert!(answer.iter().all(Result::is_ok), "{answer:?}");
    }

    /// Deletes a topic and old records.
    #[track_caller]
    fn make_room(&self) {
        let answer = answer(admin(&self.broker).delete_topics(&[&self.ballast.name], &admin_options()));
        let answer = answer.expect("a topic is deleted on a full disk");
        assert!(answer.iter().all(Result::is_ok), "{answer:?}");
        for partition in 0..self.filling.partitions {
            let end = self.theatre.history().end(self.filling.number, partition);
            delete_below(&self.theatre, &self.filling, partition, end / 2)
                .unwrap_or_else(|error| panic!("records are deleted on a full disk: {error}"));
        }
    }

    #[track_caller]
    fn wait_until_records_are_taken(&self) {
        let before = self.theatre.history().acknowledged_count();
        wait::until("produce resumes when there is room", || {
            self.theatre.history().acknowledged_count() > before + 100
        });
    }

    /// A broker with a full disk is not ready for all that may come, and serves what it can.
    #[track_caller]
    fn kill_and_start(&mut self) {
        self.broker.kill_nine();
        self.broker.launch();
        wait::until("the broker serves again", || {
            let ended = self.broker.server().and_then(Server::exit_status);
            assert!(ended.is_none(), "it ended: {ended:?}\n{}", self.broker.log_tail());
            let asked = Raw::connect(self.broker.bootstrap()).map(|mut connection| {
                connection.send(&raw::api_versions(1));
                connection.hear(Duration::from_secs(1))
            });
            matches!(asked, Ok(Heard::Frame(_)))
        });
    }

    fn violations(&self) -> Vec<Violation> {
        self.theatre.history().violations().to_vec()
    }

    /// Makes room until the producers are through, and reads everything.
    #[track_caller]
    fn finish(mut self) {
        for actor in &self.actors {
            actor.ask_to_stop();
        }
        // The disk may be full again before the producers have brought home what they hold.
        let through = wait::poll(wait::PATIENCE, || {
            for partition in 0..self.filling.partitions {
                let end = self.theatre.history().end(self.filling.number, partition);
                // Not the newest: something must be left to be read.
                let _ = delete_below(&self.theatre, &self.filling, partition, end - 1_000);
            }
            let_pass(Duration::from_millis(500));
            self.theatre.history().unanswered().is_empty().then_some(())
        });
        assert!(through.is_some(), "the producers' last records are not taken");
        for actor in self.actors.drain(..) {
            actor.stop();
        }
        for when in ["at the end", "after a kill at the end"] {
            Violation::assert_none(&check_topic(&self.theatre, &self.filling), when);
            check_commits(&self.theatre, &self.filling, &[READERS, STEADY]);
            Violation::assert_none(&self.violations(), when);
            self.kill_and_start();
        }
    }
}
