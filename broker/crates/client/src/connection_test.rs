use super::*;
use crate::{TopicCreation, TopicSelection};
use bytes::{Buf, BufMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use tokio::io::{AsyncReadExt, DuplexStream};

/// What the broker's side sees of a request.
struct Seen {
    key: i16,
    version: i16,
    correlation_id: i32,
    size: usize,
}

async fn read_request(stream: &mut DuplexStream) -> Option<Seen> {
    let size = stream.read_i32().await.ok()?;
    let mut frame = vec![0; size as usize];
    stream.read_exact(&mut frame).await.ok()?;
    let mut frame = &frame[..];
    Some(Seen {
        key: frame.get_i16(),
        version: frame.get_i16(),
        correlation_id: frame.get_i32(),
        size: size as usize,
    })
}

async fn answer(stream: &mut DuplexStream, correlation_id: i32, body: &[u8]) {
    let mut frame = BytesMut::new();
    frame.put_i32(body.len() as i32 + 4);
    frame.put_i32(correlation_id);
    frame.put_slice(body);
    stream.write_all(&frame).await.unwrap();
}

fn api_versions(error: ErrorCode, ranges: &[(i16, i16, i16)], version: i16) -> BytesMut {
    let api = |(key, min, max): &(i16, i16, i16)| {
        ApiVersion::default()
            .with_api_key(*key)
            .with_min_version(*min)
            .with_max_version(*max)
    };
    let response = ApiVersionsResponse::default()
        .with_error_code(error.code())
        .with_api_keys(ranges.iter().map(api).collect());
    let mut body = BytesMut::new();
    response.encode(&mut body, version).unwrap();
    body
}

fn metadata_body(topic: &str) -> BytesMut {
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.to_owned()))))
        .with_error_code(ErrorCode::UnknownTopicOrPartition.code());
    let mut body = BytesMut::new();
    // Version 9 and later: a response header with tagged fields, here two unknown ones.
    body.put_slice(&[2, 50, 1, 0xaa, 51, 0]);
    MetadataResponse::default()
        .with_topics(vec![topic])
        .encode(&mut body, 12)
        .unwrap();
    body
}

fn pair(config: &ClientConfig) -> (Connection, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (reader, writer) = tokio::io::split(ours);
    (
        Connection::start("test:9092".to_owned(), config, (reader, writer)),
        theirs,
    )
}

fn config() -> ClientConfig {
    ClientConfig::new(vec!["test:9092".parse().unwrap()])
}

/// Answers the handshake and returns the connection with its broker's side.
async fn connected(config: &ClientConfig) -> (Connection, DuplexStream) {
    let (connection, mut broker) = pair(config);
    let handshake = tokio::spawn({
        let connection = connection.clone();
        async move { connection.handshake().await }
    });
    let seen = read_request(&mut broker).await.unwrap();
    assert_eq!((seen.key, seen.version), (18, 3));
    let body = api_versions(ErrorCode::None, &[(3, 0, 12), (18, 0, 4)], 3);
    answer(&mut broker, seen.correlation_id, &body).await;
    handshake.await.unwrap().unwrap();
    (connection, broker)
}

#[tokio::test]
async fn the_handshake_falls_back_to_the_version_an_old_broker_names() {
    let (connection, mut broker) = pair(&config());
    let handshake = tokio::spawn({
        let connection = connection.clone();
        async move { connection.handshake().await }
    });
    let seen = read_request(&mut broker).await.unwrap();
    // The refusal comes in version 0, whatever was asked (KIP-511).
    let refusal = api_versions(ErrorCode::UnsupportedVersion, &[(18, 0, 1)], 0);
    answer(&mut broker, seen.correlation_id, &refusal).await;
    let seen = read_request(&mut broker).await.unwrap();
    assert_eq!(seen.version, 1);
    let body = api_versions(ErrorCode::None, &[(3, 0, 5), (18, 0, 1)], 1);
    answer(&mut broker, seen.correlation_id, &body).await;
    handshake.await.unwrap().unwrap();
    assert_eq!(connection.versions().range(3), Some((0, 5)));
    assert_eq!(connection.negotiate::<MetadataRequest>(13).unwrap(), 5);
    assert!(matches!(
        connection.negotiate_range::<MetadataRequest>(6, 13),
        Err(ClientError::Unsupported { .. })
    ));
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers() {
    // More requests than may be in flight: the rest waits and still gets through.
    let config = ClientConfig {
        in_flight_max: 3,
        ..config()
    };
    let (connection, mut broker) = connected(&config).await;
    let server = tokio::spawn(async move {
        let mut served = 0;
        while let Some(seen) = read_request(&mut broker).await {
            assert_eq!(seen.version, 12);
            // The answer names how long the request was, which tells the requests apart.
            answer(
                &mut broker,
                seen.correlation_id,
                &metadata_body(&format!("size-{}", seen.size)),
            )
            .await;
            served += 1;
        }
        served
    });
    let calls: Vec<_> = (0..20)
        .map(|length| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let name = "t".repeat(length + 1);
                let metadata = connection
                    .metadata(TopicSelection::Names(&[name]), TopicCreation::Never)
                    .await
                    .unwrap();
                metadata.topics.into_keys().next().unwrap()
            })
        })
        .collect();
    let mut sizes = Vec::new();
    for call in calls {
        let answered = call.await.unwrap();
        sizes.push(answered.strip_prefix("size-").unwrap().parse::<usize>().unwrap());
    }
    let first = sizes[0];
    assert_eq!(sizes, (first..first + 20).collect::<Vec<_>>());
    drop(connection);
    assert_eq!(server.await.unwrap(), 20);
}

