//! Every file of a data directory, cut, zeroed and flipped at every field: a start either has the acknowledged records,
//! or a valid prefix where only the end of the write-ahead log is gone, or says which file is damaged.
//!
//! The fields of each kind of file are in `damage_fields_test.rs`; here is the directory, the damage and the judge.

#[path = "damage_fields_test.rs"]
mod fields;
#[path = "damage_transactions_test.rs"]
mod transactions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fields::{Field, Group};
use thalweg_metadata::{TopicKind, TopicRecord};
use thalweg_settings::{Profile, Settings};
use thalweg_storage::clock::ManualClock;
use thalweg_storage::disk::{Disk, OpenMode, SimulatedDisk, read_file};
use thalweg_storage::engine::{LiveTopic, LogEngine, TopicRole};
use thalweg_storage::log::{
    Append, CheckedBatch, MinOne, Origin, PartitionLog, ReadError, ReadLimit, ReadRequest, SearchError,
};
use thalweg_types::{
    Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartitionId,
};
use thalweg_wire::batch::{BatchHeader, split_batches};
use thalweg_wire::compression::CompressionLimits;
use thalweg_wire::records::{BatchBuilder, BatchOptions, ProducerStamp};

use super::{DataDirectory, OpenDataError, OpenedData};
use crate::topics::log_config;

const DATA: &str = "/data";
const TOPIC: TopicId = TopicId([7; 16]);
const PARTITIONS: i32 = 2;
const NOW: i64 = 1_700_000_000_000;
/// Ten batches a segment: their timestamps are a second apart.
const SEGMENT_MS: &str = "10000";

/// One partition's records as they were acknowledged: first offset, timestamp and bytes of each batch.
type Batches = Vec<(Offset, TimestampMs, Bytes)>;

/// A data directory and what a broker acknowledged in it.
struct Directory {
    disk: SimulatedDisk,
    acknowledged: Vec<Batches>,
    /// What the recovery point covered at least, per partition.
    covered: Vec<Offset>,
    stop: Stop,
}

/// How the broker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Killed,
    Clean,
}

/// Whether records at the end may be missing after a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    None,
    /// The damage looks as a write that a power cut tore: the end is not acknowledged as far as anyone can tell.
    OfTheEnd,
}

fn settings() -> Settings {
    let pairs = [
        ("wal.file.bytes", "1048576"),
        ("wal.max.bytes", "16777216"),
        ("wal.group.max.bytes", "524288"),
        ("message.max.bytes", "400000"),
        ("segment.write.bytes", "4096"),
        ("log.roll.ms", SEGMENT_MS),
        ("log.index.interval.bytes", "512"),
        ("log.retention.ms", "-1"),
        ("disk.reserve.bytes", "1048576"),
    ];
    let builder = pairs
        .iter()
        .fold(Settings::builder(Profile::Dev), |all, (key, value)| {
            all.set(key, value)
        });
    builder.build().expect("settings")
}

fn open(disk: &SimulatedDisk) -> Result<OpenedData, OpenDataError> {
    let directory = DataDirectory::lock(Arc::new(disk.clone()), Path::new(DATA))?;
    let clock = Arc::new(ManualClock::new(TimestampMs(NOW)));
    directory.open(&settings(), clock, Box::new(|_| ()))
}

fn id(partition: i32) -> TopicPartitionId {
    TopicPartitionId {
        topic_id: TOPIC,
        partition: PartitionIndex(partition),
    }
}

fn log(engine: &LogEngine, partition: i32) -> Arc<PartitionLog> {
    engine.get(id(partition)).expect("the partition")
}

fn create_topic(data: &OpenedData) {
    let record = TopicRecord {
        id: TOPIC,
        name: "events".to_owned(),
        partitions: PARTITIONS,
        configs: BTreeMap::new(),
        labels: BTreeMap::new(),
        created: TimestampMs(NOW),
        kind: TopicKind::Client,
    };
    data.metadata.create_topic(&record).expect("a topic");
    let settings = settings();
    let (config, _) = thalweg_settings::TopicConfig::resolve_stored(&record.configs, &settings);
    let live = LiveTopic {
        id: TOPIC,
        name: "events".into(),
        partitions: PARTITIONS,
        config: Arc::new(log_config(&config, &settings)),
        role: TopicRole::Ordinary,
    };
    data.engine.create(&live, 0);
}

