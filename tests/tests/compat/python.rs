//! Python programs: confluent-kafka, and kafka-python in its newest and its most pinned release.

use thalweg_tests::clients::python::{Library, Python};
use thalweg_tests::{Broker, require_client};

#[track_caller]
fn run(library: Library, script: &str) {
    let python = require_client!(Python::find(library));
    let broker = Broker::start();
    python.run(script, &broker, &[]).shows("all good");
}

#[test]
fn confluent_kafka_produces_consumes_and_administers() {
    run(Library::Confluent, "confluent.py");
}

#[test]
fn kafka_python_produces_consumes_and_administers() {
    run(Library::KafkaPython, "kafka_python.py");
}

#[test]
fn kafka_python_2_0_produces_consumes_and_administers() {
    run(Library::KafkaPython20, "kafka_python.py");
}
