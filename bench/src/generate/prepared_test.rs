use thalweg_wire::batch::BatchHeader;

use super::*;

fn options(partitions: i32) -> PreparedOptions {
    PreparedOptions {
        bootstrap: String::new(),
        topics: vec!["a".to_owned(), "b".to_owned()],
        partitions,
        record_bytes: 1024,
        batch_bytes: 16384,
        records: 1,
        seconds: 0.0,
        warm_up: 0.2,
    }
}

#[test]
fn every_partition_is_one_connections() {
    let shares = options(10).shares();
    assert_eq!(shares.len(), CONNECTIONS);
    let mut all: Vec<_> = shares.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 20);
    assert_eq!(options(1).shares().len(), 2, "no connection without a partition");
}

#[test]
fn a_batch_is_not_older_than_retention_allows() {
    let batch = options(1).batch().expect("a batch");
    let header = BatchHeader::parse(&batch).expect("a header");
    let age = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("the clock is right")
        .as_millis() as i64
        - header.max_timestamp.0;
    assert!((0..60_000).contains(&age), "{age} ms");
}

#[test]
fn a_batch_is_as_large_as_asked_for() {
    let batch = options(1).batch().expect("a batch");
    let header = BatchHeader::parse(&batch).expect("a header");
    assert_eq!((header.record_count, batch.len() / 1024), (16, 16));
}
