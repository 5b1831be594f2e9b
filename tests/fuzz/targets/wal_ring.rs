//! cargo-fuzz target: see `thalweg_hostile::wal_ring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thalweg_hostile::wal_ring(data));