async fn ask(connection: &Connection) -> ClientError {
    connection
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await
        .expect_err("the broker misbehaves")
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_ends_the_connection() {
    for wrong in [0, 99] {
        let (connection, mut broker) = connected(&config()).await;
        let server = tokio::spawn(async move {
            let seen = read_request(&mut broker).await.unwrap();
            answer(&mut broker, seen.correlation_id + wrong + 1, b"").await;
            broker
        });
        assert!(matches!(ask(&connection).await, ClientError::Closed { .. }));
        assert!(connection.is_closed());
        assert!(matches!(ask(&connection).await, ClientError::Closed { .. }));
        drop(server.await.unwrap());
    }
}

#[tokio::test]
async fn a_malformed_answer_is_named_and_ends_the_connection() {
    // A topic count of 2^31-1 would make the decoder reserve hundreds of gigabytes.
    let bodies: [&[u8]; 4] = [
        b"",
        b"\0",
        b"\x05\x01",
        &[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
    ];
    for body in bodies {
        let (connection, mut broker) = connected(&config()).await;
        let server = tokio::spawn(async move {
            let seen = read_request(&mut broker).await.unwrap();
            answer(&mut broker, seen.correlation_id, body).await;
            broker
        });
        let error = ask(&connection).await;
        assert!(
            matches!(
                error,
                ClientError::Malformed {
                    api: "Metadata",
                    version: 12,
                    ..
                }
            ),
            "{error}"
        );
        assert!(connection.is_closed());
        drop(server.await.unwrap());
    }
}

#[tokio::test]
async fn no_answer_in_time_ends_the_connection_for_all_that_wait() {
    let config = ClientConfig {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let (connection, broker) = connected(&config).await;
    let error = ask(&connection).await;
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    assert!(error.is_retriable() && !error.is_retriable_without_effect());
    let error = ask(&connection).await;
    assert!(
        error.to_string().contains("was not answered within 50 ms"),
        "{error}"
    );
    drop(broker);
}

#[tokio::test]
async fn a_broker_that_hangs_up_fails_the_waiting_call() {
    let (connection, broker) = connected(&config()).await;
    drop(broker);
    assert!(matches!(ask(&connection).await, ClientError::Closed { .. }));
}

#[tokio::test]
async fn nothing_listening_is_a_connect_error_with_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port,
    };
    let error = Connection::connect(&address, &config()).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.is_retriable_without_effect());
}

#[test]
fn an_absurd_length_is_told_as_the_protocol_it_is() {
    let size = |bytes: [u8; 4]| wrong_size(i64::from(i32::from_be_bytes(bytes)));
    assert!(size(*b"HTTP").contains("a web server's answer"));
    for tls in [[0x15, 3, 1, 0], [0x15, 3, 3, 0], [0x16, 3, 3, 2]] {
        assert!(size(tls).contains("TLS"), "{tls:?}");
    }
    assert_eq!(
        size([0x7f, 0xff, 0xff, 0xff]),
        "an answer of 2147483647 bytes is beyond the limit"
    );
    assert_eq!(size([0xff; 4]), "an answer of -1 bytes is beyond the limit");
}
