//! Tests with clients that people have: librdkafka, kcat, Apache Kafka's Java clients and tools, Python.
//!
//! Each test starts its own broker, so that they run side by side and one failure stays alone. With
//! `THALWEG_TEST_PEER=kafka` the same tests run against Apache Kafka, which shows that they ask for what Kafka does.

mod cli;
mod cli_confirm;
mod cli_consume;
mod cli_errors;
mod cli_explain;
mod cli_groups;
mod cli_log;
mod cli_offsets;
mod cli_produce;
mod cli_quarantine;
mod cli_seek;
mod cli_settings;
mod cli_topics;
mod compaction;
mod java_consume;
mod java_groups;
mod java_segments;
mod java_topics;
mod java_transactions;
mod kcat;
mod librdkafka_admin;
mod librdkafka_consume;
mod librdkafka_groups;
mod librdkafka_produce;
mod librdkafka_transactions;
mod metrics;
mod mirror_topic;
mod python;
mod real_input;
mod record_checks;
mod restart;
mod upgrade;
