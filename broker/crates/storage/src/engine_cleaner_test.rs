//! Compaction of logs over the simulated disk: what stays, what goes, and what it never touches.

use super::*;
use crate::cleaner::{CleanError, CleanParts, CleanReport, MapLimits, Pace};
use crate::log_config::CompactionConfig;
use thalweg_types::{ProducerEpoch, ProducerId};
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{BatchBuilder, BatchOptions, OwnedRecord, ProducerStamp, decode_records};

pub(super) const INFLATE: CompressionLimits = CompressionLimits {
    output_bytes_max: 1 << 20,
    ratio_max: 1000,
};

/// Offset, key, value.
pub(super) type Row = (i64, Vec<u8>, Option<Vec<u8>>);

pub(super) fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 2 << 10,
        deletion: crate::log_config::Deletion::Never,
        compaction: Some(CompactionConfig {
            dirty_ratio_min: 0.0,
            lag_ms_min: 0,
            lag_ms_max: i64::MAX,
            delete_retention_ms: 1000,
        }),
        ..config()
    }
}

pub(super) fn parts(now: i64, pace: &(dyn Fn(u64) -> Pace + Sync)) -> CleanParts<'_> {
    CleanParts {
        now: TimestampMs(now),
        inflate: INFLATE,
        map: MapLimits {
            bytes: 1 << 20,
            load_factor: 0.9,
        },
        read_bytes: 1 << 10,
        random: 99,
        pace,
    }
}

pub(super) fn records(options: BatchOptions, rows: &[(&[u8], Option<&[u8]>)]) -> bytes::BytesMut {
    let mut builder = BatchBuilder::new(options);
    for (index, (key, value)) in rows.iter().enumerate() {
        builder
            .push(TimestampMs(1000 + index as i64), Some(key), *value, &[])
            .unwrap();
    }
    builder.build().unwrap()
}

pub(super) fn read_records(log: &PartitionLog) -> Result<Vec<OwnedRecord>, crate::log::ReadError> {
    let mut out: Vec<OwnedRecord> = Vec::new();
    let offsets = log.offsets();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        let request = ReadRequest {
            offset,
            max_bytes: 700,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        let result = log.read(request)?;
        let before = offset;
        for bytes in &result.batches {
            for batch in split_batches(bytes) {
                let batch = batch.unwrap();
                out.extend(decode_records(batch.bytes, &INFLATE).unwrap());
                offset = batch.header.next_offset();
            }
        }
        if offset == before {
            break;
        }
    }
    out.retain(|record| record.offset >= offsets.log_start_offset);
    Ok(out)
}

fn rows(log: &PartitionLog) -> Vec<Row> {
    let row = |record: OwnedRecord| {
        let value = record.value.map(|value| value.to_vec());
        (record.offset.0, record.key.unwrap().to_vec(), value)
    };
    read_records(log).unwrap().into_iter().map(row).collect()
}

pub(super) fn headers(log: &PartitionLog) -> Vec<thalweg_wire::batch::BatchHeader> {
    let offsets = log.offsets();
    let mut out = Vec::new();
    let mut offset = offsets.log_start_offset;
    while offset < offsets.high_watermark {
        let request = ReadRequest {
            offset,
            max_bytes: 1,
            limit: ReadLimit::HighWatermark,
            min_one: MinOne::Yes,
        };
        let result = log.read(request).unwrap();
        let Some(bytes) = result.batches.first() else {
            break;
        };
        let header = split_batches(bytes).next().unwrap().unwrap().header;
        offset = header.next_offset();
        out.push(header);
    }
    out
}

/// One partition of a compacted topic, with what may be cleaned of it closed by [`Cleaned::seal`].
pub(super) struct Compacted {
    world: World,
    pub(super) engine: Arc<LogEngine>,
    pub(super) log: Arc<PartitionLog>,
}

impl Compacted {
    pub(super) fn new(config: LogConfig) -> Self {
        Self::with_partitions(config, 1)
    }

    fn with_partitions(config: LogConfig, partitions: i32) -> Self {
        let mut world = World::new(partitions);
        world.topic.config = Arc::new(config);
        let (engine, _) = world.open().unwrap();
        let log = log(&engine, 0);
        Self { world, engine, log }
    }

