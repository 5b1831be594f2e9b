//! cargo-fuzz target: see `thalweg_hostile::segment`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::segment(data));
