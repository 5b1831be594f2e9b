//! The codecs of record batches, with limits on what a compressed batch may become.
//!
//! Owns names, ids, levels and the framing of each codec. Knows nothing of batches and records.
//!
//! Invariant: memory grows with the bytes that were really produced, never with a size that the input claims,
//! and stops at [`CompressionLimits`]. The one exception is address space: zstd maps the window a frame asks
//! for (at most 128 MiB, what Kafka's Java client reads too) but touches only what it fills.

mod lz4;
mod snappy;

use std::io::{Read, Write};

use bytes::Bytes;

/// Output that is never refused for its ratio: small batches of equal records compress beyond any fixed
/// ratio.
pub const RATIO_FREE_BYTES: usize = 1024 * 1024;

/// Largest zstd window read, as a power of two: 128 MiB, the decoder's own default in every client.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Start size of an output buffer; from there it grows with the output.
const OUTPUT_START_BYTES: usize = 64 * 1024;

/// A codec of record batches (attribute bits 0–2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Records as they are.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, bare or in the framing of the Java library.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878 (KIP-110).
    Zstd,
}

/// Why bytes could not be compressed or decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// The output would exceed the fixed limit.
    #[error(
        "{} data of {input_bytes} bytes decompresses to more than the limit of {limit_bytes} bytes",
        codec.name()
    )]
    OutputLimit {
        /// The codec.
        codec: Compression,
        /// Size of the compressed data.
        input_bytes: usize,
        /// [`CompressionLimits::output_bytes_max`].
        limit_bytes: usize,
    },
    /// The output is out of proportion to the input: a decompression bomb.
    #[error(
        "{} data of {input_bytes} bytes decompresses to more than {limit_bytes} bytes, \
         which is {ratio_max} times its size plus {RATIO_FREE_BYTES}",
        codec.name()
    )]
    RatioLimit {
        /// The codec.
        codec: Compression,
        /// Size of the compressed data.
        input_bytes: usize,
        /// Bytes this input may become.
        limit_bytes: usize,
        /// [`CompressionLimits::ratio_max`].
        ratio_max: usize,
    },
    /// The bytes are not what the codec writes, or end early.
    #[error("corrupt {} data: {reason}", codec.name())]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What the decoder found.
        reason: String,
    },
    /// The level is outside the codec's range.
    #[error("{} has no compression level {level}: choose one from {min} to {max}", codec.name())]
    LevelOutOfRange {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
        /// Least level.
        min: i32,
        /// Largest level.
        max: i32,
    },
    /// The encoder failed (out of memory).
    #[error("{} could not compress: {reason}", codec.name())]
    Encode {
        /// The codec.
        codec: Compression,
        /// What the encoder says.
        reason: String,
    },
}