    pub(super) fn put(&self, options: BatchOptions, rows: &[(&str, Option<&str>)]) -> i64 {
        let rows: Vec<(&[u8], Option<&[u8]>)> = rows
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.map(str::as_bytes)))
            .collect();
        append_durably(&self.log, records(options, &rows)).0
    }

    /// Closes the active segment with a batch that fills the next one.
    pub(super) fn seal(&self) {
        let filler = "f".repeat(2000);
        for _ in 0..2 {
            self.put(BatchOptions::default(), &[("filler", Some(&filler))]);
        }
        self.engine.checkpoint().unwrap();
    }

    pub(super) fn clean_at(&self, now: i64) -> Result<CleanReport, CleanError> {
        match self
            .engine
            .clean_log(self.log.clone(), &parts(now, &|_| Pace::GoOn))
        {
            CleanTurn::Cleaned(_, report) => Ok(report),
            CleanTurn::Failed(_, error) => Err(error),
            CleanTurn::Idle => panic!("a log was given"),
        }
    }

    pub(super) fn restart(mut self) -> Self {
        drop((self.log, self.engine));
        self.world.disk.crash(&mut |_| 0);
        let (engine, _) = self.world.open().unwrap();
        let log = log(&engine, 0);
        Self {
            log,
            engine,
            world: self.world,
        }
    }

    /// The records that are no markers.
    pub(super) fn data(&self) -> Vec<(i64, String)> {
        let markers: BTreeSet<i64> = headers(&self.log)
            .iter()
            .filter(|header| header.is_control())
            .map(|header| header.base_offset.0)
            .collect();
        let all = rows(&self.log).into_iter();
        text(all.filter(|(offset, ..)| !markers.contains(offset)))
    }

    fn plain(&self) -> Vec<(i64, String)> {
        text(rows(&self.log).into_iter())
    }
}

fn text(all: impl Iterator<Item = Row>) -> Vec<(i64, String)> {
    all.filter(|(_, key, _)| key != b"filler")
        .map(|(offset, key, value)| {
            let value = value.map_or("-".into(), |value| String::from_utf8(value).unwrap());
            (offset, format!("{}={value}", String::from_utf8(key).unwrap()))
        })
        .collect()
}

pub(super) fn pairs(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected
        .iter()
        .map(|(offset, text)| (*offset, (*text).to_owned()))
        .collect()
}

#[test]
fn of_each_key_the_newest_record_stays_at_its_offset_under_every_codec() {
    for compression in Compression::ALL {
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let it = Compacted::new(compacted());
        it.put(options, &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))]);
        it.put(options, &[("c", Some("1")), ("a", Some("3"))]);
        it.seal();
        let start = it.log.offsets();
        let report = it.clean_at(5000).unwrap();
        let expected = pairs(&[(1, "b=1"), (3, "c=1"), (4, "a=3")]);
        assert_eq!(it.plain(), expected, "{compression:?}");
        assert_eq!(it.log.offsets(), start, "no number of the log moves");
        assert!(report.bytes_written < report.bytes_replaced, "{report:?}");
        let first = headers(&it.log)[0];
        assert_eq!(
            (first.base_offset.0, first.last_offset_delta, first.record_count),
            (0, 2, 1)
        );
        assert_eq!(first.compression(), Ok(compression));
        // A second time nothing changes, and nothing is written.
        let again = it.clean_at(5000).unwrap();
        assert_eq!((again.segments_replaced, again.bytes_written), (0, 0));
        let it = it.restart();
        assert_eq!(it.plain(), expected, "{compression:?}, after a crash");
        assert_eq!(it.log.first_dirty_offset(), Some(report.first_dirty));
    }
}

#[test]
fn the_active_segment_is_never_touched() {
    let it = Compacted::new(compacted());
    it.put(BatchOptions::default(), &[("a", Some("1")), ("a", Some("2"))]);
    it.engine.checkpoint().unwrap();
    assert!(
        it.log
            .cleanable(TimestampMs(0))
            .is_none_or(|found| found.dirty_bytes == 0)
    );
    let _ = it.clean_at(5000);
    assert_eq!(it.plain(), pairs(&[(0, "a=1"), (1, "a=2")]));
}

