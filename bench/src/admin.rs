//! Topics and offsets of the broker under test, asked for with the project's own client, which both sides understand.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use thalweg_client::{
    AlterOperation, ClientConfig, Cluster, ConfigAlteration, ConfigResource, Isolation, NewTopic,
    OffsetQuery, ProduceBatch, ProduceOptions, ResourceKind, TopicPartition, Validation,
};
use thalweg_tests::wait;
use thalweg_types::{PartitionIndex, TimestampMs};
use thalweg_wire::records::{BatchBuilder, BatchOptions};
use tokio::runtime::Runtime;

const CONNECT: Duration = Duration::from_secs(2);
const OPERATION: Duration = Duration::from_secs(60);
/// How long the partitions of a new topic may take to have leaders.
const LEADERS: Duration = Duration::from_secs(20);

/// Partitions of one topic at most: Kafka refuses one request that makes very many.
pub const PARTITIONS_PER_TOPIC: i32 = 1_000;

/// A blocking admin client.
#[derive(Debug)]
pub struct Admin {
    runtime: Runtime,
    cluster: Cluster,
}

/// Topics that are used together, all with the same number of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Their names.
    pub names: Vec<String>,
    /// Partitions of each.
    pub partitions: i32,
}

impl Topics {
    /// `partitions` partitions under names that begin with `stem`: one topic, or several of a thousand.
    pub fn spread(stem: &str, partitions: i32) -> Topics {
        if partitions <= PARTITIONS_PER_TOPIC {
            return Topics {
                names: vec![stem.to_owned()],
                partitions,
            };
        }
        let count = (partitions + PARTITIONS_PER_TOPIC - 1) / PARTITIONS_PER_TOPIC;
        Topics {
            names: (0..count).map(|number| format!("{stem}-{number}")).collect(),
            partitions: PARTITIONS_PER_TOPIC,
        }
    }

    /// The first, for loads that use one.
    pub fn first(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }
}

