//! `thalweg topic produce`: what goes in comes out, read by librdkafka and by the command line itself.

use serde_json::json;
use thalweg_tests::clients::librdkafka::{CODECS, Consumed, read_topic};
use thalweg_tests::{Broker, BrokerConfig, Product, counters, wait};

use crate::cli::{Cli, code, documents, says};

fn text(bytes: &Option<Vec<u8>>) -> Option<String> {
    bytes
        .as_ref()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn keys_and_values(records: &[Consumed]) -> Vec<(Option<String>, Option<String>)> {
    records
        .iter()
        .map(|record| (text(&record.key), text(&record.value)))
        .collect()
}

fn pair(key: Option<&str>, value: Option<&str>) -> (Option<String>, Option<String>) {
    (key.map(str::to_owned), value.map(str::to_owned))
}

#[test]
fn each_line_is_a_value_and_its_place_is_told() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t"]);
    let written = cli
        .feed(&["topic", "produce", "t"], "one\ntwo\n\nlast without an end")
        .ok();
    let lines: Vec<String> = written.stdout_text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4);
    for (offset, line) in lines.iter().enumerate() {
        let begin = format!("Produced to partition 0 at offset {offset} with timestamp ");
        assert!(line.starts_with(&begin), "{line}");
    }
    assert_eq!(
        keys_and_values(&read_topic(&broker, "t", &[])),
        [
            pair(None, Some("one")),
            pair(None, Some("two")),
            pair(None, Some("")),
            pair(None, Some("last without an end"))
        ]
    );
    assert_eq!(cli.feed(&["topic", "produce", "t"], "").ok().text(), "");
    assert_eq!(cli.feed(&["topic", "produce", "t", "-q"], "x\n").ok().text(), "");
}

#[test]
fn keys_headers_and_partitions_come_from_arguments_or_from_the_input() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "3"]);
    let arguments = [
        "-k",
        "all",
        "-H",
        "a=1",
        "-H",
        "a:2",
        "-H",
        "eq=x=y",
        "-p",
        "2",
        "-o",
        "%t %p %o %k %v %h\n",
    ];
    let written = cli
        .feed(&[&["topic", "produce", "t"], &arguments[..]].concat(), "v\n")
        .ok();
    assert_eq!(written.stdout_text(), "t 2 0 all v a=1,a=2,eq=x=y\n");
    let read = read_topic(&broker, "t", &[]);
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    assert_eq!(
        read[0].headers,
        [header("a", "1"), header("a", "2"), header("eq", "x=y")]
    );

    let from_input = cli
        .feed(
            &[
                "topic",
                "produce",
                "-f",
                "%t %p %d %k %H{1}%h{%k=%v }%v\n",
                "-o",
                "json",
            ],
            "t 0 1700000000000 k h=1 v\nt 1 1700000000001 k2 h=2 w\n",
        )
        .ok();
    // Partitions are answered in any order.
    let mut told = documents(&from_input);
    told.sort_by_key(|document| document["partition"].as_i64());
    assert_eq!(
        told,
        [
            json!({"topic": "t", "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000_i64}),
            json!({"topic": "t", "partition": 1, "offset": 0, "timestamp": 1_700_000_000_001_i64}),
        ]
    );
    let back = cli.out(&[
        "topic",
        "consume",
        "t",
        "-p",
        "0,1",
        "-o",
        ":end",
        "-f",
        "%p %k %v %h %d\n",
    ]);
    let mut lines: Vec<&str> = back.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 k v h=1 1700000000000", "1 k2 w h=2 1700000000001"]);
}

/// The partitions are those Java's and librdkafka's `murmur2` choose.
#[test]
fn a_key_decides_the_partition_as_in_other_clients() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "7"]);
    let keys: Vec<String> = (0..40).map(|number| format!("key-{number}")).collect();
    let lines: String = keys.iter().map(|key| format!("{key} cli\n")).collect();
    cli.feed(&["topic", "produce", "t", "-f", "%k %v\n", "-q"], lines)
        .ok();
    let theirs: Vec<_> = keys
        .iter()
        .map(|key| thalweg_tests::clients::librdkafka::Record::new(key.as_bytes(), "librdkafka"))
        .collect();
    let producer =
        thalweg_tests::clients::librdkafka::Producer::new(&broker, &[("partitioner", "murmur2_random")]);
    producer.send_all("t", &theirs);
    let read = read_topic(&broker, "t", &[]);
    assert_eq!(read.len(), 80);
    for key in &keys {
        let of_key = |record: &&Consumed| text(&record.key).as_ref() == Some(key);
        let mut partitions: Vec<i32> = read
            .iter()
            .filter(of_key)
            .map(|record| record.partition)
            .collect();
        assert_eq!(partitions.len(), 2);
        partitions.dedup();
        assert_eq!(partitions.len(), 1, "{key} in {partitions:?}");
    }
}