#[test]
fn rule_16_a_tombstone_stays_until_the_horizon_that_its_batch_names() {
    let it = Compacted::new(compacted());
    it.put(BatchOptions::default(), &[("a", Some("1")), ("b", Some("1"))]);
    it.put(BatchOptions::default(), &[("a", None), ("b", Some("2"))]);
    it.seal();
    it.clean_at(5000).unwrap();
    assert_eq!(it.plain(), pairs(&[(2, "a=-"), (3, "b=2")]));
    let header = headers(&it.log)[0];
    assert!(header.has_delete_horizon());
    assert_eq!(
        header.base_timestamp,
        TimestampMs(6000),
        "5000 and delete.retention.ms"
    );
    let found = read_records(&it.log).unwrap();
    assert_eq!(found[0].timestamp, TimestampMs(1000), "times are as before");
    let it = it.restart();
    // Without anything dirty a log is not cleaned.
    it.clean_at(9999).unwrap();
    assert_eq!(it.plain(), pairs(&[(2, "a=-"), (3, "b=2")]));
    it.seal();
    it.clean_at(5999).unwrap();
    assert_eq!(it.plain(), pairs(&[(2, "a=-"), (3, "b=2")]));
    it.seal();
    it.clean_at(6000).unwrap();
    assert_eq!(it.plain(), pairs(&[(3, "b=2")]));
}

#[test]
fn the_last_batch_of_a_producer_stays_as_an_empty_one() {
    let it = Compacted::new(compacted());
    let from = |id: i64, sequence: i32| BatchOptions {
        producer: Some(ProducerStamp {
            id: ProducerId(id),
            epoch: ProducerEpoch(0),
            base_sequence: sequence,
        }),
        compression: Compression::Lz4,
        ..BatchOptions::default()
    };
    it.put(from(7, 0), &[("a", Some("1"))]);
    it.put(from(7, 1), &[("a", Some("2")), ("a", Some("3"))]);
    it.put(BatchOptions::default(), &[("a", Some("4"))]);
    it.seal();
    it.clean_at(5000).unwrap();
    assert_eq!(it.plain(), pairs(&[(3, "a=4")]));
    let found = headers(&it.log);
    let first = found[0];
    assert_eq!(
        (first.base_offset.0, first.last_offset().0, first.record_count),
        (1, 2, 0)
    );
    assert_eq!((first.producer_id.0, first.last_sequence()), (7, 2));
    // The producer's next batch makes the empty one superfluous; a repeat is still known.
    let again = append(
        &it.log,
        records(from(7, 1), &[(b"a", Some(b"2")), (b"a", Some(b"3"))]),
    )
    .unwrap();
    assert!(matches!(again, Append::Duplicate(_)), "{again:?}");
    it.put(from(7, 3), &[("b", Some("1"))]);
    it.seal();
    it.clean_at(5000).unwrap();
    assert_eq!(it.plain(), pairs(&[(3, "a=4"), (6, "b=1")]));
    assert!(headers(&it.log).iter().all(|header| header.record_count > 0));
}

#[test]
fn a_map_that_is_too_small_takes_several_runs() {
    let it = Compacted::new(compacted());
    let keys: Vec<String> = (0..40).map(|index| format!("k{index}")).collect();
    for value in ["1", "2", "3"] {
        for key in &keys {
            it.put(BatchOptions::default(), &[(key, Some(value))]);
        }
    }
    it.seal();
    let mut runs = 0;
    loop {
        let small = CleanParts {
            map: MapLimits {
                bytes: 16 * crate::cleaner::SLOT_BYTES,
                load_factor: 0.9,
            },
            ..parts(5000, &|_| Pace::GoOn)
        };
        let before = it.log.first_dirty_offset();
        let turn = it.engine.clean_next(&small);
        if matches!(turn, CleanTurn::Idle) {
            break;
        }
        assert!(matches!(turn, CleanTurn::Cleaned(..)), "{turn:?}");
        assert!(it.log.first_dirty_offset() > before);
        runs += 1;
    }
    assert!(runs >= 120 / 15, "{runs}");
    let expected: Vec<(i64, String)> = (0..40).map(|index| (80 + index, format!("k{index}=3"))).collect();
    assert_eq!(it.plain(), expected);
}

#[test]
fn small_neighbours_become_one_segment_and_their_files_go() {
    let it = Compacted::new(compacted());
    let value = "v".repeat(300);
    for _ in 0..40 {
        it.put(
            BatchOptions::default(),
            &[("a", Some(&value)), ("b", Some(&value))],
        );
    }
    it.seal();
    let before = it.log.segment_count();
    it.clean_at(5000).unwrap();
    assert!(
        it.log.segment_count() + 5 < before,
        "{before}, now {}",
        it.log.segment_count()
    );
    let files: Vec<String> = it
        .world
        .disk
        .files()
        .into_iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    let logs = files.iter().filter(|name| name.ends_with(".log")).count();
    assert_eq!(logs, it.log.segment_count(), "{files:?}");
    assert!(!files.iter().any(|name| name.ends_with(".cleaned")), "{files:?}");
    // Records are found by time and offset as before.
    let found = it
        .log
        .find_by_timestamp(TimestampMs(1001), ReadLimit::HighWatermark, &INFLATE)
        .unwrap()
        .unwrap();
    assert_eq!((found.offset, found.timestamp), (Offset(79), TimestampMs(1001)));
    it.restart();
}

