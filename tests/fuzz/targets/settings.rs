//! cargo-fuzz target: see `thalweg_hostile::settings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::settings(data));
