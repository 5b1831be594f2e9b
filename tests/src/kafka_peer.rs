//! Apache Kafka as a peer: how its one-node form is set up, started and asked whether it serves.
//!
//! Needs the Java client's jars (see [`crate::clients::java`]), which contain the server too.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::clients::java::Java;
use crate::process;

const FORMAT: Duration = Duration::from_secs(60);
const ASK: Duration = Duration::from_secs(2);

/// The settings of a node that is broker and controller in one.
pub fn settings(bootstrap: &str, controller: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("process.roles", "broker,controller"),
        ("node.id", "0"),
        ("controller.quorum.bootstrap.servers", controller),
        (
            "listeners",
            &format!("PLAINTEXT://{bootstrap},CONTROLLER://{controller}"),
        ),
        ("advertised.listeners", &format!("PLAINTEXT://{bootstrap}")),
        ("controller.listener.names", "CONTROLLER"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "4"),
    ];
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Prepares the log directory that `properties` names.
#[track_caller]
pub fn format(properties: &Path) {
    let java = java();
    let id = process::run(
        java.class("kafka.tools.StorageTool", &["random-uuid"]),
        b"",
        FORMAT,
    )
    .ok();
    let mut format = java.class("kafka.tools.StorageTool", &["format", "--standalone"]);
    format
        .args(["-t", id.stdout_text().trim()])
        .arg("-c")
        .arg(properties);
    process::run(format, b"", FORMAT).ok();
}

/// The command that serves `properties`.
pub fn command(properties: &Path) -> Command {
    let mut command = java().server("kafka.Kafka");
    command.arg(properties);
    command
}

/// Asks for metadata once.
pub fn ready(bootstrap: &str) -> Result<(), String> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    let client: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    client
        .fetch_metadata(None, ASK)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn java() -> Java {
    Java::find().unwrap_or_else(|why| panic!("Apache Kafka as a peer needs Java and its jars: {why}"))
}
