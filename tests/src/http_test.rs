use std::net::TcpListener;

use super::*;

/// Serves one request with `answer` and returns what the client made of it.
fn ask(answer: &'static str) -> std::io::Result<Answer> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 512];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        });
        get(&address, "/readyz")
    })
}

#[test]
fn status_and_body_are_read() {
    let answer =
        ask("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nloading").expect("an answer");
    assert_eq!(
        answer,
        Answer {
            status: 503,
            body: "loading".to_owned()
        }
    );
}

#[test]
fn a_chunked_body_is_joined() {
    let answer = ask("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(answer.expect("an answer").body, "abcde");
}

#[test]
fn what_is_not_http_is_an_error() {
    assert!(ask("SSH-2.0-x\r\n").is_err());
}
