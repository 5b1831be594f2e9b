//! `thalweg group list`.

use clap::Args;
use serde::Serialize;

use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row};

/// Arguments of `group list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only groups in this state, as Stable or Empty (repeatable)
    #[arg(short, long = "state", value_name = "STATE")]
    states: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct GroupRow {
    group: String,
    state: String,
    group_type: String,
    protocol_type: String,
    coordinator: i32,
}

impl Row for GroupRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("GROUP"),
        Column::text("STATE"),
        Column::number("COORDINATOR"),
        Column::text("TYPE").wide(),
        Column::text("PROTOCOL").wide(),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.group.clone(),
            self.state.clone(),
            self.coordinator.to_string(),
            self.group_type.clone(),
            self.protocol_type.clone(),
        ]
    }
}

/// Lists the groups of all brokers.
///
/// # Errors
/// Those of the cluster.
pub async fn run(connect: &ConnectArgs, args: ListArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let wanted =
        |state: &str| args.states.is_empty() || args.states.iter().any(|s| s.eq_ignore_ascii_case(state));
    let rows: Vec<GroupRow> = cluster
        .list_groups()
        .await?
        .into_iter()
        .filter(|group| wanted(&group.state))
        .map(|group| GroupRow {
            group: group.group,
            state: group.state,
            group_type: group.group_type,
            protocol_type: group.protocol_type,
            coordinator: group.coordinator.get(),
        })
        .collect();
    args.output.print(&rows)
}
