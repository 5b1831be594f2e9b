//! `thalweg cluster info`.

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, DescribedLogDir, TopicCreation, TopicSelection};
use thalweg_types::BrokerId;

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row, print_json, print_line, size};

/// Arguments of `cluster info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Info {
    cluster_id: String,
    controller: Option<i32>,
    topics: usize,
    partitions: usize,
    brokers: Vec<BrokerRow>,
}

#[derive(Debug, Serialize)]
struct BrokerRow {
    id: i32,
    host: String,
    port: u16,
    rack: Option<String>,
    controller: bool,
    fenced: bool,
    led_partitions: usize,
    log_size_bytes: Option<i64>,
    disk_total_bytes: Option<i64>,
    disk_usable_bytes: Option<i64>,
}

impl Row for BrokerRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("ID"),
        Column::text("HOST"),
        Column::number("PORT"),
        Column::number("LEADS"),
        Column::number("LOG-SIZE"),
        Column::number("DISK-FREE"),
        Column::text("RACK").wide(),
        Column::text("FENCED").wide(),
        Column::number("DISK-TOTAL").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        let bytes = |bytes: Option<i64>| bytes.map_or_else(|| "-".to_owned(), size);
        vec![
            // As rpk marks it.
            format!("{}{}", self.id, if self.controller { "*" } else { "" }),
            self.host.clone(),
            self.port.to_string(),
            self.led_partitions.to_string(),
            bytes(self.log_size_bytes),
            bytes(self.disk_usable_bytes),
            self.rack.clone().unwrap_or_else(|| "-".to_owned()),
            self.fenced.to_string(),
            bytes(self.disk_total_bytes),
        ]
    }
}

/// Prints the cluster's id, its brokers and how much they hold.
///
/// # Errors
/// Those of the cluster. A broker that does not tell its log directories has no sizes.
pub async fn run(connect: &ConnectArgs, args: InfoArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let info = info(&cluster).await?;
    if args.output.is_json() {
        return print_json(&info);
    }
    print_line(&format!("CLUSTER     {}", info.cluster_id))?;
    print_line(&format!("TOPICS      {}", info.topics))?;
    print_line(&format!("PARTITIONS  {}", info.partitions))?;
    print_line("")?;
    args.output.print_table(&info.brokers)?;
    if info.controller.is_some() {
        print_line("* controller")?;
    }
    Ok(())
}

async fn info(cluster: &Cluster) -> Result<Info, CliError> {
    let described = cluster.describe_cluster().await?;
    let metadata = cluster
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await?;
    let topics: Vec<_> = metadata
        .topics
        .values()
        .filter_map(|topic| topic.as_ref().ok())
        .collect();
    let led = |id: BrokerId| {
        topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .filter(|partition| partition.leader == Some(id))
            .count()
    };
    let mut brokers = Vec::new();
    for broker in described.brokers {
        let usage = Usage::of(cluster, broker.id).await;
        brokers.push(BrokerRow {
            id: broker.id.get(),
            host: broker.address.host,
            port: broker.address.port,
            rack: broker.rack,
            controller: described.controller == Some(broker.id),
            fenced: broker.is_fenced,
            led_partitions: led(broker.id),
            log_size_bytes: usage.log_size,
            disk_total_bytes: usage.total,
            disk_usable_bytes: usage.usable,
        });
    }
    Ok(Info {
        cluster_id: described.cluster_id,
        controller: described.controller.map(BrokerId::get),
        topics: topics.len(),
        partitions: topics.iter().map(|topic| topic.partitions.len()).sum(),
        brokers,
    })
}

#[derive(Default)]
struct Usage {
    log_size: Option<i64>,
    total: Option<i64>,
    usable: Option<i64>,
}

impl Usage {
    /// Sizes are a courtesy: whoever may not see them sees the rest.
    async fn of(cluster: &Cluster, broker: BrokerId) -> Self {
        let Ok(dirs) = cluster.describe_log_dirs(broker).await else {
            return Self::default();
        };
        let sum = |size: fn(&DescribedLogDir) -> Option<i64>| {
            dirs.iter()
                .map(size)
                .try_fold(0i64, |sum, value| Some(sum.saturating_add(value?)))
        };
        let sizes = dirs
            .iter()
            .flat_map(|dir| &dir.replicas)
            .map(|replica| replica.size_bytes);
        Self {
            log_size: Some(sizes.fold(0, i64::saturating_add)),
            total: sum(|dir| dir.total_bytes).filter(|total| *total > 0),
            usable: sum(|dir| dir.usable_bytes).filter(|_| !dirs.is_empty()),
        }
    }
}
