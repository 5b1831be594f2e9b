//! A socket that says whatever a test wants to a broker, well-formed or not.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a connect or a write may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A longer answer than this is a fault of its own.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole frame, without its length.
    Frame(Vec<u8>),
    /// The broker closed the connection.
    Closed,
    /// Neither within the time given.
    Nothing,
}

/// A plain connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn connect(address: &str) -> std::io::Result<Raw> {
        let socket: SocketAddr = address
            .parse()
            .map_err(|_| std::io::Error::new(ErrorKind::InvalidInput, "address is not ip:port"))?;
        let stream = TcpStream::connect_timeout(&socket, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Raw { stream })
    }

    /// Sends bytes. A broker that has closed already is no error: the answer will say so.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends what can be sent without waiting, and returns how much that was.
    pub fn send_without_waiting(&mut self, bytes: &[u8]) -> usize {
        if self.stream.set_nonblocking(true).is_err() {
            return 0;
        }
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(count) if count > 0 => sent += count,
                _ => break,
            }
        }
        let _ = self.stream.set_nonblocking(false);
        sent
    }

    /// Reads one frame.
    pub fn hear(&mut self, within: Duration) -> Heard {
        let deadline = Instant::now() + within;
        let mut length = [0; 4];
        if let Err(end) = self.fill(&mut length, deadline) {
            return end;
        }
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        assert!(
            length <= ANSWER_BYTES_MAX,
            "the broker announces an answer of {length} bytes"
        );
        let mut frame = vec![0; length];
        match self.fill(&mut frame, deadline) {
            Ok(()) => Heard::Frame(frame),
            Err(end) => end,
        }
    }

    fn fill(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<(), Heard> {
        let mut filled = 0;
        while filled < buffer.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.max(Duration::from_millis(1));
            if self.stream.set_read_timeout(Some(wait)).is_err() {
                return Err(Heard::Closed);
            }
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err(Heard::Closed),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if left.is_zero() {
                        return Err(Heard::Nothing);
                    }
                }
                Err(_) => return Err(Heard::Closed),
            }
        }
        Ok(())
    }
}

/// How a request's header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderForm {
    /// Without tagged fields (header version 1).
    Plain,
    /// With tagged fields (header version 2, KIP-482).
    Flexible,
}

/// A request frame with its length: header and the body's bytes as they are.
pub fn request(
    (api_key, version): (i16, i16),
    correlation_id: i32,
    form: HeaderForm,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.extend(api_key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation_id.to_be_bytes());
    frame.extend(3_i16.to_be_bytes());
    frame.extend(b"raw");
    if form == HeaderForm::Flexible {
        frame.push(0);
    }
    frame.extend(body);
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

/// A Fetch (version 4) of one partition from `offset` on, for up to `bytes` bytes.
pub fn fetch(topic: &str, partition: i32, offset: i64, bytes: i32) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((-1_i32).to_be_bytes());
    body.extend(100_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(bytes.to_be_bytes());
    body.push(0);
    body.extend(1_i32.to_be_bytes());
    body.extend(i16::try_from(topic.len()).unwrap_or(i16::MAX).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(partition.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend(bytes.to_be_bytes());
    request((1, 4), 1, HeaderForm::Plain, &body)
}

/// A Produce (version 8, acks=all) of these bytes for partition 0.
pub fn produce(topic: &str, correlation_id: i32, records: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((-1_i16).to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(30_000_i32.to_be_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(i16::try_from(topic.len()).unwrap_or(i16::MAX).to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(i32::try_from(records.len()).unwrap_or(i32::MAX).to_be_bytes());
    body.extend(records);
    request((0, 8), correlation_id, HeaderForm::Plain, &body)
}

/// What an answer to [`produce`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// Of the request.
    pub correlation_id: i32,
    /// Kafka's code.
    pub error_code: i16,
    /// Of the batch, −1 if it was refused.
    pub base_offset: i64,
    /// Records named as wrong (KIP-467).
    pub wrong_records: Vec<i32>,
}

/// Reads an answer to [`produce`].
///
/// # Panics
/// When the answer is not one.
pub fn read_produced(answer: &[u8]) -> Produced {
    let mut rest = answer;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let correlation_id = take(4) as i32;
    assert_eq!(take(4), 1, "one topic: {answer:?}");
    let name = take(2) as usize;
    take(name);
    assert_eq!(take(4), 1, "one partition: {answer:?}");
    assert_eq!(take(4), 0, "its index: {answer:?}");
    let error_code = take(2) as i16;
    let base_offset = take(8) as i64;
    take(8);
    take(8);
    let wrong_records = (0..take(4)).map(|_| {
        let index = take(4) as i32;
        let message = (take(2) as i16).max(0);
        take(message as usize);
        index
    });
    Produced {
        correlation_id,
        error_code,
        base_offset,
        wrong_records: wrong_records.collect(),
    }
}

/// ApiVersions in its oldest form.
pub fn api_versions(correlation_id: i32) -> Vec<u8> {
    request((18, 0), correlation_id, HeaderForm::Plain, &[])
}

/// The ranges in an answer to [`api_versions`]: key, oldest and newest version.
///
/// # Panics
/// When the answer is not one.
pub fn read_api_versions(answer: &[u8]) -> Vec<(i16, i16, i16)> {
    let number = |at: usize| i16::from_be_bytes([answer[at], answer[at + 1]]);
    assert!(
        answer.len() > 10 && number(4) == 0,
        "no ApiVersions answer: {answer:?}"
    );
    let count = usize::try_from(number(8)).unwrap_or(0);
    (0..count)
        .map(|index| 10 + 6 * index)
        .map(|at| (number(at), number(at + 2), number(at + 4)))
        .collect()
}
