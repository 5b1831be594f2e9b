//! What can be wrong with a batch or its records.

use super::BATCH_LENGTH_MIN;
use crate::compression::CompressionError;

/// What is wrong with a record batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than one header or the batch's own length needs.
    #[error("a record batch needs {needed} bytes here, {have} are there")]
    TooShort {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        have: usize,
    },
    /// The last batch of a run is cut off: normal at the end of a size-limited fetch and of a torn file.
    #[error("the record batch at byte {position} needs {needed} bytes, {have} are left")]
    Truncated {
        /// Byte position of the batch in the run.
        position: usize,
        /// Bytes the batch needs; only the header's size while its length field is cut off too.
        needed: usize,
        /// Bytes left in the run.
        have: usize,
    },
    /// More bytes than the batch's own length says.
    #[error("the record batch is {batch} bytes long, {have} were given as one batch")]
    TrailingBytes {
        /// Length by the header.
        batch: usize,
        /// Bytes given.
        have: usize,
    },
    /// A message set of format v0 or v1, which Kafka 4 no longer takes (KIP-724).
    #[error(
        "message format v{magic} is no longer supported; the client must send record batches of format v2"
    )]
    UnsupportedMagic {
        /// 0 or 1.
        magic: i8,
    },
    /// A magic number that no format has: corrupt bytes, or not a batch at all.
    #[error("magic {magic} names no record batch format")]
    UnknownMagic {
        /// The byte found.
        magic: i8,
    },
    /// The length field is smaller than the header.
    #[error("record batch length {batch_length} is below the least possible, {BATCH_LENGTH_MIN}")]
    BadLength {
        /// The field's value.
        batch_length: i32,
    },
    /// The stored checksum is not that of the bytes.
    #[error("record batch checksum: the header says {expected:#010x}, the bytes give {found:#010x}")]
    CrcMismatch {
        /// Checksum in the header.
        expected: u32,
        /// Checksum of the bytes.
        found: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error("compression codec {id} does not exist")]
    UnknownCodec {
        /// Attribute bits 0–2.
        id: u8,
    },
    /// Header fields contradict each other or the records.
    #[error("record batch {what}: {found}, expected {expected}")]
    Inconsistent {
        /// The field and the rule.
        what: &'static str,
        /// The value (or bound) the rule asks for.
        expected: i64,
        /// The value found.
        found: i64,
    },
    /// A record is malformed.
    #[error("record {index} of the batch: {what}")]
    BadRecord {
        /// Index of the record inside the batch, from 0.
        index: u32,
        /// The rule it breaks.
        what: &'static str,
    },
    /// A batch that is being built outgrew its format.
    #[error("{what} does not fit the record batch format")]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
    },
    /// The records cannot be decompressed, or not within the limits.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}
