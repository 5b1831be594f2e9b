//! Snappy, in its two framings.
//!
//! librdkafka and others write one bare snappy block. The Java client writes the stream format of snappy-java
//! (also called xerial): an 8-byte magic, two version numbers, then blocks, each after its big-endian length.
//! Readers tell them apart by the magic, whose bytes cannot start a sensible bare block.

use super::{Budget, Compression, CompressionError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSION: [u8; 4] = 1i32.to_be_bytes();
/// Magic, version, and the oldest version whose readers understand the stream.
const STREAM_HEADER_LEN: usize = 16;
/// Uncompressed bytes of a block, as the Java library's default.
const BLOCK_BYTES: usize = 32 * 1024;
/// Snappy's best element makes 64 bytes of 3; a block that claims more than this per input byte is a lie.
const EXPANSION_MAX: usize = 22;

/// Decompresses either framing.
pub(super) fn decompress(input: &[u8], budget: &Budget) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    if !input.starts_with(&MAGIC) {
        append_block(&mut output, input, budget)?;
        return Ok(output);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams written one after the other are one stream: a header may also stand where a length is due.
        rest = if rest.starts_with(&MAGIC) {
            skip_stream_header(rest, budget)?
        } else {
            let (length, after) = rest
                .split_first_chunk::<4>()
                .ok_or_else(|| budget.corrupt("cut-off block length"))?;
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| budget.corrupt("negative block length"))?;
            let (block, after) = after
                .split_at_checked(length)
                .ok_or_else(|| budget.corrupt("cut-off block"))?;
            append_block(&mut output, block, budget)?;
            after
        };
    }
    Ok(output)
}

fn skip_stream_header<'a>(stream: &'a [u8], budget: &Budget) -> Result<&'a [u8], CompressionError> {
    let (header, rest) = stream
        .split_first_chunk::<STREAM_HEADER_LEN>()
        .ok_or_else(|| budget.corrupt("cut-off stream header"))?;
    let version = i32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    if version < 1 {
        return Err(budget.corrupt(format_args!("stream version {version}")));
    }
    Ok(rest)
}

fn append_block(output: &mut Vec<u8>, block: &[u8], budget: &Budget) -> Result<(), CompressionError> {
    let claimed = snap::raw::decompress_len(block).map_err(|error| budget.corrupt(error))?;
    if claimed > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(budget.corrupt(format_args!(
            "a block of {} bytes claims to hold {claimed}",
            block.len()
        )));
    }
    if claimed > budget.bytes.saturating_sub(output.len()) {
        return Err(budget.exceeded());
    }
    let start = output.len();
    output.resize(start + claimed, 0);
    let written = snap::raw::Decoder::new()
        .decompress(block, &mut output[start..])
        .map_err(|error| budget.corrupt(error))?;
    output.truncate(start + written);
    Ok(())
}

/// Compresses into the Java stream format.
pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(STREAM_HEADER_LEN + input.len() / 2 + 64);
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION);
    output.extend_from_slice(&VERSION);
    let mut encoder = snap::raw::Encoder::new();
    let mut scratch = vec![0u8; snap::raw::max_compress_len(BLOCK_BYTES.min(input.len()))];
    for block in input.chunks(BLOCK_BYTES) {
        let failed = |reason: String| CompressionError::Encode {
            codec: Compression::Snappy,
            reason,
        };
        let written = encoder
            .compress(block, &mut scratch)
            .map_err(|error| failed(error.to_string()))?;
        let length = i32::try_from(written).map_err(|error| failed(error.to_string()))?;
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(&scratch[..written]);
    }
    Ok(output)
}
