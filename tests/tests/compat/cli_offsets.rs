//! The notation of offsets in `topic consume -o`: places, ranges and times, as rpk has them.

use thalweg_tests::process::{Output, Server};
use thalweg_tests::{Broker, wait};

use crate::cli::{Cli, code, says};

/// 2023-11-14T22:13:20Z.
const BASE_MS: i64 = 1_700_000_000_000;

/// One partition with ten records, one each hour, whose values are their offsets.
fn ten_hours() -> (Broker, Cli) {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    // Old timestamps must not make the records old enough to be deleted.
    cli.out(&["topic", "create", "t", "-c", "retention.ms=-1"]);
    let lines: String = (0..10)
        .map(|hour| format!("{} {hour}\n", BASE_MS + hour * 3_600_000))
        .collect();
    cli.feed(&["topic", "produce", "t", "-f", "%d %v\n", "-q"], lines)
        .ok();
    (broker, cli)
}

/// Reads what an offset names, with an end so that the reader ends.
#[track_caller]
fn read(cli: &Cli, offset: &str, more: &[&str]) -> String {
    let arguments = ["topic", "consume", "t", "-f", "%v", "-o", offset];
    cli.out(&[&arguments[..], more].concat())
}

#[test]
fn places_and_ranges() {
    let (_broker, cli) = ten_hours();
    for (offset, expected) in [
        (":end", "0123456789"),
        ("start:end", "0123456789"),
        ("0:end", "0123456789"),
        ("7:end", "789"),
        ("+7:end", "789"),
        ("-3:end", "789"),
        ("-30:end", "0123456789"),
        ("3:5", "34"),
        (":2", "01"),
        ("8:99", "89"),
        ("+2:-5", "234"),
        ("end:end", ""),
        ("99:end", ""),
    ] {
        assert_eq!(read(&cli, offset, &[]), expected, "{offset}");
    }
    // Without an end, the number of records ends it.
    for (offset, expected) in [
        ("start", "01"),
        ("4", "45"),
        ("4:", "45"),
        ("+4", "45"),
        ("-4", "67"),
    ] {
        assert_eq!(read(&cli, offset, &["-n", "2"]), expected, "{offset}");
    }
    assert_eq!(read(&cli, "oldest", &["-n", "1"]), "0");
    // A range counts from what is left of the log.
    cli.out(&["topic", "trim", "t", "-O", "4", "--yes"]);
    for (offset, expected) in [(":end", "456789"), ("+1:end", "56789"), ("1:6", "45"), (":3", "")] {
        assert_eq!(read(&cli, offset, &[]), expected, "{offset} after a trim");
    }
}

#[test]
fn times() {
    let (_broker, cli) = ten_hours();
    for (offset, expected) in [
        ("@1700000000000:end", "0123456789"),
        ("@1700000000001:end", "123456789"),
        ("@1700000000:end", "0123456789"),
        ("@2023-11-15:end", "23456789"),
        ("@2023-11-15T06:13:20Z:end", "89"),
        ("@2023-11-15T06:13:20.001Z:end", "9"),
        ("@2023-11-15:2h", "23"),
        ("@2023-11-14T23:00:00Z:2023-11-15T02:00:00Z", "123"),
        ("@:2023-11-15", "01"),
        ("@-1h:end", ""),
    ] {
        assert_eq!(read(&cli, offset, &[]), expected, "{offset}");
    }
    cli.feed(&["topic", "produce", "t", "-q"], "now\n").ok();
    assert_eq!(read(&cli, "@-1h:end", &[]), "now");
    assert_eq!(read(&cli, "@-1h", &["-n", "1"]), "now");
}

#[test]
fn the_end_is_where_new_records_come() {
    let (broker, cli) = ten_hours();
    let output = Output {
        stdout: broker.directory().join("reader.out"),
        stderr: broker.directory().join("reader.err"),
    };
    let reader = cli.command(&["topic", "consume", "t", "-f", "%v", "-o", "end", "-n", "1"]);
    let mut reader = Server::start(reader, &output);
    // The reader takes its place at some moment; from then on it sees whatever comes.
    wait::until("the reader has read a new record", || {
        cli.feed(&["topic", "produce", "t", "-q"], "new\n").ok();
        reader.exit_status().is_some()
    });
    let printed = std::fs::read_to_string(&output.stdout).expect("its output");
    assert_eq!(printed, "new");
}

#[test]
fn what_is_no_offset_is_refused_with_examples() {
    for (offset, part) in [
        (
            "soon",
            "'soon' is not an offset; write start, end, 47, +2, -3, 10:20",
        ),
        ("", "is not an offset"),
        (":", "is not an offset"),
        ("+", "is not an offset"),
        ("1x", "is not an offset"),
        ("5:5", "is empty: it ends at or before its start"),
        ("9:3", "is empty: it ends at or before its start"),
        ("@2023-02-30", "is not a time; write @1732060800"),
        ("@-1y", "is not a time"),
        ("@2023-11-15:2023-11-14", "is empty"),
        ("99999999999999999999", "is not an offset"),
        ("json", "how records are printed is chosen with -f"),
    ] {
        // Told before any broker is asked.
        let refused = crate::cli::thalweg(&["topic", "consume", "t", "-b", "127.0.0.1:1", "-o", offset]);
        says(&code(refused, 2), &[part]);
    }
}
