//! What MirrorMaker 2 counts for a partition, by the names that the usual JMX exporter gives its numbers, for dashboards that
//! ask for them: `target` is the target's alias, `topic` the name there.

use prometheus::{GaugeVec, IntGaugeVec, Opts};
use thalweg_telemetry::{Metrics, MetricsError};

use crate::status::PartitionStatus;

/// The families.
pub(super) struct MirrorMaker {
    record_count: IntGaugeVec,
    record_rate: GaugeVec,
    byte_count: IntGaugeVec,
    byte_rate: GaugeVec,
    record_age: IntGaugeVec,
    latency: IntGaugeVec,
}

impl MirrorMaker {
    pub(super) fn new(registry: &Metrics) -> Result<Self, MetricsError> {
        const PREFIX: &str = "kafka_connect_mirror_mirrorsourceconnector";
        let labels: &[&str] = &["target", "topic", "partition"];
        let refused = |name: &str| {
            let name = name.to_owned();
            move |cause| MetricsError::Refused { name, cause }
        };
        let whole = |name: &str, help: &str| {
            let name = format!("{PREFIX}_{name}");
            let vec = IntGaugeVec::new(Opts::new(&name, help), labels).map_err(refused(&name))?;
            registry.register_collector(Box::new(vec.clone()), Vec::new())?;
            Ok::<_, MetricsError>(vec)
        };
        let float = |name: &str, help: &str| {
            let name = format!("{PREFIX}_{name}");
            let vec = GaugeVec::new(Opts::new(&name, help), labels).map_err(refused(&name))?;
            registry.register_collector(Box::new(vec.clone()), Vec::new())?;
            Ok::<_, MetricsError>(vec)
        };
        Ok(Self {
            record_count: whole("record_count", "Records copied to the target.")?,
            record_rate: float(
                "record_rate",
                "Records copied per second, holes of the source included.",
            )?,
            byte_count: whole("byte_count", "Bytes of batches copied to the target.")?,
            byte_rate: float("byte_rate", "Bytes of batches copied per second.")?,
            record_age: whole(
                "record_age_ms",
                "Age of the newest record when it was copied, in milliseconds.",
            )?,
            latency: whole(
                "replication_latency_ms",
                "From a record's timestamp to its acknowledgement by the target, in milliseconds.",
            )?,
        })
    }

    pub(super) fn set(&self, target: &str, partition: &PartitionStatus) {
        let number = partition.partition.to_string();
        let labels = [target, partition.target_topic.as_str(), number.as_str()];
        let whole = |vec: &IntGaugeVec, value: i64| vec.with_label_values(&labels).set(value);
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        whole(&self.record_count, count(partition.appended_records));
        whole(&self.byte_count, count(partition.appended_bytes));
        self.record_rate
            .with_label_values(&labels)
            .set(partition.offsets_per_second);
        self.byte_rate
            .with_label_values(&labels)
            .set(partition.bytes_per_second);
        if let Some(latency) = partition.latency_ms {
            whole(&self.record_age, latency);
            whole(&self.latency, latency);
        }
    }
}
