//! `thalweg topic describe`: summary, settings, partitions.

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, ConfigEntry, ConfigResource, ConfigSource, Isolation, TopicMetadata};

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::offset_spec::bounds;
use crate::cli::output::{Column, OutputArgs, Row, list, print_json, print_line};

/// Arguments of `topic describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Print the summary
    #[arg(short = 's', long)]
    print_summary: bool,
    /// Print the settings
    #[arg(short = 'c', long)]
    print_configs: bool,
    /// Print the partitions with their offsets
    #[arg(short = 'p', long)]
    print_partitions: bool,
    /// Print everything (without any of these: summary and settings)
    #[arg(short = 'a', long)]
    print_all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy)]
struct Sections {
    summary: bool,
    configs: bool,
    partitions: bool,
}

#[derive(Debug, Serialize)]
struct Description {
    name: String,
    id: Option<String>,
    internal: bool,
    partition_count: usize,
    replicas: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Mirror>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configs: Option<Vec<ConfigRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<PartitionRow>>,
}

/// What a topic was created as a mirror of.
#[derive(Debug, Serialize)]
struct Mirror {
    link: String,
    source_cluster_id: Option<String>,
    source_topic: Option<String>,
    source_topic_id: Option<String>,
}

impl Mirror {
    fn of(configs: &[ConfigRow]) -> Option<Self> {
        let text = |key: &str| {
            let row = configs.iter().find(|row| row.key == key)?;
            row.value.clone().filter(|value| !value.is_empty())
        };
        Some(Self {
            link: text("mirror.link")?,
            source_cluster_id: text("mirror.source.cluster.id"),
            source_topic: text("mirror.source.topic"),
            source_topic_id: text("mirror.source.topic.id"),
        })
    }

    fn describe(&self) -> String {
        let topic = self.source_topic.as_deref().unwrap_or("-");
        let cluster = self.source_cluster_id.as_deref().unwrap_or("-");
        format!("link {} mirrors '{topic}' of cluster {cluster}", self.link)
    }
}

#[derive(Debug, Serialize)]
struct ConfigRow {
    key: String,
    value: Option<String>,
    source: &'static str,
    read_only: bool,
    sensitive: bool,
    documentation: Option<String>,
}

impl Row for ConfigRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("KEY"),
        Column::text("VALUE"),
        Column::text("SOURCE"),
        Column::text("READ-ONLY").wide(),
        Column::text("DOCUMENTATION").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        let value = match (&self.value, self.sensitive) {
            (_, true) => "(sensitive)".to_owned(),
            (Some(value), false) => value.clone(),
            (None, false) => String::new(),
        };
        let documentation = self.documentation.clone().unwrap_or_default();
        vec![
            self.key.clone(),
            value,
            self.source.to_owned(),
            self.read_only.to_string(),
            documentation,
        ]
    }
}

#[derive(Debug, Serialize)]
struct PartitionRow {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    in_sync_replicas: Vec<i32>,
    offline_replicas: Vec<i32>,
    log_start_offset: Option<i64>,
    last_stable_offset: Option<i64>,
    high_watermark: Option<i64>,
    error: Option<&'static str>,
}

impl Row for PartitionRow {
    const COLUMNS: &'static [Column] = &[
        Column::number("PARTITION"),
        Column::number("LEADER"),
        Column::number("EPOCH"),
        Column::text("REPLICAS"),
        Column::text("ISR").wide(),
        Column::text("OFFLINE").wide(),
        Column::number("LOG-START-OFFSET"),
        Column::number("LAST-STABLE-OFFSET").wide(),
        Column::number("HIGH-WATERMARK"),
        Column::text("ERROR").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        vec![
            self.partition.to_string(),
            self.leader
                .map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            self.leader_epoch.to_string(),
            list(&self.replicas),
            list(&self.in_sync_replicas),
            list(&self.offline_replicas),
            offset(self.log_start_offset),
            offset(self.last_stable_offset),
            offset(self.high_watermark),
            self.error.unwrap_or_default().to_owned(),
        ]
    }
}

/// Describes topics.
///
/// # Errors
/// Those of the cluster; a topic that does not exist is one.
pub async fn run(connect: &ConnectArgs, args: DescribeArgs) -> Result<(), CliError> {
    let sections = sections(&args);
    let cluster = connect.connect().await?;
    let mut descriptions = Vec::new();
    for name in &args.topics {
        let topic = super::existing_topic(&cluster, name).await?;
        descriptions.push(describe(&cluster, &topic, sections).await?);
    }
    if args.output.is_json() {
        return print_json(&descriptions);
    }
    for (index, description) in descriptions.iter().enumerate() {
        if index > 0 {
            print_line("")?;
        }
        print(description, sections, &args.output)?;
    }
    Ok(())
}

