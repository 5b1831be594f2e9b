//! Frames of a line: what is said between two agents, each with its payload compressed or not.
//!
//! A frame is 14 bytes and a body: method (1), kind (1), stream (4), plain length (4), body length (4), all big-endian. The
//! compressed frames of one direction are one zstd stream (RFC 8878), flushed after each: a frame finds what was sent
//! before it, within the window. Invariant: what is unpacked is byte for byte what was packed; a frame that claims more
//! than [`PAYLOAD_MAX`] is refused before memory is taken for it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

/// Largest payload of a frame.
pub const PAYLOAD_MAX: usize = 256 << 10;
/// Bytes of a frame before its body.
pub const HEADER_BYTES: usize = 14;
/// zstd's bound on the size of a compressed payload, with room for the flush.
const BODY_MAX: usize = PAYLOAD_MAX + (PAYLOAD_MAX >> 7) + 1024;
/// Smaller payloads gain nothing worth a call.
const COMPRESS_MIN: usize = 64;
/// A payload that stays above this part of its size is compressed already, by whoever produced it.
const WORTH_PERCENT: usize = 97;
/// After such a payload so many go as they are, before the next is tried.
const SKIPPED: u32 = 15;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Connect to the broker whose `host:port` is the payload.
    Open,
    /// The connection stands.
    Opened,
    /// It does not; the payload says why.
    Refused,
    /// Bytes of a stream.
    Data,
    /// The payload is how many further bytes of a stream may be sent.
    Credit,
    /// The stream is over.
    Close,
    /// Nothing; the line is alive.
    Ping,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Open,
        Kind::Opened,
        Kind::Refused,
        Kind::Data,
        Kind::Credit,
        Kind::Close,
        Kind::Ping,
    ];

    fn read(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }
}

/// One frame, plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says.
    pub kind: Kind,
    /// Of which stream; 0 for none.
    pub stream: u32,
    /// At most [`PAYLOAD_MAX`] bytes.
    pub payload: Bytes,
}

/// The first bytes of a frame, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    is_compressed: bool,
    kind: Kind,
    stream: u32,
    plain_bytes: usize,
    /// How many bytes follow.
    pub body_bytes: usize,
}

/// Bytes that are not a frame of this line.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The header is none.
    #[error("the other end of the line sends what is no frame: {0}")]
    Header(&'static str),
    /// The body does not become the payload.
    #[error("a frame of {expected} bytes cannot be restored: {reason}")]
    Body {
        /// What the header promised.
        expected: usize,
        /// What happened.
        reason: String,
    },
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`FrameError::Header`]; nothing of what follows can be trusted then.
    pub fn read(mut bytes: &[u8]) -> Result<Header, FrameError> {
        if bytes.len() < HEADER_BYTES {
            return Err(FrameError::Header("it is cut short"));
        }
        let is_compressed = match bytes.get_u8() {
            0 => false,
            1 => true,
            _ => return Err(FrameError::Header("its method is unknown")),
        };
        let kind = Kind::read(bytes.get_u8()).ok_or(FrameError::Header("its kind is unknown"))?;
        let stream = bytes.get_u32();
        let plain_bytes = bytes.get_u32() as usize;
        let body_bytes = bytes.get_u32() as usize;
        if plain_bytes > PAYLOAD_MAX || body_bytes > BODY_MAX {
            return Err(FrameError::Header("it is too large"));
        }
        if !is_compressed && plain_bytes != body_bytes {
            return Err(FrameError::Header("its lengths differ"));
        }
        Ok(Header {
            is_compressed,
            kind,
            stream,
            plain_bytes,
            body_bytes,
        })
    }
}

/// Packs the frames of one direction.
pub struct Packer {
    encoder: Option<Encoder<'static>>,
    /// Frames that still go as they are.
    skip: u32,
    scratch: Vec<u8>,
}

/// How frames are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// zstd's level, 1 to 19.
    pub level: i32,
    /// Power of two of the window's bytes, up to [`WINDOW_LOG_MAX`]. Both ends hold a window of that size.
    pub window_log: u32,
}

/// The largest window an end keeps for the other: 128 MiB.
pub const WINDOW_LOG_MAX: u32 = 27;

