//! `thalweg log dump` and `log check` on what a broker wrote, whole and damaged.

use std::path::{Path, PathBuf};

use serde_json::Value;
use thalweg_tests::clients::librdkafka::{Producer, Record, create_topic};
use thalweg_tests::{Broker, BrokerConfig, Product, wait};

use crate::cli::{code, document, documents, rows, says, thalweg};

pub const RECORDS: i64 = 9_000;

/// The segments of the partition, in order.
pub fn segments(broker: &Broker) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(broker.log_directory().join("t-0")).into_iter();
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    files
}

/// A stopped broker with at least four segments of a topic.
pub fn stopped() -> Broker {
    let mut broker = BrokerConfig::new(Product::Thalweg).small_files().start();
    create_topic(&broker, "t", 1, &[("retention.ms", "-1")]);
    let producer = Producer::new(&broker, &[("linger.ms", "5"), ("batch.size", "20000")]);
    let records: Vec<Record> = (0..RECORDS)
        .map(|number| Record {
            timestamp: Some(1_700_000_000_000 + number),
            headers: vec![("h".to_owned(), Some(b"1".to_vec()))],
            ..Record::new(number.to_string(), vec![b'x'; 500])
        })
        .collect();
    producer.send_all("t", &records);
    wait::until("at least four segments are written", || {
        segments(&broker).len() >= 4
    });
    assert!(broker.terminate().success());
    broker
}

pub fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Turns one bit in the middle of a file.
pub fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("the segment");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("the segment");
}

