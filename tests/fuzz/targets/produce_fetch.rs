//! cargo-fuzz target: see `thalweg_hostile::produce_fetch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::produce_fetch(data));
