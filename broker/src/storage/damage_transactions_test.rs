//! The same for transactions: whatever happens to the index of aborted transactions, to a marker, or to what the
//! recovery point says of them, a read-committed reader takes for aborted just what was aborted, or is told which file
//! is damaged. A damaged index is built again.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_storage::log::{TransactionMarker, TransactionStart, TransactionVersion};
use thalweg_storage::segment::transaction_index::{self, AbortedTransaction, ENTRY_LEN};
use thalweg_wire::records::{EndTransactionMarker, TransactionOutcome, Transactionality};

use super::*;

const BATCHES: i32 = 48;
/// Long enough for the background of a slow machine.
const REPAIR: Duration = Duration::from_secs(30);

/// What became of a batch, to a read-committed reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Shown,
    Aborted,
    /// It holds no records.
    Marker,
}

/// A data directory with transactions in partition 0.
struct History {
    disk: SimulatedDisk,
    /// By base offset.
    fates: BTreeMap<Offset, Fate>,
    last_stable_offset: Offset,
    stop: Stop,
}

/// Appends in one life of a broker; the producers' batches since their last marker.
struct Writer<'a> {
    log: Arc<PartitionLog>,
    fates: &'a mut BTreeMap<Offset, Fate>,
    open: &'a mut BTreeMap<i64, Vec<Offset>>,
}

impl Writer<'_> {
    fn append(&mut self, number: i32) {
        match number % 3 {
            2 => self.records(number, None),
            other => self.records(number, Some(11 + i64::from(other))),
        }
        // Producer 12 ends half as often, and its last transaction stays open.
        match number % 8 {
            3 | 7 => self.end(11, number),
            5 if number < BATCHES - 8 => self.end(12, number),
            _ => {}
        }
    }

    fn records(&mut self, number: i32, producer: Option<i64>) {
        let known = self.log.transactions();
        let stamp = producer.map(|producer| {
            let known = known.iter().find(|known| known.producer_id.0 == producer);
            ProducerStamp {
                id: ProducerId(producer),
                epoch: ProducerEpoch(0),
                base_sequence: known.map_or(0, |known| known.last_sequence + 1),
            }
        });
        let mut builder = BatchBuilder::new(BatchOptions {
            producer: stamp,
            transactionality: match stamp {
                Some(_) => Transactionality::Transactional,
                None => Transactionality::NonTransactional,
            },
            ..BatchOptions::default()
        });
        let time = TimestampMs(NOW + i64::from(number) * 1000);
        builder
            .push(time, None, Some(&number.to_be_bytes()), &[])
            .expect("a record");
        let guard = stamp.and_then(|stamp| {
            let start = TransactionStart {
                producer_id: stamp.id,
                epoch: stamp.epoch,
                base_sequence: stamp.base_sequence,
                version: TransactionVersion::V1,
            };
            self.log.begin_verification(start, TimestampMs(NOW))
        });
        let checked = CheckedBatch::check(builder.build().expect("a batch")).expect("a sound batch");
        let appended = self
            .log
            .append(checked.verified(guard), Origin::Client, TimestampMs(NOW));
        let Append::Written(place) = appended.expect("an append") else {
            panic!("batch {number} was there already");
        };
        place.ticket.expect("a ticket").wait().expect("durable");
        self.fates.insert(place.base_offset, Fate::Shown);
        if let Some(producer) = producer {
            self.open.entry(producer).or_default().push(place.base_offset);
        }
    }

    /// One of three transactions is committed.
    fn end(&mut self, producer: i64, number: i32) {
        let outcome = match number % 3 {
            0 => TransactionOutcome::Commit,
            _ => TransactionOutcome::Abort,
        };
        let marker = TransactionMarker {
            producer_id: ProducerId(producer),
            producer_epoch: ProducerEpoch(0),
            coordinator_epoch: 0,
            outcome,
            version: TransactionVersion::V1,
        };
        let time = TimestampMs(NOW + i64::from(number) * 1000 + 500);
        let place = self.log.append_marker(marker, time).expect("a marker");
        place.ticket.expect("a ticket").wait().expect("durable");
        self.fates.insert(place.base_offset, Fate::Marker);
        for offset in self.open.remove(&producer).unwrap_or_default() {
            if outcome == TransactionOutcome::Abort {
                self.fates.insert(offset, Fate::Aborted);
            }
        }
    }
}

