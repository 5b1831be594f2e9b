//! MurmurHash3, the variant of 32 bits for x86, seed 0: what Iceberg's `bucket` transform hashes with, so that a table's
//! buckets line up with those of a lake table.

use crate::value::Value;

/// Hashes bytes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash: u32 = 0;
    for block in blocks {
        hash ^= scramble(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last: u32 = 0;
    for (place, byte) in tail.iter().enumerate() {
        last |= u32::from(*byte) << (8 * place);
    }
    hash ^= scramble(last);
    // The format counts the length modulo 2^32.
    hash ^= bytes.len() as u32;
    finish(hash)
}

/// Hashes a value as Iceberg does; `None` for floating point, which has no bucket.
pub(crate) fn hash_value(value: &Value) -> Option<u32> {
    Some(match value {
        Value::Boolean(value) => hash_bytes(&i64::from(*value).to_le_bytes()),
        Value::Integer(value) | Value::Timestamp(value) => hash_bytes(&value.to_le_bytes()),
        Value::Date(days) => hash_bytes(&i64::from(*days).to_le_bytes()),
        Value::Decimal(value) => hash_bytes(shortest(&value.unscaled.to_be_bytes())),
        Value::String(text) => hash_bytes(text.as_bytes()),
        Value::Bytes(bytes) => hash_bytes(bytes),
        Value::Double(_) => return None,
    })
}

fn scramble(block: u32) -> u32 {
    block
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

fn finish(mut hash: u32) -> u32 {
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Cuts the leading bytes that only repeat the sign of a big-endian number.
fn shortest(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && let [second, ..] = rest
        && ((*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0))
    {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::civil;
    use crate::value::Decimal;

    #[test]
    fn values_hash_as_the_lake_format_says() {
        let micros = civil::parse_timestamp("2017-11-16T22:31:08").unwrap();
        let days = civil::parse_date("2017-11-16").unwrap();
        let cases = [
            (Value::Integer(34), 2_017_239_379),
            (Value::Decimal(Decimal::parse("14.20").unwrap()), -500_754_589),
            (Value::Date(i32::try_from(days).unwrap()), -653_330_422),
            (Value::Timestamp(micros), -2_047_944_441),
            (Value::String("iceberg".to_owned()), 1_210_000_089),
            (Value::Bytes(vec![0, 1, 2, 3]), -188_683_207),
        ];
        for (value, expected) in cases {
            assert_eq!(hash_value(&value), Some(i32::cast_unsigned(expected)), "{value}");
        }
    }

    #[test]
    fn a_number_keeps_one_byte_for_its_sign() {
        assert_eq!(shortest(&0_i128.to_be_bytes()), [0]);
        assert_eq!(shortest(&(-1_i128).to_be_bytes()), [0xff]);
        assert_eq!(shortest(&128_i128.to_be_bytes()), [0, 0x80]);
        assert_eq!(shortest(&(-128_i128).to_be_bytes()), [0x80]);
    }
}
