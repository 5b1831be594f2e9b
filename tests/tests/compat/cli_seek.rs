//! `thalweg group seek`: to the start, the end, a time, a file, another group; never under a group's feet.

use serde_json::json;
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{Member, serve_until};

use crate::cli::{Cli, code, document, rows, says};

/// 2023-11-14T22:13:20Z.
const BASE_MS: i64 = 1_700_000_000_000;

/// Two partitions of four records, an hour apart, and a group at the start of them.
fn at_start() -> (Broker, Cli) {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "2", "-c", "retention.ms=-1"]);
    let line = |number: i64| format!("{} {} {number}\n", number % 2, BASE_MS + number / 2 * 3_600_000);
    let lines: String = (0..8).map(line).collect();
    cli.feed(&["topic", "produce", "t", "-f", "%p %d %v\n", "-q"], lines)
        .ok();
    seek(&cli, &["--to", "start", "--topics", "t", "--allow-new-topics"]).ok();
    (broker, cli)
}

fn seek(cli: &Cli, arguments: &[&str]) -> thalweg_tests::process::Finished {
    cli.run(&[&["group", "seek", "g", "--yes"], arguments].concat())
}

/// The committed offsets of the two partitions.
fn committed(cli: &Cli) -> [i64; 2] {
    let told = cli.json(&["group", "describe", "g"]);
    let offset = |index: usize| told[0]["partitions"][index]["current_offset"].as_i64();
    [0, 1].map(|index| offset(index).expect("a committed offset"))
}

#[test]
fn to_start_end_and_times() {
    let (_broker, cli) = at_start();
    assert_eq!(committed(&cli), [0, 0]);
    for (to, expected) in [
        ("end", [4, 4]),
        ("1700003600", [1, 1]),
        ("1700003600001", [2, 2]),
        ("1700003600001000000", [2, 2]),
        ("2023-11-15", [2, 2]),
        ("@2023-11-15T01:00:00Z", [3, 3]),
        ("-1h", [4, 4]),
        ("start", [0, 0]),
    ] {
        let moved = seek(&cli, &["--to", to]).ok();
        let table = rows(&moved.stdout_text());
        assert_eq!(table[0], "TOPIC PARTITION PRIOR-OFFSET CURRENT-OFFSET STATUS");
        assert!(
            table[1].ends_with(&format!(" {} moved", expected[0])),
            "{to}: {table:?}"
        );
        assert_eq!(committed(&cli), expected, "{to}");
    }
    let dry = document(&seek(&cli, &["--to", "end", "--dry-run", "-o", "json"]).ok());
    assert_eq!(
        dry[0],
        json!({"topic": "t", "partition": 0, "prior_offset": 0, "current_offset": 4, "status": "could be moved", "error": null})
    );
    assert_eq!(committed(&cli), [0, 0]);
    for (to, part) in [
        ("47", "is not a Unix time"),
        ("soon", "is not a time"),
        ("2023-11-14:1h", "is a range"),
    ] {
        says(&code(seek(&cli, &["--to", to]), 2), &[part]);
    }
    code(seek(&cli, &[]), 2);
    code(seek(&cli, &["--to", "end", "--to-group", "h"]), 2);
}

#[test]
fn to_a_file_and_to_another_group() {
    let (broker, cli) = at_start();
    let path = broker.directory().join("offsets");
    let file = path.display().to_string();
    let write = |text: &str| std::fs::write(&path, text).expect("a file");
    write("t 0 3\n\nt\t1\t2\n");
    seek(&cli, &["--to-file", &file]).ok();
    assert_eq!(committed(&cli), [3, 2]);
    cli.out(&["group", "seek", "h", "--to-group", "g", "--yes"]);
    let other = cli.json(&["group", "describe", "h"]);
    assert_eq!(other[0]["partitions"][0]["current_offset"], 3);
    assert_eq!(other[0]["partitions"][1]["current_offset"], 2);

    for (text, part) in [
        ("t 0\n", "line 1 is not 'topic partition offset'"),
        ("t 0 1\nt x 1\n", "line 2 is not"),
        (
            "t 0 1\nt 0 2\n",
            "line 2 names topic 't' partition 0 a second time",
        ),
        ("", "holds no offsets"),
    ] {
        write(text);
        says(&code(seek(&cli, &["--to-file", &file]), 1), &[&file, part]);
    }
    let missing = code(seek(&cli, &["--to-file", "/nonexistent/offsets"]), 1);
    says(&missing, &["cannot read /nonexistent/offsets"]);
    let nobody = code(seek(&cli, &["--to-group", "nobody"]), 1);
    says(&nobody, &["group 'nobody' has no committed offsets"]);
    write("t 0 1\nt 9 1\n");
    let partly = code(seek(&cli, &["--to-file", &file]), 1);
    assert_eq!(
        rows(&partly.stdout_text())[1..],
        ["t 0 3 1 moved", "t 9 - 1 failed"]
    );
    says(&partly, &["topic 't' partition 9", "UNKNOWN_TOPIC_OR_PARTITION"]);
    // Such offsets may be meant (a mirror that lags); they are taken and told.
    write("t 1 1000\n");
    let beyond = seek(&cli, &["--to-file", &file]).ok();
    says(
        &beyond,
        &["topic 't' partition 1: offset 1000 is outside the log, which goes from 0 to 4"],
    );
    assert_eq!(committed(&cli), [1, 1000]);
}

#[test]
fn topics_the_group_has_never_read_need_a_word() {
    let (_broker, cli) = at_start();
    cli.out(&["topic", "create", "new"]);
    let refused = code(seek(&cli, &["--to", "end", "--topics", "t,new"]), 1);
    says(
        &refused,
        &["group 'g' has never committed topic 'new'; --allow-new-topics permits it"],
    );
    assert_eq!(committed(&cli), [0, 0]);
    seek(&cli, &["--to", "end", "--topics", "new", "--allow-new-topics"]).ok();
    let told = cli.json(&["group", "describe", "g"]);
    assert_eq!(told[0]["partitions"].as_array().map(Vec::len), Some(3));
    let unknown = code(
        seek(&cli, &["--to", "end", "--topics", "no", "--allow-new-topics"]),
        1,
    );
    says(&unknown, &["topic 'no'", "UNKNOWN_TOPIC_OR_PARTITION"]);
    let nobody = code(cli.run(&["group", "seek", "nobody", "--to", "end", "--yes"]), 1);
    says(
        &nobody,
        &["group 'nobody' has no committed offsets", "--allow-new-topics"],
    );
}

#[test]
fn a_group_with_members_is_not_moved() {
    let (broker, cli) = at_start();
    let member = Member::join(&broker, "g", "t", &[]);
    serve_until(&[&member], "the member owns both partitions", |_| {
        member.assignment().len() == 2
    });
    for more in [&[][..], &["--dry-run"]] {
        // Told before anybody is asked: there is no --yes.
        let arguments = [&["group", "seek", "g", "--to", "end"], more].concat();
        let refused = code(cli.run(&arguments), 1);
        says(
            &refused,
            &["group 'g' is Stable and has 1 members", "stop them first"],
        );
        assert_eq!(refused.stdout_text(), "");
    }
    assert_eq!(committed(&cli), [0, 0]);
}
