//! `thalweg group delete`.

use clap::Args;
use serde::Serialize;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::connect::ConnectArgs;
use crate::cli::error::{CliError, listed, reason};
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `group delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct DeletedRow {
    group: String,
    status: &'static str,
    error: Option<String>,
}

impl Row for DeletedRow {
    const COLUMNS: &'static [Column] = &[Column::text("GROUP"), Column::text("STATUS")];

    fn cells(&self) -> Vec<String> {
        vec![self.group.clone(), self.status.to_owned()]
    }
}

/// Deletes groups with their offsets.
///
/// # Errors
/// [`CliError::NotConfirmed`], the coordinators' refusals.
pub async fn run(connect: &ConnectArgs, args: DeleteArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let names = args
        .groups
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    args.confirm
        .ask(format!("delete {names} with all committed offsets"))
        .await?;
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for group in &args.groups {
        let result = cluster.delete_group(group).await;
        let error = result.as_ref().err().map(reason);
        let status = if result.is_ok() { "deleted" } else { "failed" };
        rows.push(DeletedRow {
            group: group.clone(),
            status,
            error,
        });
        failures.extend(result.err());
    }
    args.output.print(&rows)?;
    listed(failures, &args.output)
}
