//! `thalweg topic create`.

use clap::Args;
use serde::Serialize;
use thalweg_client::{BrokerError, CreatedTopic, NewTopic, Validation};
use thalweg_types::ErrorCode;

use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed};
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `topic create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Number of partitions; -1 takes the broker's num.partitions
    #[arg(short, long, default_value_t = -1, allow_negative_numbers = true, value_name = "N")]
    partitions: i32,
    /// Copies of each partition; -1 takes the broker's default.replication.factor
    #[arg(short, long, alias = "replicas", default_value_t = -1, allow_negative_numbers = true, value_name = "N")]
    replication_factor: i16,
    /// A setting, as retention.ms=-1 (repeatable)
    #[arg(short = 'c', long, visible_alias = "topic-config", value_parser = super::key_value, value_name = "KEY=VALUE")]
    config: Vec<(String, String)>,
    /// A topic that is there already is no error
    #[arg(long)]
    if_not_exists: bool,
    /// Only say whether the topics could be created
    #[arg(short, long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct CreatedRow {
    topic: String,
    status: &'static str,
    id: Option<String>,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    error: Option<String>,
}

impl Row for CreatedRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::text("STATUS"),
        Column::number("PARTITIONS").wide(),
        Column::number("REPLICAS").wide(),
        Column::text("ID").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        vec![
            self.topic.clone(),
            self.status.to_owned(),
            number(self.partitions.map(i64::from)),
            number(self.replication_factor.map(i64::from)),
            self.id.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

/// Creates topics and says what became of each.
///
/// # Errors
/// [`CliError`] if one of them was refused.
pub async fn run(connect: &ConnectArgs, args: CreateArgs) -> Result<(), CliError> {
    let (partitions, replication_factor) = check_counts(&args)?;
    let cluster = connect.connect().await?;
    let topics: Vec<NewTopic> = args
        .topics
        .iter()
        .map(|name| NewTopic {
            name: name.clone(),
            partitions,
            replication_factor,
            configs: args.config.clone(),
        })
        .collect();
    let validation = if args.dry_run {
        Validation::Only
    } else {
        Validation::Apply
    };
    let mut answers = cluster.create_topics(&topics, validation).await?;
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for name in &args.topics {
        let Some(answer) = answers.remove(name) else {
            continue;
        };
        let row = row(name, &answer, &args);
        if let (Err(error), Some(_)) = (answer, &row.error) {
            failures.push(error.into());
        }
        rows.push(row);
    }
    args.output.print(&rows)?;
    listed(failures, &args.output)
}

fn check_counts(args: &CreateArgs) -> Result<(Option<i32>, Option<i16>), CliError> {
    let partitions = match args.partitions {
        -1 => None,
        count if count > 0 => Some(count),
        count => {
            return Err(CliError::Usage(format!(
                "--partitions is at least 1, or -1 for the default, not {count}"
            )));
        }
    };
    let replication_factor = match args.replication_factor {
        -1 => None,
        count if count > 0 => Some(count),
        count => {
            let text = format!("--replication-factor is at least 1, or -1 for the default, not {count}");
            return Err(CliError::Usage(text));
        }
    };
    Ok((partitions, replication_factor))
}

fn row(name: &str, answer: &Result<CreatedTopic, BrokerError>, args: &CreateArgs) -> CreatedRow {
    let empty = CreatedRow {
        topic: name.to_owned(),
        status: "failed",
        id: None,
        partitions: None,
        replication_factor: None,
        error: None,
    };
    match answer {
        Ok(created) => CreatedRow {
            status: if args.dry_run {
                "could be created"
            } else {
                "created"
            },
            id: (!created.id.is_zero()).then(|| created.id.to_string()),
            partitions: (created.partitions > 0).then_some(created.partitions),
            replication_factor: (created.replication_factor > 0).then_some(created.replication_factor),
            ..empty
        },
        Err(error) if error.code == ErrorCode::TopicAlreadyExists && args.if_not_exists => CreatedRow {
            status: "exists",
            ..empty
        },
        Err(error) => CreatedRow {
            error: Some(error.reason()),
            ..empty
        },
    }
}
