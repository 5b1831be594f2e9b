//! cargo-fuzz target: see `thalweg_hostile::transaction_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::transaction_record(data));
