//! One HTTP/1.1 request over a plain socket: enough for `/readyz`, `/livez`, `/metrics`, and Connect's REST interface.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Connect answers a change when its cluster has taken it.
const TIMEOUT_OF_CHANGES: Duration = Duration::from_secs(30);

/// An answer: status code and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code, such as 200.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Sends `GET path` to `address` and reads the answer until the server closes the connection.
///
/// # Errors
/// Connection errors, timeouts (5 s per read), and an answer that does not start as HTTP does.
pub fn get(address: &str, path: &str) -> std::io::Result<Answer> {
    // In one piece: a server may answer and close as soon as it has seen the request line.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, &request, TIMEOUT)
}

/// Sends `PUT path` with JSON to `address` and reads the answer until the server closes the connection.
///
/// # Errors
/// As [`get`]; the timeout is 30 s per read.
pub fn put_json(address: &str, path: &str, json: &str) -> std::io::Result<Answer> {
    send_json(address, "PUT", path, json)
}

/// Sends a request with JSON to `address` and reads the answer until the server closes the connection.
///
/// # Errors
/// As [`get`]; the timeout is 30 s per read.
pub fn send_json(address: &str, method: &str, path: &str, json: &str) -> std::io::Result<Answer> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    );
    exchange(address, &request, TIMEOUT_OF_CHANGES)
}

fn exchange(address: &str, request: &str, timeout: Duration) -> std::io::Result<Answer> {
    let invalid = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let socket: SocketAddr = address.parse().map_err(|_| invalid("address is not ip:port"))?;
    let mut stream = TcpStream::connect_timeout(&socket, TIMEOUT)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| invalid("no end of headers"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| invalid("no status code"))?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status, body })
}

/// Joins the chunks of a chunked body.
fn unchunk(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = rest.get(..size).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        joined.push_str(chunk);
        body = rest.get(size + 2..).unwrap_or("");
    }
    joined
}

#[cfg(test)]
#[path = "http_test.rs"]
mod tests;