impl Admin {
    /// Connects and asks for metadata.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn connect(bootstrap: &str) -> Result<Admin> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let config = ClientConfig {
            client_id: "thalweg-bench".to_owned(),
            connect_timeout: CONNECT,
            operation_timeout: OPERATION,
            ..ClientConfig::new(vec![bootstrap.parse()?])
        };
        let cluster = runtime.block_on(Cluster::connect(config))?;
        Ok(Admin { runtime, cluster })
    }

    /// Creates topics with one copy of each partition, and waits until all have leaders that answer: Kafka says that
    /// a topic is created before it can be written to.
    ///
    /// # Errors
    /// The first refusal, or the time-out of the wait.
    pub fn create(&self, topics: &Topics, configs: &[(&str, &str)]) -> Result<()> {
        let configs: Vec<(String, String)> = configs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        for name in &topics.names {
            let topic = NewTopic {
                name: name.clone(),
                partitions: Some(topics.partitions),
                replication_factor: Some(1),
                configs: configs.clone(),
            };
            let results = self.run(self.cluster.create_topics(&[topic], Validation::Apply))?;
            for (name, result) in results {
                result.with_context(|| format!("create topic {name}"))?;
            }
        }
        let mut last = Ok(());
        let there = wait::poll(LEADERS, || {
            last = self.offsets(topics, OffsetQuery::Latest).map(drop);
            last.is_ok().then_some(())
        });
        match there {
            Some(()) => Ok(()),
            None => last.with_context(|| format!("no leaders within {LEADERS:?} of the creation")),
        }
    }

    /// Changes settings of topics.
    ///
    /// # Errors
    /// The first refusal.
    pub fn alter(&self, topics: &Topics, configs: &[(&str, &str)]) -> Result<()> {
        for name in &topics.names {
            self.alter_resource(&ConfigResource::topic(name.as_str()), configs)?;
        }
        Ok(())
    }

    /// Changes settings of all brokers while they run.
    ///
    /// # Errors
    /// The refusal: some settings cannot be changed so.
    pub fn alter_brokers(&self, configs: &[(&str, &str)]) -> Result<()> {
        let all = ConfigResource {
            kind: ResourceKind::Broker,
            name: String::new(),
        };
        self.alter_resource(&all, configs)
    }

    fn alter_resource(&self, of: &ConfigResource, configs: &[(&str, &str)]) -> Result<()> {
        let changes: Vec<ConfigAlteration> = configs
            .iter()
            .map(|(key, value)| ConfigAlteration {
                name: (*key).to_owned(),
                operation: AlterOperation::Set((*value).to_owned()),
            })
            .collect();
        self.run(self.cluster.alter_configs(of, &changes, Validation::Apply))
            .with_context(|| format!("change {configs:?}"))
    }

    /// Bytes of the logs of topics, as the brokers count them.
    ///
    /// # Errors
    /// Those of the calls, or a directory that is not in use.
    pub fn size_bytes(&self, topics: &Topics) -> Result<u64> {
        let mut size = 0;
        for broker in self.run(self.cluster.describe_cluster())?.brokers {
            for directory in self.run(self.cluster.describe_log_dirs(broker.id))? {
                if let Some(error) = directory.error {
                    return Err(anyhow!("{}: {error}", directory.path));
                }
                let replicas = directory.replicas.iter();
                let wanted = replicas.filter(|replica| topics.names.contains(&replica.partition.topic));
                size += wanted.map(|replica| replica.size_bytes).sum::<i64>();
            }
        }
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// The first refusal.
    pub fn delete(&self, topics: &Topics) -> Result<()> {
        for (name, result) in self.run(self.cluster.delete_topics(&topics.names))? {
            result.with_context(|| format!("delete topic {name}"))?;
        }
        Ok(())
    }

    /// Records that the topics hold: end offsets less start offsets.
    ///
    /// # Errors
    /// Those of the calls.
    pub fn record_count(&self, topics: &Topics) -> Result<i64> {
        let ends = self.offsets(topics, OffsetQuery::Latest)?;
        let starts = self.offsets(topics, OffsetQuery::Earliest)?;
        Ok(ends.values().sum::<i64>() - starts.values().sum::<i64>())
    }

    /// An offset of each partition.
    ///
    /// # Errors
    /// Those of the calls.
    pub fn offsets(&self, topics: &Topics, query: OffsetQuery) -> Result<BTreeMap<TopicPartition, i64>> {
        let mut offsets = BTreeMap::new();
        for name in &topics.names {
            let queries: Vec<(TopicPartition, OffsetQuery)> = (0..topics.partitions)
                .map(|index| (TopicPartition::new(name.clone(), PartitionIndex(index)), query))
                .collect();
            let listed = self.run(self.cluster.list_offsets(&queries, Isolation::ReadUncommitted))?;
            offsets.extend(
                listed
                    .into_iter()
                    .map(|(partition, found)| (partition, found.offset.get())),
            );
        }
        Ok(offsets)
    }

    /// Produces one record to partition 0 of `topic` and waits for its acknowledgement; does not try again.
    ///
    /// # Errors
    /// The broker's refusal, or the connection's.
    pub fn produce_one(&self, topic: &str) -> Result<()> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.push(TimestampMs(1_000), None, Some(b"first"), &[])?;
        let partition = TopicPartition::new(topic, PartitionIndex(0));
        let batch = ProduceBatch {
            partition: partition.clone(),
            records: Bytes::from(builder.build()?),
        };
        let answers = self.run(async {
            let leader = self.cluster.leader(&partition).await?;
            leader.produce(vec![batch], ProduceOptions::default()).await
        })?;
        for answer in answers {
            answer.result?;
        }
        Ok(())
    }

    fn run<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        E: std::fmt::Display,
    {
        self.runtime.block_on(call).map_err(|error| anyhow!("{error}"))
    }
}
