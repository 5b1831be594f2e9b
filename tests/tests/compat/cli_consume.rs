//! `thalweg topic consume`: formats, bounds, several topics and partitions.

use serde_json::json;
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{Producer, Record};

use crate::cli::{Cli, code, documents, says};

fn with_record() -> (Broker, Cli) {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "2", "-c", "retention.ms=-1"]);
    let record = Record {
        headers: vec![
            ("h".to_owned(), Some(b"1".to_vec())),
            ("n".to_owned(), None),
            ("h".to_owned(), Some(vec![0xff])),
        ],
        timestamp: Some(1_700_000_000_123),
        ..Record::new("key", "value").to_partition(1)
    };
    let bare = Record {
        timestamp: Some(1_700_000_000_124),
        ..Record::default().to_partition(1)
    };
    Producer::new(&broker, &[]).send_all("t", &[record, bare]);
    (broker, cli)
}

#[test]
fn a_record_is_printed_by_a_template() {
    let (_broker, cli) = with_record();
    for (format, expected) in [
        ("%t %p %o %k %v", "t 1 0 key value"),
        ("%T %K %V %H", "1 3 5 3"),
        ("%d", "1700000000123"),
        ("%d{strftime[%F %T]}", "2023-11-14 22:13:20"),
        ("%d{go[2006-01-02T15:04:05]}", "2023-11-14T22:13:20"),
        ("%k{hex} %v{base64}", "6b6579 dmFsdWU="),
        ("%o{big16}", "\0\0"),
        ("%o{hex32}", "00000000"),
        ("%H{%k}", "3{key}"),
        ("%[ %| %]", "0 2 2"),
        ("%i %x %y", "1 -1 -1"),
        (
            "%a{compression} %a{timestamp-type} %a{transactional-bit} %a{control-bit}",
            "none 0 0 0",
        ),
        ("%% %{%} \\t \\x41\\n", "% {} \t A\n"),
    ] {
        if format == "%H{%k}" {
            // A number takes no inner template: the mistake is named.
            let refused = code(cli.run(&["topic", "consume", "t", "-f", format]), 2);
            says(&refused, &["numbers are ascii, hex32"]);
            continue;
        }
        let read = cli.out(&["topic", "consume", "t", "-p", "1", "-o", "0:1", "-f", format]);
        assert_eq!(read, expected, "{format}");
    }
    let headers = cli
        .run(&[
            "topic",
            "consume",
            "t",
            "-p",
            "1",
            "-o",
            "0:1",
            "-f",
            "%h{%k=%v;}|%h",
        ])
        .ok();
    assert_eq!(headers.stdout, b"h=1;n=;h=\xff;|h=1,n=,h=\xff");
    assert_eq!(
        cli.out(&[
            "topic",
            "consume",
            "t",
            "-p",
            "1",
            "-o",
            "1:2",
            "-f",
            "<%k|%v|%h>"
        ]),
        "<||>"
    );
}

#[test]
fn json_keeps_null_empty_and_binary_apart() {
    let (_broker, cli) = with_record();
    let read = cli.run(&["topic", "consume", "t", "-o", ":end"]).ok();
    assert_eq!(
        documents(&read),
        [
            json!({
                "topic": "t", "key": "key", "value": "value", "timestamp": 1_700_000_000_123_i64, "partition": 1, "offset": 0,
                "headers": [
                    {"key": "h", "value": "1"},
                    {"key": "n", "value": null},
                    {"key": "h", "value": null, "value_base64": "/w=="}
                ]
            }),
            json!({
                "topic": "t", "key": null, "value": null, "timestamp": 1_700_000_000_124_i64, "partition": 1, "offset": 1
            }),
        ]
    );
    let meta = cli
        .run(&["topic", "consume", "t", "-o", ":1", "--meta-only"])
        .ok();
    let meta = documents(&meta);
    assert_eq!(meta[0]["value_size"], 5);
    assert!(meta[0].get("value").is_none());
    let pretty = cli.out(&["topic", "consume", "t", "-o", ":1", "--pretty-print"]);
    assert!(pretty.contains("\n  \"topic\": \"t\","), "{pretty}");
}

#[test]
fn topics_partitions_and_numbers_bound_what_is_read() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "a", "b", "-p", "3"]);
    for topic in ["a", "b"] {
        for partition in 0..3 {
            let lines = format!("{partition} {topic}{partition}x\n{partition} {topic}{partition}y\n");
            cli.feed(&["topic", "produce", topic, "-f", "%p %v\n", "-q"], lines)
                .ok();
        }
    }
    let read = |arguments: &[&str]| {
        let text = cli.out(&[&["topic", "consume", "-f", "%v "], arguments].concat());
        let mut values: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        values.sort();
        values.join(" ")
    };
    assert_eq!(read(&["a", "-o", ":end"]), "a0x a0y a1x a1y a2x a2y");
    assert_eq!(read(&["a", "-p", "1,2", "-o", "-1:end"]), "a1y a2y");
    assert_eq!(read(&["a", "b", "-p", "0", "-o", ":end"]), "a0x a0y b0x b0y");
    assert_eq!(read(&["a", "b", "-n", "12"]).split(' ').count(), 12);
    assert_eq!(read(&["b", "b", "-p", "2,2", "-o", ":end"]), "b2x b2y");
    assert_eq!(read(&["b", "-n", "5"]).split(' ').count(), 5);
    let missing = code(cli.run(&["topic", "consume", "a", "-p", "7", "-o", ":end"]), 1);
    says(
        &missing,
        &["topic 'a' has no partition 7: it has 3 partitions, counted from 0"],
    );
    let unknown = code(cli.run(&["topic", "consume", "a", "no", "-o", ":end"]), 1);
    says(&unknown, &["topic 'no'", "UNKNOWN_TOPIC_OR_PARTITION", "try:"]);
}

#[test]
fn a_format_with_a_mistake_is_refused_before_the_broker_is_asked() {
    for (format, part) in [
        ("%z", "there is no verb %z at character 3"),
        (
            "%v{zip}",
            "text is hex, base64, base64raw or unpack[...], not 'zip'",
        ),
        ("%h{%k", "%h{ is not closed"),
        ("%h{%p}", "headers have %k, %v, %K and %V only"),
        ("%a{colour}", "%a needs {compression}"),
        ("50%", "a verb is missing after %"),
    ] {
        let refused = crate::cli::thalweg(&["topic", "consume", "t", "-b", "127.0.0.1:1", "-f", format]);
        says(&code(refused, 2), &[part]);
    }
}

#[test]
fn a_reader_whose_output_is_closed_ends_well() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "long"]);
    let lines: String = (0..50_000).map(|number| format!("line {number}\n")).collect();
    cli.feed(&["topic", "produce", "long", "-q"], lines).ok();
    let mut command = cli.command(&["topic", "consume", "long"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("thalweg starts");
    // As `| head -0` does.
    drop(child.stdout.take());
    let ended = thalweg_tests::wait::poll(thalweg_tests::wait::PATIENCE, || child.try_wait().ok().flatten());
    let _ = child.kill();
    let output = child.wait_with_output().expect("its output");
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