#[test]
fn a_healthy_log_is_dumped_and_checked() {
    let broker = stopped();
    let directory = name(&broker.log_directory().join("t-0"));
    let checked = thalweg(&["log", "check", &directory]).ok().stdout_text();
    assert_eq!(checked.lines().count(), segments(&broker).len());
    assert!(
        checked.lines().all(|line| line.contains(".log: ok: ")),
        "{checked}"
    );
    let all = document(&thalweg(&["log", "check", &name(&broker.log_directory()), "-o", "json"]).ok());
    let all = all.as_array().expect("a list");
    let records: i64 = all.iter().filter_map(|report| report["records"].as_i64()).sum();
    assert_eq!(records, RECORDS);
    assert!(
        all.iter()
            .all(|report| report["damage_count"] == 0 && report["lost_offsets"].is_null())
    );

    let first = name(&segments(&broker)[0]);
    let table = thalweg(&["log", "dump", &first, "-n", "2"]).ok().stdout_text();
    let table = rows(&table);
    assert_eq!(table[0], first);
    assert!(table[1].starts_with("POSITION SIZE BASE-OFFSET LAST-OFFSET RECORDS CODEC CRC VALID"));
    assert!(
        table[2].starts_with("0 ")
            && table[2].contains(" none 0x")
            && table[2].contains(" yes 2023-11-14T22:13:20.")
    );
    assert_eq!(table.len(), 4);
    let batches = documents(&thalweg(&["log", "dump", &directory, "-o", "json"]).ok());
    let mut next = 0;
    for batch in &batches {
        assert_eq!(batch["base_offset"], next, "{batch}");
        assert_eq!(batch["valid"], true);
        assert!(batch.get("records").is_none());
        next = batch["last_offset"].as_i64().expect("an offset") + 1;
    }
    assert_eq!(next, RECORDS);
    let with_records = documents(
        &thalweg(&[
            "log", "dump", &directory, "-r", "--from", "4321", "-n", "1", "-o", "json",
        ])
        .ok(),
    );
    let record = |batch: &Value| {
        let records = batch["records"].as_array().expect("records").clone();
        records.into_iter().find(|record| record["offset"] == 4321)
    };
    let found = with_records.iter().find_map(record).expect("the record");
    assert_eq!(found["key"], "4321");
    assert_eq!(found["timestamp"], 1_700_000_004_321_i64);
    assert_eq!(found["headers"], serde_json::json!([["h", "1"]]));
    let text = thalweg(&["log", "dump", &first, "-r", "-n", "1"])
        .ok()
        .stdout_text();
    assert!(
        text.contains(r#"  offset 0 at 2023-11-14T22:13:20.000Z key "0" value "xxx"#),
        "{text}"
    );
}

#[test]
fn damage_is_named_with_its_place_and_its_offsets() {
    let broker = stopped();
    let segment = segments(&broker).remove(1);
    damage(&segment);
    let dumped = code(thalweg(&["log", "dump", &name(&segment), "-o", "json"]), 1);
    let bad: Vec<Value> = documents(&dumped)
        .into_iter()
        .filter(|batch| batch["valid"] == false)
        .collect();
    assert_eq!(bad.len(), 1);
    let table = code(thalweg(&["log", "dump", &name(&segment)]), 1).stdout_text();
    assert_eq!(table.matches(" NO ").count(), 1, "{table}");

    let report = document(&code(
        thalweg(&["log", "check", &name(&segment), "-o", "json"]),
        1,
    ));
    let found = &report[0]["damages"][0];
    assert_eq!(report[0]["damage_count"], 1);
    assert_eq!(found["kind"], "checksum");
    assert_eq!(found["position"], bad[0]["position"]);
    assert_eq!(found["offsets"]["first"], bad[0]["base_offset"]);
    assert_eq!(found["offsets"]["last"], bad[0]["last_offset"]);
    let text = code(thalweg(&["log", "check", &name(&segment)]), 1).stdout_text();
    let (first, last) = (&bad[0]["base_offset"], &bad[0]["last_offset"]);
    assert!(text.contains(": DAMAGED: "), "{text}");
    assert!(
        text.contains(&format!("  at byte {}: expected 0x", bad[0]["position"])),
        "{text}"
    );
    assert!(text.contains(&format!("; offsets {first} to {last}\n")), "{text}");
    // The others are not blamed, and the whole directory is still an error.
    let all = code(thalweg(&["log", "check", &name(&broker.log_directory())]), 1).stdout_text();
    assert_eq!(all.matches(": DAMAGED: ").count(), 1);
    assert!(all.contains(": ok: "), "{all}");
}

#[test]
fn what_is_no_log_is_refused_with_the_reason() {
    let directory = tempfile::tempdir_in(thalweg_tests::places::runs()).expect("a directory");
    let path = name(directory.path());
    for verb in ["dump", "check"] {
        let missing = code(thalweg(&["log", verb, "/nonexistent/segment.log"]), 1);
        says(&missing, &["cannot read /nonexistent/segment.log"]);
        let empty = code(thalweg(&["log", verb, &path]), 1);
        says(&empty, &[&path, "holds no segment (<20 digits>.log)"]);
        code(thalweg(&["log", verb]), 2);
    }
    let text = directory.path().join("text");
    std::fs::write(
        &text,
        "this is a text and no segment of a log, however long one looks at it".repeat(9),
    )
    .expect("a file");
    let dumped = code(thalweg(&["log", "dump", &name(&text)]), 1);
    says(&dumped, &["no batch at byte 0", "`thalweg log check`"]);
    let checked = code(thalweg(&["log", "check", &name(&text)]), 1);
    assert!(checked.stdout_text().contains("text: DAMAGED: 0 batches"));
}

/// Headers and checksums of what is left are right: only the recovery point knows better, and the broker refuses to start.
#[test]
fn a_segment_cut_between_two_batches_is_damaged_as_the_broker_says() {
    let mut broker = stopped();
    let segment = segments(&broker).remove(1);
    let dumped = documents(&thalweg(&["log", "dump", &name(&segment), "-o", "json"]).ok());
    let last = dumped.last().expect("batches");
    let cut_at = last["position"].as_u64().expect("a position");
    let file = std::fs::File::options()
        .write(true)
        .open(&segment)
        .expect("the segment");
    file.set_len(cut_at).expect("a cut");
    let report = document(&code(
        thalweg(&["log", "check", &name(&segment), "-o", "json"]),
        1,
    ));
    assert_eq!(report[0]["damage_count"], 1, "{report}");
    let found = &report[0]["damages"][0];
    assert_eq!(found["kind"], "cut-tail");
    assert_eq!(found["position"], cut_at);
    assert_eq!(found["offsets"]["first"], last["base_offset"]);
    assert_eq!(found["offsets"]["last"], last["last_offset"]);
    let expected = found["expected"].as_str().expect("words");
    assert!(
        expected.contains("which the recovery point says are durable"),
        "{expected}"
    );
    broker.launch();
    let ended = broker
        .server()
        .and_then(|server| server.wait_for_end(wait::PATIENCE));
    assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
    let told = broker.log_text();
    assert!(told.contains(&format!("{cut_at} bytes")), "{told}");
}
