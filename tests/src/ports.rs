//! Free loopback ports.
//!
//! Ports come from below Linux's ephemeral range (32768 and up). A port of that range could be taken by any outgoing
//! connection while a broker restarts, and a client that dials its own source port would even talk to itself.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 15_000;
const COUNT: u32 = 17_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Returns a loopback port that nothing listens on and that this process has not handed out before.
///
/// Another process can still take it before the caller does. Each process starts at its own place, which makes that rare.
pub fn free() -> u16 {
    // Spread processes by a multiplier coprime to COUNT: neighbours in pid land far apart.
    let start = std::process::id().wrapping_mul(7_919);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let Ok(port) = u16::try_from(port) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port between {FIRST} and {}", FIRST + COUNT);
}