impl Packer {
    /// A packer; without `compression` everything goes as it is.
    ///
    /// # Errors
    /// When zstd does not take the parameters.
    pub fn new(compression: Option<Compression>) -> std::io::Result<Packer> {
        let encoder = match compression {
            Some(Compression { level, window_log }) => {
                let mut encoder = Encoder::new(level)?;
                encoder.set_parameter(CParameter::WindowLog(window_log.min(WINDOW_LOG_MAX)))?;
                encoder.set_parameter(CParameter::EnableLongDistanceMatching(true))?;
                Some(encoder)
            }
            None => None,
        };
        Ok(Packer {
            encoder,
            skip: 0,
            scratch: Vec::new(),
        })
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// When zstd fails; the direction cannot go on then.
    pub fn pack(&mut self, frame: &Frame, out: &mut BytesMut) -> std::io::Result<()> {
        let payload = &frame.payload[..];
        let is_compressed = payload.len() >= COMPRESS_MIN && self.wants() && self.compress(payload)?;
        let body = if is_compressed { &self.scratch[..] } else { payload };
        out.reserve(HEADER_BYTES + body.len());
        out.put_u8(u8::from(is_compressed));
        out.put_u8(frame.kind as u8);
        out.put_u32(frame.stream);
        out.put_u32(length(payload.len()));
        out.put_u32(length(body.len()));
        out.put_slice(body);
        Ok(())
    }

    fn wants(&mut self) -> bool {
        if self.encoder.is_none() {
            return false;
        }
        let is_skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        !is_skipped
    }

    /// Once the encoder has seen a payload the other end must see it too, however little was gained.
    fn compress(&mut self, payload: &[u8]) -> std::io::Result<bool> {
        let Some(encoder) = self.encoder.as_mut() else {
            return Ok(false);
        };
        self.scratch.resize(BODY_MAX, 0);
        let mut output = OutBuffer::around(&mut self.scratch[..]);
        let mut input = InBuffer::around(payload);
        while input.pos() < payload.len() {
            encoder.run(&mut input, &mut output)?;
        }
        if encoder.flush(&mut output)? != 0 {
            return Err(std::io::Error::other(
                "zstd made a payload longer than its own bound",
            ));
        }
        let written = output.pos();
        self.scratch.truncate(written);
        if written * 100 > payload.len() * WORTH_PERCENT {
            self.skip = SKIPPED;
        }
        Ok(true)
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Unpacks the frames of one direction.
pub struct Unpacker {
    decoder: Decoder<'static>,
}

impl Unpacker {
    /// An unpacker for windows up to [`WINDOW_LOG_MAX`].
    ///
    /// # Errors
    /// When zstd cannot begin.
    pub fn new() -> std::io::Result<Unpacker> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Unpacker { decoder })
    }

    /// Restores a frame from its header and its body.
    ///
    /// # Errors
    /// [`FrameError::Body`] if it is not what the header promised.
    pub fn unpack(&mut self, header: Header, body: Bytes) -> Result<Frame, FrameError> {
        let broken = |reason: String| FrameError::Body {
            expected: header.plain_bytes,
            reason,
        };
        let payload = if header.is_compressed {
            // Room for a byte more: only a decoder with room left has given out all it has.
            let mut plain = vec![0; header.plain_bytes + 1];
            let mut input = InBuffer::around(&body[..]);
            let mut output = OutBuffer::around(&mut plain[..]);
            while input.pos() < body.len() {
                let before = (input.pos(), output.pos());
                self.decoder
                    .run(&mut input, &mut output)
                    .map_err(|error| broken(error.to_string()))?;
                if (input.pos(), output.pos()) == before {
                    return Err(broken("it is longer".to_owned()));
                }
            }
            let restored = output.pos();
            if restored != header.plain_bytes {
                return Err(broken(format!("it has {restored} bytes or more")));
            }
            plain.truncate(restored);
            Bytes::from(plain)
        } else {
            body
        };
        Ok(Frame {
            kind: header.kind,
            stream: header.stream,
            payload,
        })
    }
}

#[cfg(test)]
#[path = "frame_test.rs"]
mod tests;
