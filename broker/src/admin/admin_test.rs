use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::partition::DiskMarks;
use crate::test_broker::TestBroker;
use thalweg_storage::commit::CommitError;
use thalweg_storage::disk::{DiskSpace, Fault, SimulatedDisk};
use thalweg_types::{Offset, TimestampMs};

async fn listen(broker: &TestBroker) -> (std::net::SocketAddr, JoinHandle<()>) {
    listen_with(broker.admin_state()).await
}

async fn listen_with(state: AdminState) -> (std::net::SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(serve(listener, state)))
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    exchange(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_answers_and_a_stop_makes_the_broker_not_ready() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("orders", 2).await;
    broker.append(&topic, 1, &[100, 200]).await;
    let (address, _serving) = listen(&broker).await;
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    let ready = get(address, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.ends_with("ready\n"),
        "{ready}"
    );
    let metrics = get(address, "/metrics").await;
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(
        metrics.contains("kafka_topic_partition_current_offset{topic=\"orders\",partition=\"1\"} 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("kafka_topic_partitions{topic=\"orders\"} 2\n"),
        "{metrics}"
    );
    let list = get(address, "/v1/topics?limit=1").await;
    assert!(
        list.contains("\"name\":\"orders\"") && list.contains("\"offsets\":2"),
        "{list}"
    );
    assert!(
        get(address, "/v1/topics/orders")
            .await
            .contains("\"high_watermark\":2")
    );
    assert!(get(address, "/v1/topics/none").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/v1/groups").await.contains("\"groups\":[]"));
    assert!(get(address, "/v1/groups/none").await.starts_with("HTTP/1.1 404"));
    assert!(get(address, "/v1/cluster").await.contains("\"ready\":true"));
    broker.trigger.request();
    let stopping = get(address, "/readyz").await;
    assert!(
        stopping.starts_with("HTTP/1.1 503") && stopping.contains("the broker is stopping"),
        "{stopping}"
    );
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_other_methods_and_huge_heads_are_refused() {
    let broker = TestBroker::start(&[]);
    let (address, _serving) = listen(&broker).await;
    let foreign = "GET /v1/topics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(exchange(address, foreign).await.starts_with("HTTP/1.1 403"));
    let post =
        "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(exchange(address, post).await.starts_with("HTTP/1.1 405"));
    let many: String = (0..HEADER_COUNT)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{many}connection: close\r\n\r\n");
    assert!(exchange(address, &many).await.starts_with("HTTP/1.1 431"));
}

/// More than a request may have.
const HEADER_COUNT: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn partition_series_are_bounded_and_what_is_left_out_is_counted() {
    let broker = TestBroker::start(&[("metrics.partition.series.max", "20")]);
    broker.create("orders", 3).await;
    broker.admin_state();
    let text = broker.metrics.encode().unwrap();
    let series = text.lines().filter(|line| line.contains("partition=\"")).count();
    assert_eq!(series, 13, "one partition whole, no part of another: {text}");
    assert!(
        text.contains("thalweg_metrics_series_left_out{scope=\"partition\"} 26\n"),
        "{text}"
    );
    assert!(text.contains("thalweg_partitions 3\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_offset_is_that_of_its_batch_and_is_remembered() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("orders", 1).await;
    let sent = Clock::System.now().0 - 60_000;
    broker.append(&topic, 0, &[sent, sent + 5]).await;
    broker.append(&topic, 0, &[sent + 1000]).await;
    let (log, times) = (broker.log(&topic, 0), lag::OffsetTimes::default());
    for _ in 0..2 {
        let mut lookup = times.lookup(10);
        assert_eq!(lookup.time_at(&log, Offset(0)), Some(TimestampMs(sent)));
        assert_eq!(lookup.time_at(&log, Offset(2)), Some(TimestampMs(sent + 1000)));
        assert_eq!(lookup.time_at(&log, Offset(3)), None, "at the end");
        assert_eq!(lookup.time_at(&log, Offset(9)), None, "past the end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_series_are_bounded_by_a_setting_of_their_own() {
    let broker = TestBroker::start(&[("metrics.topic.series.max", "5")]);
    for name in ["a", "b", "c", "d"] {
        broker.create(name, 1).await;
    }
    broker.admin_state();
    let text = broker.metrics.encode().unwrap();
    let shown = text
        .lines()
        .filter(|line| line.starts_with("kafka_topic_partitions{"));
    assert_eq!(shown.count(), 2, "two series each, and room for five: {text}");
    assert!(
        text.contains("thalweg_metrics_series_left_out{scope=\"topic_or_group\"} 4\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_recovers_is_alive_and_says_why_it_is_not_ready() {
    let broker = TestBroker::start(&[]);
    let (state, progress) = broker.admin_starting();
    let (address, _serving) = listen_with(state.clone()).await;
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    let ready = get(address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(
        ready.ends_with("\n- recovering: the data directory is being opened\n"),
        "{ready}"
    );
    let metrics = get(address, "/metrics").await;
    for line in ["thalweg_recovering 1\n", "thalweg_ready 0\n", "process_open_fds "] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(
        !metrics.contains("kafka_"),
        "nothing is known of topics: {metrics}"
    );
    let topics = get(address, "/v1/topics").await;
    assert!(
        topics.starts_with("HTTP/1.1 503") && topics.contains("the broker is recovering"),
        "{topics}"
    );
    progress.finish();
    state.serving(broker.admin_parts()).unwrap();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = get(address, "/metrics").await;
    for line in [
        "thalweg_recovering 0\n",
        "thalweg_ready 1\n",
        "kafka_brokers 1\n",
        "kafka_broker_info{id=\"0\",address=\"127.0.0.1:9092\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_log_is_not_alive_and_not_ready() {
    let (failed, disk) = (Arc::new(AtomicBool::new(false)), SimulatedDisk::new());
    let noted = failed.clone();
    let fatal = Box::new(move |_: &CommitError| noted.store(true, Ordering::SeqCst));
    let broker = TestBroker::start_on(Arc::new(disk.clone()), fatal, &[]);
    let topic = broker.create("orders", 1).await;
    broker.append(&topic, 0, &[100]).await;
    let (address, _serving) = listen(&broker).await;
    assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200"));
    // One of the next calls is the log's, whatever the background work does meanwhile.
    for call in 0..50 {
        disk.fail_after(call, Fault::Io);
    }
    let doomed = broker.try_append(&topic, 0, &[200]).await;
    assert!(doomed.is_err());
    // Whoever waits for a batch is told before the process is.
    let told = async {
        while !failed.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told)
        .await
        .expect("the process is told");
    for path in ["/livez", "/readyz"] {
        let answer = get(address, path).await;
        assert!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("the write-ahead log failed"),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_room_is_ready_and_says_what_it_refuses() {
    let broker = TestBroker::start(&[]);
    let (state, progress) = broker.admin_starting();
    progress.finish();
    let parts = broker.admin_parts();
    let gate = parts.gate.clone();
    state.serving(parts).unwrap();
    let (address, _serving) = listen_with(state).await;
    assert!(get(address, "/readyz").await.ends_with("\r\n\r\nready\n"));
    let marks = DiskMarks {
        high_percent: 95,
        low_percent: 90,
    };
    let space = |available| DiskSpace {
        total: 100,
        available,
    };
    gate.observe(space(1), marks);
    let ready = get(address, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("ready, with limits\n- the disk is fuller than"),
        "{ready}"
    );
    gate.observe(space(50), marks);
    broker.topics.engine().note_disk_full("a test");
    let ready = get(address, "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("\n- the disk is full: produce is refused"),
        "{ready}"
    );
    let cluster = get(address, "/v1/cluster").await;
    assert!(
        cluster.contains("\"ready\":true") && cluster.contains("\"limits\":[\"the disk is full"),
        "{cluster}"
    );
    assert!(get(address, "/metrics").await.contains("thalweg_ready 1\n"));
}
