//! Durable partition logs: one write-ahead log for all partitions, segments in Kafka's layout, recovery points.
//!
//! An acknowledged append has been flushed to stable storage. What is behind traits differs by mode: the
//! [`wal::WalSink`] (where commit groups go), the [`log::rows::RecoveryStore`] (where recovery points are kept)
//! and the [`disk::Disk`]; the logs themselves are the same. No clock, no randomness and no file system is used
//! but those given as arguments.

pub mod cleaner;
pub mod clock;
pub mod commit;
pub mod disk;
pub mod engine;
pub mod histogram;
pub mod log;
pub mod log_config;
#[cfg(feature = "planted-faults")]
pub mod planted;
#[cfg(not(feature = "planted-faults"))]
mod planted;
pub mod recovery;
pub mod segment;
pub mod wal;

#[cfg(test)]
mod test_batches;
