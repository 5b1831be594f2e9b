use super::*;
use crate::line::frame::Compression;
use tokio::io::DuplexStream;
use tokio::time::sleep;

const SOON: Duration = Duration::from_secs(20);

fn codecs() -> (Packer, Unpacker) {
    let compression = Compression {
        level: 1,
        window_log: 18,
    };
    (Packer::new(Some(compression)).unwrap(), Unpacker::new().unwrap())
}

fn free() -> (Arc<Rate>, Arc<LineCounts>) {
    (Arc::new(Rate::new(None)), Arc::default())
}

/// A service and an agent whose brokers are behind `broker`.
fn joined(
    broker: impl Fn(Address) -> Result<DuplexStream, String> + Send + Sync + 'static,
) -> (Session, tokio::task::JoinHandle<String>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let broker = Arc::new(broker);
    let opener: Opener = Arc::new(move |address| {
        let broker = Arc::clone(&broker);
        Box::pin(async move { broker(address).map(|stream| Box::new(stream) as Box<dyn ByteStream>) })
    });
    let (_agent, agent_over) = Session::start(Box::new(far), codecs(), Some(opener), free());
    tokio::spawn(async move {
        let _kept = _agent;
        agent_over.await
    });
    let (service, over) = Session::start(Box::new(near), codecs(), None, free());
    (service, tokio::spawn(over))
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

async fn open(session: &Session, to: &str) -> Result<Box<dyn ByteStream>, String> {
    session.open(&address(to), Instant::now() + SOON).await
}

/// A broker that sends back what it gets.
fn echo(_: Address) -> Result<DuplexStream, String> {
    let (outside, inside) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(inside);
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    Ok(outside)
}

#[tokio::test]
async fn megabytes_come_back_as_they_went() {
    let (session, _over) = joined(echo);
    let stream = open(&session, "broker:9092").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..3 * WINDOW_BYTES as u32)
        .map(|number| (number ^ (number >> 7)) as u8)
        .collect();
    let copy = sent.clone();
    let writing = tokio::spawn(async move { writer.write_all(&copy).await.map(|()| writer) });
    let mut back = vec![0; sent.len()];
    timeout(SOON, reader.read_exact(&mut back))
        .await
        .unwrap()
        .unwrap();
    assert!(back == sent, "bytes are changed");
    drop(writing.await.unwrap().unwrap());
    drop(reader);
    let closed = async {
        while session.open_streams() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, closed)
        .await
        .expect("a stream that is dropped is closed");
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let flood = |to: Address| {
        if to.host == "echo" {
            return echo(to);
        }
        let (outside, mut inside) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move { while inside.write_all(&[7; 10_000]).await.is_ok() {} });
        Ok(outside)
    };
    let (session, _over) = joined(flood);
    let unread = open(&session, "flood:1").await.unwrap();
    sleep(Duration::from_millis(200)).await;
    let mut other = open(&session, "echo:1").await.unwrap();
    other.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    timeout(SOON, other.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"hello");
    // What waits for the reader is a window, and what lies in the pipes on both sides.
    let mut unread = unread;
    let mut first = vec![0; WINDOW_BYTES];
    timeout(SOON, unread.read_exact(&mut first))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_refusal_arrives_with_its_reason() {
    let (session, _over) = joined(|to| Err(format!("{to} cannot be reached: no route")));
    let refused = open(&session, "broker:9092").await.err().unwrap();
    assert_eq!(refused, "broker:9092 cannot be reached: no route");
    assert_eq!(session.open_streams(), 0);
}

#[tokio::test]
async fn streams_are_bounded() {
    let (session, _over) = joined(echo);
    let mut kept = Vec::new();
    for _ in 0..STREAMS_MAX {
        kept.push(open(&session, "broker:9092").await.unwrap());
    }
    let refused = open(&session, "broker:9092").await.err().unwrap();
    assert!(refused.contains("64 connections already"), "{refused}");
}

/// Sends frames to a service as a broken or hostile agent would, and returns why the line ended.
async fn told(frames: &[Frame]) -> String {
    let (near, mut far) = tokio::io::duplex(64 << 20);
    let (_session, over) = Session::start(Box::new(near), codecs(), None, free());
    let mut packer = codecs().0;
    let mut packed = BytesMut::new();
    for frame in frames {
        packer.pack(frame, &mut packed).unwrap();
    }
    far.write_all(&packed).await.unwrap();
    timeout(SOON, over).await.expect("the line ends")
}

#[tokio::test]
async fn an_agent_cannot_ask_the_service_for_connections() {
    let why = told(&[control(
        Kind::Open,
        1,
        Bytes::from_static(b"metadata.internal:80"),
    )])
    .await;
    assert!(why.contains("only this end may"), "{why}");
}

#[tokio::test]
async fn more_than_a_window_of_credit_ends_the_line() {
    let (near, mut far) = tokio::io::duplex(64 << 20);
    let (session, over) = Session::start(Box::new(near), codecs(), None, free());
    let over = tokio::spawn(over);
    let opening = tokio::spawn(async move { open(&session, "broker:9092").await });
    let mut packer = codecs().0;
    let mut packed = BytesMut::new();
    let much = Bytes::copy_from_slice(&u32::MAX.to_be_bytes());
    for frame in [
        control(Kind::Opened, 1, Bytes::new()),
        control(Kind::Credit, 1, much),
    ] {
        packer.pack(&frame, &mut packed).unwrap();
    }
    // Not before the stream is known.
    let mut asked = [0; HEADER_BYTES];
    far.read_exact(&mut asked).await.unwrap();
    far.write_all(&packed).await.unwrap();
    let why = timeout(SOON, over).await.expect("the line ends").unwrap();
    assert!(why.contains("more credit"), "{why}");
    drop(opening.await);
}

#[tokio::test]
async fn more_bytes_than_the_window_end_the_line() {
    let (near, mut far) = tokio::io::duplex(64 << 20);
    let (session, over) = Session::start(Box::new(near), codecs(), None, free());
    let over = tokio::spawn(over);
    let opening = tokio::spawn(async move {
        let stream = open(&session, "broker:9092").await;
        // Nobody reads it.
        sleep(SOON).await;
        stream
    });
    let mut asked = [0; HEADER_BYTES];
    far.read_exact(&mut asked).await.unwrap();
    let mut packer = codecs().0;
    let mut packed = BytesMut::new();
    packer
        .pack(&control(Kind::Opened, 1, Bytes::new()), &mut packed)
        .unwrap();
    for _ in 0..=(WINDOW_BYTES / PAYLOAD_MAX) + (WINDOW_BYTES / 4 / PAYLOAD_MAX) {
        let data = control(Kind::Data, 1, Bytes::from(vec![3; PAYLOAD_MAX]));
        packer.pack(&data, &mut packed).unwrap();
    }
    far.write_all(&packed).await.unwrap();
    let why = timeout(SOON, over).await.expect("the line ends").unwrap();
    assert!(why.contains("more than it may"), "{why}");
    opening.abort();
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_line() {
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let (_session, over) = Session::start(Box::new(near), codecs(), None, free());
    far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let why = timeout(SOON, over).await.expect("the line ends");
    assert!(why.contains("no frame"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_line_is_dead() {
    let (near, far) = tokio::io::duplex(64 << 10);
    let (_session, over) = Session::start(Box::new(near), codecs(), None, free());
    assert!(over.await.contains("says nothing"));
    drop(far);
}
