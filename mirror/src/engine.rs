//! The engine of one link: it owns every partition's state and decides what is sent to whom.
//!
//! One task owns all; fetches, questions and commands run beside it and come back as [`work::Done`]. Decisions about one
//! partition are [`crate::partition`]'s; here they are gathered: many partitions in one request, a few requests under way
//! for each broker, and one bound for the bytes in memory. Invariant: fetched bytes that wait, and those that fetches
//! under way may bring, stay below [`MEMORY_BYTES`], but for a source's batch that is larger than was asked for.

mod at_source;
mod lanes;
mod status;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_client::{MirrorCommand, TopicPartition};
use thalweg_telemetry::Shutdown;
use thalweg_types::{BrokerId, TopicId};
use thalweg_wire::mirror::LinkId;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::config::LinkConfig;
use crate::discovery::Found;
use crate::ends::Ends;
use crate::partition::{FetchFailure, Partition, Promotion, Stop};
use crate::progress::Progress;
use crate::status::LinkStatus;
use crate::topology::MirrorTopic;

use at_source::AtSource;
pub(crate) use lanes::LaneKey;
use lanes::Lanes;
use work::Done;

/// Bytes of batches in memory, of one link.
const MEMORY_BYTES: usize = 192 << 20;
/// Requests of commands under way for each target broker.
const COMMAND_REQUESTS_MAX: usize = 4;
/// Bytes of batches in one request of commands; one run may be larger alone.
const COMMAND_BYTES_MAX: usize = 16 << 20;
/// Commands in one request.
const COMMANDS_MAX: usize = 1000;
/// Questions in one set.
const QUESTIONS_MAX: usize = 500;
/// Longest pause of the engine.
const TICK: Duration = Duration::from_millis(500);
/// Shortest pause of the engine, so that a deadline that has just passed does not make it spin.
const TICK_MIN: Duration = Duration::from_millis(5);
/// How often the snapshot is renewed at most.
const STATUS_PAUSE: Duration = Duration::from_millis(200);
/// How long an orderly stop waits for what is under way and for the release of the claims.
const STOP: Duration = Duration::from_secs(3);

/// What an operator asks of a link: all topics, or one of the source's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Begin nothing new.
    Pause(Option<String>),
    /// Go on, and look again at what is stopped.
    Resume(Option<String>),
    /// Give partitions to clients.
    Promote(Option<String>, Promotion),
    /// Want no planned promotion any more: sealed sources are opened again.
    GiveUp(Option<String>),
}

struct Entry {
    source: TopicPartition,
    source_id: TopicId,
    target: TopicPartition,
    target_id: TopicId,
    source_leader: Option<BrokerId>,
    target_leader: Option<BrokerId>,
    partition: Partition,
}

/// What the engine hears from outside.
pub struct Inputs {
    /// What discovery found.
    pub found: mpsc::Receiver<Result<Found, String>>,
    /// What operators ask.
    pub control: mpsc::Receiver<Control>,
    /// The stop of the process.
    pub shutdown: Shutdown,
}

/// One link at work.
pub struct Engine {
    link: LinkConfig,
    ends: Ends,
    id: LinkId,
    entries: Vec<Entry>,
    places: HashMap<TopicPartition, usize>,
    lanes: Lanes,
    asking: BTreeMap<BrokerId, usize>,
    commanding: BTreeMap<BrokerId, usize>,
    at_source: AtSource,
    work: JoinSet<Done>,
    /// Asks discovery to look now: leaders moved, or a topic went.
    look: Arc<Notify>,
    trouble: Option<String>,
    is_discovered: bool,
    refused: Vec<(String, String)>,
    warnings: Vec<(String, String)>,
    progress: Progress,
    paused: BTreeMap<String, ()>,
    is_all_paused: bool,
    status: watch::Sender<Arc<LinkStatus>>,
    status_at: Instant,
}

