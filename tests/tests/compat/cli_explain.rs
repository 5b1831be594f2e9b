//! `thalweg config explain`.

use std::time::Duration;

use thalweg_tests::process::run;

use crate::cli::{code, command, says, thalweg};
use crate::cli_settings::directory;

#[test]
fn a_key_is_explained() {
    let text = thalweg(&["config", "explain", "num.partitions"])
        .ok()
        .stdout_text();
    for part in [
        "num.partitions (broker key, Apache Kafka's)\n",
        "  type         int",
        "  default      1",
        "  environment  THALWEG_NUM_PARTITIONS\n",
        "  value        1 (default)",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text:?}");
    let topic = thalweg(&["config", "explain", "retention.ms"]).ok().stdout_text();
    for part in [
        "topic key",
        "log.retention.ms > log.retention.minutes > log.retention.hours",
        "-1",
    ] {
        assert!(topic.contains(part), "{part:?} is not in {topic}");
    }
    let all = thalweg(&["config", "explain"]).ok().stdout_text();
    for line in [
        "num.partitions = 1",
        "http.listener = 127.0.0.1:9644",
        "log.dirs = (none)",
    ] {
        assert!(all.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn a_key_that_is_none_names_the_nearest() {
    let near = code(thalweg(&["config", "explain", "num.partitons"]), 2);
    assert_eq!(
        near.stderr_text(),
        "config explain: unknown key num.partitons; did you mean num.partitions?\n"
    );
    let topic = code(thalweg(&["config", "explain", "retention.mss"]), 2);
    says(&topic, &["did you mean retention.ms?"]);
    let far = code(thalweg(&["config", "explain", "colour"]), 2);
    says(
        &far,
        &["unknown key colour; `thalweg config explain` lists the keys"],
    );
    let gone = code(thalweg(&["config", "explain", "zookeeper.connect"]), 2);
    says(&gone, &["zookeeper.connect is gone since Apache Kafka 4.0"]);
}

#[test]
fn explained_values_come_from_file_and_environment() {
    let directory = directory();
    let file = directory.path().join("settings");
    std::fs::write(&file, "num.partitions=3\nmessage.max.bytes=2000\n").expect("a file");
    let file = file.display().to_string();
    let explain = |key: &str, more: &[&str]| {
        let mut command = command(&[&["config", "explain", key], more].concat());
        command.env("THALWEG_NUM_PARTITIONS", "5");
        run(command, b"", Duration::from_secs(60)).ok().stdout_text()
    };
    let both = explain("num.partitions", &["--file", &file]);
    assert!(
        both.contains("value        5 (environment THALWEG_NUM_PARTITIONS)"),
        "{both}"
    );
    assert!(both.contains(&format!("hides        3 ({file}:1)")), "{both}");
    let only_file = explain("message.max.bytes", &["--file", &file]);
    assert!(
        only_file.contains(&format!("value        2000 ({file}:2)")),
        "{only_file}"
    );
    let only_environment = explain("num.partitions", &[]);
    assert!(
        only_environment.contains("value        5 (environment"),
        "{only_environment}"
    );
}
