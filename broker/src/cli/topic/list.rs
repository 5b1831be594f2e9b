//! `thalweg topic list`.

use clap::Args;
use serde::Serialize;
use thalweg_client::{TopicCreation, TopicMetadata, TopicSelection};

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `topic list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only topics with these names; * stands for any text
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Also the brokers' own topics
    #[arg(short, long)]
    internal: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct TopicRow {
    name: String,
    id: String,
    partitions: usize,
    replicas: usize,
    internal: bool,
    leaderless_partitions: usize,
    under_replicated_partitions: usize,
    error: Option<String>,
}

impl Row for TopicRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("NAME"),
        Column::number("PARTITIONS"),
        Column::number("REPLICAS"),
        Column::text("ID").wide(),
        Column::text("INTERNAL").wide(),
        Column::number("LEADERLESS").wide(),
        Column::number("UNDER-REPLICATED").wide(),
        Column::text("ERROR").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.partitions.to_string(),
            self.replicas.to_string(),
            self.id.clone(),
            self.internal.to_string(),
            self.leaderless_partitions.to_string(),
            self.under_replicated_partitions.to_string(),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

/// Lists topics by name.
///
/// # Errors
/// Those of the cluster.
pub async fn run(connect: &ConnectArgs, args: ListArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let metadata = cluster
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await?;
    let wanted =
        |name: &str| args.patterns.is_empty() || args.patterns.iter().any(|pattern| matches(pattern, name));
    let rows: Vec<TopicRow> = metadata
        .topics
        .iter()
        .filter(|(name, _)| wanted(name))
        .filter(|(_, topic)| args.internal || !topic.as_ref().is_ok_and(|topic| topic.is_internal))
        .map(|(name, topic)| match topic {
            Ok(topic) => row(topic),
            Err(error) => TopicRow {
                error: Some(error.to_string()),
                ..unknown(name)
            },
        })
        .collect();
    args.output.print(&rows)
}

fn unknown(name: &str) -> TopicRow {
    TopicRow {
        name: name.to_owned(),
        id: String::new(),
        partitions: 0,
        replicas: 0,
        internal: false,
        leaderless_partitions: 0,
        under_replicated_partitions: 0,
        error: None,
    }
}

fn row(topic: &TopicMetadata) -> TopicRow {
    let partitions = &topic.partitions;
    TopicRow {
        id: if topic.id.is_zero() {
            String::new()
        } else {
            topic.id.to_string()
        },
        partitions: partitions.len(),
        replicas: partitions.first().map_or(0, |partition| partition.replicas.len()),
        internal: topic.is_internal,
        leaderless_partitions: partitions
            .iter()
            .filter(|partition| partition.leader.is_none())
            .count(),
        under_replicated_partitions: partitions
            .iter()
            .filter(|partition| partition.in_sync_replicas.len() < partition.replicas.len())
            .count(),
        ..unknown(&topic.name)
    }
}

/// Reports whether a name fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        // The first place it fits leaves the most for the others.
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("ord*", "orders", true),
            ("*ers", "orders", true),
            ("o*d*s", "orders", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("*x*", "orders", false),
            ("o*rs*rs", "orders", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
