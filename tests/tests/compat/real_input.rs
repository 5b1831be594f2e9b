//! Real input through each codec: the package index of the machine, with the broker killed in the middle.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use thalweg_tests::clients::java::{Java, Tool};
use thalweg_tests::clients::kcat::Kcat;
use thalweg_tests::clients::librdkafka::{CALL, CODECS, create_topic, read_topic, reader};
use thalweg_tests::real_input::{self, HEADER_FIELDS, Package};
use thalweg_tests::{Broker, process, require_client, wait};

/// Bytes that occur in no package: between key and value, and between two records.
const KEY_END: char = '\u{1}';
const RECORD_END: char = '\u{2}';

const TIMEOUT: Duration = Duration::from_secs(180);

/// A record in the one form that all clients are brought to: headers, key, value.
fn line(headers: &str, key: &str, value: &str) -> String {
    format!("{headers}{KEY_END}{key}{KEY_END}{value}")
}

const PARTITIONS: i32 = 3;

/// A topic and the codec that its producer uses.
#[derive(Clone, Copy)]
struct Topic<'a> {
    name: &'a str,
    codec: &'a str,
}

fn header_text(values: &[String; 5]) -> String {
    let pairs: Vec<String> = HEADER_FIELDS
        .iter()
        .zip(values)
        .map(|(name, value)| format!("{name}:{value}"))
        .collect();
    pairs.join(",")
}

/// Sends all packages, one run of kcat per set of headers, and kills the broker in the middle of the largest set.
fn produce(
    kcat: &Kcat,
    broker: &mut Broker,
    topic: Topic<'_>,
    groups: &BTreeMap<[String; 5], Vec<&Package>>,
) {
    let largest = groups
        .iter()
        .max_by_key(|(_, packages)| packages.len())
        .map(|(headers, _)| headers);
    for (headers, packages) in groups {
        let lines: Vec<String> = packages
            .iter()
            .map(|package| format!("{}{KEY_END}{}{RECORD_END}", package.name, package.stanza))
            .collect();
        let mut command = kcat_command(kcat, broker, topic, headers);
        if Some(headers) != largest {
            process::run(command, lines.concat().as_bytes(), TIMEOUT).ok();
            continue;
        }
        // -E: go on while the broker is away. Idempotence: what is sent again is stored once.
        command.args(["-E", "-X", "enable.idempotence=true"]);
        let (before, after) = lines.split_at(lines.len() / 2);
        let finished = process::run_fed(command, TIMEOUT, |stdin| {
            let stored = end_of(broker, topic);
            stdin
                .write_all(before.concat().as_bytes())
                .expect("kcat takes the first half");
            wait::until("some of the first half is stored", || {
                end_of(broker, topic) > stored
            });
            broker.kill_nine();
            stdin
                .write_all(after.concat().as_bytes())
                .expect("kcat takes the second half");
            broker.start_again();
        });
        finished.ok();
    }
}

/// The sum of the ends of all partitions.
fn end_of(broker: &Broker, topic: Topic<'_>) -> i64 {
    let consumer = reader(broker, &[]);
    let end = |partition| {
        consumer
            .fetch_watermarks(topic.name, partition, CALL)
            .expect("list offsets")
            .1
    };
    (0..PARTITIONS).map(end).sum()
}

fn kcat_command(kcat: &Kcat, broker: &Broker, topic: Topic<'_>, headers: &[String; 5]) -> Command {
    let separators = ["-K", r"\x01", "-D", r"\x02"];
    let mut command = kcat.command(broker.bootstrap(), &["-P", "-q", "-t", topic.name]);
    command
        .args(separators)
        .args(["-X", "reconnect.backoff.max.ms=200", "-X", "linger.ms=2"]);
    command
        .arg("-X")
        .arg(format!("compression.codec={}", topic.codec));
    for (name, value) in HEADER_FIELDS.iter().zip(headers) {
        command.arg("-H").arg(format!("{name}={value}"));
    }
    command
}

/// The topic as librdkafka reads it.
fn read_by_librdkafka(broker: &Broker, topic: &str) -> Vec<String> {
    let text =
        |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or(b"NULL")).into_owned();
    let read = read_topic(broker, topic, &[]);
    let lines = read.iter().map(|record| {
        let headers: Vec<String> = record
            .headers
            .iter()
            .map(|(name, value)| format!("{name}:{}", text(value)))
            .collect();
        line(&headers.join(","), &text(&record.key), &text(&record.value))
    });
    lines.collect()
}

/// The topic as the Java console consumer reads it.
fn read_by_java(java: &Java, broker: &Broker, topic: &str, count: usize) -> Vec<String> {
    let separators = [
        format!("headers.separator={}", ","),
        format!("key.separator={KEY_END}"),
        format!("line.separator={RECORD_END}"),
    ];
    let count = count.to_string();
    let mut arguments = vec![
        "--topic",
        topic,
        "--from-beginning",
        "--max-messages",
        &count,
        "--timeout-ms",
        "60000",
    ];
    for property in ["print.key=true", "print.headers=true"]
        .into_iter()
        .chain(separators.iter().map(String::as_str))
    {
        arguments.extend(["--formatter-property", property]);
    }
    let shown = java.run(Tool::ConsoleConsumer, broker, &arguments).stdout_text();
    shown.split_terminator(RECORD_END).map(str::to_owned).collect()
}

#[test]
fn the_package_index_comes_back_byte_for_byte_in_every_codec() {
    let kcat = require_client!(Kcat::find());
    let java = require_client!(Java::find());
    let packages = require_client!(real_input::packages());
    let groups = real_input::by_headers(&packages);
    let mut expected: Vec<String> = packages
        .iter()
        .map(|package| line(&header_text(&package.headers), &package.name, &package.stanza))
        .collect();
    expected.sort_unstable();
    let mut broker = Broker::start();
    for codec in CODECS {
        let topic = format!("packages-{codec}");
        create_topic(&broker, &topic, PARTITIONS, &[]);
        let begin = std::time::Instant::now();
        produce(&kcat, &mut broker, Topic { name: &topic, codec }, &groups);
        let sent = begin.elapsed();
        let mut read = read_by_librdkafka(&broker, &topic);
        read.sort_unstable();
        assert_same(codec, "librdkafka", &read, &expected);
        let mut read = read_by_java(&java, &broker, &topic, expected.len());
        read.sort_unstable();
        assert_same(codec, "Java", &read, &expected);
        println!(
            "{codec}: {} packages sent in {sent:?}, all in {:?}",
            expected.len(),
            begin.elapsed()
        );
    }
}

/// Compares without printing 50 MB.
#[track_caller]
fn assert_same(codec: &str, client: &str, read: &[String], expected: &[String]) {
    if read == expected {
        return;
    }
    let differing = read
        .iter()
        .zip(expected)
        .find(|(read, expected)| read != expected);
    panic!(
        "{codec}, {client}: {} of {} records; first difference: {differing:?}",
        read.len(),
        expected.len()
    );
}
