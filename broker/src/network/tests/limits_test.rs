//! Limits on requests in flight, frames, memory, silence and connections.

use super::*;

#[tokio::test]
async fn no_more_than_the_limit_are_in_flight() {
    let script = Script::new();
    let settings = NetworkSettings {
        in_flight_max: 2,
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
    for id in 1..=5 {
        client.send(&request(id, "gate")).await;
    }
    until("two are handled", || script.handled_count() == 2).await;
    sleep(NEVER).await;
    assert_eq!(script.handled_count(), 2);
    script.gate.add_permits(1);
    assert_eq!(client.receive_id().await, 1);
    until("a third is handled", || script.handled_count() == 3).await;
    script.gate.add_permits(4);
    for expected in 2..=5 {
        assert_eq!(client.receive_id().await, expected);
    }
}

#[tokio::test]
async fn frames_that_are_no_request_close_after_the_replies_before_them() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let too_large = (101i32 << 20).to_be_bytes().to_vec();
    let refused = [
        ("a negative length", (-5i32).to_be_bytes().to_vec()),
        ("a length below any header", 3i32.to_be_bytes().to_vec()),
        ("a length above the limit", too_large),
        ("an unknown key", raw_request((999, 0), 9, b"")),
        ("a client id beyond the frame", {
            let mut bytes = request(9, "");
            bytes[12..14].copy_from_slice(&1000i16.to_be_bytes());
            bytes
        }),
    ];
    for (what, bytes) in refused {
        let mut client = server.connect().await;
        client.send(&[request(1, "ready"), bytes].concat()).await;
        assert_eq!(client.receive_id().await, 1, "{what}");
        client.is_closed().await;
    }
}

#[tokio::test]
async fn a_claim_without_bytes_holds_little_memory() {
    let server = Server::start(Setup::default(), Script::new().dispatcher()).await;
    let mut client = server.connect().await;
    let mut claim = request(1, "ready");
    claim[..4].copy_from_slice(&(100i32 << 20).to_be_bytes());
    client.send(&claim[..14]).await;
    until("the claim is read", || server.budget.usage().requests > 0).await;
    assert!(
        server.budget.usage().requests < 200 * 1024,
        "{:?}",
        server.budget.usage()
    );
    drop(client);
    until("the memory is given back", || server.budget.usage().requests == 0).await;
}

