//! Kafka's bytes: frames, message bodies behind a guard, record batches, compression.
//!
//! Owns formats and the limits that make them safe to read. Knows nothing of sockets, files, topics or time.
//! Invariant: no bytes from outside make anything here panic or reserve more memory than a limit says; message bodies
//! reach the decoder of `kafka-protocol` only through [`guard`].

pub mod batch;
pub mod compression;
pub mod consumer_protocol;
pub mod fetch;
pub mod frame;
pub mod guard;
pub mod markers;
pub mod mirror;
pub mod offsets;
pub mod produce;
pub mod records;

mod cursor;
mod encode;
#[cfg(test)]
#[path = "messages_golden_test.rs"]
mod messages_golden;
mod reader;
#[cfg(test)]
#[path = "sample_test.rs"]
mod sample;
mod schema;
mod topology;
mod walk;
