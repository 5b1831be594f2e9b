//! `thalweg cluster health`: what is wrong, in a form for people and for scripts. Exit code 1 if anything is.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, Metadata, TopicCreation, TopicSelection};
use thalweg_types::BrokerId;

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{OutputArgs, list, note, print_json, print_line};

/// Time between two looks with --watch.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Partitions named in the table; JSON names all.
const NAMED_MAX: usize = 10;

/// Arguments of `cluster health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Look again every two seconds and print what has changed
    #[arg(short, long)]
    watch: bool,
    /// With --watch: end as soon as the cluster is healthy
    #[arg(short, long, requires = "watch")]
    exit_when_healthy: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Health {
    healthy: bool,
    reasons: Vec<String>,
    controller: Option<i32>,
    brokers: Vec<i32>,
    unreachable_brokers: Vec<i32>,
    fenced_brokers: Vec<i32>,
    offline_log_dirs: Vec<String>,
    leaderless_partitions: Vec<String>,
    under_replicated_partitions: Vec<String>,
}

/// Prints the state of the cluster.
///
/// # Errors
/// [`CliError::Reported`] if it is not healthy; [`CliError::Client`] if no broker answers.
pub async fn run(connect: &ConnectArgs, args: HealthArgs) -> Result<(), CliError> {
    let mut last: Option<Result<Health, String>> = None;
    loop {
        let health = look(connect).await;
        if !args.watch {
            let health = health?;
            print(&health, &args.output)?;
            return if health.healthy {
                Ok(())
            } else {
                Err(CliError::Reported)
            };
        }
        let is_healthy = health.as_ref().is_ok_and(|health| health.healthy);
        // An unreachable cluster is a finding here, not an end.
        let now = health.map_err(|error| error.to_string());
        if last.as_ref() != Some(&now) {
            match &now {
                Ok(health) => print(health, &args.output)?,
                Err(text) => note(&format!("error: {text}")),
            }
            last = Some(now);
        }
        if is_healthy && args.exit_when_healthy {
            return Ok(());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

async fn look(connect: &ConnectArgs) -> Result<Health, CliError> {
    let cluster = connect.connect().await?;
    let described = cluster.describe_cluster().await?;
    let metadata = cluster
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await?;
    let fenced: Vec<BrokerId> = described
        .brokers
        .iter()
        .filter(|broker| broker.is_fenced)
        .map(|broker| broker.id)
        .collect();
    let mut unreachable = Vec::new();
    let mut offline = Vec::new();
    for broker in described.brokers.iter().filter(|broker| !broker.is_fenced) {
        match offline_dirs(&cluster, broker.id).await {
            Ok(dirs) => offline.extend(dirs),
            Err(()) => unreachable.push(broker.id),
        }
    }
    let brokers = described.brokers.iter().map(|broker| broker.id).collect();
    Ok(judge(
        Findings {
            controller: described.controller,
            brokers,
            fenced,
            unreachable,
            offline,
        },
        &metadata,
    ))
}

/// Returns the log directories that are out of use, or `Err` if the broker cannot be reached.
async fn offline_dirs(cluster: &Cluster, broker: BrokerId) -> Result<Vec<String>, ()> {
    cluster.broker(broker).await.map_err(|_| ())?;
    // A broker that does not tell its directories is not ill for that.
    let dirs = cluster.describe_log_dirs(broker).await.unwrap_or_default();
    Ok(dirs
        .into_iter()
        .filter_map(|dir| {
            dir.error
                .map(|error| format!("broker {broker}: {} ({})", dir.path, error.code))
        })
        .collect())
}

struct Findings {
    controller: Option<BrokerId>,
    brokers: Vec<BrokerId>,
    fenced: Vec<BrokerId>,
    unreachable: Vec<BrokerId>,
    offline: Vec<String>,
}

fn judge(findings: Findings, metadata: &Metadata) -> Health {
    let partitions = || {
        metadata
            .topics
            .values()
            .filter_map(|topic| topic.as_ref().ok())
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(move |partition| (&topic.name, partition))
            })
    };
    let name = |(topic, partition): (&String, &thalweg_client::PartitionMetadata)| {
        format!("{topic}-{}", partition.partition)
    };
    let leaderless: Vec<String> = partitions()
        .filter(|(_, p)| p.leader.is_none())
        .map(name)
        .collect();
    let under_replicated: Vec<String> = partitions()
        .filter(|(_, p)| p.in_sync_replicas.len() < p.replicas.len())
        .map(name)
        .collect();
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
    let mut reasons = Vec::new();
    let mut reason = |is_so: bool, text: String| {
        if is_so {
            reasons.push(text);
        }
    };
    reason(
        findings.controller.is_none(),
        "the cluster has no controller".to_owned(),
    );
    reason(
        !findings.unreachable.is_empty(),
        format!("brokers do not answer: {}", list(&findings.unreachable)),
    );
    reason(
        !findings.fenced.is_empty(),
        format!("brokers are fenced: {}", list(&findings.fenced)),
    );
    reason(
        !findings.offline.is_empty(),
        format!("log directories are offline: {}", findings.offline.join("; ")),
    );
    reason(
        !leaderless.is_empty(),
        format!("partitions without a leader: {}", some(&leaderless)),
    );
    reason(
        !under_replicated.is_empty(),
        format!("under-replicated partitions: {}", some(&under_replicated)),
    );
    Health {
        healthy: reasons.is_empty(),
        reasons,
        controller: findings.controller.map(BrokerId::get),
        brokers: ids(&findings.brokers),
        unreachable_brokers: ids(&findings.unreachable),
        fenced_brokers: ids(&findings.fenced),
        offline_log_dirs: findings.offline,
        leaderless_partitions: leaderless,
        under_replicated_partitions: under_replicated,
    }
}

/// Names some of many.
fn some(names: &[String]) -> String {
    let shown = list(names.iter().take(NAMED_MAX));
    match names.len().checked_sub(NAMED_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

fn print(health: &Health, output: &OutputArgs) -> Result<(), CliError> {
    if output.is_json() {
        return print_json(health);
    }
    let number = |ids: &[i32]| {
        if ids.is_empty() {
            "none".to_owned()
        } else {
            list(ids)
        }
    };
    print_line(&format!("HEALTHY           {}", health.healthy))?;
    print_line(&format!(
        "CONTROLLER        {}",
        health.controller.map_or("none".to_owned(), |id| id.to_string())
    ))?;
    print_line(&format!("BROKERS           {}", number(&health.brokers)))?;
    print_line(&format!(
        "UNREACHABLE       {}",
        number(&health.unreachable_brokers)
    ))?;
    print_line(&format!(
        "LEADERLESS        {}",
        health.leaderless_partitions.len()
    ))?;
    print_line(&format!(
        "UNDER-REPLICATED  {}",
        health.under_replicated_partitions.len()
    ))?;
    for reason in &health.reasons {
        print_line(&format!("- {reason}"))?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "health_test.rs"]
mod tests;