#[test]
fn a_damaged_segment_is_not_cleaned_and_is_told_of_once() {
    let it = Compacted::new(compacted());
    it.put(BatchOptions::default(), &[("a", Some("first"))]);
    it.put(BatchOptions::default(), &[("a", Some("second"))]);
    it.seal();
    let path = Path::new("/data/events-0/00000000000000000000.log");
    it.world.disk.corrupt(path, |bytes| bytes[70] ^= 1);
    let names = || {
        it.world
            .disk
            .files()
            .into_iter()
            .filter(|(path, _)| path.starts_with("/data/events-0"))
    };
    let before: Vec<_> = names().collect();
    match it.clean_at(5000) {
        Err(CleanError::Corrupt {
            position: 0, path, ..
        }) => assert!(path.ends_with(".log"), "{path}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        names().collect::<Vec<_>>(),
        before,
        "nothing is made of it, and nothing is left"
    );
    assert!(matches!(
        it.engine.clean_next(&parts(5000, &|_| Pace::GoOn)),
        CleanTurn::Idle
    ));
    let status = it.engine.cleaner_status(TimestampMs(5000));
    assert_eq!((status.logs, status.uncleanable_logs), (1, 1));
    assert!(status.uncleanable_bytes > 0);
    let problems = it.engine.problems();
    assert_eq!(problems.len(), 1);
    assert!(
        problems
            .values()
            .all(|text| text.contains("events-0 is not compacted any more")),
        "{problems:?}"
    );
}

#[test]
fn a_full_disk_or_a_stop_leaves_the_log_as_it_was() {
    let it = Compacted::new(compacted());
    let value = "v".repeat(500);
    for _ in 0..20 {
        it.put(BatchOptions::default(), &[("a", Some(&value))]);
    }
    it.seal();
    let files = || {
        let mut files = it.world.disk.files();
        files.retain(|(path, _)| path.starts_with("/data/events-0"));
        files
    };
    let (before, files_before) = (it.plain(), files());
    let stopped = it.engine.clean_log(it.log.clone(), &parts(5000, &|_| Pace::Stop));
    assert!(
        matches!(stopped, CleanTurn::Failed(_, CleanError::Stopped)),
        "{stopped:?}"
    );
    it.world.disk.set_capacity(it.world.disk.used());
    assert!(matches!(it.clean_at(5000), Err(CleanError::Later(_))));
    it.world.disk.set_capacity(1 << 40);
    assert_eq!(it.plain(), before);
    assert_eq!(files(), files_before);
    it.clean_at(5000).unwrap();
    assert_eq!(it.plain().len(), 1);
}

/// Readers and appends beside the cleaner: no read fails, and none sees a record that was not written.
#[test]
fn readers_beside_the_cleaner_see_no_error_and_the_newest_of_each_key() {
    let it = Compacted::new(compacted());
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (stop, log) = (stop.clone(), it.log.clone());
        readers.push(std::thread::spawn(move || {
            let mut passes = 0u64;
            while !stop.load(Ordering::Relaxed) || passes == 0 {
                let found = read_records(&log).unwrap();
                let offsets: Vec<i64> = found.iter().map(|record| record.offset.0).collect();
                assert!(offsets.is_sorted(), "{offsets:?}");
                for record in found {
                    let value = record.value.unwrap();
                    assert!(
                        value.starts_with(&record.offset.0.to_be_bytes()),
                        "{}",
                        record.offset.0
                    );
                }
                let time = TimestampMs(1000);
                log.find_by_timestamp(time, ReadLimit::HighWatermark, &INFLATE)
                    .unwrap();
                passes += 1;
            }
        }));
    }
    let mut cleaned = 0;
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    for index in 0..600i64 {
        let mut value = index.to_be_bytes().to_vec();
        value.resize(200, 7);
        let key = [(index % 5) as u8];
        append_durably(&it.log, records(BatchOptions::default(), &[(&key, Some(&value))]));
        if index % 20 == 19 {
            it.engine.checkpoint().unwrap();
            if let CleanTurn::Cleaned(_, report) = it.engine.clean_next(&parts(5000, &|_| Pace::GoOn)) {
                cleaned += report.segments_replaced;
            }
        }
        assert!(std::time::Instant::now() < deadline, "too slow");
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert!(cleaned > 20, "{cleaned}");
    assert_eq!(it.engine.problems(), BTreeMap::new());
    assert!(it.world.fatal.lock().is_empty());
}

#[test]
fn a_deletion_in_the_middle_of_a_cleaning_ends_it() {
    let it = Compacted::new(compacted());
    let value = "v".repeat(500);
    for _ in 0..20 {
        it.put(BatchOptions::default(), &[("a", Some(&value))]);
    }
    it.seal();
    let calls = AtomicU64::new(0);
    let delete = |_| {
        if calls.fetch_add(1, Ordering::Relaxed) == 10 {
            it.engine.delete(TOPIC, "events").unwrap();
        }
        Pace::GoOn
    };
    let turn = it.engine.clean_log(it.log.clone(), &parts(5000, &delete));
    assert!(
        matches!(turn, CleanTurn::Failed(_, CleanError::Overtaken)),
        "{turn:?}"
    );
    assert!(it.world.fatal.lock().is_empty());
}

/// Whoever cleans holds the names of the new files: a second one would write into the first one's.
#[test]
fn several_clean_several_logs_and_never_the_same() {
    let it = Compacted::with_partitions(compacted(), 2);
    let other = log(&it.engine, 1);
    let value = "v".repeat(500);
    for log in [&it.log, &other] {
        for _ in 0..20 {
            let rows: [(&[u8], Option<&[u8]>); 1] = [(&b"a"[..], Some(value.as_bytes()))];
            append_durably(log, records(BatchOptions::default(), &rows));
        }
    }
    it.engine.checkpoint().unwrap();
    let (looks, first) = (AtomicU64::new(0), it.log.id());
    let meanwhile = |_: u64| {
        if looks.fetch_add(1, Ordering::Relaxed) == 3 {
            let go_on = |_: u64| Pace::GoOn;
            let twice = it.engine.clean_log(it.log.clone(), &parts(5000, &go_on));
            assert!(
                matches!(twice, CleanTurn::Failed(_, CleanError::Overtaken)),
                "{twice:?}"
            );
            let next = it.engine.clean_next(&parts(5000, &go_on));
            let CleanTurn::Cleaned(cleaned, report) = next else {
                panic!("{next:?}");
            };
            assert_eq!(cleaned.id(), other.id());
            assert!(report.segments_replaced > 0);
            let none = it.engine.clean_next(&parts(5000, &go_on));
            assert!(matches!(none, CleanTurn::Idle), "{none:?}");
        }
        Pace::GoOn
    };
    let turn = it.engine.clean_log(it.log.clone(), &parts(5000, &meanwhile));
    let CleanTurn::Cleaned(cleaned, report) = turn else {
        panic!("{turn:?}");
    };
    assert_eq!(cleaned.id(), first);
    assert!(report.segments_replaced > 0 && looks.load(Ordering::Relaxed) > 3);
    // The right was given back.
    let again = it.engine.clean_log(it.log.clone(), &parts(5000, &|_| Pace::GoOn));
    assert!(matches!(again, CleanTurn::Cleaned(..)), "{again:?}");
    assert_eq!(it.engine.problems(), BTreeMap::new());
    assert!(it.world.fatal.lock().is_empty());
}

#[test]
fn a_start_cleans_nothing_again() {
    let cases = [
        ("a power cut", ["a", "a"]),
        ("a clean stop", ["a", "a"]),
        ("a power cut after nothing was compacted", ["a", "b"]),
    ];
    for (stop, keys) in cases {
        let it = Compacted::new(compacted());
        for key in keys {
            it.put(BatchOptions::default(), &[(key, Some("value"))]);
        }
        it.seal();
        let done = it.clean_at(5000).unwrap();
        assert_eq!(done.segments_replaced > 0, keys == ["a", "a"], "{stop}: {done:?}");
        if stop == "a clean stop" {
            it.engine.close(Duration::from_secs(20));
        }
        let it = it.restart();
        assert_eq!(it.log.first_dirty_offset(), Some(done.first_dirty), "{stop}");
        let turn = it.engine.clean_next(&parts(6000, &|_| Pace::GoOn));
        assert!(matches!(turn, CleanTurn::Idle), "{stop}: {turn:?}");
        let newest = it.put(BatchOptions::default(), &[("a", Some("newer"))]);
        it.seal();
        let next = it.clean_at(7000).unwrap();
        assert!(next.first_dirty.0 > newest, "{stop}: {next:?}");
        assert!(!it.plain().contains(&(0, "a=value".into())), "{stop}");
    }
}
