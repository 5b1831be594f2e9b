//! From a stream of bytes to request frames, with memory bounded by what has arrived.
//!
//! Pure: no socket, no clock, no budget. The connection feeds it: [`FrameReader::step`] says what is needed
//! next (bytes or memory) or hands out a frame. Small frames are collected in a staging buffer that lives as
//! long as the connection and copied out; a large frame gets a buffer of its own, so that a reply that keeps
//! a slice of one frame never keeps another one alive.
//!
//! Invariants: the frame buffer's capacity is at most twice the bytes received for the frame, or
//! [`GROWTH_MIN`] more than them, or the size of a frame the connection delivered before (whichever is
//! largest), never the claimed length alone; and it never exceeds the memory that was granted.

use bytes::Bytes;
use thalweg_wire::frame::peek_api;
use thiserror::Error;

use crate::api::table::{self, Admission};

/// Size of the staging buffer: what an idle connection costs, and the largest frame that is copied. Bytes.
pub const STAGING_SIZE: usize = 2048;

/// First buffer of a frame that does not fit into the staging buffer, beyond what has been received. Bytes.
pub const GROWTH_MIN: usize = 64 * 1024;

/// Size of the length field.
const PREFIX_SIZE: usize = 4;

/// Key, version and correlation id: no request is shorter.
const FRAME_SIZE_MIN: usize = 8;

/// Key and version.
const PEEK_SIZE: usize = 4;

/// What the reader needs or has.
#[derive(Debug)]
pub enum Step {
    /// Read from the socket into [`FrameReader::spare`] and report the count with [`FrameReader::filled`].
    Bytes,
    /// Acquire at least `bytes` of memory and report it with [`FrameReader::grant`]; the frame lacks `rest`
    /// in all.
    Memory {
        /// Needed to go on.
        bytes: usize,
        /// Needed to finish the frame, `bytes` included.
        rest: usize,
    },
    /// A complete frame, without its length.
    Frame(RawFrame),
}

/// A frame as read.
#[derive(Debug)]
pub struct RawFrame {
    /// Request header and body.
    pub bytes: Bytes,
    /// What the API table said about its key and version.
    pub admission: Admission,
}

/// Why a stream of bytes cannot be a Kafka client's; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameRefused {
    /// A negative length, or one too short for any request.
    #[error("a frame of {size} bytes is no request; is this a Kafka client?")]
    Size {
        /// The length on the wire.
        size: i32,
    },
    /// Longer than the limit in force.
    #[error("a frame of {size} bytes is above the limit of {limit}; {advice}")]
    TooLarge {
        /// The length on the wire.
        size: i32,
        /// The limit in bytes.
        limit: usize,
        /// Which setting moves it.
        advice: &'static str,
    },
    /// Another protocol, by its first four bytes, which read as a length are above any limit.
    #[error("these are the first bytes of {protocol}, not of a Kafka client; {advice}")]
    Foreign {
        /// The protocol.
        protocol: &'static str,
        /// Where it should go.
        advice: &'static str,
    },
    /// No API has this key.
    #[error("no API has key {api_key} (version {api_version})")]
    UnknownKey {
        /// The key on the wire.
        api_key: i16,
        /// The version on the wire.
        api_version: i16,
    },
    /// The API is not served in this version.
    #[error("{api} v{api_version} is not served, only v{version_min} to v{version_max}")]
    UnsupportedVersion {
        /// Kafka's name of the API.
        api: &'static str,
        /// The version on the wire.
        api_version: i16,
        /// The oldest version served.
        version_min: i16,
        /// The newest version served.
        version_max: i16,
    },
}

/// The largest frame, and what to change if it is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimit {
    /// Bytes after the length field.
    pub size_max: usize,
    /// Which setting moves the limit.
    pub advice: &'static str,
}

/// Collects the frames of one connection.
#[derive(Debug)]
pub struct FrameReader {
    limit: FrameLimit,
    /// Bytes `[start, end)` have been read and not yet consumed.
    staging: Box<[u8; STAGING_SIZE]>,
    start: usize,
    end: usize,
    /// The frame being received, once its length and API are known to be good.
    current: Option<Partial>,
    /// Slowly forgets the largest frame delivered: a connection that sends 1 MiB batches gets 1 MiB at once.
    delivered_size: usize,
    /// Memory granted for the frame being received.
    granted: usize,
}

#[derive(Debug)]
struct Partial {
    size: usize,
    admission: Admission,
    bytes: Vec<u8>,
    /// Capacity that the bytes received so far justify; memory for it may still have to be granted.
    allowed: usize,
}

impl FrameReader {
    /// Returns a reader at the start of a stream.
    #[must_use]
    pub fn new(limit: FrameLimit) -> Self {
        Self {
            limit,
            staging: Box::new([0; STAGING_SIZE]),
            start: 0,
            end: 0,
            current: None,
            delivered_size: 0,
            granted: 0,
        }
    }

    /// Changes the limit for the frames whose length has not been read yet (authentication succeeded).
    pub fn set_limit(&mut self, limit: FrameLimit) {
        self.limit = limit;
    }

