//! Kafka Connect, distributed, with an exactly-once file source and a file sink, over kills of the worker and of the
//! broker: the topic holds every line of the file once and in order, and so does the file that is written from it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use thalweg_tests::chance::Chance;
use thalweg_tests::clients::java::Java;
use thalweg_tests::clients::librdkafka::{create_topic, read_topic};
use thalweg_tests::{Broker, http, ports, require_client, wait};

use crate::programs::{Follower, PATIENCE, Program, end_broker, start_broker};

const TOPIC: &str = "connected";

struct Connect {
    worker: Program,
    /// The worker's REST interface.
    rest: String,
    input: PathBuf,
    lines: Vec<String>,
    follower: Follower,
    /// What has come through the topic.
    arrived: Vec<String>,
}

#[test]
fn kafka_connect_moves_every_line_once_over_kills() {
    let java = require_client!(Java::find());
    let mut chance = Chance::from_environment();
    let mut broker = start_broker();
    create_topic(&broker, TOPIC, 1, &[]);
    let mut connect = Connect::start(&broker, &java);
    connect.append(&mut chance);
    let source = json!({
        "connector.class": "FileStreamSource",
        "tasks.max": "1",
        "file": connect.input,
        "topic": TOPIC,
        // The batch size stays: a batch that is full in the middle of what the task has read keeps the rest of that back
        // until the file grows.
        "exactly.once.support": "required",
    });
    connect.configure("source", &source);
    let early = broker.directory().join("early.txt");
    connect.configure("early-sink", &sink(&early));
    connect.wait_for_some();

    connect.append(&mut chance);
    connect.worker.kill();
    connect.append(&mut chance);
    connect.worker.start_again();
    connect.wait_for_some();

    connect.append(&mut chance);
    end_broker(&mut broker);
    broker.start_again();
    connect.append(&mut chance);
    connect.wait_for_some();

    connect.append(&mut chance);
    connect.worker.kill();
    end_broker(&mut broker);
    broker.start_again();
    connect.worker.start_again();
    connect.append(&mut chance);
    connect.wait_until("the topic has all lines", |connect| {
        connect.arrived.len() >= connect.lines.len()
    });
    let in_topic: Vec<String> = read_topic(&broker, TOPIC, &[])
        .iter()
        .map(|record| record.text())
        .collect();
    connect.must_equal("the topic", &in_topic);

    // A sink that nobody kills writes the file again, line by line.
    let late = broker.directory().join("late.txt");
    connect.configure("late-sink", &sink(&late));
    connect.wait_until("the sinks have written all lines", |connect| {
        lines_of(&late).len() >= connect.lines.len() && first_of(&early).len() >= connect.lines.len()
    });
    connect.must_equal("the late sink's file", &lines_of(&late));
    // The file sink keeps its place in the group's offsets and not in its file, so a kill may repeat lines there. None is
    // lost, and none of an aborted transaction gets in.
    connect.must_equal("the early sink's file without repetitions", &first_of(&early));
    eprintln!(
        "connect: {} lines, {} repeated by the sink that was killed",
        connect.lines.len(),
        lines_of(&early).len() - connect.lines.len()
    );
}

fn sink(file: &Path) -> serde_json::Value {
    json!({
        "connector.class": "FileStreamSink",
        "tasks.max": "1",
        "file": file,
        "topics": TOPIC,
    })
}

/// The complete lines of a file; none if it is not there.
fn lines_of(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete.lines().map(str::to_owned).collect()
}

/// The lines of a file at their first places.
fn first_of(file: &Path) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut lines = lines_of(file);
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

impl Connect {
    fn start(broker: &Broker, java: &Java) -> Connect {
        let directory = broker.directory();
        let rest = format!("127.0.0.1:{}", ports::free());
        let properties = directory.join("worker.properties");
        std::fs::write(&properties, settings(broker.bootstrap(), &rest)).expect("a file can be written");
        let java = java.clone();
        let worker = Program::start(broker, "connect", move || {
            let mut command = java.server("org.apache.kafka.connect.cli.ConnectDistributed");
            command.arg(&properties);
            command
        });
        Connect {
            worker,
            rest,
            input: directory.join("input.txt"),
            lines: Vec::new(),
            follower: Follower::new(broker, TOPIC, 1),
            arrived: Vec::new(),
        }
    }

