//! One random change of an input.

use rand::Rng;
use rand::rngs::StdRng;

/// Numbers at which code turns.
const TELLING: [i64; 12] = [
    -1,
    0,
    1,
    127,
    128,
    255,
    i16::MAX as i64,
    i16::MIN as i64,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

/// Inputs do not grow beyond.
const LEN_MAX: usize = 1 << 17;

/// Changes `input`; pieces come from `others` too.
pub fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    let len = rng.random_range(0..=(input.len() - at).min(64));
    match rng.random_range(0..9) {
        0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        1 if at < input.len() => input[at] = rng.random(),
        2 => number(&mut input[at..], rng),
        3 => input.truncate(at),
        4 => drop(input.drain(at..at + len)),
        5 => {
            let piece = input[at..at + len].to_vec();
            insert(input, &piece, rng);
        }
        6 => {
            let piece: Vec<u8> = (0..rng.random_range(1..20)).map(|_| rng.random()).collect();
            insert(input, &piece, rng);
        }
        7 => {
            let other = &others[rng.random_range(0..others.len())];
            let from = rng.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => input[at..at + len].fill(rng.random()),
    }
    input.truncate(LEN_MAX);
}

fn insert(input: &mut Vec<u8>, piece: &[u8], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    input.splice(at..at, piece.iter().copied());
}

/// Writes a telling number over the bytes, in one of the widths and orders that formats use.
fn number(bytes: &mut [u8], rng: &mut StdRng) {
    let value = TELLING[rng.random_range(0..TELLING.len())];
    let width = [1, 2, 4, 8][rng.random_range(0..4)];
    let encoded = value.to_be_bytes();
    let mut encoded = encoded[8 - width..].to_vec();
    if rng.random() {
        encoded.reverse();
    }
    bytes.iter_mut().zip(encoded).for_each(|(byte, new)| *byte = new);
}
