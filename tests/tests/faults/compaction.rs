//! Compaction under load of a program that ends itself at each of the cleaner's crash points: of each key the newest
//! acknowledged record is there after every start, at its offset.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use thalweg_tests::clients::librdkafka::{config_at, create_topic, read_topic};
use thalweg_tests::{BrokerConfig, Product, wait};

const TOPIC: &str = "compacted";
const KEYS: u64 = 200;

const POINTS: [&str; 5] = [
    "cleaner-written:2",
    "cleaner-synced:2",
    "cleaner-committed:3",
    "cleaner-renamed:2",
    "cleaner-swapped:2",
];

/// What was acknowledged of each key: the newest value and its offset.
type Acknowledged = Arc<std::sync::Mutex<BTreeMap<u64, (u64, i64)>>>;

/// One producer: values of each key count up; one batch after the other, over restarts of the broker.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    acknowledged: Acknowledged,
}

impl rdkafka::ClientContext for Told {}

impl rdkafka::producer::ProducerContext for Told {
    type DeliveryOpaque = Box<(u64, u64)>;

    fn delivery(&self, result: &rdkafka::producer::DeliveryResult<'_>, number: Self::DeliveryOpaque) {
        use rdkafka::Message;
        if let Ok(message) = result {
            let (key, value) = *number;
            let mut all = self.acknowledged.lock().expect("no holder panics");
            let newest = all.entry(key).or_insert((value, message.offset()));
            *newest = (*newest).max((value, message.offset()));
        }
    }
}

impl Load {
    fn start(bootstrap: &str) -> Load {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Acknowledged::default());
        let told = Told {
            acknowledged: acknowledged.clone(),
        };
        let settings = [
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("compression.codec", "lz4"),
        ];
        let producer: ThreadedProducer<Told> = config_at(bootstrap, &settings)
            .create_with_context(told)
            .expect("the settings are librdkafka's");
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut number = 0u64;
            while !stopped.load(Ordering::Relaxed) {
                let key = number.wrapping_mul(0x9E37_79B9) % KEYS;
                let payload = format!("{number:020}{}", "x".repeat(400));
                let name = key.to_string();
                let record = BaseRecord::with_opaque_to(TOPIC, Box::new((key, number)))
                    .key(&name)
                    .partition(0)
                    .payload(&payload);
                match producer.send(record) {
                    Ok(()) => number += 1,
                    // The queue is full while the broker is away.
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
                if number.is_multiple_of(50) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            // What is not told within this time is not acknowledged, and not judged.
            let _ = producer.flush(Duration::from_secs(30));
        });
        Load {
            stop,
            acknowledged,
            thread: Some(thread),
        }
    }

    fn wait_for_more(&self, count: u64) {
        let newest = || {
            let all = self.acknowledged.lock().expect("no holder panics");
            all.values().map(|(value, _)| *value).max().unwrap_or(0)
        };
        let before = newest();
        wait::until("more records are acknowledged", || newest() >= before + count);
    }

    fn finish(mut self) -> BTreeMap<u64, (u64, i64)> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the producer does not panic");
        }
        self.acknowledged.lock().expect("no holder panics").clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_newest_of_each_key_survives_an_end_at_every_point_of_the_cleaner() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let mut broker = BrokerConfig::default()
        .small_files()
        .set("log.cleaner.backoff.ms", 20)
        .set("log.cleaner.dedupe.buffer.size", 64 << 10)
        .start();
    let settings = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.bytes", "1048576"),
    ];
    create_topic(&broker, TOPIC, 1, &settings);
    let load = Load::start(broker.bootstrap());
    load.wait_for_more(3_000);
    for point in POINTS {
        broker.kill_nine();
        broker.run_to_crash_point(point);
        broker.start_again();
        load.wait_for_more(500);
        let log = broker.log_text();
        assert!(!log.contains("is damaged"), "{point}: {log}");
    }
    let acknowledged = load.finish();
    let mut newest: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
    let mut last = -1;
    let records = read_topic(&broker, TOPIC, &[]);
    for record in &records {
        assert!(record.offset > last, "offsets rise");
        last = record.offset;
        let key: u64 = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default())
            .parse()
            .expect("a key that was sent");
        let value: u64 = record
            .text()
            .get(..20)
            .and_then(|text| text.parse().ok())
            .expect("a value that was sent");
        newest.insert(key, (value, record.offset));
    }
    for (key, (value, offset)) in &acknowledged {
        let found = newest.get(key);
        assert!(
            found.is_some_and(|(found, at)| found > value || (found, at) == (value, offset)),
            "key {key}: {value} was acknowledged at {offset}, found {found:?}"
        );
    }
    assert_eq!(acknowledged.len() as u64, KEYS, "every key was acknowledged once");
    assert!(
        last > records.len() as i64 * 2,
        "{} records of {last} are left: nothing was compacted",
        records.len()
    );
}
