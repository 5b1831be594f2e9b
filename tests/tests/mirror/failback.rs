//! Switching sides whole: a source is sealed, a mirror promoted, the old primary comes back and becomes the mirror, and all
//! of it the other way round.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::Value;
use thalweg_tests::Broker;
use thalweg_tests::clients::librdkafka::{
    CALL, Consumed, Delivery, Producer, Record, config, create_topic, read_topic,
};
use thalweg_tests::mirror::{Mirror, binary};
use thalweg_tests::process::run;
use thalweg_tests::{broker, wait, watchdog};

use crate::{thalweg, write_transactions, write_with_every_codec};

const COMMITTED: [(&str, &str); 1] = [("isolation.level", "read_committed")];

/// A service with the link `west` and the one back.
fn both_ways(source: &Broker, target: &Broker) -> Mirror {
    let back = format!(
        "topics = [\"orders\"]\n[link.back]\nsource.bootstrap = \"{}\"\ntarget.bootstrap = \"{}\"\ndiscovery_ms = 500\n\
         lease_ms = 3000\ntopics = [\"orders\"]",
        target.bootstrap(),
        source.bootstrap()
    );
    Mirror::between(source, target, &back)
}

/// The partitions of the link back.
fn back(mirror: &Mirror) -> Vec<Value> {
    let body = mirror
        .get("/links/back/topics")
        .map(|answer| answer.body)
        .unwrap_or_default();
    let json: Value = serde_json::from_str(&body).unwrap_or_default();
    json["partitions"].as_array().cloned().unwrap_or_default()
}

/// Sends one record and returns why it is refused; `None` when it is taken.
fn send_one(producer: &Producer, record: &Record) -> Option<RDKafkaErrorCode> {
    let number = producer.send("orders", record);
    match producer.flush().get(&number) {
        Some(Delivery::Failed(code)) => Some(*code),
        Some(Delivery::Acknowledged { .. }) => None,
        None => panic!("record {number} has no answer"),
    }
}

/// Why a record is refused; `None` when it is taken.
pub(crate) fn refusal(broker: &Broker) -> Option<RDKafkaErrorCode> {
    let producer = Producer::new(broker, &[("message.timeout.ms", "10000")]);
    send_one(&producer, &Record::new("", "asked").to_partition(0))
}

/// Returns how many records were taken before: an old primary takes some until the service has sealed it.
fn wait_until_refused(broker: &Broker) -> usize {
    let mut taken = 0;
    let refused = || match refusal(broker) {
        Some(RDKafkaErrorCode::PolicyViolation) => Some(()),
        Some(_) => None,
        None => {
            taken += 1;
            None
        }
    };
    wait::poll(wait::PATIENCE, refused).expect("the old primary is sealed");
    taken
}

fn write(broker: &Broker, text: &str, partitions: i32, count: usize) {
    let producer = Producer::new(broker, &[("enable.idempotence", "true")]);
    let records: Vec<Record> = (0..partitions)
        .flat_map(|partition| {
            (0..count).map(move |number| Record::new("", format!("{text} {number}")).to_partition(partition))
        })
        .collect();
    producer.send_all("orders", &records);
}

fn open_transaction(broker: &Broker) -> ThreadedProducer<DefaultProducerContext> {
    let settings = [("transactional.id", "open"), ("transaction.timeout.ms", "300000")];
    let open: ThreadedProducer<DefaultProducerContext> =
        config(broker, &settings).create().expect("a producer");
    open.init_transactions(CALL).expect("an identity");
    open.begin_transaction().expect("begin");
    open.send(
        BaseRecord::<(), str>::to("orders")
            .partition(0)
            .payload("in doubt"),
    )
    .map_err(|(error, _)| error)
    .expect("a place in the queue");
    open.flush(CALL).expect("delivered");
    open
}

