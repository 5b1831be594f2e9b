//! cargo-fuzz target: see `thalweg_hostile::record_batch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::record_batch(data));
