use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::Decodable;
use thalweg_settings::Profile;
use thalweg_telemetry::shutdown_channel;
use thalweg_wire::frame::{RequestHeader, encode_request, parse_response_header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Asks for Metadata v9 and returns where the one broker says it is.
async fn told_address(address: SocketAddr) -> (String, i32) {
    let header = RequestHeader {
        api_key: 3,
        api_version: 9,
        correlation_id: 1,
        client_id: None,
    };
    let request = encode_request(&header, &MetadataRequest::default()).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut frame = vec![0; stream.read_i32().await.unwrap() as usize];
    stream.read_exact(&mut frame).await.unwrap();
    let (_, body) = parse_response_header(3, 9, &frame).unwrap();
    let response = MetadataResponse::decode(&mut Bytes::from(frame).slice(body..), 9).unwrap();
    (response.brokers[0].host.to_string(), response.brokers[0].port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_on_port_0_tells_clients_the_port_it_got() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::builder(Profile::Dev)
        .set("listeners", "IN://127.0.0.1:0,OUT://127.0.0.1:0")
        .set("inter.broker.listener.name", "IN")
        .set("listener.security.protocol.map", "IN:PLAINTEXT,OUT:PLAINTEXT")
        .set("advertised.listeners", "OUT://broker.example:9")
        .set("http.listener", "")
        .set("log.dirs", &directory.path().join("data").display().to_string())
        .set("wal.file.bytes", "4194304")
        .set("wal.max.bytes", "33554432")
        .set("wal.group.max.bytes", "1048576")
        .build()
        .unwrap();
    let (trigger, _) = shutdown_channel();
    let server = Server::start(settings, &trigger).await.unwrap();
    let [inside, outside] = [0, 1].map(|index| server.started.listeners[index].1);
    let asked = async {
        let own = ("127.0.0.1".to_owned(), i32::from(inside.port()));
        assert_eq!(told_address(inside).await, own);
        assert_eq!(told_address(outside).await, ("broker.example".to_owned(), 9));
    };
    timeout(Duration::from_secs(30), asked).await.expect("in time");
    trigger.request();
    server.run().await;
}
