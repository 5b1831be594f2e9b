//! Hostile bytes for everything that reads bytes from outside: one plain function for each kind.
//!
//! Owns the bodies of the fuzz targets (`targets/`), the properties they check, and [`seeds`]: valid encodings to
//! start from. `tests/run-fuzz` runs them under libFuzzer with the address sanitizer, and `tests/tests/hostile` over
//! seeded random mutations on stable Rust. A body returns, or panics with what does not hold.
//!
//! Invariant: a body depends on its bytes alone. No clock, no random source, no file.

#![forbid(unsafe_code)]

mod batch;
mod compressed;
mod coordinator;
mod edits;
mod frames;
mod input;
mod memory;
mod messages;
mod mirror;
mod produce_fetch;
mod ring;
mod row;
mod seed;
mod segments;
mod setting;
mod transactions;
mod wal_groups;

pub use batch::record_batch;
pub use compressed::compression;
pub use coordinator::coordinator_record;
pub use frames::frame;
pub use messages::request;
pub use mirror::mirror_message;
pub use produce_fetch::produce_fetch;
pub use ring::wal_ring;
pub use row::rows;
pub use segments::segment;
pub use setting::settings;
pub use transactions::transaction_record;
pub use wal_groups::wal_group;

/// One kind of hostile bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the cargo-fuzz target.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: [Target; 13] = [
    target("frame", frame, seed::frames),
    target("request", request, seed::requests),
    target("produce_fetch", produce_fetch, seed::produce_and_fetch),
    target("record_batch", record_batch, seed::record_batches),
    target("compression", compression, seed::compressed),
    target("wal_group", wal_group, seed::wal_groups),
    target("wal_ring", wal_ring, seed::edits),
    target("segment", segment, seed::edits),
    target("rows", rows, seed::rows),
    target("settings", settings, seed::settings),
    target(
        "coordinator_record",
        coordinator_record,
        seed::coordinator_records,
    ),
    target(
        "transaction_record",
        transaction_record,
        seed::transaction_records,
    ),
    target("mirror_message", mirror_message, seed::mirror_messages),
];

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}