    /// Appends some hundred lines to the input file.
    fn append(&mut self, chance: &mut Chance) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&self.input)
            .expect("the input file can be opened");
        let mut text = String::new();
        for _ in 0..chance.between(200, 400) {
            let line = format!("line {}", self.lines.len());
            text.push_str(&line);
            text.push('\n');
            self.lines.push(line);
        }
        file.write_all(text.as_bytes())
            .expect("the input file can be written");
    }

    /// Makes a connector, as soon as the worker can.
    #[track_caller]
    fn configure(&mut self, name: &str, config: &serde_json::Value) {
        let path = format!("/connectors/{name}/config");
        let mut last = String::new();
        let made = wait::poll(PATIENCE, || {
            self.worker.must_run();
            match http::put_json(&self.rest, &path, &config.to_string()) {
                Ok(answer) if (200..300).contains(&answer.status) => Some(()),
                Ok(answer) => {
                    last = format!("{}: {}", answer.status, answer.body);
                    None
                }
                Err(error) => {
                    last = error.to_string();
                    None
                }
            }
        });
        if made.is_none() {
            self.worker.fail(&format!("does not make {name}: {last}"));
        }
    }

    /// Waits until the source goes on: the next fault then falls into its work.
    #[track_caller]
    fn wait_for_some(&mut self) {
        let before = self.arrived.len();
        self.wait_until("the source goes on", |connect| {
            connect.arrived.len() > before + 50
        });
    }

    #[track_caller]
    fn wait_until(&mut self, what: &str, done: impl Fn(&Connect) -> bool) {
        let reached = wait::poll(PATIENCE, || {
            self.worker.must_run();
            let records = self.follower.poll();
            self.arrived.extend(records.iter().map(|record| record.text()));
            done(self).then_some(())
        });
        if reached.is_none() {
            let status = http::get(&self.rest, "/connectors?expand=status").map(|answer| answer.body);
            self.worker.fail(&format!(
                "waited until {what}: {} of {} lines; {status:?}",
                self.arrived.len(),
                self.lines.len()
            ));
        }
    }

    #[track_caller]
    fn must_equal(&self, what: &str, found: &[String]) {
        let differs = found
            .iter()
            .zip(&self.lines)
            .position(|(one, other)| one != other);
        assert!(
            differs.is_none() && found.len() == self.lines.len(),
            "{what} has {} lines, {} were written; the first other one: {:?}",
            found.len(),
            self.lines.len(),
            differs.map(|at| (at, &found[at]))
        );
    }
}

fn settings(bootstrap: &str, rest: &str) -> String {
    let pairs = [
        ("bootstrap.servers", bootstrap),
        ("group.id", "connect"),
        ("listeners", &format!("http://{rest}")),
        (
            "key.converter",
            "org.apache.kafka.connect.storage.StringConverter",
        ),
        (
            "value.converter",
            "org.apache.kafka.connect.storage.StringConverter",
        ),
        ("config.storage.topic", "connect-configs"),
        ("config.storage.replication.factor", "1"),
        ("offset.storage.topic", "connect-offsets"),
        ("offset.storage.replication.factor", "1"),
        ("offset.storage.partitions", "2"),
        ("status.storage.topic", "connect-status"),
        ("status.storage.replication.factor", "1"),
        ("status.storage.partitions", "1"),
        ("exactly.once.source.support", "enabled"),
        ("consumer.isolation.level", "read_committed"),
        ("offset.flush.interval.ms", "500"),
        // A worker that was killed is taken for dead soon, and its work is given out at once.
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1000"),
        ("scheduled.rebalance.max.delay.ms", "0"),
        // The connectors name themselves; looking for others among all classes takes long.
        ("plugin.discovery", "service_load"),
    ];
    pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect()
}