#[tokio::test]
async fn many_large_requests_stay_within_a_small_budget_and_all_finish() {
    let settings = NetworkSettings {
        request_size_max: 2 << 20,
        ..usual()
    };
    let server = Server::start(
        Setup {
            settings,
            budget: 8 * MIB,
        },
        Script::new().dispatcher(),
    )
    .await;
    let padded = request(1, &format!("ready{}", ".".repeat(2_000_000)));
    let mut clients = Vec::new();
    for _ in 0..24 {
        let mut client = server.connect().await;
        let padded = padded.clone();
        clients.push(tokio::spawn(async move {
            client.send(&padded).await;
            assert_eq!(client.receive_id().await, 1);
        }));
    }
    for client in clients {
        timeout(SOON, client).await.expect("no deadlock").unwrap();
    }
    let usage = server.budget.usage();
    assert!(usage.peak <= server.budget.total(), "{usage:?}");
    until("everything is given back", || server.budget.usage().requests == 0).await;
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_more_than_the_budget_and_loses_nothing() {
    const REPLY_SIZE: usize = 1 << 20;
    let script = Script::new();
    let settings = NetworkSettings {
        request_size_max: 2 << 20,
        ..usual()
    };
    let server = Server::start(
        Setup {
            settings,
            budget: 32 * MIB,
        },
        script.dispatcher(),
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        for id in 0..30 {
            client.send(&request(id, &format!("big:{REPLY_SIZE}"))).await;
        }
        clients.push(client);
    }
    sleep(Duration::from_millis(300)).await;
    let usage = server.budget.usage();
    // Each may hold an eighth of the response memory and the reply that crossed the line.
    assert!(usage.peak <= server.budget.total(), "{usage:?}");
    assert!(script.handled_count() < 120, "somebody has to wait");
    for client in &mut clients {
        for expected in 0..30 {
            let (id, body) = client.receive().await;
            assert_eq!(id, expected);
            assert!(
                body.iter()
                    .enumerate()
                    .all(|(position, byte)| *byte == (position % 251) as u8)
            );
            assert_eq!(body.len(), REPLY_SIZE);
        }
    }
    until("everything is given back", || {
        server.budget.usage().responses == 0
    })
    .await;
}

#[tokio::test]
async fn connections_above_a_limit_are_closed_and_counted() {
    let connection_limits = ConnectionLimits {
        per_ip_max: 2,
        ..usual().connection_limits
    };
    let settings = NetworkSettings {
        connection_limits,
        ..usual()
    };
    let server = Server::start(
        Setup {
            settings,
            ..Setup::default()
        },
        Script::new().dispatcher(),
    )
    .await;
    let mut kept = [server.connect().await, server.connect().await];
    for client in &mut kept {
        client.send(&request(1, "ready")).await;
        client.receive_id().await;
    }
    server.connect().await.is_closed().await;
    let text = server.metrics.encode().unwrap();
    let rejected =
        "thalweg_connections_rejected_total{limit=\"max.connections.per.ip\",listener=\"PLAINTEXT\"} 1";
    assert!(text.contains(rejected), "{text}");
    drop(kept);
    until("a place is free", || {
        server
            .metrics
            .encode()
            .unwrap()
            .contains("thalweg_connections{listener=\"PLAINTEXT\"} 0")
    })
    .await;
    let mut client = server.connect().await;
    client.send(&request(1, "ready")).await;
    assert_eq!(client.receive_id().await, 1);
}

#[tokio::test]
async fn limits_changed_while_the_broker_runs_hold_for_the_next_connection() {
    let set = |key: &str, value: &str| {
        let builder = Settings::builder(Profile::Serve).set(key, value);
        builder.build().unwrap()
    };
    let live = LiveSettings::new(set("max.connections", "1"));
    let setup = Setup {
        settings: NetworkSettings::from_settings(&live.current(), Some(1024)),
        ..Setup::default()
    };
    let server = Server::start(setup, Script::new().dispatcher()).await;
    let following = tokio::spawn(follow_settings(server.handles.clone(), live.clone()));
    let mut first = server.connect().await;
    first.send(&request(1, "ready")).await;
    assert_eq!(first.receive_id().await, 1);
    server.connect().await.is_closed().await;
    // `follow_settings` has the new ones when a connection is served: until then each is closed.
    for (key, value) in [
        ("max.connections", "2"),
        ("max.connections.per.ip", "2"),
        ("max.connections.per.ip.overrides", "127.0.0.1:2"),
    ] {
        live.replace(set("max.connections", "1"));
        until("one connection is the most", || {
            server.handles.connections_max() == 1
        })
        .await;
        live.replace(set(key, value));
        until("the new limit holds", || server.handles.connections_max() > 1).await;
        let mut second = server.connect().await;
        second.send(&request(2, "ready")).await;
        assert_eq!(second.receive_id().await, 2, "{key}");
        server.connect().await.is_closed().await;
        drop(second);
        until("its place is free", || {
            let text = server.metrics.encode().unwrap();
            text.contains("thalweg_connections{listener=\"PLAINTEXT\"} 1")
        })
        .await;
    }
    // Without a limit of their own, connections stay below the open files.
    live.replace(Settings::defaults(Profile::Serve));
    until("the open files bound them", || {
        server.handles.connections_max() == 768
    })
    .await;
    first.send(&request(3, "ready")).await;
    assert_eq!(first.receive_id().await, 3, "open connections stay");
    following.abort();
}
