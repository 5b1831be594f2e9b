//! cargo-fuzz target: see `thalweg_hostile::wal_group`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::wal_group(data));
