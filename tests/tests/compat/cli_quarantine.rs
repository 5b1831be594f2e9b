//! `thalweg log check --quarantine`, and a broker on what it leaves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thalweg_tests::{Broker, wait};

use crate::cli::{Cli, code, command, document, documents, on_terminal, says, thalweg};
use crate::cli_log::{RECORDS, damage, name, segments, stopped};

/// First and last offset of a segment, from its own batches.
fn span(path: &Path) -> (i64, i64) {
    let check = document(&thalweg(&["log", "check", &name(path), "-o", "json"]));
    let offset = |key: &str| check[0][key].as_i64().expect("an offset");
    (offset("first_offset"), offset("last_offset"))
}

#[test]
fn a_quarantine_needs_a_yes_and_a_stopped_broker() {
    let mut broker = stopped();
    let segment = segments(&broker).remove(1);
    damage(&segment);
    let directory = name(&broker.log_directory());
    let quarantine = ["log", "check", "--quarantine", &directory];
    let before = std::fs::read_dir(broker.log_directory().join("t-0"))
        .expect("it is there")
        .count();
    let question = format!("move {} aside, after which offsets ", name(&segment));
    let refused = code(thalweg(&quarantine), 1);
    says(&refused, &[&question, "no terminal", "add --yes"]);
    let no = code(on_terminal(command(&quarantine), "n\n"), 1);
    says(&no, &[&question, "? [y/N] ", "nothing was changed"]);
    broker.start_again();
    let running = code(thalweg(&[&quarantine[..], &["--yes"]].concat()), 1);
    says(
        &running,
        &["a broker runs on this directory", ".lock is locked", "stop it"],
    );
    broker.terminate();
    assert!(segment.exists());
    let after = std::fs::read_dir(broker.log_directory().join("t-0"))
        .expect("it is there")
        .count();
    assert_eq!(after, before, "nothing was moved");
    let done = on_terminal(command(&quarantine), "y\n").ok();
    assert!(done.stdout_text().contains("  moved to "), "{}", done.describe());
    assert!(!segment.exists());
}

/// The whole way: damage is named, the segment moved aside, the broker starts and serves what is around the gap.
#[test]
fn a_broker_serves_around_a_quarantined_segment() {
    let mut broker = stopped();
    let segment = segments(&broker).remove(1);
    let (first, last) = span(&segment);
    damage(&segment);
    let directory = name(&broker.log_directory());
    let done = thalweg(&["log", "check", &directory, "--quarantine", "--yes", "-o", "json"]).ok();
    let reports = document(&done);
    let moved: Vec<&Value> = reports
        .as_array()
        .expect("a list")
        .iter()
        .filter(|report| !report["quarantined_to"].is_null())
        .collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(
        moved[0]["lost_offsets"],
        serde_json::json!({"first": first, "last": last})
    );
    let aside = moved[0]["quarantined_to"].as_str().expect("a path");
    assert_eq!(aside, format!("{}.quarantined-1", name(&segment)));
    assert!(Path::new(aside).exists() && !segment.exists());
    // What is still readable in it can be had.
    let rest = documents(&code(thalweg(&["log", "dump", aside, "-o", "json"]), 1));
    assert!(rest.iter().filter(|batch| batch["valid"] == true).count() > 1);
    thalweg(&["log", "check", &directory]).ok();

    broker.start_again();
    let cli = Cli::of(&broker);
    let read: BTreeSet<i64> = cli
        .out(&["topic", "consume", "t", "-o", ":end", "-f", "%o %k\n"])
        .lines()
        .map(|line| {
            let (offset, key) = line.split_once(' ').expect("two fields");
            assert_eq!(offset, key);
            offset.parse().expect("an offset")
        })
        .collect();
    let expected: BTreeSet<i64> = (0..RECORDS)
        .filter(|offset| !(first..=last).contains(offset))
        .collect();
    assert_eq!(read.len(), expected.len());
    assert!(read == expected, "other offsets than those around the gap");
    // A reader placed in the gap goes on behind it; new records go to the end.
    let middle = ((first + last) / 2).to_string();
    let next = cli.out(&["topic", "consume", "t", "-o", &middle, "-n", "1", "-f", "%o"]);
    assert_eq!(next, (last + 1).to_string());
    let written = cli.feed(&["topic", "produce", "t", "-o", "%o"], "new\n").ok();
    assert_eq!(written.stdout_text(), RECORDS.to_string());
    assert_eq!(
        cli.out(&["topic", "consume", "t", "-o", "-1:end", "-f", "%v"]),
        "new"
    );
}

