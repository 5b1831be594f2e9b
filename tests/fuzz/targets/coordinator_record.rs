//! cargo-fuzz target: see `thalweg_hostile::coordinator_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::coordinator_record(data));
