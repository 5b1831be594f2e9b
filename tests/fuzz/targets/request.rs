//! cargo-fuzz target: see `thalweg_hostile::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::request(data));