/// Cuts the newest segment inside its last batch.
fn cut_newest(broker: &Broker) -> PathBuf {
    let newest = segments(broker).pop().expect("segments");
    let size = std::fs::metadata(&newest).expect("the segment").len();
    let file = std::fs::File::options()
        .write(true)
        .open(&newest)
        .expect("the segment");
    file.set_len(size - 7).expect("cutting");
    newest
}

/// After a clean stop the segments hold everything: bytes that are missing are gone, also at the end of the newest one.
/// The broker refuses to start on it, and the quarantine is the way on.
#[test]
fn a_cut_end_that_was_durable_is_moved_aside() {
    let mut broker = stopped();
    let newest = cut_newest(&broker);
    let (first, _) = span(&newest);
    let report = document(&code(thalweg(&["log", "check", &name(&newest), "-o", "json"]), 1));
    assert_eq!(report[0]["damages"][0]["kind"], "cut-tail");
    broker.launch();
    broker
        .wait_until_ready(wait::PATIENCE)
        .expect_err("the broker refuses to start");
    assert!(
        broker.log_text().contains("records are missing"),
        "{}",
        broker.log_tail()
    );
    broker.kill_nine();

    let moved = thalweg(&[
        "log",
        "check",
        &name(&newest),
        "--quarantine",
        "--yes",
        "-o",
        "json",
    ])
    .ok();
    let moved = document(&moved);
    assert_eq!(
        moved[0]["lost_offsets"],
        serde_json::json!({"first": first, "last": RECORDS - 1})
    );
    broker.start_again();
    let cli = Cli::of(&broker);
    // The range ends although nothing stands at its end.
    let read = cli
        .run(&["topic", "consume", "t", "-o", ":end", "-f", "%o\n"])
        .ok();
    let gap = format!("offsets {first} to {} are not in the log", RECORDS - 1);
    says(&read, &["topic 't' partition 0", &gap]);
    let read = read.stdout_text();
    let read: Vec<i64> = read
        .lines()
        .map(|line| line.parse().expect("an offset"))
        .collect();
    assert!(read == (0..first).collect::<Vec<_>>(), "{} records", read.len());
    // An offset is never given twice.
    let written = cli.feed(&["topic", "produce", "t", "-o", "%o"], "new\n").ok();
    assert_eq!(written.stdout_text(), RECORDS.to_string());
    let next = cli.out(&[
        "topic",
        "consume",
        "t",
        "-o",
        &first.to_string(),
        "-n",
        "1",
        "-f",
        "%o %v",
    ]);
    assert_eq!(next, format!("{RECORDS} new"));
}

/// Bytes that no recovery point covers are in the write-ahead log: the broker cuts them off, nothing is moved or lost.
#[test]
fn damage_behind_the_recovery_point_is_left_to_the_broker() {
    let mut broker = stopped();
    let newest = segments(&broker).pop().expect("segments");
    let mut file = std::fs::File::options()
        .append(true)
        .open(&newest)
        .expect("the segment");
    std::io::Write::write_all(&mut file, &[0xab; 5_000]).expect("writing");
    drop(file);
    let left = code(
        thalweg(&["log", "check", &name(&newest), "--quarantine", "--yes"]),
        1,
    );
    assert!(left.stdout_text().contains(": DAMAGED: "), "{}", left.describe());
    says(
        &left,
        &["not moved: the damage is behind what the recovery point covers"],
    );
    assert!(newest.exists());
    broker.start_again();
    let read = Cli::of(&broker).out(&["topic", "consume", "t", "-o", ":end", "-f", "%o\n"]);
    assert_eq!(read.lines().count(), usize::try_from(RECORDS).expect("few"));
    broker.terminate();
    thalweg(&["log", "check", &name(&broker.log_directory())]).ok();
}