impl Engine {
    /// An engine without partitions: discovery brings them.
    #[must_use]
    pub fn new(
        link: LinkConfig,
        ends: Ends,
        look: Arc<Notify>,
        status: watch::Sender<Arc<LinkStatus>>,
    ) -> Self {
        Self {
            id: ends.link,
            lanes: Lanes::new(link.bandwidth_bytes),
            link,
            ends,
            entries: Vec::new(),
            places: HashMap::new(),
            asking: BTreeMap::new(),
            commanding: BTreeMap::new(),
            at_source: AtSource::default(),
            work: JoinSet::new(),
            look,
            trouble: None,
            is_discovered: false,
            refused: Vec::new(),
            warnings: Vec::new(),
            progress: Progress::default(),
            paused: BTreeMap::new(),
            is_all_paused: false,
            status,
            status_at: Instant::now(),
        }
    }

    /// Works until the process stops; then finishes what is under way and gives the claims up.
    pub async fn run(mut self, mut inputs: Inputs) {
        let mut is_heard = true;
        while !inputs.shutdown.is_requested() {
            let now = Instant::now();
            self.start_work(now);
            self.publish(now);
            let pause = self.pause(now);
            // Each of these may be dropped: channels keep what they hold, the set keeps its tasks.
            tokio::select! {
                Some(done) = self.work.join_next() => self.ended(done),
                found = inputs.found.recv(), if is_heard => match found {
                    Some(found) => self.found(found),
                    None => is_heard = false,
                },
                Some(control) = inputs.control.recv() => self.control(&control),
                () = inputs.shutdown.requested() => {}
                () = tokio::time::sleep(pause) => {}
            }
            // What ended meanwhile is judged together: one request for many partitions.
            while let Some(done) = self.work.try_join_next() {
                self.ended(done);
            }
        }
        self.stop().await;
    }

    fn pause(&self, now: Instant) -> Duration {
        let next = self
            .entries
            .iter()
            .filter_map(|entry| entry.partition.wakes_at())
            .min();
        let until = next.map_or(TICK, |next| next.saturating_duration_since(now));
        until
            .min(self.lanes.wait(now).unwrap_or(TICK))
            .clamp(TICK_MIN, TICK)
    }

    fn start_work(&mut self, now: Instant) {
        self.start_commands(now);
        self.start_source_commands(now);
        self.start_questions(now);
        self.start_fetches(now);
    }

