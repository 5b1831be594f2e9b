//! The pure state machines behind Kafka's coordinators: given a request, a time and some randomness they
//! return the records to append, the replies to send and when they want to be called again.
//!
//! Owns the state of classic consumer groups and committed offsets, that of transactional ids, the rules that change
//! them, and the format of the `__consumer_offsets` and `__transaction_state` records that carry it over a restart. Owns no clock, no socket, no disk and no
//! thread: a runner in the broker appends the records and holds every reply back until they are durable.
//! Invariant: replaying the records a shard returned, in order, gives the durable part of its state.

pub mod group;
mod names;
mod partition;
pub mod record;
mod timers;
pub mod transaction;

pub use partition::partition_for;