fn sections(args: &DescribeArgs) -> Sections {
    // Programs get everything unless they choose.
    let chosen = args.print_summary || args.print_configs || args.print_partitions;
    let all = args.print_all || (args.output.is_json() && !chosen);
    Sections {
        summary: all || args.print_summary || !chosen,
        configs: all || args.print_configs || !chosen,
        partitions: all || args.print_partitions,
    }
}

async fn describe(
    cluster: &Cluster,
    topic: &TopicMetadata,
    sections: Sections,
) -> Result<Description, CliError> {
    let mut known = match sections.configs || sections.summary {
        true => Some(configs(cluster, &topic.name).await?),
        false => None,
    };
    let mirror = known.as_deref().and_then(Mirror::of);
    if !sections.configs {
        known = None;
    }
    let partitions = match sections.partitions {
        true => Some(partitions(cluster, topic).await?),
        false => None,
    };
    Ok(Description {
        name: topic.name.clone(),
        id: (!topic.id.is_zero()).then(|| topic.id.to_string()),
        internal: topic.is_internal,
        partition_count: topic.partitions.len(),
        replicas: topic
            .partitions
            .first()
            .map_or(0, |partition| partition.replicas.len()),
        mirror,
        configs: known,
        partitions,
    })
}

async fn configs(cluster: &Cluster, name: &str) -> Result<Vec<ConfigRow>, CliError> {
    let mut entries = cluster.describe_configs(&ConfigResource::topic(name)).await?;
    // What somebody set for this topic first, then what the brokers say, then the defaults.
    let rank = |entry: &ConfigEntry| match entry.source {
        ConfigSource::DynamicTopic => 0,
        ConfigSource::Default => 2,
        _ => 1,
    };
    entries.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    Ok(entries.into_iter().map(config_row).collect())
}

fn config_row(entry: ConfigEntry) -> ConfigRow {
    ConfigRow {
        key: entry.name,
        value: entry.value,
        source: entry.source.name(),
        read_only: entry.is_read_only,
        sensitive: entry.is_sensitive,
        documentation: entry.documentation,
    }
}

async fn partitions(cluster: &Cluster, topic: &TopicMetadata) -> Result<Vec<PartitionRow>, CliError> {
    // A partition without a leader must not hide the offsets of the others.
    let led: Vec<i32> = topic
        .partitions
        .iter()
        .filter(|partition| partition.leader.is_some())
        .map(|partition| partition.partition.get())
        .collect();
    let selected = if led.is_empty() {
        Vec::new()
    } else {
        super::select_partitions(topic, &led)?
    };
    let uncommitted = bounds(cluster, &selected, Isolation::ReadUncommitted).await?;
    let committed = bounds(cluster, &selected, Isolation::ReadCommitted).await?;
    let ids = |ids: &[thalweg_types::BrokerId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    let rows = topic.partitions.iter().map(|partition| {
        let key = thalweg_client::TopicPartition::new(topic.name.clone(), partition.partition);
        PartitionRow {
            partition: partition.partition.get(),
            leader: partition.leader.map(|leader| leader.get()),
            leader_epoch: partition.leader_epoch.get(),
            replicas: ids(&partition.replicas),
            in_sync_replicas: ids(&partition.in_sync_replicas),
            offline_replicas: ids(&partition.offline_replicas),
            log_start_offset: uncommitted.get(&key).map(|bounds| bounds.start),
            last_stable_offset: committed.get(&key).map(|bounds| bounds.end),
            high_watermark: uncommitted.get(&key).map(|bounds| bounds.end),
            error: (!partition.error.is_none()).then(|| partition.error.name()),
        }
    });
    Ok(rows.collect())
}

fn print(description: &Description, sections: Sections, output: &OutputArgs) -> Result<(), CliError> {
    if sections.summary {
        print_line(&format!("NAME        {}", description.name))?;
        print_line(&format!(
            "ID          {}",
            description.id.as_deref().unwrap_or("-")
        ))?;
        print_line(&format!("INTERNAL    {}", description.internal))?;
        print_line(&format!("PARTITIONS  {}", description.partition_count))?;
        print_line(&format!("REPLICAS    {}", description.replicas))?;
        if let Some(mirror) = &description.mirror {
            print_line(&format!("MIRROR      {}", mirror.describe()))?;
        }
    }
    if let Some(configs) = &description.configs {
        if sections.summary {
            print_line("")?;
        }
        output.print_table(configs)?;
    }
    if let Some(partitions) = &description.partitions {
        if sections.summary || sections.configs {
            print_line("")?;
        }
        output.print_table(partitions)?;
    }
    Ok(())
}
