//! How long silence is borne and how throttling mutes, on a clock that the tests move: in-memory pipes instead
//! of sockets.

use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;

use super::super::connection;
use super::super::metrics::CloseReason;
use super::*;
use crate::api::ConnectionInfo;

/// One connection over a pipe that holds 16 KiB.
struct Pipe {
    client: DuplexStream,
    budget: MemoryBudget,
    task: JoinHandle<CloseReason>,
    _trigger: ShutdownTrigger,
}

fn connect(script: &Script, total: u64) -> Pipe {
    let (trigger, shutdown) = shutdown_channel();
    let settings = NetworkSettings {
        request_size_max: 1 << 20,
        ..usual()
    };
    let budget = MemoryBudget::new(BudgetSettings {
        total,
        frame_max: 1 << 20,
        response_total_max: total,
    });
    let metrics = NetworkMetrics::new(&Metrics::new().unwrap(), &budget).unwrap();
    let handles = ServeHandles::new(settings, budget.clone(), script.dispatcher(), metrics, shutdown);
    let (client, server) = duplex(16 * 1024);
    let (reader, writer) = tokio::io::split(server);
    let info = ConnectionInfo::new(1, ([127, 0, 0, 1], 1).into(), Arc::from("PLAINTEXT"));
    let task = tokio::spawn(connection::serve(
        reader,
        writer,
        Arc::new(info),
        Arc::new(handles),
    ));
    Pipe {
        client,
        budget,
        task,
        _trigger: trigger,
    }
}

/// Waits for the end and returns why and when it came, in whole seconds since `start`.
async fn ending(task: JoinHandle<CloseReason>, start: Instant) -> (CloseReason, u64) {
    let reason = task.await.unwrap();
    (reason, start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_silence_end_a_connection() {
    let start = Instant::now();
    let pipe = connect(&Script::new(), 64 * MIB);
    assert_eq!(ending(pipe.task, start).await, (CloseReason::Idle, 600));
}

#[tokio::test(start_paused = true)]
async fn the_silence_counts_from_the_last_request() {
    let start = Instant::now();
    let mut pipe = connect(&Script::new(), 64 * MIB);
    for id in 0..3 {
        sleep(Duration::from_secs(500)).await;
        pipe.client.write_all(&request(id, "ready")).await.unwrap();
    }
    assert_eq!(ending(pipe.task, start).await, (CloseReason::Idle, 2100));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_takes_an_hour_is_no_silence() {
    let script = Script::new();
    let start = Instant::now();
    let mut pipe = connect(&script, 64 * MIB);
    pipe.client.write_all(&request(1, "gate")).await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    script.gate.add_permits(1);
    assert_eq!(ending(pipe.task, start).await, (CloseReason::Idle, 4200));
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_pause_for_half_a_minute() {
    let start = Instant::now();
    let mut pipe = connect(&Script::new(), 64 * MIB);
    let bytes = request(1, "ready");
    pipe.client.write_all(&bytes[..9]).await.unwrap();
    sleep(Duration::from_secs(29)).await;
    pipe.client.write_all(&bytes[9..10]).await.unwrap();
    // Noticed at the latest when the next look is due, half a minute after the limit.
    let (reason, seconds) = ending(pipe.task, start).await;
    assert_eq!(reason, CloseReason::Stalled);
    assert!((59..=90).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_borne_as_long_as_an_idle_one() {
    let start = Instant::now();
    let mut pipe = connect(&Script::new(), 64 * MIB);
    pipe.client.write_all(&request(1, "big:1000000")).await.unwrap();
    let (reason, seconds) = ending(pipe.task, start).await;
    assert_eq!(reason, CloseReason::SlowReader);
    assert!((600..=602).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_given_up_sooner_when_others_wait_for_memory() {
    let start = Instant::now();
    let mut pipe = connect(&Script::new(), 64 * MIB);
    pipe.client.write_all(&request(1, "big:1000000")).await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let _held = pipe.budget.charge_response(64 * MIB);
    let budget = pipe.budget.clone();
    let waiting = tokio::spawn(async move { budget.acquire_response(MIB).await });
    let (reason, seconds) = ending(pipe.task, start).await;
    assert_eq!(reason, CloseReason::SlowReader);
    assert!((10..=12).contains(&seconds), "{seconds}");
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_stands_still_is_given_up_sooner_when_others_wait_for_memory() {
    let start = Instant::now();
    let mut pipe = connect(&Script::new(), 64 * MIB);
    sleep(Duration::from_secs(25)).await;
    pipe.client.write_all(&request(1, "ready")[..9]).await.unwrap();
    let _held = pipe.budget.charge_response(64 * MIB);
    let budget = pipe.budget.clone();
    let waiting = tokio::spawn(async move { budget.acquire_response(MIB).await });
    let (reason, seconds) = ending(pipe.task, start).await;
    assert_eq!(reason, CloseReason::Stalled);
    assert!((35..=36).contains(&seconds), "{seconds}");
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_went_away_is_not_waited_for_longer_than_a_stop() {
    let script = Script::new();
    let start = Instant::now();
    let mut pipe = connect(&script, 64 * MIB);
    pipe.client.write_all(&request(1, "gate")).await.unwrap();
    until("it is handled", || script.handled_count() == 1).await;
    drop(pipe.client);
    assert_eq!(ending(pipe.task, start).await, (CloseReason::Peer, 5));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_reply_leaves_at_once_and_mutes_the_connection() {
    let script = Script::new();
    let start = Instant::now();
    let mut pipe = connect(&script, 64 * MIB);
    let burst = [
        request(1, "throttle:3000"),
        request(2, "none:4000"),
        request(3, "ready"),
    ]
    .concat();
    pipe.client.write_all(&burst).await.unwrap();
    let mut reply = [0; 10];
    pipe.client.read_exact(&mut reply).await.unwrap();
    assert_eq!((reply[7], start.elapsed().as_secs()), (1, 0));
    sleep(Duration::from_millis(2900)).await;
    assert_eq!(
        script.handled_count(),
        1,
        "nothing is handled while the connection is muted"
    );
    pipe.client.read_exact(&mut reply).await.unwrap();
    assert_eq!(
        (reply[7], start.elapsed().as_secs()),
        (3, 7),
        "a request without a reply mutes as well"
    );
}