    /// Reports whether no byte of a next frame is there: the connection is idle.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.current.is_none() && self.start == self.end
    }

    /// Returns the memory held for bytes, in bytes, the staging buffer included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        STAGING_SIZE
            + self
                .current
                .as_ref()
                .map_or(0, |partial| partial.bytes.capacity())
    }

    /// Goes as far as the bytes and the memory allow.
    ///
    /// # Errors
    /// [`FrameRefused`] as soon as the bytes show it: a bad length after 4 bytes, a bad key or version after
    /// 8.
    pub fn step(&mut self) -> Result<Step, FrameRefused> {
        let mut partial = match self.current.take() {
            Some(partial) => partial,
            None => match self.begin()? {
                Some(partial) => partial,
                None => return Ok(Step::Bytes),
            },
        };
        loop {
            let staged = self.staging.get(self.start..self.end).unwrap_or_default();
            partial.allowed = self.capacity_for(&partial, staged.len());
            if partial.allowed > self.granted {
                let bytes = partial.allowed - self.granted;
                let rest = partial.size - self.granted;
                self.current = Some(partial);
                return Ok(Step::Memory { bytes, rest });
            }
            // Exactly what was granted: `reserve` alone would round up to more than that.
            partial.bytes.reserve_exact(partial.allowed - partial.bytes.len());
            let taken = staged.len().min(partial.allowed - partial.bytes.len());
            partial
                .bytes
                .extend_from_slice(staged.get(..taken).unwrap_or_default());
            self.start += taken;
            if partial.bytes.len() == partial.size {
                break;
            }
            if partial.bytes.len() < partial.allowed {
                self.current = Some(partial);
                return Ok(Step::Bytes);
            }
        }
        self.granted = 0;
        self.delivered_size = partial.size.max(self.delivered_size - self.delivered_size / 8);
        Ok(Step::Frame(RawFrame {
            bytes: partial.bytes.into(),
            admission: partial.admission,
        }))
    }

    /// Notes that memory was acquired for the frame being received.
    pub fn grant(&mut self, bytes: usize) {
        self.granted = self.granted.saturating_add(bytes);
    }

    /// Returns where to read to, never empty after [`Step::Bytes`].
    pub fn spare(&mut self) -> Spare<'_> {
        match &mut self.current {
            Some(partial) => {
                let room = partial.allowed.saturating_sub(partial.bytes.len());
                Spare::Frame {
                    bytes: &mut partial.bytes,
                    room,
                }
            }
            None => {
                // Only a few bytes of a beginning can be left here, so moving them is cheap.
                self.staging.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
                Spare::Staging(self.staging.get_mut(self.end..).unwrap_or_default())
            }
        }
    }

    /// Notes how many bytes were read into [`Spare::Staging`]; bytes read into [`Spare::Frame`] are already
    /// counted.
    pub fn staged(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(STAGING_SIZE);
    }

    /// Reads length, key and version of the next frame; `None` if they are not all there.
    fn begin(&mut self) -> Result<Option<Partial>, FrameRefused> {
        let staged = self.staging.get(self.start..self.end).unwrap_or_default();
        let Some((prefix, body)) = staged.split_first_chunk::<PREFIX_SIZE>() else {
            return Ok(None);
        };
        let claimed = i32::from_be_bytes(*prefix);
        let size = usize::try_from(claimed).map_err(|_| FrameRefused::Size { size: claimed })?;
        if size < FRAME_SIZE_MIN {
            return Err(FrameRefused::Size { size: claimed });
        }
        let FrameLimit { size_max, advice } = self.limit;
        if size > size_max {
            if let Some(foreign) = foreign_protocol(*prefix) {
                return Err(foreign);
            }
            return Err(FrameRefused::TooLarge {
                size: claimed,
                limit: size_max,
                advice,
            });
        }
        if body.len() < PEEK_SIZE {
            return Ok(None);
        }
        let Some((api_key, api_version)) = peek_api(body) else {
            return Ok(None);
        };
        let admission = table::admit(api_key, api_version);
        match admission {
            Admission::Serve(_) | Admission::AnswerVersions(_) => {}
            Admission::UnknownKey => return Err(FrameRefused::UnknownKey { api_key, api_version }),
            Admission::UnsupportedVersion(row) => {
                return Err(FrameRefused::UnsupportedVersion {
                    api: row.name,
                    api_version,
                    version_min: row.version_min,
                    version_max: row.version_max,
                });
            }
        }
        self.start += PREFIX_SIZE;
        Ok(Some(Partial {
            size,
            admission,
            bytes: Vec::new(),
            allowed: 0,
        }))
    }

    /// Decides how large the frame's buffer may be now. Pure.
    fn capacity_for(&self, partial: &Partial, staged: usize) -> usize {
        if partial.bytes.len() < partial.allowed {
            return partial.allowed;
        }
        let received = partial.bytes.len().saturating_add(staged).min(partial.size);
        let growth = received.max(GROWTH_MIN);
        received
            .saturating_add(growth)
            .max(self.delivered_size)
            .min(partial.size)
    }
}

/// Recognises what people point at the wrong port most often.
fn foreign_protocol(prefix: [u8; PREFIX_SIZE]) -> Option<FrameRefused> {
    match &prefix {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PRI " => Some(FrameRefused::Foreign {
            protocol: "HTTP",
            advice: "metrics and health are served on http.listener",
        }),
        [0x16, 0x03, _, _] => Some(FrameRefused::Foreign {
            protocol: "TLS",
            advice: "this listener is plaintext: set security.protocol=PLAINTEXT in the client",
        }),
        _ => None,
    }
}

/// Where the next bytes go.
#[derive(Debug)]
pub enum Spare<'a> {
    /// The staging buffer: the start of a frame, or several small ones.
    Staging(&'a mut [u8]),
    /// The frame's own buffer: append at most `room` bytes.
    Frame {
        /// The bytes so far; its capacity is at least `room` more.
        bytes: &'a mut Vec<u8>,
        /// Bytes that may be appended.
        room: usize,
    },
}

#[cfg(test)]
#[path = "frame_reader_test.rs"]
mod tests;
