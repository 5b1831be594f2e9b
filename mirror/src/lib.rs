//! Mirrors topics from one cluster to another, offset for offset.
//!
//! `config` is the file; `topology` and `partition` decide, without doing anything; `ends`, `discovery` and `engine` talk to
//! the clusters, through `line` and `agent` where they are in another room; `groups` carries committed offsets, `heartbeats`
//! and `checkpoints` are what MirrorMaker's clients read; `service` runs the links of a file, `http` shows them; `verify`
//! compares both sides; `failover` and `failback` switch sides without a service. The service keeps no state of its own: what
//! the mirror has, the target knows, and what is remembered of groups is in a topic there.
//!
//! Invariant: no offset of a mirror holds anything but what the source had there, and what a mirror lacks is named.

pub mod agent;
pub mod checkpoints;
pub mod client_http;
pub mod config;
pub mod discovery;
pub mod drill;
pub mod ends;
pub mod engine;
pub mod failback;
pub mod failover;
pub mod groups;
pub mod heartbeats;
pub mod http;
pub mod ledger;
pub mod line;
pub mod metrics;
mod operations;
pub mod partition;
pub mod plan;
pub mod progress;
pub mod run;
pub mod service;
pub mod settings;
pub mod status;
pub mod topology;
pub mod verify;
