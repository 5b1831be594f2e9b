use super::*;
use crate::wait;

/// A server that sends back what it gets, for one connection after the other.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = &client;
                let mut writer = &client;
                let _ = std::io::copy(&mut reader, &mut writer);
            });
        }
    });
    address
}

fn relay_to_echo() -> Relay {
    let relay = Relay::start(Chance::new(1));
    relay.lead_to(&echo().to_string());
    relay
}

fn dial(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(relay.address()).expect("the relay listens");
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    stream
}

/// Sends four bytes and says what comes back within the timeout.
fn ask(mut stream: &TcpStream) -> std::io::Result<[u8; 4]> {
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn bytes_pass_in_clear_weather_and_late_when_delayed() {
    let relay = relay_to_echo();
    let stream = dial(&relay);
    assert_eq!(ask(&stream).expect("an answer"), *b"ping");
    relay.set(Weather::Delayed { millis_max: 50 });
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout");
    assert_eq!(ask(&stream).expect("a late answer"), *b"ping");
    assert_eq!((relay.connections(), relay.passed()), (1, 16));
}

#[test]
fn a_stall_holds_bytes_back_and_gives_them_later() {
    let relay = relay_to_echo();
    let mut stream = dial(&relay);
    ask(&stream).expect("an answer");
    relay.set(Weather::Stalled);
    ask(&stream).expect_err("nothing passes");
    relay.set(Weather::Clear);
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("what was held back");
    assert_eq!(answer, *b"ping");
}

#[test]
fn what_its_sender_gives_up_in_a_stall_is_not_delivered() {
    let relay = relay_to_echo();
    let stream = dial(&relay);
    ask(&stream).expect("an answer");
    let passed = relay.passed();
    relay.set(Weather::Stalled);
    ask(&stream).expect_err("nothing passes");
    drop(stream);
    wait::until("the relay has seen it", || relay.connections() == 0);
    relay.set(Weather::Clear);
    assert_eq!(ask(&dial(&relay)).expect("a new connection"), *b"ping");
    assert_eq!(relay.passed(), passed + 8, "only what the new connection said");
}

#[test]
fn a_connection_that_lost_an_answer_is_cut() {
    let relay = relay_to_echo();
    let mut stream = dial(&relay);
    ask(&stream).expect("an answer");
    relay.set(Weather::AnswersLost);
    ask(&stream).expect_err("the answer is lost");
    relay.set(Weather::Clear);
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout");
    assert_eq!(stream.read(&mut [0; 4]).unwrap_or(0), 0, "no byte comes any more");
    assert_eq!(ask(&dial(&relay)).expect("a new connection"), *b"ping");
}

#[test]
fn a_cut_ends_connections_and_a_refusal_takes_none() {
    let relay = relay_to_echo();
    let stream = dial(&relay);
    ask(&stream).expect("an answer");
    relay.cut();
    wait::until("the connection is cut", || ask(&stream).is_err());
    relay.set(Weather::Refused);
    ask(&dial(&relay)).expect_err("nobody carries it");
    relay.set(Weather::Clear);
    assert_eq!(ask(&dial(&relay)).expect("a new connection"), *b"ping");
}
