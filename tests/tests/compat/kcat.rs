//! kcat, as people use it in a shell.

use std::collections::BTreeMap;

use thalweg_tests::clients::kcat::Kcat;
use thalweg_tests::clients::librdkafka::{Member, Record, create_topic, read_topic, serve_until};
use thalweg_tests::process::{Output, Server};
use thalweg_tests::{Broker, require_client, wait};

#[test]
fn lines_go_in_and_come_out_with_key_and_headers() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "lines", 1, &[]);
    let produce = [
        "-P",
        "-t",
        "lines",
        "-K",
        ":",
        "-H",
        "from=kcat",
        "-H",
        "again=1",
        "-H",
        "again=2",
    ];
    kcat.run(broker.bootstrap(), &produce, b"a:first\nb:second\n:third\n");
    let format = "%t %p %o %k %s %h\\n";
    let read = kcat.run(
        broker.bootstrap(),
        &["-C", "-t", "lines", "-e", "-q", "-f", format],
        b"",
    );
    let headers = "from=kcat,again=1,again=2";
    let expected =
        format!("lines 0 0 a first {headers}\nlines 0 1 b second {headers}\nlines 0 2  third {headers}\n");
    assert_eq!(read.stdout_text(), expected);
}

#[test]
fn null_values_stay_null() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "nulls", 1, &[]);
    kcat.run(
        broker.bootstrap(),
        &["-P", "-t", "nulls", "-Z", "-K", ":"],
        b"gone:\nkept:x\n",
    );
    let read = kcat.run(
        broker.bootstrap(),
        &["-C", "-t", "nulls", "-e", "-q", "-Z", "-f", "%k=%s|%S\\n"],
        b"",
    );
    assert_eq!(read.stdout_text(), "gone=NULL|-1\nkept=x|1\n");
    assert_eq!(read_topic(&broker, "nulls", &[])[0].value, None);
}

#[test]
fn every_codec_is_understood_both_ways() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    let lines: String = (0..2_000)
        .map(|number| format!("line {number} of a text that repeats itself\n"))
        .collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        create_topic(&broker, &topic, 1, &[]);
        let setting = format!("compression.codec={codec}");
        kcat.run(
            broker.bootstrap(),
            &["-P", "-t", &topic, "-X", &setting],
            lines.as_bytes(),
        );
        let read = kcat.run(broker.bootstrap(), &["-C", "-t", &topic, "-e", "-q"], b"");
        assert!(
            read.stdout_text() == lines,
            "{codec}: {} bytes came back",
            read.stdout.len()
        );
    }
}

#[test]
fn offsets_are_found_by_time_and_from_the_end() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "query", 1, &[]);
    let at = |n: i64| Record {
        timestamp: Some(1_700_000_000_000 + n),
        ..Record::new("k", n.to_string())
    };
    let producer = thalweg_tests::clients::librdkafka::Producer::new(&broker, &[]);
    producer.send_all("query", &[at(0), at(1_000), at(2_000)]);
    let found = kcat.run(broker.bootstrap(), &["-Q", "-t", "query:0:1700000000500"], b"");
    assert_eq!(found.stdout_text(), "query [0] offset 1\n");
    let ends = kcat.run(broker.bootstrap(), &["-Q", "-t", "query:0:-1"], b"");
    assert_eq!(ends.stdout_text(), "query [0] offset 3\n");
    let last = kcat.run(
        broker.bootstrap(),
        &["-C", "-t", "query", "-o", "-1", "-e", "-q"],
        b"",
    );
    assert_eq!(last.stdout_text(), "2000\n");
    let since = kcat.run(
        broker.bootstrap(),
        &["-C", "-t", "query", "-o", "s@1700000000001", "-e", "-q"],
        b"",
    );
    assert_eq!(since.stdout_text(), "1000\n2000\n");
}

#[test]
fn the_cluster_is_listed() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "listed", 3, &[]);
    let list = kcat.run(broker.bootstrap(), &["-L", "-J"], b"");
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).expect("kcat -J prints JSON");
    assert_eq!(list["brokers"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["brokers"][0]["name"], broker.bootstrap());
    let topics = list["topics"].as_array().expect("a list of topics");
    let topic = topics
        .iter()
        .find(|topic| topic["topic"] == "listed")
        .expect("the topic is listed");
    assert_eq!(topic["partitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(topic["partitions"][0]["leader"], list["brokers"][0]["id"]);
}

/// A member that is killed cannot say goodbye: its partitions move when its session ends.
#[test]
fn the_partitions_of_a_killed_member_move_after_its_session() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "moved", 2, &[]);
    let output = Output {
        stdout: broker.directory().join("kcat.out"),
        stderr: broker.directory().join("kcat.err"),
    };
    let command = kcat.command(
        broker.bootstrap(),
        &[
            "-G",
            "moved",
            "-X",
            "session.timeout.ms=6000",
            "-X",
            "heartbeat.interval.ms=200",
            "moved",
        ],
    );
    let mut victim = Server::start(command, &output);
    let member = Member::join(&broker, "moved", "moved", &[]);
    serve_until(&[&member], "both members own one partition", |_| {
        member.assignment().len() == 1
    });
    victim.kill_nine();
    serve_until(&[&member], "the survivor owns both", |_| {
        member.assignment().len() == 2
    });
    assert!(member.rebalances() >= 2);
}

#[test]
fn a_group_of_kcat_reads_everything_once() {
    let kcat = require_client!(Kcat::find());
    let broker = Broker::start();
    create_topic(&broker, "grouped", 3, &[]);
    let lines: String = (0..300).map(|number| format!("{number}:{number}\n")).collect();
    kcat.run(
        broker.bootstrap(),
        &["-P", "-t", "grouped", "-K", ":"],
        lines.as_bytes(),
    );
    let consume = [
        "-G",
        "kcat",
        "-e",
        "-q",
        "-X",
        "auto.offset.reset=earliest",
        "-f",
        "%p %s\\n",
        "grouped",
    ];
    let read = kcat.run(broker.bootstrap(), &consume, b"").stdout_text();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for line in read.lines() {
        *seen
            .entry(line.split(' ').next_back().unwrap_or_default())
            .or_default() += 1;
    }
    assert_eq!(seen.len(), 300);
    assert!(seen.values().all(|count| *count == 1));
    // What was read is committed when kcat leaves: a second run starts at the end.
    wait::until("a second run finds nothing new", || {
        let again = kcat.run(broker.bootstrap(), &consume, b"");
        again.stdout.is_empty()
    });
}
