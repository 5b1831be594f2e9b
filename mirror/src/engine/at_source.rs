//! What the engine asks of the source beside records: seals, and the end of transactions that hold a promotion up.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use thalweg_client::{EndedTransactions, MirrorCommand, TopicPartition};
use thalweg_types::BrokerId;

use super::work::Answer;
use super::{COMMANDS_MAX, Engine, decrease, tell, work};
use crate::partition::{Partition, Promotion};

/// Pause between two tries to end transactions: a coordinator needs a moment to write the markers.
const PAUSE: Duration = Duration::from_secs(2);

/// What is under way there.
#[derive(Default)]
pub(super) struct AtSource {
    commanding: BTreeMap<BrokerId, usize>,
    is_ending: bool,
    not_before: Option<Instant>,
}

impl Engine {
    pub(super) fn start_source_commands(&mut self, now: Instant) {
        if !self.ends.source_seals {
            return;
        }
        let mut wanted: BTreeMap<BrokerId, Vec<(usize, MirrorCommand)>> = BTreeMap::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let Some(leader) = entry.source_leader else {
                continue;
            };
            let under_way = self.at_source.commanding.get(&leader).copied();
            let list = wanted.entry(leader).or_default();
            if under_way.unwrap_or_default() > 0 || list.len() >= COMMANDS_MAX {
                continue;
            }
            let Some(command) = entry.partition.source_command(now) else {
                continue;
            };
            entry.partition.source_commanded();
            let command = MirrorCommand {
                partition: entry.source.clone(),
                command,
                records: bytes::Bytes::new(),
            };
            list.push((index, command));
        }
        for (leader, list) in wanted.into_iter().filter(|(_, list)| !list.is_empty()) {
            *self.at_source.commanding.entry(leader).or_default() += 1;
            self.work
                .spawn(work::source_commands(self.ends.source.clone(), leader, list));
        }
        self.end_transactions(now);
    }

    /// Ends what is open in sealed partitions for longer than it was given.
    fn end_transactions(&mut self, now: Instant) {
        if self.at_source.is_ending || self.at_source.not_before.is_some_and(|until| until > now) {
            return;
        }
        let overdue = self
            .entries
            .iter()
            .filter(|entry| entry.partition.waits_for_transactions(now));
        let partitions: Vec<TopicPartition> = overdue.map(|entry| entry.source.clone()).collect();
        if partitions.is_empty() {
            return;
        }
        self.at_source.is_ending = true;
        // Its calls are repeated with closures, which keeps it on this thread; it is rare and small.
        self.work
            .spawn_local(work::end_transactions(self.ends.source.clone(), partitions));
    }

    pub(super) fn source_answered(&mut self, broker: BrokerId, answers: Vec<Answer>, now: Instant) {
        decrease(&mut self.at_source.commanding, broker);
        for (index, result, report) in answers {
            if let Some(entry) = self.entries.get_mut(index) {
                entry.partition.source_answered(result, report, now);
                tell(&self.link.name, entry);
            }
        }
    }

    pub(super) fn transactions_ended(&mut self, outcome: Result<EndedTransactions, String>, now: Instant) {
        self.at_source.is_ending = false;
        self.at_source.not_before = Some(now + PAUSE);
        let link = &self.link.name;
        match outcome {
            Ok(ended) => {
                for transactional_id in &ended.fenced {
                    tracing::warn!(
                        link,
                        transactional_id,
                        "its transaction held a promotion up and was aborted at the source; its producer is fenced"
                    );
                }
                for (partition, producer) in &ended.hanging {
                    tracing::error!(
                        link, %partition, producer = producer.get(),
                        "a transaction of which no coordinator knows holds the promotion up: abort it \
                         (kafka-transactions.sh abort), or give the promotion up"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(
                    link,
                    error,
                    "open transactions of the source cannot be ended; trying again"
                );
            }
        }
    }

    /// A source that cannot be sealed is waited for.
    pub(super) fn with_what_the_source_can(&self, promotion: Promotion) -> Promotion {
        match promotion {
            Promotion::Planned { still, .. } if !self.ends.source_seals => {
                Promotion::Planned { still, seal: None }
            }
            other => other,
        }
    }

    pub(super) fn for_topic(&mut self, topic: Option<&str>, mut act: impl FnMut(&mut Partition)) {
        for entry in &mut self.entries {
            if topic.is_none_or(|topic| topic == entry.source.topic) {
                act(&mut entry.partition);
                tell(&self.link.name, entry);
            }
        }
    }
}
