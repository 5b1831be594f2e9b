//! Very many groups that commit offsets, over connections that each carry many groups.
//!
//! A group is always on the same connection, so that its commits arrive in order and its last one is known: some
//! groups are asked for it at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use thalweg_tests::group_requests::{NONE, commit, committed, find, read_commit, read_committed, read_find};
use tokio::task::JoinSet;

use super::Committed;
use super::wire::{Wire, understood};
use crate::histogram::Histogram;

/// Among so many groups each partition of the internal topic has one.
const SAMPLE: u64 = 40;
/// An hour.
const SECONDS_MAX: f64 = 3_600.0;
/// A commit outside a generation: an admin's, or that of a consumer without membership.
const NO_MEMBER: (i32, &str) = (-1, "");

/// What to commit.
#[derive(Debug, Clone, Args)]
pub struct CommitsOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// The topic whose offsets are committed; it has one partition.
    #[arg(long)]
    pub topic: String,
    /// What the names of the groups begin with.
    #[arg(long, default_value = "group")]
    pub group: String,
    /// Groups.
    #[arg(long, default_value_t = 10_000)]
    pub groups: u64,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: u64,
    /// Commits of one connection that wait for their answers together.
    #[arg(long, default_value_t = 8)]
    pub pipelined: usize,
    /// Seconds to commit; each group commits once in any case.
    #[arg(long)]
    pub seconds: f64,
    /// Share of the time that is not in the steady figures.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up: f64,
}

impl CommitsOptions {
    fn name(&self, group: u64) -> String {
        format!("{}-{group:05}", self.group)
    }

    fn check(&self) -> Result<()> {
        if self.groups == 0 || self.connections == 0 || self.pipelined == 0 || self.connections > self.groups
        {
            bail!(
                "at least one group, one connection and one commit at a time, and no more connections than groups"
            );
        }
        if !(0.0..=SECONDS_MAX).contains(&self.seconds) {
            bail!("--seconds is {}, not 0 to {SECONDS_MAX}", self.seconds);
        }
        Ok(())
    }

    /// The groups of a connection.
    fn groups_of(&self, connection: u64) -> impl Iterator<Item = u64> {
        let step = usize::try_from(self.connections).unwrap_or(usize::MAX);
        (connection..self.groups).step_by(step)
    }
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    commits: u64,
    steady: u64,
    histogram: Histogram,
}

/// When the commits begin to count, and when the last one is sent.
#[derive(Clone, Copy)]
struct Times {
    steady: Instant,
    end: Instant,
}

/// Commits until the time is over, and asks some groups what they have.
///
/// # Errors
/// When the broker refuses a commit, or a group has another offset than it committed last.
pub fn run(options: &CommitsOptions) -> Result<Committed> {
    options.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        wait_for_coordinators(options).await?;
        let mut wires = Vec::new();
        for _ in 0..options.connections {
            wires.push(Wire::connect(&options.bootstrap).await?);
        }
        let began = Instant::now();
        let times = Times {
            steady: began + Duration::from_secs_f64(options.seconds * options.warm_up.clamp(0.0, 1.0)),
            end: began + Duration::from_secs_f64(options.seconds),
        };
        let options = Arc::new(options.clone());
        let mut tasks = JoinSet::new();
        for (connection, wire) in (0..).zip(wires) {
            tasks.spawn(work(options.clone(), connection, wire, times));
        }
        let mut all = Seen::default();
        let mut ended = Vec::new();
        while let Some(one) = tasks.join_next().await {
            let (seen, wire) = one??;
            all.commits += seen.commits;
            all.steady += seen.steady;
            all.histogram.add(&seen.histogram);
            ended.push(wire);
        }
        let steady_seconds = times.steady.elapsed().as_secs_f64();
        for (wire, connection, sent) in ended {
            check_last(&options, wire, connection, sent).await?;
        }
        let ms = |percent| all.histogram.percentile(percent) as f64 / 1e6;
        Ok(Committed {
            commits: all.commits,
            steady_commits: all.steady,
            steady_seconds,
            p50_ms: ms(50.0),
            p99_ms: ms(99.0),
            p999_ms: ms(99.9),
            max_ms: all.histogram.max() as f64 / 1e6,
        })
    })
}

/// Goes round the groups of one connection; returns what it saw, and what is needed to look at the groups later.
async fn work(
    options: Arc<CommitsOptions>,
    connection: u64,
    mut wire: Wire,
    times: Times,
) -> Result<(Seen, (Wire, u64, u64))> {
    let groups: Vec<String> = options
        .groups_of(connection)
        .map(|group| options.name(group))
        .collect();
    let count = groups.len() as u64;
    let mut seen = Seen::default();
    let mut waiting = VecDeque::with_capacity(options.pipelined);
    let mut requests = Vec::new();
    let mut sent = 0u64;
    loop {
        requests.clear();
        // Everybody commits once, however slow that is.
        while waiting.len() < options.pipelined && (sent < count || Instant::now() < times.end) {
            let group = &groups[usize::try_from(sent % count)?];
            let offset = i64::try_from(sent / count)? + 1;
            requests.extend(commit(group, NO_MEMBER, (&options.topic, 0), offset));
            waiting.push_back(Instant::now());
            sent += 1;
        }
        let Some(since) = waiting.front().copied() else {
            return Ok((seen, (wire, connection, sent)));
        };
        if !requests.is_empty() {
            wire.send(&requests).await?;
        }
        let error = understood(&wire.hear().await?, read_commit)?;
        ensure!(error == NONE, "a commit is refused: error code {error}");
        waiting.pop_front();
        seen.commits += 1;
        let now = Instant::now();
        if now >= times.steady {
            seen.steady += 1;
            let latency = now.duration_since(since).as_nanos();
            seen.histogram.note(u64::try_from(latency).unwrap_or(u64::MAX), 1);
        }
    }
}

/// The offset that the group at `place` of `count` has committed last, when `sent` commits went round them.
fn last_offset(sent: u64, place: u64, count: u64) -> u64 {
    sent / count + u64::from(place < sent % count)
}

/// Asks the first and the last group of a connection what they have.
async fn check_last(options: &CommitsOptions, mut wire: Wire, connection: u64, sent: u64) -> Result<()> {
    let groups: Vec<u64> = options.groups_of(connection).collect();
    let count = groups.len() as u64;
    for place in [0, count - 1] {
        let name = options.name(groups[usize::try_from(place)?]);
        let request = committed(&name, &options.topic, 0);
        let (error, offset) = wire.ask(&request, read_committed).await?;
        let expected = last_offset(sent, place, count);
        ensure!(
            error == NONE && u64::try_from(offset) == Ok(expected),
            "{name} committed {expected} last and has {offset} (error code {error})"
        );
    }
    Ok(())
}

async fn wait_for_coordinators(options: &CommitsOptions) -> Result<()> {
    let mut wire = Wire::connect(&options.bootstrap).await?;
    for number in 0..SAMPLE.min(options.groups) {
        let name = options.name(number);
        wire.ask_until_there(&find(&name), |answer| Some((read_find(answer)?, ())))
            .await?;
        wire.ask_until_there(&committed(&name, &options.topic, 0), read_committed)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "commits_test.rs"]
mod tests;
