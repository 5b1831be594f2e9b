//! How many bytes a line may carry, and how many it did.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What may be sent at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(50);
/// A piece is this part of a second's worth at most, so that the rate is even.
const PIECES_PER_SECOND: u64 = 20;
const PIECE_BYTES_MIN: usize = 16 << 10;

/// A token bucket that all connections of a line share.
#[derive(Debug)]
pub struct Rate {
    bytes_per_second: Option<u64>,
    /// When what was taken so far is through.
    through: Mutex<Option<Instant>>,
}

impl Rate {
    /// So many bytes per second; `None` for no limit.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Rate {
        Rate {
            bytes_per_second: bytes_per_second.map(|rate| rate.max(1)),
            through: Mutex::new(None),
        }
    }

    /// How much may be written in one piece.
    #[must_use]
    pub fn piece_bytes(&self) -> usize {
        self.bytes_per_second.map_or(usize::MAX, |rate| {
            let piece = usize::try_from(rate / PIECES_PER_SECOND).unwrap_or(usize::MAX);
            piece.max(PIECE_BYTES_MIN)
        })
    }

    /// Takes `bytes`; returns when they may go, if not now.
    pub fn take(&self, bytes: usize) -> Option<Instant> {
        let rate = self.bytes_per_second?;
        let now = Instant::now();
        let mut through = self
            .through
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let begin = through.unwrap_or(now).max(earliest);
        *through = Some(begin + Duration::from_secs_f64(bytes as f64 / rate as f64));
        (begin > now).then_some(begin)
    }
}

/// What a line carried since the process began.
#[derive(Debug, Default)]
pub struct LineCounts {
    sent: AtomicU64,
    sent_plain: AtomicU64,
    received: AtomicU64,
    received_plain: AtomicU64,
    connections: AtomicU64,
}

impl LineCounts {
    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent_plain(&self, bytes: usize) {
        self.sent_plain.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received_plain(&self, bytes: usize) {
        self.received_plain.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// A snapshot.
    #[must_use]
    pub fn look(&self) -> LineStatus {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        LineStatus {
            sent_bytes: read(&self.sent),
            sent_plain_bytes: read(&self.sent_plain),
            received_bytes: read(&self.received),
            received_plain_bytes: read(&self.received_plain),
            connections: read(&self.connections),
        }
    }
}

/// What a line carried since the process began, before TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LineStatus {
    /// Bytes sent over the line.
    pub sent_bytes: u64,
    /// What they were before compression.
    pub sent_plain_bytes: u64,
    /// Bytes received over the line.
    pub received_bytes: u64,
    /// What they became.
    pub received_plain_bytes: u64,
    /// Connections now.
    pub connections: u64,
}

#[cfg(test)]
#[path = "rate_test.rs"]
mod tests;
