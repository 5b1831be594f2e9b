use super::*;
use std::collections::HashSet;

/// The reference key and inputs: bytes counting up from 0.
fn reference(len: u8) -> [u8; 16] {
    let bytes: Vec<u8> = (0..16).collect();
    let seed = u128::from_le_bytes(bytes.try_into().unwrap());
    let input: Vec<u8> = (0..len).collect();
    let [low, high] = DigestSeed::new(seed).digest(&input);
    let mut out = [0; 16];
    out[..8].copy_from_slice(&low.to_le_bytes());
    out[8..].copy_from_slice(&high.to_le_bytes());
    out
}

#[test]
fn digests_are_those_of_the_reference() {
    let empty = [
        0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93,
    ];
    let one = [
        0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45,
    ];
    assert_eq!(reference(0), empty);
    assert_eq!(reference(1), one);
}

#[test]
fn keys_that_differ_in_length_or_end_differ() {
    let seed = DigestSeed::new(42);
    let mut seen = HashSet::new();
    for len in 0..40usize {
        for last in [0u8, 1, 0x80] {
            let mut key = vec![0; len];
            key.push(last);
            assert!(seen.insert(seed.digest(&key)), "{key:?}");
        }
    }
    assert_ne!(seed.digest(b"key"), DigestSeed::new(43).digest(b"key"));
}
