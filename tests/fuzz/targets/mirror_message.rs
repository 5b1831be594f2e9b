//! cargo-fuzz target: see `thalweg_hostile::mirror_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::mirror_message(data));
