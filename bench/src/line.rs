//! A long line: a TCP relay that delivers every byte a fixed time after it came, in order, without limiting how many
//! are under way below a bound.
//!
//! Its work is done in this process, which every account leaves out.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use thalweg_tests::ports;

/// What is under way in one direction of one connection at most: more than 1 GB/s at 42 ms.
const UNDER_WAY_MAX: usize = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;
/// How long a thread may not look whether the line is over.
const GLANCE: Duration = Duration::from_millis(50);

/// A running line; it ends when dropped.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    delay_micros: AtomicU64,
    is_over: AtomicBool,
}

impl Line {
    /// A line to `target` at a port that `prepare` gave, without delay.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub fn start(address: SocketAddr, target: SocketAddr) -> Result<Line> {
        let listener = TcpListener::bind(address).with_context(|| format!("listen at {address}"))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            target,
            delay_micros: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let seen = shared.clone();
        let acceptor = std::thread::Builder::new()
            .name("line".to_owned())
            .spawn(move || accept(&listener, &seen))?;
        Ok(Line {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// A free address for a line.
    pub fn free_address() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()))
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on bytes need this long from one end to the other.
    pub fn set_delay(&self, one_way: Duration) {
        let micros = u64::try_from(one_way.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_micros.load(Ordering::Relaxed))
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over() {
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let Ok(server) = TcpStream::connect(shared.target) else {
            continue;
        };
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
                continue;
            };
            // A line that cannot have its threads is a connection that never answers: the load fails and says so.
            let _ = carry(from, to, shared);
        }
    }
}

/// What is under way in one direction.
#[derive(Default)]
struct UnderWay {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    is_closed: bool,
}

/// Starts the two threads of one direction.
fn carry(from: TcpStream, to: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    for stream in [&from, &to] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
    }
    from.set_read_timeout(Some(GLANCE))?;
    to.set_write_timeout(Some(Duration::from_secs(10)))?;
    let queue = Arc::new((Mutex::new(UnderWay::default()), Condvar::new()));
    let (filled, over) = (queue.clone(), shared.clone());
    std::thread::Builder::new()
        .name("line-in".to_owned())
        .spawn(move || take_in(from, &filled, &over))?;
    let over = shared.clone();
    std::thread::Builder::new()
        .name("line-out".to_owned())
        .spawn(move || give_out(to, &queue, &over))?;
    Ok(())
}

fn take_in(mut from: TcpStream, queue: &(Mutex<UnderWay>, Condvar), shared: &Shared) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while !shared.is_over() {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        let due = Instant::now() + shared.delay();
        let mut under_way = queue.0.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.bytes > UNDER_WAY_MAX && !under_way.is_closed && !shared.is_over() {
            let waited = queue.1.wait_timeout(under_way, GLANCE);
            under_way = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        under_way.bytes += count;
        under_way.pieces.push_back((due, buffer[..count].to_vec()));
        queue.1.notify_all();
    }
    queue.0.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
    queue.1.notify_all();
}

fn give_out(mut to: TcpStream, queue: &(Mutex<UnderWay>, Condvar), shared: &Shared) {
    while let Some((due, piece)) = next(queue, shared) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    queue.0.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
    let _ = to.shutdown(Shutdown::Both);
}

/// The next piece; `None` at the end of the connection or of the line.
fn next(queue: &(Mutex<UnderWay>, Condvar), shared: &Shared) -> Option<(Instant, Vec<u8>)> {
    let mut under_way = queue.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some((due, piece)) = under_way.pieces.pop_front() {
            under_way.bytes -= piece.len();
            queue.1.notify_all();
            return Some((due, piece));
        }
        if under_way.is_closed || shared.is_over() {
            return None;
        }
        let waited = queue.1.wait_timeout(under_way, GLANCE);
        under_way = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
#[path = "line_test.rs"]
mod tests;
