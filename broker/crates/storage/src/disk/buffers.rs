//! Memory for direct reads and writes: aligned to a block, and used again and again, since fresh memory costs more than
//! the transfer: the kernel clears it page by page.
//!
//! A pool keeps what comes back up to a bound and gives the rest to the allocator; what is lent out is the borrower's to
//! bound.

use super::BLOCK;
use parking_lot::Mutex;
use std::sync::Arc;

/// Sizes of new buffers are multiples of this, so that one serves requests of about its size.
const STEP: usize = 128 << 10;
/// A larger buffer is not kept.
const KEPT_BUFFER_BYTES_MAX: usize = 4 << 20;
/// All that are kept.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// A buffer whose address is a multiple of [`BLOCK`], for direct writes.
#[derive(Debug, Default)]
pub struct AlignedBuffer {
    storage: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// Makes the buffer at least `len` bytes long, content undefined (old bytes or zero).
    pub fn resize(&mut self, len: usize) {
        if self.storage.len() < self.start + len {
            // A fresh vector: growing in place would move the bytes to an address of another alignment.
            self.storage = vec![0; len + BLOCK];
            self.start = self.storage.as_ptr().align_offset(BLOCK).min(BLOCK);
        }
        self.len = len;
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }

    /// Returns the bytes for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.len]
    }

    /// Reports whether it can be `len` bytes long without new memory.
    #[must_use]
    pub fn has_room_for(&self, len: usize) -> bool {
        self.storage.len() >= self.start + len
    }

    /// Returns how many bytes are held in memory for it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }
}

/// Aligned buffers that are free.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Mutex<Vec<AlignedBuffer>>,
}

impl BufferPool {
    /// Lends a buffer of `len` bytes, content undefined.
    #[must_use]
    pub fn take(self: &Arc<Self>, len: usize) -> PooledBuffer {
        let found = {
            let mut free = self.free.lock();
            let fitting = free
                .iter()
                .enumerate()
                .filter(|(_, buffer)| buffer.has_room_for(len));
            let smallest = fitting.min_by_key(|(_, buffer)| buffer.capacity());
            smallest
                .map(|(index, _)| index)
                .map(|index| free.swap_remove(index))
        };
        let mut buffer = found.unwrap_or_default();
        if !buffer.has_room_for(len) {
            buffer.resize(len.next_multiple_of(STEP));
        }
        buffer.resize(len);
        PooledBuffer {
            buffer,
            pool: self.clone(),
        }
    }

    fn give_back(&self, buffer: AlignedBuffer) {
        let mut free = self.free.lock();
        let kept: usize = free.iter().map(AlignedBuffer::capacity).sum();
        if buffer.capacity() <= KEPT_BUFFER_BYTES_MAX && kept + buffer.capacity() <= KEPT_BYTES_MAX {
            free.push(buffer);
        }
    }
}

/// A buffer that goes back to its pool when dropped.
#[derive(Debug)]
pub struct PooledBuffer {
    buffer: AlignedBuffer,
    pool: Arc<BufferPool>,
}

impl PooledBuffer {
    /// Returns the bytes for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer.as_mut_slice()
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_slice()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
#[path = "buffers_test.rs"]
mod tests;
