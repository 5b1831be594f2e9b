//! What records are made of: random letters as Kafka's perf tool sends them, or text that compresses as logs do.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Distinct records that a load repeats.
const DISTINCT: usize = 1_000;
/// The same records in every run.
const SEED: u64 = 20_261_121;

/// The kind of a record's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Payload {
    /// Random capital letters.
    Letters,
    /// Lines of JSON with repeating names and changing numbers.
    Json,
}

impl Payload {
    /// Values of `size` bytes each.
    pub fn values(self, size: usize) -> Vec<Vec<u8>> {
        let mut random = StdRng::seed_from_u64(SEED);
        (0..DISTINCT).map(|_| self.value(size, &mut random)).collect()
    }

    fn value(self, size: usize, random: &mut StdRng) -> Vec<u8> {
        let mut value = Vec::with_capacity(size + 128);
        match self {
            Payload::Letters => value.extend((0..size).map(|_| random.random_range(b'A'..=b'Z'))),
            Payload::Json => {
                while value.len() < size {
                    let level = ["INFO", "WARN", "ERROR"][random.random_range(0..3)];
                    let line = format!(
                        "{{\"time\":{},\"level\":\"{level}\",\"host\":\"web-{}\",\"path\":\"/orders/{}\",\"ms\":{}}} ",
                        1_760_000_000_000u64 + random.random_range(0..86_400_000),
                        random.random_range(0..40),
                        random.random_range(0..1_000_000),
                        random.random_range(0..2_000),
                    );
                    value.extend_from_slice(line.as_bytes());
                }
                value.truncate(size);
            }
        }
        value
    }
}

#[cfg(test)]
#[path = "payload_test.rs"]
mod tests;