/// A batch of three records; partition 0 has an idempotent producer.
fn batch(partition: i32, number: i32, value_bytes: usize) -> BytesMut {
    let producer = (partition == 0).then_some(ProducerStamp {
        id: ProducerId(7),
        epoch: ProducerEpoch(0),
        base_sequence: number * 3,
    });
    let mut builder = BatchBuilder::new(BatchOptions {
        producer,
        ..BatchOptions::default()
    });
    for record in 0..3 {
        let value = vec![b'a' + (number % 26) as u8; value_bytes];
        let time = TimestampMs(NOW + i64::from(number) * 1000 + record);
        builder.push(time, None, Some(&value), &[]).expect("a record");
    }
    builder.build().expect("a batch")
}

fn append(engine: &LogEngine, partition: i32, number: i32, value_bytes: usize) {
    let checked = CheckedBatch::check(batch(partition, number, value_bytes)).expect("a sound batch");
    let appended = log(engine, partition).append(checked, Origin::Client, TimestampMs(NOW));
    let Append::Written(place) = appended.expect("an append") else {
        panic!("batch {number} was there already");
    };
    place.ticket.expect("a ticket").wait().expect("durable");
}

impl Directory {
    /// Two lives of a broker: segments of two leader epochs below the recovery point, and above it groups in more than
    /// one file of the write-ahead log.
    fn made(stop: Stop) -> Directory {
        let disk = SimulatedDisk::new();
        let first = open(&disk).expect("a new directory");
        create_topic(&first);
        for number in 0..14 {
            append(&first.engine, 0, number, 60);
            append(&first.engine, 1, number, 60);
        }
        first.engine.checkpoint().expect("a recovery point");
        first.engine.close(Duration::from_secs(20));
        drop(first);
        let second = open(&disk).expect("the directory again");
        for number in 14..27 {
            append(&second.engine, 0, number, 60);
            append(&second.engine, 1, number, 60);
        }
        second.engine.checkpoint().expect("a recovery point");
        let covered = (0..PARTITIONS)
            .map(|partition| log(&second.engine, partition).offsets().log_end_offset)
            .collect();
        append(&second.engine, 0, 27, 60);
        for number in 27..31 {
            append(&second.engine, 1, number, 100_000);
        }
        append(&second.engine, 0, 28, 60);
        append(&second.engine, 0, 29, 60);
        let acknowledged = (0..PARTITIONS)
            .map(|partition| read_all(&log(&second.engine, partition)).expect("sound records"))
            .collect();
        let left = match stop {
            Stop::Killed => disk.fork(),
            Stop::Clean => {
                // No time to drain: the end of the write-ahead log is what the marker speaks of.
                second.engine.close(Duration::ZERO);
                disk.clone()
            }
        };
        drop(second);
        Directory {
            disk: left.fork(),
            acknowledged,
            covered,
            stop,
        }
    }

    fn content(&self, path: &Path) -> Vec<u8> {
        read_file(&self.disk, path, u64::MAX).expect("a file of the directory")
    }

    fn files(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let paths = self.disk.files().into_iter().map(|(path, _)| path);
        paths.filter(|path| wanted(&path.to_string_lossy())).collect()
    }
}

/// Reads a log as a consumer does.
fn read_all(log: &PartitionLog) -> Result<Batches, ReadError> {
    let mut batches = Vec::new();
    let mut next = log.offsets().log_start_offset;
    while next < log.offsets().high_watermark {
        let found = read_at(log, next, 4096)?;
        let Some((offset, ..)) = found.last() else {
            panic!(
                "reading stands still at {next} below {}",
                log.offsets().high_watermark
            );
        };
        assert!(
            *offset >= next || found.len() == 1,
            "reading goes back from {next}"
        );
        next = next_offset(&found[found.len() - 1].2);
        batches.extend(found);
    }
    Ok(batches)
}

fn next_offset(batch: &[u8]) -> Offset {
    BatchHeader::parse(batch).expect("a whole batch").next_offset()
}

