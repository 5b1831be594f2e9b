//! cargo-fuzz target: see `thalweg_hostile::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::frame(data));
