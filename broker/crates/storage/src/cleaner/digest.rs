//! SipHash-2-4 with 128 bits of output: what the map of keys remembers of a key.
//!
//! Two keys with one digest would make compaction drop a record that nobody overwrote, and keys come from clients,
//! so the hash is keyed with random numbers that no client knows: nobody can look for such keys, and 2⁶⁴ keys would
//! have to meet by chance. Reference: Aumasson and Bernstein, "SipHash: a fast short-input PRF".

/// Digest of a key.
pub(crate) type Digest = [u64; 2];

/// The secret of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigestSeed(pub u64, pub u64);

impl DigestSeed {
    /// Makes a seed from a random number.
    pub(crate) fn new(random: u128) -> Self {
        Self(random as u64, (random >> 64) as u64)
    }

    /// Returns the digest of a key.
    pub(crate) fn digest(self, key: &[u8]) -> Digest {
        let mut state = State([
            0x736f_6d65_7073_6575 ^ self.0,
            0x646f_7261_6e64_6f6d ^ self.1 ^ 0xee,
            0x6c79_6765_6e65_7261 ^ self.0,
            0x7465_6462_7974_6573 ^ self.1,
        ]);
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            state.absorb(u64::from_le_bytes(*word));
        }
        // The last word: what is left, and the length's low byte on top.
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        state.absorb(u64::from_le_bytes(last) | (key.len() as u64) << 56);
        state.0[2] ^= 0xee;
        let low = state.squeeze();
        state.0[1] ^= 0xdd;
        [low, state.squeeze()]
    }
}

struct State([u64; 4]);

impl State {
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn squeeze(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.0.iter().fold(0, |all, word| all ^ word)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
#[path = "digest_test.rs"]
mod tests;
