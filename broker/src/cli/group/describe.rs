//! `thalweg group describe`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use thalweg_client::{Cluster, DescribedMember, GroupDescription, TopicPartition};

use super::positions::{Position, existing, positions};
use crate::cli::connect::ConnectArgs;
use crate::cli::error::CliError;
use crate::cli::output::{Column, OutputArgs, Row, print_json, print_line};

/// Arguments of `group describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// Names of the groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// Print the summary only
    #[arg(short = 's', long)]
    print_summary: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Serialize)]
struct Description {
    group: String,
    state: String,
    group_type: &'static str,
    protocol_type: String,
    assignor: String,
    coordinator: i32,
    members: Vec<MemberRow>,
    total_lag: i64,
    partitions: Vec<PositionRow>,
}

#[derive(Debug, Serialize)]
struct MemberRow {
    member_id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    partition_count: Option<usize>,
}

#[derive(Debug, Serialize)]
struct PositionRow {
    topic: Option<String>,
    partition: Option<i32>,
    current_offset: Option<i64>,
    log_start_offset: Option<i64>,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    member_id: Option<String>,
    instance_id: Option<String>,
    client_id: Option<String>,
    host: Option<String>,
}

impl Row for PositionRow {
    const COLUMNS: &'static [Column] = &[
        Column::text("TOPIC"),
        Column::number("PARTITION"),
        Column::number("CURRENT-OFFSET"),
        Column::number("LOG-START-OFFSET"),
        Column::number("LOG-END-OFFSET"),
        Column::number("LAG"),
        Column::text("MEMBER-ID"),
        Column::text("INSTANCE-ID").wide(),
        Column::text("CLIENT-ID"),
        Column::text("HOST"),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            text(&self.topic),
            self.partition
                .map_or_else(|| "-".to_owned(), |partition| partition.to_string()),
            number(self.current_offset),
            number(self.log_start_offset),
            number(self.log_end_offset),
            number(self.lag),
            text(&self.member_id),
            text(&self.instance_id),
            text(&self.client_id),
            text(&self.host),
        ]
    }
}

/// Describes groups.
///
/// # Errors
/// Those of the cluster; a group that does not exist is one.
pub async fn run(connect: &ConnectArgs, args: DescribeArgs) -> Result<(), CliError> {
    let cluster = connect.connect().await?;
    let mut descriptions = Vec::new();
    for group in &args.groups {
        descriptions.push(describe(&cluster, group).await?);
    }
    if args.output.is_json() {
        return print_json(&descriptions);
    }
    for (index, description) in descriptions.into_iter().enumerate() {
        if index > 0 {
            print_line("")?;
        }
        print(description, &args)?;
    }
    Ok(())
}

async fn describe(cluster: &Cluster, group: &str) -> Result<Description, CliError> {
    let described = existing(cluster, group).await?;
    let owners = owners(&described);
    let assigned: Vec<TopicPartition> = owners.keys().map(|partition| (*partition).clone()).collect();
    let positions = positions(cluster, group, &assigned).await?;
    let rows: Vec<PositionRow> = positions
        .iter()
        .map(|(partition, position)| row(partition, position, owners.get(partition)))
        .collect();
    Ok(Description {
        total_lag: rows.iter().filter_map(|row| row.lag).fold(0, i64::saturating_add),
        partitions: rows,
        members: described.members.iter().map(member).collect(),
        group: described.group,
        state: described.state,
        group_type: described.group_type,
        protocol_type: described.protocol_type,
        assignor: described.assignor,
        coordinator: described.coordinator.get(),
    })
}

/// Maps every assigned partition to its member.
fn owners(group: &GroupDescription) -> BTreeMap<&TopicPartition, &DescribedMember> {
    group
        .members
        .iter()
        .flat_map(|member| {
            member
                .partitions
                .iter()
                .flatten()
                .map(move |partition| (partition, member))
        })
        .collect()
}

fn member(member: &DescribedMember) -> MemberRow {
    MemberRow {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        host: member.client_host.clone(),
        partition_count: member.partitions.as_ref().map(Vec::len),
    }
}

fn row(partition: &TopicPartition, position: &Position, owner: Option<&&DescribedMember>) -> PositionRow {
    PositionRow {
        topic: Some(partition.topic.clone()),
        partition: Some(partition.partition.get()),
        current_offset: position.committed,
        log_start_offset: position.start,
        log_end_offset: position.end,
        lag: position.lag(),
        member_id: owner.map(|member| member.member_id.clone()),
        instance_id: owner.and_then(|member| member.instance_id.clone()),
        client_id: owner.map(|member| member.client_id.clone()),
        host: owner.map(|member| member.client_host.clone()),
    }
}

/// A member without partitions would not be seen in a table of partitions: it gets a line of its own, as in rpk.
fn idle_rows(members: &[MemberRow]) -> impl Iterator<Item = PositionRow> + '_ {
    let is_idle = |member: &&MemberRow| member.partition_count.unwrap_or(0) == 0;
    members.iter().filter(is_idle).map(|member| PositionRow {
        topic: None,
        partition: None,
        current_offset: None,
        log_start_offset: None,
        log_end_offset: None,
        lag: None,
        member_id: Some(member.member_id.clone()),
        instance_id: member.instance_id.clone(),
        client_id: Some(member.client_id.clone()),
        host: Some(member.host.clone()),
    })
}

fn print(description: Description, args: &DescribeArgs) -> Result<(), CliError> {
    let assignor = match description.assignor.as_str() {
        "" => "-",
        name => name,
    };
    print_line(&format!("GROUP        {}", description.group))?;
    print_line(&format!("COORDINATOR  {}", description.coordinator))?;
    print_line(&format!("STATE        {}", description.state))?;
    print_line(&format!("TYPE         {}", description.group_type))?;
    print_line(&format!("BALANCER     {assignor}"))?;
    print_line(&format!("MEMBERS      {}", description.members.len()))?;
    print_line(&format!("TOTAL-LAG    {}", description.total_lag))?;
    let mut rows = description.partitions;
    rows.extend(idle_rows(&description.members));
    if !args.print_summary && !rows.is_empty() {
        print_line("")?;
        args.output.print_table(&rows)?;
    }
    Ok(())
}
