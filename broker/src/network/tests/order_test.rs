//! Order of effects and replies, failures, throttling.

use super::*;

#[tokio::test]
async fn replies_leave_in_the_order_of_their_requests() {
    let script = Script::new();
    let server = Server::start(Setup::default(), script.dispatcher()).await;
    let mut client = server.connect().await;
    let burst = [
        request(1, "gate"),
        request(2, "ready"),
        request(3, "gate"),
        request(4, "ready"),
    ]
    .concat();
    client.send(&burst).await;
    until("all four are handled while the first reply waits", || {
        script.handled_count() == 4
    })
    .await;
    client.receives_nothing().await;
    script.gate.add_permits(1);
    assert_eq!(client.receive_id().await, 1);
    assert_eq!(client.receive_id().await, 2);
    client.receives_nothing().await;
    script.gate.add_permits(1);
    assert_eq!(client.receive_id().await, 3);
    assert_eq!(client.receive_id().await, 4);
}

#[tokio::test]
async fn effects_happen_in_arrival_order() {
    let script = Script::new();
    let server = Server::start(Setup::default(), script.dispatcher()).await;
    let mut client = server.connect().await;
    client
        .send(&[request(1, "slow:50"), request(2, "ready"), request(3, "slow:5")].concat())
        .await;
    for expected in 1..=3 {
        assert_eq!(client.receive_id().await, expected);
    }
    assert_eq!(*script.handled.lock(), [1, 2, 3]);
}

#[tokio::test]
async fn a_request_sent_byte_by_byte_is_answered() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let mut client = server.connect().await;
    client.stream.set_nodelay(true).unwrap();
    for byte in [request(1, "ready"), request(2, "ready")].concat() {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.receive().await, (1, b"ok".to_vec()));
    assert_eq!(client.receive_id().await, 2);
}

#[tokio::test]
async fn a_large_request_arrives_whole() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let mut client = server.connect().await;
    let padded = format!("ready{}", ".".repeat(3 << 20));
    client
        .send(&[request(1, &padded), request(2, "ready"), request(3, &padded)].concat())
        .await;
    for expected in 1..=3 {
        assert_eq!(client.receive_id().await, expected);
    }
    until("its memory is given back", || server.budget.usage().requests == 0).await;
}

#[tokio::test]
async fn a_request_without_a_reply_leaves_no_gap() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let mut client = server.connect().await;
    client
        .send(&[request(1, "none"), request(2, "ready"), request(3, "answer")].concat())
        .await;
    assert_eq!(client.receive_id().await, 2);
    assert_eq!(client.receive().await, (3, b"early".to_vec()));
}

#[tokio::test]
async fn a_failed_request_closes_its_connection_after_earlier_replies_and_no_other() {
    let script = Script::new();
    let server = Server::start(Setup::default(), script.dispatcher()).await;
    let mut bystander = server.connect().await;
    for command in ["panic", "panic-later", "close", "refuse"] {
        let mut client = server.connect().await;
        client
            .send(&[request(1, "ready"), request(2, command), request(3, "ready")].concat())
            .await;
        assert_eq!(client.receive_id().await, 1, "{command}");
        let mut rest = Vec::new();
        let _ = timeout(SOON, client.stream.read_to_end(&mut rest))
            .await
            .expect("closed in time");
        assert!(
            rest.is_empty(),
            "{command}: nothing may be sent in place of the failed reply"
        );
        bystander.send(&request(7, "ready")).await;
        assert_eq!(bystander.receive_id().await, 7, "{command}");
    }
    until("the results are counted", || {
        let text = server.metrics.encode().unwrap();
        text.contains("thalweg_requests_total{api=\"ApiVersions\",result=\"panicked\"} 2")
    })
    .await;
}

#[tokio::test]
async fn a_half_closed_connection_gets_its_replies() {
    let script = Script::new();
    let server = Server::start(Setup::default(), script.dispatcher()).await;
    let mut client = server.connect().await;
    client.send(&request(1, "gate")).await;
    until("it is handled", || script.handled_count() == 1).await;
    client.stream.shutdown().await.unwrap();
    sleep(NEVER).await;
    script.gate.add_permits(1);
    assert_eq!(client.receive_id().await, 1);
    client.is_closed().await;
}
