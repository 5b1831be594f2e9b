//! Which partition a record goes to, as Java producers choose: by key with murmur2, else sticky.
//!
//! Fact: Kafka's default partitioner takes murmur2 (seed 0x9747b28c) of the key, clears the sign bit and takes the rest
//! by the number of partitions. Golden values in the tests come from Kafka's own class.

/// Hashes a key as `org.apache.kafka.common.utils.Utils.murmur2` does.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // Java's lengths are 32 bits; a longer key cannot be sent.
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Returns the partition of a key among `count` partitions.
pub fn partition_of_key(key: &[u8], count: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % count.max(1)
}

/// Partitions for records without a key: stays with one while a batch fills, then takes the next.
#[derive(Debug)]
pub struct Sticky {
    count: u32,
    current: u32,
    bytes: usize,
    batch_bytes: usize,
}

impl Sticky {
    /// Starts at `first` among `count` partitions; moves on after about `batch_bytes` bytes.
    pub fn new(count: u32, first: u32, batch_bytes: usize) -> Self {
        let count = count.max(1);
        Self {
            count,
            current: first % count,
            bytes: 0,
            batch_bytes,
        }
    }

    /// Returns the partition for a record of `size` bytes.
    pub fn next(&mut self, size: usize) -> u32 {
        if self.bytes >= self.batch_bytes {
            self.current = (self.current + 1) % self.count;
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.current
    }
}

#[cfg(test)]
#[path = "partitioner_test.rs"]
mod tests;
