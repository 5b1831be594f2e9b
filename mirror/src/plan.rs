//! `plan`: what `run` would do, without doing it.

use std::fmt::Write as _;

use thalweg_client::{AlterOperation, ConfigAlteration};

use crate::config::Config;
use crate::discovery::Discovery;
use crate::ends;
use crate::topology::{Step, collisions};

/// What the plan says, and whether something in it cannot work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Lines for people.
    pub text: String,
    /// Mistakes: each makes the exit code 1.
    pub mistakes: usize,
}

/// Asks both sides of every link and decides; changes nothing.
pub async fn plan(config: &Config) -> Plan {
    let mut plan = Plan::default();
    let mut chosen = Vec::new();
    for link in &config.links {
        let ends = match ends::connect(link).await {
            Ok(ends) => ends,
            Err(error) => {
                plan.mistake(&error.to_string());
                continue;
            }
        };
        plan.line(&format!(
            "link '{}' ({}): cluster {} to cluster {}",
            link.name,
            crate::config::link_id_text(ends.link),
            ends.source_cluster_id,
            ends.target_cluster_id
        ));
        let cluster = ends.target_cluster_id.clone();
        match Discovery::new(link.clone(), ends).plan().await {
            Ok(steps) => {
                if steps.is_empty() {
                    plan.line("  no topic of the source is chosen");
                }
                for step in &steps {
                    plan.step(step);
                    let target = match step {
                        Step::Create { target, .. } => target,
                        Step::Mirror(topic) => &topic.target,
                        _ => continue,
                    };
                    chosen.push((link.name.clone(), cluster.clone(), target.clone()));
                }
            }
            Err(error) => plan.mistake(&format!("link '{}': {error}", link.name)),
        }
    }
    for collision in collisions(&chosen) {
        plan.mistake(&collision);
    }
    plan
}

/// Says what happens to a setting.
pub(crate) fn shown(change: &ConfigAlteration) -> String {
    match &change.operation {
        AlterOperation::Set(value) => format!("{} = {value}", change.name),
        AlterOperation::Delete => format!("{} is not set any more", change.name),
        AlterOperation::Append(value) => format!("{} gains {value}", change.name),
        AlterOperation::Subtract(value) => format!("{} loses {value}", change.name),
    }
}

impl Plan {
    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn mistake(&mut self, line: &str) {
        self.mistakes += 1;
        self.line(&format!("cannot work: {line}"));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Create {
                source,
                target,
                partitions,
                ..
            } => self.line(&format!(
                "  make    {target} with {partitions} partitions, a mirror of {source}"
            )),
            Step::Grow { target, partitions } => {
                self.line(&format!("  grow    {target} to {partitions} partitions"));
            }
            Step::Change { target, changes, .. } => {
                for change in changes {
                    self.line(&format!("  change  {target}: {}", shown(change)));
                }
            }
            Step::Warn { source, warning } => self.line(&format!("  note    {source}: {warning}")),
            Step::Mirror(topic) => match &topic.stop {
                None => self.line(&format!(
                    "  go on   {} with {} partitions, a mirror of {}",
                    topic.target,
                    topic.partitions.len(),
                    topic.source
                )),
                Some(stop) => self.mistake(&format!("{}: {stop}", topic.target)),
            },
            Step::Refuse { source, reason } => self.mistake(&format!("{source}: {reason}")),
        }
    }
}
