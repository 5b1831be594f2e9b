//! Frames that are to be written, and what is to be done when each one is.
//!
//! Pure: turns frames into slices for one vectored write and takes any number of written bytes back, in the
//! middle of a slice too. Parts are dropped as soon as they are written.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use thalweg_wire::frame::Frame;

/// Slices in one vectored write; Linux takes 1024, but the gain ends long before.
pub(super) const SLICES_MAX: usize = 64;

/// Parts in order, and a note `T` for the end of each frame.
#[derive(Debug)]
pub(super) struct WriteQueue<T> {
    parts: VecDeque<Bytes>,
    /// Where each frame ends, counted in bytes since the queue began.
    ends: VecDeque<(u64, T)>,
    pushed: u64,
    written: u64,
}

impl<T> WriteQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            parts: VecDeque::new(),
            ends: VecDeque::new(),
            pushed: 0,
            written: 0,
        }
    }

    /// Appends a frame; `note` comes back when its last byte is written.
    pub(super) fn push(&mut self, frame: Frame, note: T) {
        for part in frame.parts {
            if !part.is_empty() {
                self.pushed += part.len() as u64;
                self.parts.push_back(part);
            }
        }
        self.ends.push_back((self.pushed, note));
    }

    /// Returns the bytes that are not written.
    pub(super) fn pending_bytes(&self) -> u64 {
        self.pushed - self.written
    }

    /// Fills `slices` from the front and returns how many are used.
    pub(super) fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut used = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            used += 1;
        }
        used
    }

    /// Notes that the first `count` pending bytes were written.
    pub(super) fn advance(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(part) = self.parts.front_mut() else { break };
            let taken = left.min(part.len());
            self.written += taken as u64;
            left -= taken;
            if taken == part.len() {
                self.parts.pop_front();
            } else {
                part.advance(taken);
            }
        }
    }

    /// Returns the note of the oldest frame if it is completely written.
    pub(super) fn pop_finished(&mut self) -> Option<T> {
        let (end, _) = self.ends.front()?;
        if *end <= self.written {
            self.ends.pop_front().map(|(_, note)| note)
        } else {
            None
        }
    }
}

#[cfg(test)]
#[path = "write_queue_test.rs"]
mod tests;
