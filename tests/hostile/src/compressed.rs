//! Inflating under limits, each codec.

use crate::input::Input;
use crate::memory;
use thalweg_wire::compression::{Compression, CompressionLimits, RATIO_FREE_BYTES, compress, decompress};

/// Tables and windows of the decoders that are written in Rust.
const DECODER_BYTES_MAX: usize = 512 << 10;

/// Byte 0: codec; byte 1: limits; then the compressed bytes.
///
/// Beyond "no panic": the output is within both limits, the memory within three times the output's limit; what was inflated
/// and is compressed again inflates to the same.
pub fn compression(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = Compression::ALL[usize::from(input.u8()) % Compression::ALL.len()];
    let choice = input.u8();
    let limits = CompressionLimits {
        output_bytes_max: 1 << (6 + choice % 16),
        ratio_max: 1 << (choice >> 4),
    };
    let stored = input.rest();
    // A buffer of at most twice the limit, and the one of half that size from which it grew.
    let allowed = 3 * limits.output_bytes_max + DECODER_BYTES_MAX;
    let Ok(output) = memory::within(allowed, codec.name(), || decompress(codec, stored, &limits)) else {
        return;
    };
    assert!(
        output.len() <= limits.output_bytes_max,
        "{codec}: {} bytes",
        output.len()
    );
    if codec != Compression::None {
        let by_ratio = stored.len() * limits.ratio_max + RATIO_FREE_BYTES;
        assert!(
            output.len() <= by_ratio,
            "{codec}: {} bytes from {}",
            output.len(),
            stored.len()
        );
    }
    let free = CompressionLimits {
        output_bytes_max: usize::MAX >> 1,
        ratio_max: usize::MAX,
    };
    let again = compress(codec, None, &output).map(|stored| decompress(codec, &stored, &free));
    assert_eq!(again, Ok(Ok(output)), "{codec}: compressed and inflated");
}