fn read_at(log: &PartitionLog, offset: Offset, max_bytes: usize) -> Result<Batches, ReadError> {
    let read = log.read(ReadRequest {
        offset,
        max_bytes,
        limit: ReadLimit::HighWatermark,
        min_one: MinOne::Yes,
    })?;
    let mut batches = Vec::new();
    for bytes in &read.batches {
        for batch in split_batches(bytes) {
            let batch = batch.expect("what is served is whole");
            let time = batch.header.base_timestamp;
            batches.push((
                batch.header.base_offset,
                time,
                Bytes::copy_from_slice(batch.bytes),
            ));
        }
    }
    Ok(batches)
}

/// What happened to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The file ends here.
    Cut(usize),
    /// These bytes are zero.
    Zeroed(usize, usize),
    /// One bit is another one.
    Flipped(usize, u8),
}

impl Damage {
    /// Returns `false` when the bytes are as they were.
    fn apply(self, bytes: &mut Vec<u8>) -> bool {
        match self {
            Damage::Cut(at) if at < bytes.len() => bytes.truncate(at),
            Damage::Zeroed(at, len) if bytes[at..at + len].iter().any(|byte| *byte != 0) => {
                bytes[at..at + len].fill(0);
            }
            Damage::Flipped(at, mask) => bytes[at] ^= mask,
            Damage::Cut(_) | Damage::Zeroed(..) => return false,
        }
        true
    }
}

/// All that can happen to one field.
fn damages(field: &Field) -> Vec<Damage> {
    let last = field.at + field.len - 1;
    let mut all = vec![
        Damage::Cut(field.at),
        Damage::Zeroed(field.at, field.len),
        Damage::Flipped(field.at, 0x40),
        Damage::Flipped(last, 0x01),
    ];
    if field.len > 1 {
        all.push(Damage::Flipped(last, 0x80));
    }
    all
}

/// What a start made of it.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    complete: u64,
    shorter: u64,
    refused: u64,
    read_errors: u64,
    wrong: Vec<String>,
}

impl Tally {
    /// Tries all damages of `fields` in a file.
    fn try_all(&mut self, directory: &Directory, path: &Path, fields: &[(Field, Loss)]) {
        for (field, loss) in fields {
            for damage in damages(field) {
                self.try_one(directory, path, (field, *loss), damage);
            }
        }
    }

    fn try_one(&mut self, directory: &Directory, path: &Path, (field, loss): (&Field, Loss), damage: Damage) {
        let disk = directory.disk.fork();
        let mut changed = false;
        disk.corrupt(path, |bytes| changed = damage.apply(bytes));
        if !changed {
            return;
        }
        self.cases += 1;
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            judge(directory, &disk, path, loss)
        }));
        let what = match judged {
            Ok(Ok(Verdict::Complete)) => {
                self.complete += 1;
                return;
            }
            Ok(Ok(Verdict::Shorter)) => {
                self.shorter += 1;
                return;
            }
            Ok(Ok(Verdict::Refused)) => {
                self.refused += 1;
                return;
            }
            Ok(Ok(Verdict::ReadErrors)) => {
                self.read_errors += 1;
                return;
            }
            Ok(Err(what)) => what,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                text.unwrap_or_else(|| "a panic".to_owned())
            }
        };
        let name = path.display();
        self.wrong.push(format!(
            "{:?} {name}: {} {damage:?}: {what}",
            directory.stop, field.name
        ));
    }

    #[track_caller]
    fn finish(self, what: &str, at_least: u64) {
        println!(
            "{what}: {} cases: {} complete, {} without a torn end, {} refused, {} read errors",
            self.cases, self.complete, self.shorter, self.refused, self.read_errors
        );
        let shown = self.wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            self.wrong.is_empty(),
            "{what}: {} of {} cases are wrong:\n{shown}",
            self.wrong.len(),
            self.cases
        );
        assert!(self.cases >= at_least, "{what}: only {} cases", self.cases);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Complete,
    Shorter,
    Refused,
    ReadErrors,
}