impl History {
    /// Two lives of a broker, and behind the recovery point transactions that only the write-ahead log has.
    fn made(stop: Stop) -> History {
        let disk = SimulatedDisk::new();
        let (mut fates, mut open_transactions) = (BTreeMap::new(), BTreeMap::new());
        let mut life = |engine: &LogEngine, numbers: std::ops::Range<i32>| {
            let mut writer = Writer {
                log: log(engine, 0),
                fates: &mut fates,
                open: &mut open_transactions,
            };
            numbers.for_each(|number| writer.append(number));
        };
        let first = open(&disk).expect("a new directory");
        create_topic(&first);
        life(&first.engine, 0..17);
        first.engine.close(Duration::from_secs(20));
        drop(first);
        let second = open(&disk).expect("the directory again");
        life(&second.engine, 17..BATCHES - 9);
        second.engine.checkpoint().expect("a recovery point");
        life(&second.engine, BATCHES - 9..BATCHES);
        let last_stable_offset = log(&second.engine, 0).offsets().last_stable_offset;
        let left = match stop {
            Stop::Killed => disk.fork(),
            Stop::Clean => {
                second.engine.close(Duration::from_secs(20));
                disk.clone()
            }
        };
        drop(second);
        History {
            disk: left.fork(),
            fates,
            last_stable_offset,
            stop,
        }
    }

    fn files(&self, end: &str) -> Vec<PathBuf> {
        let paths = self.disk.files().into_iter().map(|(path, _)| path);
        paths
            .filter(|path| {
                let path = path.to_string_lossy();
                is_in_partition(&path) && path.ends_with(end)
            })
            .collect()
    }

    /// Reports whether an index speaks only of what lies above the last stable offset, where nobody asks for it.
    fn is_unread(&self, index: &Path) -> bool {
        let content = self.content(index);
        let (entries, _) = content.as_chunks::<ENTRY_LEN>();
        let mut entries = entries.iter().filter_map(transaction_index::decode);
        entries.all(|entry| entry.first_offset >= self.last_stable_offset)
    }

    fn content(&self, path: &Path) -> Vec<u8> {
        read_file(&self.disk, path, u64::MAX).expect("a file of the directory")
    }
}

/// Whether what is damaged can be worked out from something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    Expected,
    Impossible,
}

/// Reads committed records from every offset; true if some read was refused, with the file's name.
fn read_committed(history: &History, log: &PartitionLog, name: &str) -> Result<bool, String> {
    let found = log.offsets().last_stable_offset;
    if found != history.last_stable_offset {
        let expected = history.last_stable_offset;
        return Err(format!("the last stable offset is {found} instead of {expected}"));
    }
    let mut errors = false;
    for offset in history.fates.keys().filter(|offset| **offset < found) {
        for max_bytes in [1, 1 << 20] {
            let read = log.read(ReadRequest {
                offset: *offset,
                max_bytes,
                limit: ReadLimit::LastStable,
                min_one: MinOne::Yes,
            });
            match read {
                Ok(read) if read.batches.is_empty() => {
                    return Err(format!("reading stands still at {offset}"));
                }
                Ok(read) => {
                    let batches = read.batches.iter().flat_map(|bytes| split_batches(bytes));
                    let mut reader = CommittedReader::new(read.aborted);
                    for batch in batches {
                        let batch = batch.expect("what is served is whole");
                        let base = batch.header.base_offset;
                        let fate = reader.judge(&batch.header, batch.bytes);
                        if history.fates.get(&base) != Some(&fate) {
                            let expected = history.fates.get(&base);
                            return Err(format!(
                                "read at {offset}: {base} is {fate:?} instead of {expected:?}"
                            ));
                        }
                    }
                }
                Err(error) if error.to_string().contains(name) => errors = true,
                Err(error) => return Err(format!("a read at {offset} says: {error}")),
            }
        }
    }
    Ok(errors)
}