#[test]
fn every_codec_is_written_and_read() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    let lines: String = (0..3_000)
        .map(|number| format!("line {number} of a text that repeats itself\n"))
        .collect();
    for codec in CODECS {
        let topic = format!("with-{codec}");
        cli.out(&["topic", "create", &topic]);
        cli.feed(&["topic", "produce", &topic, "-z", codec, "-q"], &lines)
            .ok();
        let read = cli.out(&["topic", "consume", &topic, "-o", ":end", "-f", "%v\n"]);
        assert!(read == lines, "{codec}: {} bytes came back", read.len());
        let name = cli.out(&["topic", "consume", &topic, "-n", "1", "-f", "%a{compression}"]);
        assert_eq!(name, codec);
        let theirs: String = read_topic(&broker, &topic, &[])
            .iter()
            .map(|record| record.text() + "\n")
            .collect();
        assert!(theirs == lines, "{codec}: librdkafka reads something else");
    }
}

#[test]
fn sizes_hex_base64_and_tombstones() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t"]);
    let produce =
        |format: &str, input: &[u8]| cli.feed(&["topic", "produce", "t", "-q", "-f", format], input);
    produce("%K{big16}%k%V{big32}%v", b"\0\x02ke\0\0\0\x03v\nx").ok();
    produce("%k{hex} %v{base64}\n", b"6b6579 dmFsdWU=\n").ok();
    cli.feed(&["topic", "produce", "t", "-q", "-Z", "-k", "gone"], "\n")
        .ok();
    assert_eq!(
        keys_and_values(&read_topic(&broker, "t", &[])),
        [
            pair(Some("ke"), Some("v\nx")),
            pair(Some("key"), Some("value")),
            pair(Some("gone"), None)
        ]
    );
    let cut = code(produce("%V{big32}%v", b"\0\0\0\x09short"), 1);
    says(
        &cut,
        &["cannot read record 1 of standard input", "ends inside a record"],
    );
    let odd = code(produce("%v{hex}\n", b"00\nxy\n"), 1);
    says(&odd, &["cannot read record 2 of standard input"]);
    // What came before the bad record is written.
    assert_eq!(read_topic(&broker, "t", &[]).len(), 4);
}

#[test]
fn what_cannot_be_written_is_refused_with_the_reason() {
    let broker = BrokerConfig::default()
        .set("auto.create.topics.enable", true)
        .start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-c", "max.message.bytes=1000"]);
    let long = "x".repeat(5_000);
    for (arguments, input, exit, parts) in [
        (&[][..], "x\n", 2, &["no topic is given"][..]),
        (
            &["no"],
            "x\n",
            1,
            &["topic 'no'", "UNKNOWN_TOPIC_OR_PARTITION", "try:"],
        ),
        (
            &["t", "-p", "9"],
            "x\n",
            1,
            &["topic 't' has no partition 9: it has 1"],
        ),
        (&["t", "-p", "-1"], "x\n", 2, &["--partition"]),
        (
            &["t", "-z", "zip"],
            "x\n",
            2,
            &["'zip' is not none, gzip, snappy, lz4 or zstd"],
        ),
        (&["t", "-H", "nothing"], "x\n", 2, &["'nothing' is not key=value"]),
        (
            &["t", "--acks", "0"],
            "x\n",
            2,
            &["unacknowledged writes are not offered"],
        ),
        (&["t", "-f", "%q"], "x\n", 2, &["there is no verb %q"]),
        (
            &["t"],
            long.as_str(),
            1,
            &["MESSAGE_TOO_LARGE", "raise the topic's max.message.bytes"],
        ),
    ] {
        let refused = code(
            cli.feed(&[&["topic", "produce"], arguments].concat(), input),
            exit,
        );
        says(&refused, parts);
        assert_eq!(refused.stdout_text(), "");
    }
    // A misspelt topic is made only on demand.
    cli.feed(
        &["topic", "produce", "made", "--allow-auto-topic-creation", "-q"],
        "x\n",
    )
    .ok();
    assert_eq!(read_topic(&broker, "made", &[]).len(), 1);
}

/// A disk above its mark takes no records: the person learns that after a moment, not when all patience is gone.
#[test]
fn records_that_are_held_back_are_told_of_before_they_are_given_up() {
    let broker = BrokerConfig::new(Product::Thalweg)
        .set("disk.use.high.percent", 2)
        .set("disk.use.low.percent", 1)
        .start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t"]);
    wait::until("the gate is closed", || {
        let numbers = counters::scrape(broker.http().unwrap_or_default()).unwrap_or_default();
        numbers.get("thalweg_disk_takes_records") == Some(&0.0)
    });
    let refused = code(
        cli.feed(&["topic", "produce", "t", "--timeout", "6s"], "lost\n"),
        1,
    );
    says(&refused, &["trying again for 6 s"]);
    let told = refused.stderr_text();
    assert_eq!(told.matches("trying again").count(), 1, "{told}");
}
