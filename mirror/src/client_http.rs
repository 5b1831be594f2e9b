//! The command line's side of [`crate::http`]: one small request, one answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the service may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Sends a request without a body and returns the answer's status and body.
///
/// # Errors
/// What failed, with what to do.
pub fn request(address: SocketAddr, method: &str, path: &str) -> Result<(u16, String), String> {
    let failed = |error: std::io::Error| {
        format!(
            "the service does not answer on {address}: {error}; is `thalweg-mirror run` running, with this file?"
        )
    };
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let strange = || format!("what answers on {address} speaks no HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(strange)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((
        status,
        if is_chunked {
            unchunked(body)
        } else {
            body.to_owned()
        },
    ))
}

/// Joins the pieces of a chunked body (RFC 9112 §7.1).
fn unchunked(mut body: &str) -> String {
    let mut joined = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(piece) = rest.get(..size).filter(|piece| !piece.is_empty()) else {
            break;
        };
        joined.push_str(piece);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    joined
}

/// Writes a topic's name into a query: only letters, digits, `.`, `_` and `-` stand for themselves.
#[must_use]
pub fn escaped(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_a_cut_one_ends_it() {
        assert_eq!(unchunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(unchunked("9\r\nabc"), "");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a.b&c=1"), "a.b%26c%3D1");
    }
}