/// Starts on a damaged directory and reads everything in several ways.
fn judge(directory: &Directory, disk: &SimulatedDisk, path: &Path, loss: Loss) -> Result<Verdict, String> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let data = match open(disk) {
        Ok(data) => data,
        Err(error) => {
            let text = error.to_string();
            if text.contains(&name) {
                return Ok(Verdict::Refused);
            }
            return Err(format!("refused without the file's name: {text}"));
        }
    };
    let mut verdict = Verdict::Complete;
    for partition in 0..PARTITIONS {
        let index = usize::try_from(partition).unwrap_or(0);
        let expected = &directory.acknowledged[index];
        let end = next_offset(&expected[expected.len() - 1].2);
        let log = log(&data.engine, partition);
        let found_end = log.offsets().high_watermark;
        if found_end > end || log.offsets().log_start_offset != Offset(0) {
            return Err(format!(
                "partition {partition}: {:?}, it ended at {end}",
                log.offsets()
            ));
        }
        if found_end < end {
            if loss == Loss::None || found_end < directory.covered[index] {
                return Err(format!(
                    "partition {partition} ends at {found_end} instead of {end}"
                ));
            }
            verdict = Verdict::Shorter;
        }
        let expected: Vec<_> = expected.iter().filter(|(base, ..)| *base < found_end).collect();
        if judge_reads(&log, &expected, &name)? {
            verdict = Verdict::ReadErrors;
        }
    }
    // What was damaged may be written again by now: it must not be worse than before.
    data.engine
        .checkpoint()
        .map_err(|error| format!("no recovery point: {error}"))?;
    Ok(verdict)
}

/// True if some read was refused, with the file's name.
fn judge_reads(
    log: &PartitionLog,
    expected: &[&(Offset, TimestampMs, Bytes)],
    name: &str,
) -> Result<bool, String> {
    let named = |error: &ReadError| {
        let text = error.to_string();
        let is_named = matches!(error, ReadError::Corrupt { .. }) && text.contains(name);
        is_named
            .then_some(())
            .ok_or_else(|| format!("a read says: {text}"))
    };
    let mut errors = false;
    for (index, (base, time, _)) in expected.iter().enumerate() {
        for (offset, max_bytes) in [(*base, 1), (Offset(base.0 + 2), 1), (*base, 1 << 20)] {
            match read_at(log, offset, max_bytes) {
                Ok(found) if found.is_empty() => return Err(format!("reading stands still at {offset}")),
                Ok(found) => {
                    for (found, expected) in found.iter().zip(&expected[index..]) {
                        if found.2 != expected.2 {
                            return Err(format!(
                                "read at {offset}: batch {} of {} B in place of {}",
                                found.0,
                                found.2.len(),
                                expected.0
                            ));
                        }
                    }
                }
                Err(error) => {
                    named(&error)?;
                    errors = true;
                }
            }
        }
        let limits = CompressionLimits::default();
        match log.find_by_timestamp(*time, ReadLimit::HighWatermark, &limits) {
            Ok(Some(found)) if found.offset == *base => {}
            Ok(found) => return Err(format!("by the time of {base}: {found:?}")),
            Err(SearchError::Read(error)) => {
                named(&error)?;
                errors = true;
            }
            Err(error) => return Err(format!("by the time of {base}: {error}")),
        }
    }
    match read_all(log) {
        Ok(found) if found.len() == expected.len() => {}
        Ok(found) => return Err(format!("{} batches of {}", found.len(), expected.len())),
        Err(error) => {
            named(&error)?;
            errors = true;
        }
    }
    Ok(errors)
}

fn is_in_partition(path: &str) -> bool {
    path.contains("/events-")
}

/// The fields of the segments' batches, in the first, a middle and the last of each.
#[test]
fn a_damaged_segment_is_read_up_to_the_damage_or_names_the_file() {
    let directory = Directory::made(Stop::Killed);
    let mut tally = Tally::default();
    let segments = directory.files(|path| is_in_partition(path) && path.ends_with(".log"));
    assert!(segments.len() >= 2 * 3, "{segments:?}");
    for path in segments {
        let all = fields::batches(&directory.content(&path));
        let some: Vec<_> = fields::first_middle_last(&all)
            .into_iter()
            .flatten()
            .map(|field| (field, Loss::None))
            .collect();
        tally.try_all(&directory, &path, &some);
    }
    tally.finish("segments", 800);
}

