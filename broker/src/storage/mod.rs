//! The data directory: opened, locked, stamped and agreed upon before anything is served.
//!
//! Adapts the disk to the metadata store, and the metadata store to the logs' recovery points. Owns no data.

mod backend;
mod crash_plan;
mod data_directory;
mod durable_segment;
mod recovery_rows;
mod reserve;
mod watched_disk;

pub use crash_plan::{CRASH_POINT_VARIABLE, disk};
pub use data_directory::{DataDirectory, OpenDataError, OpenedData};
pub(crate) use durable_segment::DurableSegment;
pub(crate) use recovery_rows::is_no_space;
pub use reserve::DiskReserve;
pub use watched_disk::{RecoveryProgress, WatchedDisk};

#[cfg(test)]
#[path = "damage_test.rs"]
mod damage_tests;
