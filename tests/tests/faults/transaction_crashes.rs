//! The program ends itself between the steps of a commit or an abort. After each start exactly the committed
//! transactions are visible, whole, and a producer that comes back commits again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use thalweg_tests::clients::librdkafka::{config_at, create_topic, read_topic};
use thalweg_tests::{BrokerConfig, Product, wait};

type Transactional = ThreadedProducer<DefaultProducerContext>;

/// How long a call of the producer waits while the broker is away.
const CALL: Duration = Duration::from_secs(5);
const TOPIC: &str = "ledger";
const PARTITIONS: i32 = 3;

/// What the producer knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Committed,
    Aborted,
    /// The answer was lost.
    Open,
}

/// A producer that begins one transaction after the other, each with a record in every partition.
struct Worker {
    known: Arc<Mutex<BTreeMap<u64, Known>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(bootstrap: &str, id: &str) -> Self {
        let known: Arc<Mutex<BTreeMap<u64, Known>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (told, over) = (known.clone(), is_over.clone());
        let (bootstrap, id) = (bootstrap.to_owned(), id.to_owned());
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                // Ends with any error; the next one takes the id over, which aborts what is open.
                let _ = live((&bootstrap, &id), &mut number, &told, &over);
            }
        });
        Self {
            known,
            is_over,
            thread: Some(thread),
        }
    }

    fn committed(&self) -> usize {
        let known = self.known.lock().expect("the worker does not panic");
        known.values().filter(|one| **one == Known::Committed).count()
    }

    fn finish(mut self) -> BTreeMap<u64, Known> {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the worker does not panic");
        }
        self.known.lock().expect("the worker does not panic").clone()
    }
}

fn live(
    (bootstrap, id): (&str, &str),
    number: &mut u64,
    told: &Mutex<BTreeMap<u64, Known>>,
    over: &AtomicBool,
) -> Result<(), Box<dyn std::error::Error>> {
    let settings = [
        ("transactional.id", id),
        ("transaction.timeout.ms", "20000"),
        ("linger.ms", "0"),
    ];
    let producer: Transactional = config_at(bootstrap, &settings).create()?;
    producer.init_transactions(CALL)?;
    while !over.load(Ordering::SeqCst) {
        *number += 1;
        let note = |known| told.lock().map(|mut all| all.insert(*number, known)).is_ok();
        note(Known::Open);
        producer.begin_transaction()?;
        for partition in 0..PARTITIONS {
            let payload = format!("{id}-{number}");
            let record = BaseRecord::<(), str>::to(TOPIC)
                .partition(partition)
                .payload(&payload);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        if number.is_multiple_of(3) {
            producer.flush(CALL)?;
            producer.abort_transaction(CALL)?;
            note(Known::Aborted);
        } else {
            producer.commit_transaction(CALL)?;
            note(Known::Committed);
        }
    }
    Ok(())
}

#[test]
fn rule_13_a_crash_at_any_step_of_a_commit_leaves_exactly_the_committed_ones_visible() {
    if Product::under_test() != Product::Thalweg {
        return;
    }
    let mut broker = BrokerConfig::default()
        .small_files()
        .set("transaction.state.log.num.partitions", 4)
        .start();
    create_topic(&broker, TOPIC, PARTITIONS, &[]);
    let worker = Worker::start(broker.bootstrap(), "tx");
    wait::until("transactions are committed", || worker.committed() >= 5);
    for point in [
        "transaction-prepared:3",
        "transaction-marked:1",
        "transaction-marked:5",
        "transaction-markers-durable:4",
        "transaction-prepared:1",
    ] {
        broker.kill_nine();
        broker.run_to_crash_point(point);
        broker.start_again();
        let before = worker.committed();
        wait::until("the producer commits again", || worker.committed() >= before + 5);
    }
    let known = worker.finish();
    let mut seen: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    let mut records = 0;
    for record in read_topic(&broker, TOPIC, &[("isolation.level", "read_committed")]) {
        records += 1;
        seen.entry(record.text()).or_default().insert(record.partition);
    }
    let places: usize = seen.values().map(BTreeSet::len).sum();
    assert_eq!(places, records, "a record is seen twice");
    for (name, partitions) in &seen {
        assert_eq!(partitions.len(), 3, "{name} is torn: only in {partitions:?}");
    }
    for (number, known) in known {
        let is_seen = seen.contains_key(&format!("tx-{number}"));
        match known {
            Known::Committed => assert!(is_seen, "{number} was committed and is lost"),
            Known::Aborted => assert!(!is_seen, "{number} was aborted and is seen"),
            Known::Open => {}
        }
    }
}
