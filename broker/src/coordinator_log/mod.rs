//! What runs a pure coordinator over the partitions of an internal topic: the topic, loading, timers, appending.
//!
//! Two use it: consumer groups over `__consumer_offsets` and transactions over `__transaction_state`. Owns no state of
//! either. Invariant: records of a step are appended in their order, and a shard is loaded from all records that were
//! appended before.

mod alarm;
mod clock;
mod loader;
mod records;
mod replay;
mod topic;

pub use alarm::{Alarm, NEVER, keep_time};
pub use clock::EvenClock;
pub use loader::{LoadShard, load_shards};
pub use records::{BATCH_BYTES_MAX, Record, RecordsError, append_records};
pub use replay::{LoadError, LoadReport, LogReplay, Replay, ReplayedRecord, replay_log};
pub use topic::{CoordinatorTopic, NoTopic, find_or_create};

/// Key and value bytes of the largest record: Kafka's default `max.message.bytes` less room for batch and record
/// headers. A write-ahead log too small for it refuses the append, and the shard is loaded again.
pub const RECORD_BYTES_MAX: usize = 1_000_000;