#[test]
fn a_planned_promotion_seals_the_source_under_load_and_loses_nothing() {
    let (mut source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 2, &[]);
    write_with_every_codec(&source, "orders", 2, 20);
    write_transactions(&source, "orders", 2);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let (stop, count) = (AtomicBool::new(false), AtomicI32::new(0));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let producer = Producer::new(&source, &[("enable.idempotence", "true")]);
            while !stop.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let record = Record::new("", format!("live {number}")).to_partition(number % 2);
                if send_one(&producer, &record).is_some() {
                    break;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait::until("the writer has written", || count.load(Ordering::Relaxed) > 0);
        mirror.command("promote", &["west"]).ok();
        stop.store(true, Ordering::Relaxed);
        writing.join().expect("the writer ends");
    });
    let acknowledged = count.load(Ordering::Relaxed);
    let mirrored = read_topic(&source, "orders", &COMMITTED);
    let live = mirrored
        .iter()
        .filter(|record| record.text().starts_with("live"))
        .count();
    assert!(live >= acknowledged as usize, "{live} of {acknowledged}");
    assert_eq!(read_topic(&target, "orders", &COMMITTED), mirrored);
    for _ in 0..2 {
        assert_eq!(refusal(&source), Some(RDKafkaErrorCode::PolicyViolation));
        source.kill_nine();
        source.start_again();
    }
    write(&target, "fresh", 2, 20);
    assert_eq!(
        read_topic(&target, "orders", &COMMITTED).len(),
        mirrored.len() + 40
    );
}

#[test]
fn a_transaction_that_stays_open_at_a_sealed_source_is_aborted_at_the_deadline() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write_with_every_codec(&source, "orders", 1, 5);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let open = open_transaction(&source);
    mirror
        .command("promote", &["west", "--abort-after-ms", "1000"])
        .ok();
    assert!(open.commit_transaction(CALL).is_err(), "its producer is fenced");
    let committed = read_topic(&target, "orders", &COMMITTED);
    assert_eq!(committed, read_topic(&source, "orders", &COMMITTED));
    assert!(committed.iter().all(|record| record.text() != "in doubt"));
}

#[test]
fn a_promotion_that_is_given_up_opens_the_source_again() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write(&source, "before", 1, 5);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let open = open_transaction(&source);
    let waits = ["west", "--abort-after-ms", "600000", "--within", "3"];
    assert!(!mirror.command("promote", &waits).status.success());
    wait_until_refused(&source);
    mirror.command("promote", &["west", "--give-up"]).ok();
    wait::poll(wait::PATIENCE, || refusal(&source).is_none().then_some(()))
        .expect("the source takes records");
    open.commit_transaction(CALL).expect("its transaction went on");
    mirror.wait_for(&source, &target, "orders");
    assert_eq!(
        read_topic(&target, "orders", &COMMITTED),
        read_topic(&source, "orders", &COMMITTED)
    );
}

/// A service that never ran, and a source that is gone: the target alone knows enough.
#[test]
fn a_failover_needs_neither_the_source_nor_a_service() {
    let (mut source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 2, &[]);
    write_with_every_codec(&source, "orders", 2, 10);
    let mut mirror = Mirror::between(&source, &target, "topics = [\"orders\"]");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let mirrored = read_topic(&source, "orders", &COMMITTED);
    mirror.kill_nine();
    source.kill_nine();
    let done = mirror.command("failover", &["west"]).ok();
    done.shows("orders-0: promoted").shows("orders-1: promoted");
    write(&target, "fresh", 2, 10);
    assert_eq!(
        read_topic(&target, "orders", &COMMITTED).len(),
        mirrored.len() + 20
    );
    mirror
        .command("failover", &["west"])
        .ok()
        .shows("clients write to it already");
    // A service that begins now reaches no source either, and says so.
    mirror.start();
    mirror.command("failover", &["west"]).ok();
}

fn exported(folder: &Path) -> usize {
    let mut command = std::process::Command::new(broker::binary());
    command
        .args(["log", "dump", "--records", "-o", "json"])
        .arg(folder);
    let shown = run(command, b"", CALL).ok();
    shown.stdout_text().matches("unmirrored").count()
}