#[test]
fn damaged_indexes_and_renderings_cost_no_record() {
    for stop in [Stop::Killed, Stop::Clean] {
        let directory = Directory::made(stop);
        let mut tally = Tally::default();
        for path in directory.files(|path| is_in_partition(path) && !path.ends_with(".log")) {
            let content = directory.content(&path);
            let name = path.to_string_lossy().into_owned();
            let all = match path.extension().and_then(|end| end.to_str()) {
                Some("index") => fields::entries("entry", content.len(), &[4, 4]),
                Some("timeindex") => fields::entries("entry", content.len(), &[8, 4]),
                Some("snapshot") => fields::snapshot(content.len()),
                _ => fields::lines(&content),
            };
            assert!(!all.is_empty() || content.is_empty(), "{name} has no field");
            let all: Vec<_> = all.into_iter().map(|field| (field, Loss::None)).collect();
            tally.try_all(&directory, &path, &all);
        }
        tally.finish("indexes and renderings", 100);
    }
}

#[test]
fn a_damaged_write_ahead_log_has_a_valid_prefix_or_is_refused() {
    for stop in [Stop::Killed, Stop::Clean] {
        let directory = Directory::made(stop);
        let mut tally = Tally::default();
        let files = directory.files(|path| path.ends_with(".wal"));
        let newest = newest_group(&directory, &files);
        for path in &files {
            let content = directory.content(path);
            let mut some: Vec<(Field, Loss)> = Vec::new();
            some.extend(fields::file_header().into_iter().map(|field| (field, Loss::None)));
            let groups = fields::groups(&content);
            for group in fields::first_middle_last(&groups) {
                let may_be_torn = stop == Stop::Killed && group.slot == newest;
                let loss = if may_be_torn { Loss::OfTheEnd } else { Loss::None };
                some.extend(group.fields.into_iter().map(|field| (field, loss)));
            }
            tally.try_all(&directory, path, &some);
        }
        let list = PathBuf::from(DATA).join("wal/files");
        let content = directory.content(&list);
        let all: Vec<_> = fields::wal_list(content.len())
            .into_iter()
            .map(|field| (field, Loss::None))
            .collect();
        tally.try_all(&directory, &list, &all);
        tally.finish("write-ahead log", 300);
    }
}

fn newest_group(directory: &Directory, files: &[PathBuf]) -> u64 {
    let groups = |path: &PathBuf| -> Vec<Group> { fields::groups(&directory.content(path)) };
    let slots = files.iter().flat_map(groups).map(|group| group.slot);
    slots.max().expect("at least one group")
}

#[test]
fn damaged_metadata_is_refused_by_name_or_harmless() {
    for stop in [Stop::Killed, Stop::Clean] {
        let directory = Directory::made(stop);
        let mut tally = Tally::default();
        let store = PathBuf::from(DATA).join("metadata.redb");
        let content = directory.content(&store);
        let mut all = fields::acknowledgement_slots();
        all.extend(fields::database_header());
        all.extend(fields::recovery_rows(&content, TOPIC));
        let all: Vec<_> = all.into_iter().map(|field| (field, Loss::None)).collect();
        tally.try_all(&directory, &store, &all);
        let stamps = PathBuf::from(DATA).join("meta.properties");
        let lines: Vec<_> = fields::lines(&directory.content(&stamps))
            .into_iter()
            .map(|field| (field, Loss::None))
            .collect();
        tally.try_all(&directory, &stamps, &lines);
        tally.finish("metadata", 100);
    }
}

#[test]
fn lock_and_reserve_may_hold_anything() {
    let directory = Directory::made(Stop::Killed);
    for name in [".lock", ".reserve"] {
        let disk = directory.disk.fork();
        let path = PathBuf::from(DATA).join(name);
        let file = disk.open(&path, OpenMode::Create).expect("a file");
        file.write_all_at(&[0xa5; 700], 0).expect("bytes");
        let judged = judge(&directory, &disk, &path, Loss::None);
        assert_eq!(judged, Ok(Verdict::Complete), "{name}");
    }
}

/// The directory is what the cases need: segments of two epochs, two files of the write-ahead log, rows.
#[test]
fn an_undamaged_directory_is_complete() {
    for stop in [Stop::Killed, Stop::Clean] {
        let directory = Directory::made(stop);
        let wal = directory.files(|path| path.ends_with(".wal"));
        let live = wal
            .iter()
            .filter(|path| !fields::groups(&directory.content(path)).is_empty());
        assert!(live.count() >= 2, "{wal:?}");
        let disk = directory.disk.fork();
        let judged = judge(&directory, &disk, Path::new("/none"), Loss::None);
        assert_eq!(judged, Ok(Verdict::Complete), "{stop:?}");
    }
}
