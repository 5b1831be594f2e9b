//! Failover without a service: the target alone knows which topics are a link's mirrors, and how far they got.

use std::time::Duration;

use thalweg_client::{Cluster, ConfigResource, TopicCreation, TopicPartition, TopicSelection};
use thalweg_types::{LeaderEpoch, Offset};
use thalweg_wire::mirror::{LinkId, Operation, Ownership, Report};

use crate::config::{LinkConfig, derived_link_id};
use crate::ends;
use crate::operations::{Operator, Refused};
use crate::topology::Origin;

/// Epochs that are left out, as the service does: the source that comes back must stay below for long.
const EPOCHS: i32 = 1_000;

/// What a failover did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    /// Partitions that are clients' now, and were the link's.
    pub partitions: usize,
    /// Partitions that were clients' before.
    pub before: usize,
}

/// Gives the link's mirror topics to clients, with what they have, and asks the target alone. `topics` are names at the
/// source; all of the link's without one. Waits for `within` until an instance of the service that died lost its leases.
/// Each partition is told through `say`. Called again it goes on where it was cut off.
///
/// # Errors
/// The first partition that cannot be promoted, or the connection's, in words; others may be promoted then.
pub async fn failover(
    link: &LinkConfig,
    topics: &[String],
    within: Duration,
    mut say: impl FnMut(&str),
) -> Result<Promoted, String> {
    let target = ends::connect_target(link)
        .await
        .map_err(|error| error.to_string())?;
    let mut done = Promoted::default();
    let mirrors = mirrors(link, &target).await?;
    let has = |name: &String| mirrors.iter().any(|mirror| mirror.source == *name);
    if let Some(name) = topics.iter().find(|name| !has(name)) {
        return Err(format!(
            "the target has no mirror of '{name}' by link '{}'",
            link.name
        ));
    }
    for mirror in mirrors {
        if !topics.is_empty() && !topics.contains(&mirror.source) {
            continue;
        }
        let operator = Operator {
            cluster: target.clone(),
            link: mirror.link,
        };
        promote(&operator, &mirror.partitions, within, &mut done, &mut say)
            .await
            .map_err(|refused| refused.to_string())?;
    }
    if done == Promoted::default() {
        return Err(format!("the target has no mirror topic of link '{}'", link.name));
    }
    Ok(done)
}

struct Mirror {
    source: String,
    link: LinkId,
    partitions: Vec<TopicPartition>,
}

/// The link's topics at the target. The id of a link that is given none follows from the source's cluster, which the topic
/// names.
async fn mirrors(link: &LinkConfig, target: &Cluster) -> Result<Vec<Mirror>, String> {
    let all = target
        .metadata(TopicSelection::All, TopicCreation::Never)
        .await
        .map_err(|error| error.to_string())?;
    let mut mirrors = Vec::new();
    for topic in all
        .topics
        .into_values()
        .flatten()
        .filter(|topic| !topic.is_internal)
    {
        let configs = target
            .describe_configs(&ConfigResource::topic(topic.name.clone()))
            .await
            .map_err(|error| error.to_string())?;
        let pairs = configs
            .iter()
            .filter_map(|config| Some((config.name.as_str(), config.value.as_deref()?)));
        let origin = Origin::from_configs(pairs);
        let ours = link
            .id
            .unwrap_or_else(|| derived_link_id(&link.name, &origin.cluster_id));
        if origin.link == Some(ours) {
            let partitions = topic.partitions.iter();
            mirrors.push(Mirror {
                source: origin.topic,
                link: ours,
                partitions: partitions
                    .map(|found| TopicPartition::new(topic.name.clone(), found.partition))
                    .collect(),
            });
        }
    }
    Ok(mirrors)
}

async fn promote(
    operator: &Operator,
    partitions: &[TopicPartition],
    within: Duration,
    done: &mut Promoted,
    say: &mut impl FnMut(&str),
) -> Result<(), Refused> {
    let found = operator.inspect(partitions, within).await?;
    let is_owned = |of: &&TopicPartition| {
        found
            .get(*of)
            .is_some_and(|report| report.ownership == Ownership::Link)
    };
    let owned: Vec<TopicPartition> = partitions.iter().filter(is_owned).cloned().collect();
    done.before += partitions.len() - owned.len();
    for of in partitions.iter().filter(|of| !owned.contains(of)) {
        say(&format!("{of}: clients write to it already"));
    }
    let claimed = operator.claim(&owned, within).await?;
    let commands = claimed.iter().map(|(of, report)| {
        let epoch = report.last_epoch.0.max(0).saturating_add(EPOCHS);
        let operation = Operation::Promote {
            epoch_above: LeaderEpoch(epoch),
        };
        (
            of.clone(),
            operator.command(operation, (report.session, Offset::UNKNOWN)),
        )
    });
    let promoted = operator.run(commands.collect(), within).await?;
    for of in promoted.keys() {
        done.partitions += 1;
        if let Some(cut) = claimed.get(of) {
            say(&told(of, cut));
        }
    }
    Ok(())
}

fn told(of: &TopicPartition, cut: &Report) -> String {
    let end = cut.log_end;
    let lost = cut.source_end.get().saturating_sub(end.get());
    let mut line = format!("{of}: promoted; the source's records below offset {end} are there");
    if lost > 0 {
        line.push_str(&format!(
            ", at least {lost} offsets that it had are not (it ended at {})",
            cut.source_end
        ));
    }
    line
}
