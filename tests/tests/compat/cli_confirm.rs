//! What destroys asks first: on a terminal, and only there.

use thalweg_tests::Broker;

use crate::cli::{Cli, code, document, rows, says};

/// A broker with a topic of two records and a group that has read one.
fn filled() -> (Broker, Cli) {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "kept"]);
    cli.feed(&["topic", "produce", "kept", "-q"], "a\nb\n").ok();
    cli.out(&[
        "group",
        "seek",
        "g",
        "--to",
        "start",
        "--topics",
        "kept",
        "--allow-new-topics",
        "--yes",
    ]);
    (broker, cli)
}

const DESTROYERS: [(&[&str], &str); 5] = [
    (&["topic", "delete", "kept"], "delete 'kept' with all records"),
    (
        &["topic", "trim", "kept", "-O", "end"],
        "delete up to 2 records of 'kept'",
    ),
    (
        &["topic", "add-partitions", "kept", "-n", "1"],
        "raise partitions of 'kept' from 1 to 2",
    ),
    (
        &["group", "seek", "g", "--to", "end"],
        "move 1 committed offsets of group 'g'",
    ),
    (&["group", "delete", "g"], "delete 'g' with all committed offsets"),
];

/// What the commands above would change.
fn state(cli: &Cli) -> (serde_json::Value, serde_json::Value) {
    let topic = cli.json(&["topic", "describe", "kept", "-p"]);
    let group = cli.json(&["group", "describe", "g"]);
    (topic, group)
}

#[test]
fn without_a_terminal_and_without_a_yes_nothing_is_changed() {
    let (_broker, cli) = filled();
    let before = state(&cli);
    for (arguments, question) in DESTROYERS {
        // A yes in a pipe is no yes either: scripts say it in the arguments.
        for input in ["", "n\n", "y\n"] {
            let refused = code(cli.feed(arguments, input), 1);
            says(&refused, &[question, "no terminal", "add --yes"]);
            assert_eq!(refused.stdout_text(), "");
        }
    }
    assert_eq!(state(&cli), before);
}

#[test]
fn a_no_on_the_terminal_changes_nothing() {
    let (_broker, cli) = filled();
    let before = state(&cli);
    for (arguments, question) in DESTROYERS {
        for answer in ["n\n", "\n", "nonsense\n"] {
            let refused = code(cli.on_terminal(arguments, answer), 1);
            says(&refused, &[question, "? [y/N] ", "nothing was changed"]);
        }
    }
    assert_eq!(state(&cli), before);
}

#[test]
fn a_yes_on_the_terminal_or_in_the_arguments_is_done() {
    let (_broker, cli) = filled();
    let trimmed = cli.on_terminal(&["topic", "trim", "kept", "-O", "1"], "y\n").ok();
    assert_eq!(
        rows(&trimmed.stdout_text()),
        [
            "TOPIC PARTITION PRIOR-START-OFFSET NEW-START-OFFSET ERROR",
            "kept 0 0 1"
        ]
    );
    let moved = cli
        .on_terminal(&["group", "seek", "g", "--to", "end"], "yes\n")
        .ok();
    assert_eq!(rows(&moved.stdout_text())[1], "kept 0 0 2 moved");
    let deleted = cli.run(&["group", "delete", "g", "--no-confirm"]).ok();
    assert_eq!(rows(&deleted.stdout_text()), ["GROUP STATUS", "g deleted"]);
    let gone = cli.run(&["topic", "delete", "kept", "--yes"]).ok();
    assert_eq!(rows(&gone.stdout_text()), ["TOPIC STATUS", "kept deleted"]);
    assert_eq!(cli.json(&["topic", "list"]), serde_json::json!([]));
    assert_eq!(cli.json(&["group", "list"]), serde_json::json!([]));
}

#[test]
fn a_topic_that_cannot_be_deleted_is_told_once() {
    let (_broker, cli) = filled();
    let missing = code(cli.run(&["topic", "delete", "missing", "--yes"]), 1);
    assert_eq!(rows(&missing.stdout_text()), ["TOPIC STATUS", "missing failed"]);
    says(
        &missing,
        &["error: topic 'missing'", "try:   `thalweg topic list`"],
    );
    assert_eq!(missing.text().matches("UNKNOWN_TOPIC_OR_PARTITION").count(), 1);
    let mixed = code(
        cli.run(&["topic", "delete", "missing", "kept", "--yes", "-o", "json"]),
        1,
    );
    let document = document(&mixed);
    assert_eq!(document[0]["status"], "failed");
    assert_eq!(document[1]["status"], "deleted");
    assert_eq!(mixed.stderr_text(), "", "the document says it");
    let accepted = cli
        .run(&["topic", "delete", "missing", "--if-exists", "--yes"])
        .ok();
    assert_eq!(rows(&accepted.stdout_text())[1], "missing did not exist");
    let group = code(cli.run(&["group", "delete", "nobody", "--yes"]), 1);
    assert_eq!(rows(&group.stdout_text()), ["GROUP STATUS", "nobody failed"]);
    assert_eq!(group.text().matches("GROUP_ID_NOT_FOUND").count(), 1);
}

#[test]
fn trim_keeps_what_is_at_and_after_the_offset() {
    let broker = Broker::start();
    let cli = Cli::of(&broker);
    cli.out(&["topic", "create", "t", "-p", "2"]);
    for partition in ["0", "1"] {
        cli.feed(&["topic", "produce", "t", "-p", partition, "-q"], "a\nb\nc\nd\n")
            .ok();
    }
    let starts = || {
        let described = cli.json(&["topic", "describe", "t", "-p"]);
        let start = |index: usize| described[0]["partitions"][index]["log_start_offset"].clone();
        [start(0), start(1)].map(|start| start.as_i64().expect("an offset"))
    };
    let trim = |arguments: &[&str]| cli.run(&[&["topic", "trim", "t", "--yes"], arguments].concat());
    trim(&["-O", "1", "-p", "0"]).ok();
    assert_eq!(starts(), [1, 0]);
    trim(&["-O", "-3"]).ok();
    assert_eq!(starts(), [1, 1]);
    let json = document(&trim(&["-O", "+1", "-p", "1", "-o", "json"]).ok());
    assert_eq!(
        json,
        serde_json::json!([{"topic": "t", "partition": 1, "prior_start_offset": 1, "new_start_offset": 2, "error": null}])
    );
    let beyond = code(trim(&["-O", "5"]), 1);
    says(
        &beyond,
        &["offset 5 is past the end of topic 't' partition 0, which is 4"],
    );
    let range = code(trim(&["-O", "1:2"]), 2);
    says(&range, &["is a range; one offset is needed"]);
    let nothing = trim(&["-O", "1"]).ok();
    says(&nothing, &["nothing to delete"]);
    trim(&["-O", "end"]).ok();
    assert_eq!(starts(), [4, 4]);
}