/// Tells what was aborted as clients do: from the transactions that come with what was read, and the markers in it.
struct CommittedReader {
    /// Transactions to come, the last one first.
    aborted: Vec<AbortedTransaction>,
    aborting: BTreeSet<ProducerId>,
}

impl CommittedReader {
    fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|one| std::cmp::Reverse(one.first_offset));
        Self {
            aborted,
            aborting: BTreeSet::new(),
        }
    }

    fn judge(&mut self, header: &BatchHeader, batch: &[u8]) -> Fate {
        while let Some(next) = self
            .aborted
            .pop_if(|next| next.first_offset <= header.last_offset())
        {
            self.aborting.insert(next.producer_id);
        }
        if header.is_control() {
            let marker = EndTransactionMarker::of_batch(batch);
            if marker.is_some_and(|marker| marker.outcome == TransactionOutcome::Abort) {
                self.aborting.remove(&header.producer_id);
            }
            return Fate::Marker;
        }
        if header.is_transactional() && self.aborting.contains(&header.producer_id) {
            return Fate::Aborted;
        }
        Fate::Shown
    }
}

/// Starts on a damaged directory and reads it as read-committed readers do, until it is repaired if it can be.
fn judge_committed(
    history: &History,
    disk: &SimulatedDisk,
    (path, repair): (&Path, Repair),
) -> Result<Verdict, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let data = match open(disk) {
        Ok(data) => data,
        Err(error) if error.to_string().contains(&*name) => return Ok(Verdict::Refused),
        Err(error) => return Err(format!("refused without the file's name: {error}")),
    };
    let log = log(&data.engine, 0);
    let mut verdict = Verdict::Complete;
    let begin = std::time::Instant::now();
    while read_committed(history, &log, &name)? {
        verdict = Verdict::ReadErrors;
        if repair == Repair::Impossible {
            break;
        }
        if begin.elapsed() > REPAIR {
            return Err("it is not built again".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(verdict)
}

impl Tally {
    fn try_committed(
        &mut self,
        history: &History,
        (path, repair): (&Path, Repair),
        (what, change): (&str, &dyn Fn(&SimulatedDisk) -> bool),
    ) {
        let disk = history.disk.fork();
        if !change(&disk) {
            return;
        }
        self.cases += 1;
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            judge_committed(history, &disk, (path, repair))
        }));
        let wrong = match judged {
            Ok(Ok(Verdict::Complete)) => return self.complete += 1,
            Ok(Ok(Verdict::Shorter)) => return self.shorter += 1,
            Ok(Ok(Verdict::Refused)) => return self.refused += 1,
            Ok(Ok(Verdict::ReadErrors)) => return self.read_errors += 1,
            Ok(Err(what)) => what,
            Err(_) => "a panic".to_owned(),
        };
        let (stop, name) = (history.stop, path.display());
        self.wrong.push(format!("{stop:?} {name}: {what}: {wrong}"));
    }

    fn try_fields(&mut self, history: &History, file: (&Path, Repair), fields: &[Field]) {
        for field in fields {
            for damage in damages(field) {
                let what = format!("{} {damage:?}", field.name);
                let change = |disk: &SimulatedDisk| {
                    let mut changed = false;
                    disk.corrupt(file.0, |bytes| changed = damage.apply(bytes));
                    changed
                };
                self.try_committed(history, file, (&what, &change));
            }
        }
    }
}

