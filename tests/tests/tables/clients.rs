//! Stock serializers against the registry.

use thalweg_tests::clients::python::{Library, Python};
use thalweg_tests::require_client;
use thalweg_tests::router::Router;

use crate::thalweg;

#[test]
fn confluent_kafka_serializers_register_evolve_and_read() {
    let python = require_client!(Python::find(Library::ConfluentRegistry));
    let broker = thalweg().start();
    let router = Router::start(&broker);
    let url = router.url();
    python
        .run("confluent_registry.py", &broker, &[&url])
        .shows("all good");
}