impl Compression {
    /// Every codec, by id.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Returns the number that attribute bits 0–2 hold.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Returns the codec with this number.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::Gzip),
            2 => Some(Self::Snappy),
            3 => Some(Self::Lz4),
            4 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns Kafka's name, as in the producer's `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the codec of a Kafka name. `uncompressed` is what topics call `none`; `producer` is no codec.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" | "uncompressed" => Some(Self::None),
            "gzip" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns the levels Kafka allows for this codec (KIP-390), or `None` for codecs without levels. Gzip
    /// also takes −1, its default.
    #[must_use]
    pub fn level_range(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(zstd::compression_level_range()),
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How far compressed bytes may expand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressionLimits {
    /// Largest output in bytes.
    pub output_bytes_max: usize,
    /// Largest output as a multiple of the input, beyond [`RATIO_FREE_BYTES`] that are always allowed.
    pub ratio_max: usize,
}

impl Default for CompressionLimits {
    /// 64 MiB, and 2048 times the input: gzip cannot reach that ratio, zstd can on data that says nothing.
    fn default() -> Self {
        Self {
            output_bytes_max: 64 * 1024 * 1024,
            ratio_max: 2048,
        }
    }
}

/// The limits applied to one input.
#[derive(Debug, Clone, Copy)]
struct Budget {
    codec: Compression,
    input_bytes: usize,
    limits: CompressionLimits,
    /// Bytes this input may become.
    bytes: usize,
}

impl Budget {
    fn new(codec: Compression, input: &[u8], limits: &CompressionLimits) -> Self {
        let by_ratio = limits
            .ratio_max
            .saturating_mul(input.len())
            .saturating_add(RATIO_FREE_BYTES);
        let bytes = match codec {
            Compression::None => limits.output_bytes_max,
            _ => limits.output_bytes_max.min(by_ratio),
        };
        Self {
            codec,
            input_bytes: input.len(),
            limits: *limits,
            bytes,
        }
    }

    fn exceeded(&self) -> CompressionError {
        if self.bytes == self.limits.output_bytes_max {
            CompressionError::OutputLimit {
                codec: self.codec,
                input_bytes: self.input_bytes,
                limit_bytes: self.bytes,
            }
        } else {
            CompressionError::RatioLimit {
                codec: self.codec,
                input_bytes: self.input_bytes,
                limit_bytes: self.bytes,
                ratio_max: self.limits.ratio_max,
            }
        }
    }

    fn corrupt(&self, reason: impl ToString) -> CompressionError {
        CompressionError::Corrupt {
            codec: self.codec,
            reason: reason.to_string(),
        }
    }
}

/// Decompresses `input` completely.
///
/// Blocks the thread for the work (about 1 ms per MiB). The buffer grows with the output, to at most twice
/// its size, and never beyond twice the limit.
///
/// # Errors
/// [`CompressionError::OutputLimit`] and [`CompressionError::RatioLimit`] as soon as the limit is passed;
/// [`CompressionError::Corrupt`] for anything the codec does not write, an empty input included.
pub fn decompress(
    codec: Compression,
    input: &[u8],
    limits: &CompressionLimits,
) -> Result<Bytes, CompressionError> {
    let budget = Budget::new(codec, input, limits);
    if input.is_empty() && codec != Compression::None {
        return Err(budget.corrupt("no bytes"));
    }
    match codec {
        Compression::None if input.len() > budget.bytes => Err(budget.exceeded()),
        Compression::None => Ok(Bytes::copy_from_slice(input)),
        // Several members one after the other are one stream, as RFC 1952 and Java have it.
        Compression::Gzip => read_within(&budget, flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Snappy => snappy::decompress(input, &budget).map(Bytes::from),
        Compression::Lz4 => lz4::decompress(input, &budget).map(Bytes::from),
        Compression::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(input).map_err(|error| budget.corrupt(error))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|error| budget.corrupt(error))?;
            read_within(&budget, decoder)
        }
    }
}

fn read_within(budget: &Budget, reader: impl Read) -> Result<Bytes, CompressionError> {
    let mut output = Vec::with_capacity(OUTPUT_START_BYTES.min(budget.bytes));
    // One byte more than allowed tells "exactly full" from "too much".
    let ceiling = u64::try_from(budget.bytes).unwrap_or(u64::MAX).saturating_add(1);
    let read = reader.take(ceiling).read_to_end(&mut output);
    if output.len() > budget.bytes {
        return Err(budget.exceeded());
    }
    read.map_err(|error| budget.corrupt(error))?;
    Ok(Bytes::from(output))
}

/// Compresses `input` in the framing that Kafka's Java client writes and every client reads.
///
/// `level` is Kafka's `compression.<codec>.level`, `None` its default (gzip 6, zstd 3). The LZ4 encoder has
/// one level; others are accepted, because the topic setting exists, and give the same bytes.
///
/// # Errors
/// [`CompressionError::LevelOutOfRange`], and [`CompressionError::Encode`] when the encoder fails.
pub fn compress(codec: Compression, level: Option<i32>, input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    // −1 is how Kafka's gzip setting says "default"; for zstd it is a level of its own.
    let level = level.filter(|level| codec != Compression::Gzip || *level != -1);
    if let (Some(level), Some(range)) = (level, codec.level_range())
        && !range.contains(&level)
    {
        let (min, max) = range.into_inner();
        return Err(CompressionError::LevelOutOfRange {
            codec,
            level,
            min,
            max,
        });
    }
    let failed = |error: std::io::Error| CompressionError::Encode {
        codec,
        reason: error.to_string(),
    };
    match codec {
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => {
            let level = level
                .and_then(|level| u32::try_from(level).ok())
                .map(flate2::Compression::new);
            let output = Vec::with_capacity(input.len() / 2 + 64);
            let mut encoder = flate2::write::GzEncoder::new(output, level.unwrap_or_default());
            encoder
                .write_all(input)
                .and_then(|()| encoder.finish())
                .map_err(failed)
        }
        Compression::Snappy => snappy::compress(input),
        Compression::Lz4 => lz4::compress(input),
        Compression::Zstd => {
            zstd::bulk::compress(input, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)).map_err(failed)
        }
    }
}

#[cfg(test)]
#[path = "compression_test.rs"]
mod tests;
