//! Tests with clients that people have: librdkafka, kcat, Apache Kafka's Java clients and tools, Python.
//!
//! Each test starts its own broker, so that they run side by side and one failure stays alone. With
//! `THALWEG_TEST_PEER=kafka` the same tests run against Apache Kafka, which shows that they ask for what Kafka does.

mod java_consume;
mod java_groups;
mod java_segments;
mod java_topics;
mod kcat;
mod librdkafka_admin;
mod librdkafka_consume;
mod librdkafka_groups;
mod librdkafka_produce;
mod python;
mod real_input;
mod restart;