#[test]
fn an_old_primary_is_sealed_gives_its_tail_away_and_copies_the_difference_alone() {
    let (mut source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 2, &[]);
    write_with_every_codec(&source, "orders", 2, 100);
    write_transactions(&source, "orders", 2);
    let mut mirror = both_ways(&source, &target);
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let shared = read_topic(&source, "orders", &COMMITTED);
    mirror.command("pause", &["west"]).ok();
    write(&source, "unmirrored", 1, 30);
    source.kill_nine();
    mirror.command("failover", &["west"]).ok();
    write(&target, "new", 2, 40);
    source.start_again();
    let alone = 30 + wait_until_refused(&source);
    // Not yet confirmed: told, exported, and nothing is cut; the mirror waits.
    let export = mirror.file().with_file_name("tails");
    let place = export.display().to_string();
    let asked = mirror.command("failback", &["back", "--export", &place]);
    assert_eq!(asked.status.code(), Some(3), "{asked:?}");
    asked.shows(&format!("{alone} records in"));
    assert_eq!(exported(&export), 30);
    // The other partition has no tail, and is on its way already.
    let first = |read: Vec<Consumed>| read.iter().filter(|record| record.partition == 0).count();
    let kept = first(read_topic(&source, "orders", &COMMITTED));
    assert_eq!(kept, first(shared) + alone);
    source.kill_nine();
    source.start_again();
    mirror
        .command("failback", &["back", "--export", &place, "--confirm-discard"])
        .ok();
    mirror.wait_for(&target, &source, "orders");
    let copied: u64 = back(&mirror)
        .iter()
        .filter_map(|found| found["appended_bytes"].as_u64())
        .sum();
    assert!(copied < 20_000, "{copied} bytes were copied for 80 small records");
    assert_eq!(
        read_topic(&source, "orders", &COMMITTED),
        read_topic(&target, "orders", &COMMITTED)
    );
    mirror
        .command("verify", &["--link", "back"])
        .ok()
        .shows("0 differ, 0 behind");
    // And the other way again: planned, so that there is no tail.
    mirror.command("promote", &["back"]).ok();
    write(&source, "home", 2, 10);
    assert_eq!(refusal(&target), Some(RDKafkaErrorCode::PolicyViolation));
    mirror
        .command("failback", &["west", "--export", &place])
        .ok()
        .shows("0 wait");
    mirror.wait_for(&source, &target, "orders");
    write(&source, "home again", 2, 10);
    mirror.wait_for(&source, &target, "orders");
    mirror
        .command("verify", &["--link", "west"])
        .ok()
        .shows("0 differ, 0 behind");
}

#[test]
fn a_failback_the_wrong_way_round_changes_nothing() {
    let (source, target) = (thalweg().start(), thalweg().start());
    create_topic(&source, "orders", 1, &[]);
    write(&source, "before", 1, 10);
    let mut mirror = both_ways(&source, &target);
    let never = mirror.command("failback", &["back"]);
    assert!(!never.status.success(), "there is no mirror");
    mirror.start();
    mirror.wait_for(&source, &target, "orders");
    let early = mirror.command("failback", &["back"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        early.stderr_text().contains("fail over to it, first"),
        "{early:?}"
    );
    let reversed = mirror.command("failback", &["west"]);
    assert_eq!(reversed.status.code(), Some(1));
    assert_eq!(refusal(&source), None, "the source is as it was");
}

#[test]
fn a_drill_passes() {
    watchdog::allow(Duration::from_secs(300));
    // The broker's program lies beside the service's.
    let _ = broker::binary();
    let mut command = std::process::Command::new(binary());
    command.args(["drill", "--records", "120000"]);
    let done = run(command, b"", Duration::from_secs(240)).ok();
    done.shows("drill passed:");
}
