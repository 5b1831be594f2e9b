//! The partition router: today its schema registry, on which partitioned stream tables will stand.
//!
//! `registry` keeps the schemas in a compacted topic and answers for them; `http` is its REST interface, `service` runs
//! both; `metrics` counts. The process keeps nothing but what the topic holds.

pub mod http;
pub mod metrics;
pub mod registry;
pub mod service;