#[test]
fn a_damaged_index_of_aborted_transactions_is_named_and_built_again() {
    for stop in [Stop::Killed, Stop::Clean] {
        let history = History::made(stop);
        let mut tally = Tally::default();
        let indexes = history.files(".txnindex");
        assert!(indexes.len() >= 3, "{indexes:?}");
        for path in &indexes {
            if history.is_unread(path) {
                continue;
            }
            let len = history.content(path).len();
            let all = fields::entries("entry", len, &[2, 8, 8, 8, 8]);
            assert!(len >= ENTRY_LEN && all.len() * ENTRY_LEN == len * 5);
            let file = (path.as_path(), Repair::Expected);
            tally.try_fields(&history, file, &all);
            let remove = |disk: &SimulatedDisk| disk.remove_file(path).is_ok();
            tally.try_committed(&history, file, ("removed", &remove));
        }
        assert_eq!(
            tally.complete + tally.refused,
            0,
            "damage that nobody sees: {tally:?}"
        );
        tally.finish("index of aborted transactions", 50);
    }
}

#[test]
fn a_damaged_marker_hides_no_abort() {
    let history = History::made(Stop::Clean);
    let mut tally = Tally::default();
    for path in history.files(".log") {
        let content = history.content(&path);
        let is_marker = |batch: &&Vec<Field>| {
            let attributes = batch.iter().find(|field| field.name == "attributes");
            attributes.is_some_and(|field| content[field.at + 1] & 0x20 != 0)
        };
        let all = fields::batches(&content);
        let mut some: Vec<Field> = all.iter().filter(is_marker).flatten().cloned().collect();
        some.extend(fields::first_middle_last(&all).into_iter().flatten());
        tally.try_fields(&history, (&path, Repair::Impossible), &some);
    }
    tally.finish("segments with markers", 1000);
}

/// The stamp of an index, and below which offset everything had ended, in the segments' rows.
#[test]
fn damage_to_what_a_recovery_point_says_of_transactions_is_refused_by_name_or_harmless() {
    let history = History::made(Stop::Killed);
    let mut tally = Tally::default();
    let store = PathBuf::from(DATA).join("metadata.redb");
    let content = history.content(&store);
    for path in history.files(".txnindex") {
        let index = history.content(&path);
        let (entries, _) = index.as_chunks::<ENTRY_LEN>();
        let entries: Vec<_> = entries.iter().filter_map(transaction_index::decode).collect();
        let stamp = transaction_index::stamp_of(&entries);
        let stamp = [stamp.len.to_be_bytes(), stamp.crc.to_be_bytes()].concat();
        let places = content
            .windows(8)
            .enumerate()
            .filter(|(_, bytes)| *bytes == stamp);
        let mut all = Vec::new();
        for (at, _) in places {
            for (name, behind, len) in [("index length", 0, 4), ("index crc", 4, 4), ("settled", 8, 8)] {
                all.push(Field {
                    name: format!("{} {name}", path.display()),
                    at: at + behind,
                    len,
                });
            }
        }
        assert!(!all.is_empty(), "{} has no row", path.display());
        tally.try_fields(&history, (&store, Repair::Impossible), &all);
    }
    tally.finish("rows of segments with aborted transactions", 40);
}

#[test]
fn an_undamaged_directory_shows_what_was_committed() {
    for stop in [Stop::Killed, Stop::Clean] {
        let history = History::made(stop);
        let count = |fate| history.fates.values().filter(|other| **other == fate).count();
        let counts = (count(Fate::Shown), count(Fate::Aborted), count(Fate::Marker));
        assert!(counts.0 > 20 && counts.1 > 10 && counts.2 > 10, "{counts:?}");
        let none = (Path::new("/none"), Repair::Impossible);
        assert_eq!(
            judge_committed(&history, &history.disk.fork(), none),
            Ok(Verdict::Complete),
            "{stop:?}"
        );
    }
}
