//! `thalweg topic delete`.

use clap::Args;
use serde::Serialize;
use thalweg_client::ClientError;
use thalweg_types::ErrorCode;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed};
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `topic delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// A topic that does not exist is no error
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct DeletedRow {
    topic: String,
    status: &'static str,
    error: Option<String>,
}

impl Row for DeletedRow {
    const COLUMNS: &'static [Column] = &[Column::text("TOPIC"), Column::text("STATUS")];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone(), self.status.to_owned()]
    }
}

/// Deletes topics with all their records.
///
/// # Errors
/// [`CliError::NotConfirmed`], the broker's refusals.
pub async fn run(connect: &ConnectArgs, args: DeleteArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let names = args
        .topics
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    args.confirm
        .ask(format!("delete {names} with all records and committed offsets"))
        .await?;
    let mut answers = cluster.delete_topics(&args.topics).await?;
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for name in &args.topics {
        let Some(answer) = answers.remove(name) else {
            continue;
        };
        let missing = matches!(&answer, Err(error) if error.code == ErrorCode::UnknownTopicOrPartition);
        let (status, failure) = match answer {
            Ok(()) => ("deleted", None),
            Err(_) if missing && args.if_exists => ("did not exist", None),
            Err(error) => ("failed", Some(error)),
        };
        rows.push(DeletedRow {
            topic: name.clone(),
            status,
            error: failure.as_ref().map(|error| error.reason()),
        });
        failures.extend(failure.map(ClientError::from));
    }
    args.output.print(&rows)?;
    listed(failures, &args.output)
}
