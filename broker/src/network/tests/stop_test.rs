//! The two ways to stop, listeners that cannot start, and what is counted.

use super::*;

#[tokio::test]
async fn a_graceful_stop_sends_what_is_owed_and_takes_nothing_new() {
    let script = Script::new();
    let server = Server::start(Setup::default(), script.dispatcher()).await;
    let (mut client, mut idle) = (server.connect().await, server.connect().await);
    client
        .send(&[request(1, "gate"), request(2, "ready")].concat())
        .await;
    until("both are handled", || script.handled_count() == 2).await;
    server.trigger.request();
    idle.is_closed().await;
    client.send(&request(3, "ready")).await;
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "the port is closed"
    );
    script.gate.add_permits(1);
    assert_eq!(client.receive_id().await, 1);
    assert_eq!(client.receive_id().await, 2);
    client.is_closed().await;
    timeout(SOON, server.task)
        .await
        .expect("the network ends")
        .unwrap();
    assert_eq!(script.handled_count(), 2, "the third was not begun");
}

#[tokio::test]
async fn a_graceful_stop_does_not_wait_for_ever() {
    let script = Script::new();
    let settings = NetworkSettings {
        drain_max: Duration::from_millis(100),
        ..usual()
    };
    let server = Server::start(
        Setup {
            settings,
            ..Setup::default()
        },
        script.dispatcher(),
    )
    .await;
    let mut client = server.connect().await;
    client.send(&request(1, "gate")).await;
    until("it is handled", || script.handled_count() == 1).await;
    server.trigger.request();
    client.is_closed().await;
    timeout(SOON, server.task)
        .await
        .expect("the network ends")
        .unwrap();
}

#[tokio::test]
async fn a_fast_stop_waits_for_nothing() {
    let script = Script::new();
    let settings = NetworkSettings {
        drain_max: Duration::from_secs(3600),
        ..usual()
    };
    let (trigger, shutdown) = shutdown_channel();
    let watcher = shutdown.clone();
    let setup = Setup {
        settings,
        ..Setup::default()
    };
    let server = Server::start_with(setup, script.dispatcher(), (trigger, shutdown)).await;
    let mut client = server.connect().await;
    client.send(&request(1, "gate")).await;
    until("it is handled", || script.handled_count() == 1).await;
    server.trigger.force();
    assert_eq!(watcher.phase(), Phase::Fast);
    client.is_closed().await;
    timeout(SOON, server.task)
        .await
        .expect("the network ends")
        .unwrap();
    until("its memory is given back", || server.budget.usage().requests == 0).await;
}

#[tokio::test]
async fn a_taken_port_names_itself_and_the_flag() {
    let first = Listener::bind(&any_port()).await.unwrap();
    let port = first.local_address().port();
    let again = ListenerSettings { port, ..any_port() };
    let text = Listener::bind(&again).await.unwrap_err().to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}")) && text.contains("--set listeners=PLAINTEXT://"),
        "{text}"
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    let elsewhere = ListenerSettings {
        host: "192.0.2.1".to_owned(),
        port: 9092,
        ..any_port()
    };
    let text = Listener::bind(&elsewhere).await.unwrap_err().to_string();
    assert!(
        text.contains("192.0.2.1:9092") && text.contains("listeners"),
        "{text}"
    );
}

#[tokio::test]
async fn requests_are_counted_and_timed_by_api() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let mut client = server.connect().await;
    client.send(&request(1, "ready")).await;
    client.receive_id().await;
    until("the request is counted", || {
        let text = server.metrics.encode().unwrap();
        text.contains("thalweg_requests_total{api=\"ApiVersions\",result=\"ok\"} 1")
    })
    .await;
    let text = server.metrics.encode().unwrap();
    for line in [
        "thalweg_request_bytes_total{api=\"ApiVersions\"} 16",
        "thalweg_response_bytes_total{api=\"ApiVersions\"} 10",
        "thalweg_request_seconds_count{api=\"ApiVersions\"} 1",
        "thalweg_request_queue_seconds_count{api=\"ApiVersions\"} 1",
        "thalweg_request_handle_seconds_count{api=\"ApiVersions\"} 1",
        "thalweg_connections{listener=\"PLAINTEXT\"} 1",
        "thalweg_memory_budget_bytes 536870912",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
