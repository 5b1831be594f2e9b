//! Signed varints: zigzag, then seven bits a byte, lowest first (as in protocol buffers).

/// Takes a 32-bit number off the front of `input`; `None` if it is cut off or longer than 32 bits.
#[inline]
pub(super) fn take_i32(input: &mut &[u8]) -> Option<i32> {
    let raw = take_raw::<5>(input, 0x0f)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a 64-bit number off the front of `input`; `None` if it is cut off or longer than 64 bits.
#[inline]
pub(super) fn take_i64(input: &mut &[u8]) -> Option<i64> {
    let raw = take_raw::<10>(input, 0x01)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Reads at most `BYTES` bytes; the last of them may not exceed `last_max`, the bits that are left in the
/// type.
#[inline]
fn take_raw<const BYTES: usize>(input: &mut &[u8], last_max: u8) -> Option<u64> {
    // Most numbers in a batch are below 64: one byte.
    if let Some((&first, rest)) = input.split_first()
        && first < 0x80
    {
        *input = rest;
        return Some(u64::from(first));
    }
    let mut raw = 0u64;
    for (index, &byte) in input.iter().take(BYTES).enumerate() {
        if index == BYTES - 1 && byte > last_max {
            return None;
        }
        raw |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *input = input.get(index + 1..)?;
            return Some(raw);
        }
    }
    None
}

/// Appends a number; 32-bit numbers take the same bytes in both widths.
#[inline]
pub(super) fn put(output: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        output.push((raw as u8 & 0x7f) | 0x80);
        raw >>= 7;
    }
    output.push(raw as u8);
}

/// Returns how many bytes [`put`] writes.
#[inline]
pub(super) fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
#[path = "varint_test.rs"]
mod tests;
