//! What one cluster knows of the groups of a link: their offsets, and which of them have members.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_client::{ClientError, Cluster, CommittedOffset, GroupListing, TopicPartition};
use thalweg_types::BrokerId;

use crate::config::LinkConfig;

/// Groups in one request for offsets.
const GROUPS_PER_REQUEST: usize = 200;
/// Groups of this type have no committed offsets in this sense (KIP-932).
const SHARE: &str = "share";

/// One cluster's groups.
#[derive(Debug, Default)]
pub(super) struct SideLook {
    /// Committed offsets by group, empty for a group that has none.
    pub offsets: BTreeMap<String, BTreeMap<TopicPartition, CommittedOffset>>,
    /// Groups with members.
    pub active: BTreeSet<String>,
    /// Groups about which nothing is known now, and why.
    pub failed: BTreeMap<String, String>,
}

/// Asks a cluster. A group of `known` that is not listed is asked for by itself: a coordinator that is away leaves its
/// groups out of the list, and that must not be taken for their end.
///
/// # Errors
/// When the groups cannot be listed. What concerns one group is in [`SideLook::failed`].
pub(super) async fn look(
    cluster: &Cluster,
    link: &LinkConfig,
    known: BTreeSet<String>,
) -> Result<SideLook, ClientError> {
    let mut found = SideLook::default();
    let mut by_coordinator: BTreeMap<BrokerId, Vec<String>> = BTreeMap::new();
    let listed = cluster.list_groups().await?;
    let names: BTreeSet<&String> = listed.iter().map(|group| &group.group).collect();
    let is_unlisted = |group: &String| !names.contains(group) && is_chosen(link, group);
    let unlisted: Vec<String> = known.into_iter().filter(is_unlisted).collect();
    for group in listed {
        if !is_chosen(link, &group.group) || group.group_type.eq_ignore_ascii_case(SHARE) {
            continue;
        }
        match has_members(cluster, &group).await {
            Ok(true) => {
                found.active.insert(group.group.clone());
            }
            Ok(false) => {}
            Err(error) => {
                found.failed.insert(group.group.clone(), error.to_string());
            }
        }
        by_coordinator
            .entry(group.coordinator)
            .or_default()
            .push(group.group);
    }
    for (coordinator, groups) in by_coordinator {
        for groups in groups.chunks(GROUPS_PER_REQUEST) {
            let mut answers = cluster.fetch_offsets_of_groups(coordinator, groups).await?;
            for group in groups {
                let answer = answers
                    .remove(group)
                    .map(|answer| answer.map_err(|e| e.to_string()));
                found.note(
                    group,
                    answer.unwrap_or_else(|| Err("its coordinator does not mention it".to_owned())),
                );
            }
        }
    }
    for group in unlisted {
        let answer = cluster.fetch_group_offsets(&group).await;
        found.note(&group, answer.map_err(|error| error.to_string()));
    }
    Ok(found)
}

impl SideLook {
    fn note(&mut self, group: &str, answer: Result<BTreeMap<TopicPartition, CommittedOffset>, String>) {
        match answer {
            Ok(offsets) => {
                self.offsets.insert(group.to_owned(), offsets);
            }
            Err(error) => {
                // Listed among the groups, so that the failure is seen.
                self.offsets.entry(group.to_owned()).or_default();
                self.failed.insert(group.to_owned(), error);
            }
        }
    }
}

fn is_chosen(link: &LinkConfig, group: &str) -> bool {
    let fits = |patterns: &[regex::Regex]| patterns.iter().any(|pattern| pattern.is_match(group));
    fits(&link.groups) && !fits(&link.exclude_groups)
}

async fn has_members(cluster: &Cluster, group: &GroupListing) -> Result<bool, ClientError> {
    match group.state.as_str() {
        "Empty" | "Dead" => Ok(false),
        // Brokers before 2.6 do not say; a group that only stores offsets has no protocol.
        "" if group.protocol_type.is_empty() => Ok(false),
        "" => {
            let described = cluster.describe_group(&group.group).await?;
            Ok(!described.members.is_empty())
        }
        _ => Ok(true),
    }
}
