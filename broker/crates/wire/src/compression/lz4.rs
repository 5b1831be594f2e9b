//! The LZ4 frame format, read block by block so that a frame cannot reserve more than its blocks can hold.
//!
//! Reads one frame with independent or linked blocks, with or without block and content checksums: what
//! Kafka's Java client, librdkafka and the lz4 library write. No dictionaries, no skippable or second frames,
//! and not the wrong header checksum of message formats v0 and v1. Writes what Java's reader insists on:
//! independent blocks. Format: lz4_Frame_format.md 1.6 of the lz4 project.

use std::io::Write;

use lz4_flex::block::DecompressError;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use twox_hash::XxHash32;

use super::{Budget, Compression, CompressionError};

const MAGIC: u32 = 0x184d_2204;
const FLAG_VERSION_MASK: u8 = 0b1100_0000;
const FLAG_VERSION_1: u8 = 0b0100_0000;
const FLAG_INDEPENDENT: u8 = 0b0010_0000;
const FLAG_BLOCK_CHECKSUM: u8 = 0b0001_0000;
const FLAG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLAG_CONTENT_CHECKSUM: u8 = 0b0000_0100;
const FLAG_RESERVED: u8 = 0b0000_0010;
const FLAG_DICTIONARY: u8 = 0b0000_0001;
/// High bit of a block's length: the block is stored as it is.
const BLOCK_STORED: u32 = 1 << 31;
/// How far back linked blocks may refer.
const WINDOW_BYTES: usize = 64 * 1024;
/// One byte of a length field adds at most 255 bytes of output.
const EXPANSION_MAX: usize = 255;

/// Reads little-endian fields and pieces off the front of a frame.
struct Reader<'a> {
    rest: &'a [u8],
    budget: &'a Budget,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], CompressionError> {
        let (piece, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.budget.corrupt(format_args!("cut-off {what}")))?;
        self.rest = rest;
        Ok(piece)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, CompressionError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or_else(|| self.budget.corrupt(format_args!("cut-off {what}")))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }
}

/// What the frame header says.
struct Frame {
    flags: u8,
    block_bytes_max: usize,
    content_bytes: Option<u64>,
}

impl Frame {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Decompresses one frame.
pub(super) fn decompress(input: &[u8], budget: &Budget) -> Result<Vec<u8>, CompressionError> {
    let mut reader = Reader { rest: input, budget };
    let frame = read_header(&mut reader)?;
    let mut output = Vec::new();
    loop {
        let length = reader.u32("block length")?;
        if length == 0 {
            break;
        }
        read_block(&mut reader, &frame, length, &mut output)?;
    }
    if frame.has(FLAG_CONTENT_CHECKSUM) {
        check_hash(&output, reader.u32("content checksum")?, "content", budget)?;
    }
    if frame
        .content_bytes
        .is_some_and(|claimed| claimed != output.len() as u64)
    {
        return Err(budget.corrupt("the content size in the header is not that of the content"));
    }
    if !reader.rest.is_empty() {
        return Err(budget.corrupt(format_args!("{} bytes after the frame", reader.rest.len())));
    }
    Ok(output)
}

fn read_header(reader: &mut Reader<'_>) -> Result<Frame, CompressionError> {
    let budget = reader.budget;
    if reader.u32("magic")? != MAGIC {
        return Err(budget.corrupt("no LZ4 frame starts here"));
    }
    let descriptor = reader.rest;
    let &[flags, block_descriptor] = reader.take(2, "descriptor")? else {
        return Err(budget.corrupt("cut-off descriptor"));
    };
    if flags & FLAG_VERSION_MASK != FLAG_VERSION_1 || flags & FLAG_RESERVED != 0 {
        return Err(budget.corrupt("unknown frame version or reserved flag"));
    }
    if flags & FLAG_DICTIONARY != 0 {
        return Err(budget.corrupt("the frame needs a dictionary"));
    }
    let block_bytes_max = match block_descriptor {
        0x40 => 64 * 1024,
        0x50 => 256 * 1024,
        0x60 => 1024 * 1024,
        0x70 => 4 * 1024 * 1024,
        _ => return Err(budget.corrupt("unknown block size or reserved bits")),
    };
    let content_bytes = if flags & FLAG_CONTENT_SIZE == 0 {
        None
    } else {
        let low = u64::from(reader.u32("content size")?);
        Some(low | u64::from(reader.u32("content size")?) << 32)
    };
    let covered = descriptor.len() - reader.rest.len();
    let expected = (XxHash32::oneshot(0, &descriptor[..covered]) >> 8) as u8;
    if reader.take(1, "header checksum")? != [expected] {
        return Err(budget.corrupt("header checksum"));
    }
    Ok(Frame {
        flags,
        block_bytes_max,
        content_bytes,
    })
}

fn read_block(
    reader: &mut Reader<'_>,
    frame: &Frame,
    length: u32,
    output: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let budget = reader.budget;
    let stored = length & BLOCK_STORED != 0;
    let length = (length & !BLOCK_STORED) as usize;
    if length > frame.block_bytes_max {
        return Err(budget.corrupt(format_args!("block of {length} bytes, above the frame's maximum")));
    }
    let block = reader.take(length, "block")?;
    if frame.has(FLAG_BLOCK_CHECKSUM) {
        check_hash(block, reader.u32("block checksum")?, "block", budget)?;
    }
    let left = budget.bytes.saturating_sub(output.len());
    if stored {
        if block.len() > left {
            return Err(budget.exceeded());
        }
        output.extend_from_slice(block);
        return Ok(());
    }
    let block_may_hold = frame.block_bytes_max.min(length.saturating_mul(EXPANSION_MAX));
    let room = block_may_hold.min(left);
    let start = output.len();
    output.resize(start + room, 0);
    let (before, target) = output.split_at_mut(start);
    let written = if frame.has(FLAG_INDEPENDENT) {
        lz4_flex::block::decompress_into(block, target)
    } else {
        let window = &before[start.saturating_sub(WINDOW_BYTES)..];
        lz4_flex::block::decompress_into_with_dict(block, target, window)
    };
    let written = written.map_err(|error| match error {
        // The room was cut by the limit, not by the format: the block is fine, only too large for us.
        DecompressError::OutputTooSmall { .. } if room < block_may_hold => budget.exceeded(),
        other => budget.corrupt(other),
    })?;
    output.truncate(start + written);
    Ok(())
}

fn check_hash(data: &[u8], expected: u32, what: &str, budget: &Budget) -> Result<(), CompressionError> {
    let found = XxHash32::oneshot(0, data);
    if found == expected {
        return Ok(());
    }
    Err(budget.corrupt(format_args!(
        "{what} checksum {found:#010x}, expected {expected:#010x}"
    )))
}

/// Compresses into one frame of independent 64 KiB blocks without checksums (the batch has its own), as
/// Kafka's Java client does.
pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let failed = |reason: String| CompressionError::Encode {
        codec: Compression::Lz4,
        reason,
    };
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(input.len() / 2 + 64));
    encoder
        .write_all(input)
        .map_err(|error| failed(error.to_string()))?;
    encoder.finish().map_err(|error| failed(error.to_string()))
}
