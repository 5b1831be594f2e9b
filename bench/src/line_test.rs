use super::*;

const DELAY: Duration = Duration::from_millis(60);

#[test]
fn bytes_come_whole_and_not_before_their_time() {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = target.local_addr().expect("it listens");
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = target.accept().expect("the line connects");
        let mut seen = vec![0; 300_000];
        stream.read_exact(&mut seen).expect("all bytes come");
        stream.write_all(&seen).expect("the line takes them");
        // The other end closes first.
        let _ = stream.read(&mut [0]);
    });
    let line = Line::start(Line::free_address(), address).expect("the address is free");
    line.set_delay(DELAY);
    let mut client = TcpStream::connect(line.address()).expect("the line listens");
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a socket takes a time-out");
    let sent: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let began = Instant::now();
    client.write_all(&sent).expect("the line takes them");
    let mut back = vec![0; sent.len()];
    client.read_exact(&mut back).expect("all bytes come back");
    assert!(began.elapsed() >= 2 * DELAY, "{:?}", began.elapsed());
    assert!(back == sent, "bytes are changed or out of order");
    drop(client);
    echo.join().expect("the echo ends");
}
