//! Names for the numbers every other crate passes around: offsets, epochs, ids, times, error codes.
//!
//! Owns no logic beyond conversion and display, and has no dependencies. Values are wrapped where the wire or
//! the disk is decoded and unwrapped where it is encoded; between the two a bare integer is a mistake.

mod error_code;
mod ids;

pub use error_code::ErrorCode;
pub use ids::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId,
    TopicIdParseError, TopicPartitionId,
};