    fn start_commands(&mut self, now: Instant) {
        let mut wanted: BTreeMap<BrokerId, Vec<(usize, MirrorCommand)>> = BTreeMap::new();
        let mut bytes: BTreeMap<BrokerId, usize> = BTreeMap::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let Some(leader) = entry.target_leader else {
                continue;
            };
            let under_way = self.commanding.get(&leader).copied().unwrap_or_default();
            let list = wanted.entry(leader).or_default();
            if under_way >= COMMAND_REQUESTS_MAX || list.len() >= COMMANDS_MAX {
                continue;
            }
            let held = bytes.entry(leader).or_default();
            let Some(command) = entry.partition.command(now) else {
                continue;
            };
            if *held > 0 && *held + command.records.len() > COMMAND_BYTES_MAX {
                continue;
            }
            *held += command.records.len();
            entry.partition.commanded(&command.command);
            list.push((
                index,
                MirrorCommand {
                    partition: entry.target.clone(),
                    command: command.command,
                    records: command.records,
                },
            ));
        }
        for (leader, list) in wanted.into_iter().filter(|(_, list)| !list.is_empty()) {
            *self.commanding.entry(leader).or_default() += 1;
            self.work
                .spawn(work::commands(self.ends.target.clone(), leader, list));
        }
    }

    fn start_questions(&mut self, now: Instant) {
        let mut wanted: BTreeMap<BrokerId, Vec<_>> = BTreeMap::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let Some(leader) = entry.source_leader else {
                continue;
            };
            let list = wanted.entry(leader).or_default();
            let is_asking = self.asking.get(&leader).is_some_and(|asking| *asking > 0);
            if is_asking || list.len() >= QUESTIONS_MAX {
                continue;
            }
            let Some(question) = entry.partition.question(now) else {
                continue;
            };
            entry.partition.asked();
            let asked = work::Asked {
                index,
                generation: question.generation,
            };
            list.push((asked, entry.source.clone(), question));
        }
        for (leader, list) in wanted.into_iter().filter(|(_, list)| !list.is_empty()) {
            *self.asking.entry(leader).or_default() += 1;
            let isolation = self.link.rules.read.isolation();
            self.work
                .spawn(work::places(self.ends.source.clone(), leader, isolation, list));
        }
    }

    fn ended(&mut self, done: Result<Done, tokio::task::JoinError>) {
        let now = Instant::now();
        match done {
            Ok(Done::Fetch {
                lane,
                connection,
                reserved,
                answers,
            }) => {
                let mut bytes = 0;
                for (asked, answer) in answers {
                    match &answer {
                        Ok(fetched) => bytes += fetched.records.len(),
                        Err(FetchFailure::Passing(_)) => self.look.notify_one(),
                        Err(FetchFailure::OutOfRange) => {}
                    }
                    if let Some(entry) = self.entries.get_mut(asked.index) {
                        entry.partition.fetched(asked.generation, answer, now);
                        tell(&self.link.name, entry);
                    }
                }
                self.lanes.ended(lane, connection, reserved, bytes, now);
            }
            Ok(Done::Places { broker, answers }) => {
                decrease(&mut self.asking, broker);
                for (asked, answer) in answers {
                    if answer.is_err() {
                        self.look.notify_one();
                    }
                    if let Some(entry) = self.entries.get_mut(asked.index) {
                        entry.partition.placed(asked.generation, answer, now);
                        tell(&self.link.name, entry);
                    }
                }
            }
            Ok(Done::Commands { broker, answers }) => {
                decrease(&mut self.commanding, broker);
                for (index, result, report) in answers {
                    if result.is_err() {
                        self.look.notify_one();
                    }
                    if let Some(entry) = self.entries.get_mut(index) {
                        entry.partition.answered(result, report, now);
                        tell(&self.link.name, entry);
                    }
                }
            }
            Ok(Done::SourceCommands { broker, answers }) => self.source_answered(broker, answers, now),
            Ok(Done::TransactionsEnded(outcome)) => self.transactions_ended(outcome, now),
            // A task of ours panicked: what it was to answer never comes, and nothing can go on safely.
            Err(error) => {
                tracing::error!(link = self.link.name, %error, "a work of the link failed; its partitions wait for a restart");
                self.trouble = Some(format!("a bug: {error}; restart the service and report it"));
            }
        }
    }

    fn found(&mut self, found: Result<Found, String>) {
        let found = match found {
            Ok(found) => found,
            Err(trouble) => {
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        link = self.link.name,
                        trouble,
                        "the topics of the link cannot be looked at"
                    );
                }
                self.trouble = Some(trouble);
                return;
            }
        };
        self.trouble = None;
        self.is_discovered = true;
        for (topic, reason) in &found.refused {
            if !self
                .refused
                .iter()
                .any(|(name, said)| name == topic && said == reason)
            {
                tracing::warn!(link = self.link.name, topic, reason, "a topic is not mirrored");
            }
        }
        self.refused = found.refused;
        for (topic, warning) in found.warnings.iter().filter(|seen| !self.warnings.contains(seen)) {
            tracing::warn!(link = self.link.name, topic, "{warning}");
        }
        self.warnings = found.warnings;
        self.progress.learn(found.sizes);
        let mut seen = vec![false; self.entries.len()];
        for topic in &found.topics {
            self.apply(topic, &mut seen);
        }
        let now = Instant::now();
        for (entry, seen) in self.entries.iter_mut().zip(seen) {
            let stop = entry.partition.stop();
            let is_gone = matches!(stop, Some(Stop::SourceGone | Stop::NotMirrored(_)));
            if seen && is_gone {
                entry.partition.resume(now);
            } else if !seen && !is_gone {
                let refused = self
                    .refused
                    .iter()
                    .find(|(topic, _)| *topic == entry.source.topic);
                entry.partition.stop_for(match refused {
                    Some((_, reason)) => Stop::NotMirrored(reason.clone()),
                    None => Stop::SourceGone,
                });
            }
            tell(&self.link.name, entry);
        }
    }

    fn apply(&mut self, topic: &MirrorTopic, seen: &mut [bool]) {
        let now = Instant::now();
        for partition in &topic.partitions {
            let source = TopicPartition::new(topic.source.clone(), partition.partition);
            let index = match self.places.get(&source) {
                Some(index) => *index,
                None => {
                    self.places.insert(source.clone(), self.entries.len());
                    self.entries.push(Entry {
                        target: TopicPartition::new(topic.target.clone(), partition.partition),
                        source,
                        source_id: topic.source_id,
                        target_id: topic.target_id,
                        source_leader: None,
                        target_leader: None,
                        partition: Partition::new(self.id, self.link.rules, now),
                    });
                    self.entries.len() - 1
                }
            };
            if let Some(seen) = seen.get_mut(index) {
                *seen = true;
            }
            let is_paused = self.is_all_paused || self.paused.contains_key(&topic.source);
            let Some(entry) = self.entries.get_mut(index) else {
                continue;
            };
            if entry.target_id != topic.target_id {
                // Another topic: what was known of the old one means nothing.
                entry.partition = Partition::new(self.id, self.link.rules, now);
                entry.target_id = topic.target_id;
            }
            entry.source_id = topic.source_id;
            (entry.source_leader, entry.target_leader) = (partition.source_leader, partition.target_leader);
            entry.partition.saw_epoch(partition.source_epoch);
            if is_paused {
                entry.partition.pause();
            }
            match &topic.stop {
                Some(stop) if entry.partition.stop() != Some(stop) => entry.partition.stop_for(stop.clone()),
                _ => {}
            }
            tell(&self.link.name, entry);
        }
    }

    fn control(&mut self, control: &Control) {
        let now = Instant::now();
        tracing::info!(link = self.link.name, ?control, "an operator's wish");
        self.status_at = now;
        let (topic, pauses) = match control {
            Control::Pause(topic) => (topic, true),
            Control::Resume(topic) => (topic, false),
            Control::Promote(topic, promotion) => {
                let promotion = self.with_what_the_source_can(*promotion);
                return self.for_topic(topic.as_deref(), |partition| partition.promote(promotion, now));
            }
            Control::GiveUp(topic) => {
                return self.for_topic(topic.as_deref(), |partition| partition.give_up(now));
            }
        };
        match (topic, pauses) {
            (None, pauses) => {
                self.is_all_paused = pauses;
                self.paused.clear();
            }
            (Some(topic), true) => {
                self.paused.insert(topic.clone(), ());
            }
            (Some(topic), false) => {
                self.paused.remove(topic);
            }
        }
        if !pauses {
            // What was refused may be this link's now (failback).
            self.look.notify_one();
        }
        for entry in &mut self.entries {
            if topic.as_ref().is_some_and(|topic| *topic != entry.source.topic) {
                continue;
            }
            match pauses {
                true => entry.partition.pause(),
                false => entry.partition.resume(now),
            }
        }
    }

    /// Finishes appends that are under way, then releases what is claimed, so that the next instance need not wait for the
    /// leases to end.
    async fn stop(mut self) {
        let deadline = tokio::time::Instant::now() + STOP;
        self.entries.iter_mut().for_each(|entry| entry.partition.pause());
        while self.commanding.values().any(|count| *count > 0) {
            match tokio::time::timeout_at(deadline, self.work.join_next()).await {
                Ok(Some(done)) => self.ended(done),
                Ok(None) | Err(_) => break,
            }
        }
        let mut releases: BTreeMap<BrokerId, Vec<(usize, MirrorCommand)>> = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let (Some(leader), Some(command)) = (entry.target_leader, entry.partition.release()) else {
                continue;
            };
            let command = MirrorCommand {
                partition: entry.target.clone(),
                command,
                records: bytes::Bytes::new(),
            };
            releases.entry(leader).or_default().push((index, command));
        }
        for (leader, list) in releases {
            let release = work::commands(self.ends.target.clone(), leader, list);
            if tokio::time::timeout_at(deadline, release).await.is_err() {
                break;
            }
        }
        tracing::info!(link = self.link.name, "stopped");
    }
}

fn decrease(counts: &mut BTreeMap<BrokerId, usize>, broker: BrokerId) {
    if let Some(count) = counts.get_mut(&broker) {
        *count = count.saturating_sub(1);
    }
}

/// Stops and losses are told once, when they are decided; the status keeps them.
fn tell(link: &str, entry: &mut Entry) {
    for news in entry.partition.take_news() {
        tracing::warn!(link, partition = %entry.source, "{news}");
    }
}
