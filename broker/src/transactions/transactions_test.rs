//! The runner over real logs on a simulated disk: what is decided is carried out, restarts included, and nothing that is
//! gone holds it up.

use std::time::{Duration, Instant};

use thalweg_coordinator::group::TopicName;
use thalweg_coordinator::transaction::{
    AddPartitions, DescribeTransaction, EndTransaction, InitProducerId, Outcome, ProducerIdAndEpoch,
    TransactionState, TransactionVersion,
};
use thalweg_storage::disk::SimulatedDisk;

use super::*;
use crate::groups::tests::{Running, start as start_groups};

const V2: TransactionVersion = TransactionVersion::V2;

fn start(disk: &SimulatedDisk) -> (Running, Arc<Transactions>) {
    let running = start_groups(disk);
    let parts = TransactionParts {
        topics: running.topics.clone(),
        groups: running.groups.clone(),
        producer_ids: Arc::new(ProducerIds::new(running.topics.metadata().clone())),
        settings: running.settings.clone(),
        clock: Clock::System,
        shutdown: running.trigger.watcher(),
    };
    let transactions = Transactions::start(parts);
    (running, transactions)
}

async fn stop((running, transactions): (Running, Arc<Transactions>)) {
    running.trigger.request();
    transactions.stop().await;
    running.stop().await;
}

async fn init(transactions: &Transactions) -> ProducerIdAndEpoch {
    let request = || InitProducerId {
        transactional_id: "tx".into(),
        timeout_ms: 60_000,
        expected: None,
    };
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match transactions.ask(request()).await.unwrap().wait().await {
            Ok(producer) => return producer,
            Err(TransactionError::ConcurrentTransactions | TransactionError::CoordinatorLoadInProgress)
                if Instant::now() < until =>
            {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

async fn add(transactions: &Transactions, producer: ProducerIdAndEpoch, topic: &str, partition: i32) {
    let request = AddPartitions {
        transactional_id: "tx".into(),
        producer,
        partitions: vec![(TopicName::from(topic), PartitionIndex(partition))],
        version: V2,
    };
    transactions.ask(request).await.unwrap().wait().await.unwrap();
}

async fn end(
    transactions: &Transactions,
    producer: ProducerIdAndEpoch,
    outcome: Outcome,
) -> ProducerIdAndEpoch {
    let request = EndTransaction {
        transactional_id: "tx".into(),
        producer,
        outcome,
        version: V2,
    };
    transactions.ask(request).await.unwrap().wait().await.unwrap()
}

async fn state(transactions: &Transactions) -> Result<TransactionState, TransactionError> {
    let request = DescribeTransaction {
        transactional_id: "tx".into(),
    };
    let described = transactions.ask(request).await?.wait().await?;
    Ok(described.state)
}

async fn becomes(transactions: &Transactions, wanted: TransactionState) {
    let until = Instant::now() + Duration::from_secs(20);
    while state(transactions).await != Ok(wanted) {
        assert!(Instant::now() < until, "{:?}", state(transactions).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_13_what_is_decided_is_carried_out_after_a_restart() {
    let disk = SimulatedDisk::new();
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let (running, transactions) = start(&disk);
        if running.topics.by_name("orders").is_none() {
            running.topic("orders").await;
        }
        let producer = init(&transactions).await;
        add(&transactions, producer, "orders", 0).await;
        add(&transactions, producer, "orders", 1).await;
        let _ = end(&transactions, producer, outcome).await;
        // Markers may be written or not; the next start writes what is missing.
        stop((running, transactions)).await;
        let (running, transactions) = start(&disk);
        becomes(&transactions, outcome.complete()).await;
        assert_eq!(transactions.stats().markers_pending, 0);
        assert!(transactions.not_loaded().is_empty());
        stop((running, transactions)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_open_after_a_restart_and_a_new_producer_aborts_it() {
    let disk = SimulatedDisk::new();
    let (running, transactions) = start(&disk);
    running.topic("orders").await;
    let old = init(&transactions).await;
    add(&transactions, old, "orders", 0).await;
    stop((running, transactions)).await;
    let (running, transactions) = start(&disk);
    becomes(&transactions, TransactionState::Ongoing).await;
    let new = init(&transactions).await;
    assert_eq!((new.id, new.epoch.get()), (old.id, old.epoch.get() + 2));
    let counters = transactions.stats().counters;
    assert_eq!((counters.taken_over, counters.aborted), (1, 1));
    stop((running, transactions)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_does_not_hold_up_the_end() {
    let disk = SimulatedDisk::new();
    let (running, transactions) = start(&disk);
    running.topic("orders").await;
    running.topic("doomed").await;
    let producer = init(&transactions).await;
    add(&transactions, producer, "orders", 0).await;
    add(&transactions, producer, "doomed", 1).await;
    let doomed = running.topics.by_name("doomed").unwrap();
    running.topics.delete(doomed.id).await.unwrap();
    let next = end(&transactions, producer, Outcome::Commit).await;
    becomes(&transactions, TransactionState::CompleteCommit).await;
    // The next transaction begins at once.
    add(&transactions, next, "orders", 1).await;
    let _ = end(&transactions, next, Outcome::Commit).await;
    becomes(&transactions, TransactionState::CompleteCommit).await;
    stop((running, transactions)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_follow_one_another_without_a_client_being_sent_away() {
    let disk = SimulatedDisk::new();
    let (running, transactions) = start(&disk);
    running.topic("orders").await;
    let mut producer = init(&transactions).await;
    for _ in 0..50 {
        add(&transactions, producer, "orders", 0).await;
        producer = end(&transactions, producer, Outcome::Commit).await;
    }
    assert_eq!(transactions.stats().counters.committed, 50);
    let topic = running.topics.by_name("orders").unwrap();
    becomes(&transactions, TransactionState::CompleteCommit).await;
    let log = running.topics.log(&topic, PartitionIndex(0)).unwrap();
    assert_eq!(log.offsets().log_end_offset.0, 50, "one marker for each");
    stop((running, transactions)).await;
}
