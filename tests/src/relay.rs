//! A TCP relay between clients and a broker that delays, stalls, loses answers and cuts.
//!
//! The broker advertises the relay's address, so that every client's connection goes through it. Owns the connections and
//! the weather; knows nothing of what is said. A connection whose bytes were lost never carries others afterwards: it is
//! cut, as TCP would. Bounded: so many connections, so many bytes each way; a thread ends within a moment of its order.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::chance::Chance;

/// Connections at a time; what comes on top is closed at once.
const CONNECTIONS_MAX: usize = 512;
const BUFFER_BYTES: usize = 64 << 10;
/// What waits in one direction; a connection with more is cut.
const HELD_BYTES_MAX: usize = 8 << 20;
/// How long a thread may not look at its orders.
const GLANCE: Duration = Duration::from_millis(20);
const CONNECT: Duration = Duration::from_secs(2);

/// What the relay does to the bytes that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They pass at once.
    Clear,
    /// Each piece waits up to so many milliseconds, in both directions.
    Delayed {
        /// The longest wait of a piece.
        millis_max: u64,
    },
    /// Nothing passes in either direction; what was sent waits, unless its sender gives up and closes the connection.
    ///
    /// Then it is lost, because it must not come after what the sender says next: an EndTxn that arrives late ends the
    /// next transaction of a client that keeps its epoch, which is librdkafka 2.12 (KIP-890 gives the reason and ends it).
    Stalled,
    /// Requests reach the broker and their answers are lost. Connections of this time are cut when it ends.
    AnswersLost,
    /// Connections are refused.
    Refused,
}

/// A running relay; it ends when dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<Orders>,
    /// Connections of an earlier number are cut.
    age: AtomicU64,
    connections: AtomicUsize,
    passed: AtomicU64,
    is_over: AtomicBool,
}

#[derive(Debug)]
struct Orders {
    target: Option<SocketAddr>,
    weather: Weather,
    chance: Chance,
}

impl Relay {
    /// Starts a relay on a free loopback port; it refuses until it is told where to.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(chance: Chance) -> Relay {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free()));
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("listen at {address}: {error}"));
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        let shared = Arc::new(Shared {
            orders: Mutex::new(Orders {
                target: None,
                weather: Weather::Clear,
                chance,
            }),
            age: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            passed: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let seen = shared.clone();
        let acceptor = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || accept(&listener, &seen))
            .expect("a thread can be started");
        Relay {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Where clients connect, `ip:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where connections lead from now on, `ip:port`.
    ///
    /// # Panics
    /// When it is no address.
    pub fn lead_to(&self, target: &str) {
        let target = target
            .parse()
            .unwrap_or_else(|error| panic!("relay to {target}: {error}"));
        self.shared.orders().target = Some(target);
    }

    /// Changes the weather. Connections whose answers were lost are cut.
    pub fn set(&self, weather: Weather) {
        let before = std::mem::replace(&mut self.shared.orders().weather, weather);
        if before == Weather::AnswersLost || weather == Weather::Refused {
            self.cut();
        }
    }

    /// Cuts all connections; new ones are taken.
    pub fn cut(&self) {
        self.shared.age.fetch_add(1, Ordering::SeqCst);
    }

    /// The connections now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many bytes have passed in both directions.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().expect("no holder panics")
    }

    fn is_current(&self, age: u64) -> bool {
        !self.is_over.load(Ordering::SeqCst) && self.age.load(Ordering::SeqCst) == age
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over.load(Ordering::SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(GLANCE / 4);
            continue;
        };
        let (target, weather) = {
            let orders = shared.orders();
            (orders.target, orders.weather)
        };
        let Some(target) = target.filter(|_| weather != Weather::Refused) else {
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let age = shared.age.load(Ordering::SeqCst);
        let of_connection = shared.clone();
        let started = std::thread::Builder::new()
            .name("relay connection".to_owned())
            .spawn(move || {
                connect(&client, target, &of_connection, age);
                of_connection.connections.fetch_sub(1, Ordering::SeqCst);
            });
        if started.is_err() {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Carries both directions until one of them ends.
fn connect(client: &TcpStream, target: SocketAddr, shared: &Shared, age: u64) {
    let Ok(server) = TcpStream::connect_timeout(&target, CONNECT) else {
        return;
    };
    let pass = |from: &TcpStream, to: &TcpStream, direction| {
        // A direction that failed ends the other one too.
        let _ = carry(from, to, direction, (shared, age));
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pass(client, &server, Direction::Requests));
        pass(&server, client, Direction::Answers);
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

fn carry(
    mut from: &TcpStream,
    mut to: &TcpStream,
    direction: Direction,
    (shared, age): (&Shared, u64),
) -> std::io::Result<()> {
    for stream in [from, to] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(GLANCE))?;
        // A client that never reads does not hold a thread for ever.
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut held = Vec::new();
    while shared.is_current(age) && held.len() <= HELD_BYTES_MAX {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => held.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        if held.is_empty() || !may_pass(shared) {
            continue;
        }
        let is_lost = direction == Direction::Answers && shared.orders().weather == Weather::AnswersLost;
        if !is_lost {
            // Before whoever is waiting for them can look.
            shared.passed.fetch_add(held.len() as u64, Ordering::SeqCst);
            to.write_all(&held)?;
        }
        held.clear();
    }
    Ok(())
}

/// Waits as the weather wants; false if nothing passes in it.
fn may_pass(shared: &Shared) -> bool {
    let delay = {
        let mut orders = shared.orders();
        match orders.weather {
            Weather::Delayed { millis_max } => orders.chance.millis(0, millis_max),
            _ => Duration::ZERO,
        }
    };
    std::thread::sleep(delay);
    shared.orders().weather != Weather::Stalled
}

#[cfg(test)]
#[path = "relay_test.rs"]
mod tests;
