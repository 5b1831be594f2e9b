//! Reads length-prefixed answers from a socket.
//!
//! Invariant: the buffer grows with the bytes received, never with the length a peer claims.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes asked of the socket when little has arrived yet.
const READ_SIZE_MIN: usize = 16 * 1024;
/// Largest reservation made ahead of the data.
const READ_SIZE_MAX: usize = 1024 * 1024;

/// Why no further frame can be read.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The peer closed the connection between two frames or inside one.
    Eof,
    /// The socket failed.
    Io(std::io::Error),
    /// The peer claims a frame of `size` bytes (negative when it does not fit the protocol's signed length).
    Size {
        /// Claimed length.
        size: i64,
    },
}

/// Reads frames of one connection, keeping what arrived beyond the last one.
pub(crate) struct FrameReader<R> {
    reader: R,
    buffer: BytesMut,
    size_max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(reader: R, size_max: usize) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            size_max,
        }
    }

    /// Returns the next frame without its length. Cancel-safe: what was read stays in the buffer.
    pub(crate) async fn next(&mut self) -> Result<Bytes, FrameError> {
        while self.buffer.len() < 4 {
            self.read_more(READ_SIZE_MIN).await?;
        }
        let prefix: [u8; 4] = self
            .buffer
            .get(..4)
            .and_then(|bytes| bytes.try_into().ok())
            .expect("the loop above has read four bytes");
        let claimed = i32::from_be_bytes(prefix);
        let size = match usize::try_from(claimed) {
            Ok(size) if size <= self.size_max => size,
            _ => {
                return Err(FrameError::Size {
                    size: i64::from(claimed),
                });
            }
        };
        let needed = size.saturating_add(4);
        while self.buffer.len() < needed {
            let missing = needed.saturating_sub(self.buffer.len());
            // As much again as has arrived: a peer that claims much and sends little costs little.
            let ahead = self.buffer.len().clamp(READ_SIZE_MIN, READ_SIZE_MAX);
            self.read_more(missing.min(ahead)).await?;
        }
        let mut frame = self.buffer.split_to(needed).freeze();
        Ok(frame.split_off(4))
    }

    async fn read_more(&mut self, size: usize) -> Result<(), FrameError> {
        self.buffer.reserve(size);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) => Err(FrameError::Eof),
            Ok(_) => Ok(()),
            Err(error) => Err(FrameError::Io(error)),
        }
    }
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod tests;
