//! A classic group of very many members: how long until all of them have their assignment, when they all come at once
//! and when one more comes.
//!
//! Members behave as Kafka's clients do (join, sync, heartbeat, join again when told to), but do not wait for the next
//! heartbeat to be due: what is measured is the broker and not the clients' clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use thalweg_tests::group_requests::{
    Joined, NONE, REBALANCE_IN_PROGRESS, committed, find, heartbeat, join, leave, read_committed, read_error,
    read_find, read_join, read_sync, sync,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Rebalanced;
use super::wire::{ANSWER, Wire, understood};
use crate::figures::Spread;

/// Longer than any run: nobody is missed while the machine is busy.
const SESSION_MS: i32 = 120_000;
/// Within this all members come back, or the rebalance goes on without them.
const REBALANCE_MS: i32 = 120_000;
/// Between two heartbeats of a member that waits for the others.
const BEAT: Duration = Duration::from_millis(10);
/// Bytes of one member's assignment: that of a few partitions.
const ASSIGNMENT_BYTES: usize = 64;
/// No generation has all members yet.
const NO_GENERATION: i32 = -1;

/// Which group.
#[derive(Debug, Clone, Args)]
pub struct MembersOptions {
    /// Address of the broker.
    #[arg(long)]
    pub bootstrap: String,
    /// Name of the group.
    #[arg(long)]
    pub group: String,
    /// Members that come at once.
    #[arg(long, default_value_t = 1000)]
    pub members: usize,
    /// Members that come one after the other then.
    #[arg(long, default_value_t = 5)]
    pub joins: usize,
}

/// A member and its connection.
struct Member {
    wire: Wire,
    id: String,
    generation: i32,
}

/// What the members of one rebalance share.
#[derive(Debug)]
struct Goal {
    group: String,
    members: usize,
    /// The generation in which the leader saw all of them.
    complete: AtomicI32,
}

impl Goal {
    fn new(group: &str, members: usize) -> Arc<Goal> {
        Arc::new(Goal {
            group: group.to_owned(),
            members,
            complete: AtomicI32::new(NO_GENERATION),
        })
    }

    fn is_reached(&self, generation: i32) -> bool {
        self.complete.load(Ordering::Relaxed) == generation
    }
}

/// Forms the group, lets members come one by one, and lets all go.
///
/// # Errors
/// When the broker refuses a member, or a rebalance takes longer than two minutes.
pub fn run(options: &MembersOptions) -> Result<Rebalanced> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        wait_for_coordinator(options).await?;
        let mut members = Vec::new();
        for _ in 0..options.members {
            members.push(Member::connect(&options.bootstrap).await?);
        }
        let (mut members, form_seconds) = form(&options.group, members).await?;
        let mut joins = Vec::new();
        for _ in 0..options.joins {
            let newcomer = Member::connect(&options.bootstrap).await?;
            let (all, seconds) = admit(&options.group, members, newcomer).await?;
            members = all;
            joins.push(seconds);
        }
        let count = members.len();
        go(&options.group, members).await?;
        let spread = Spread::of(joins);
        Ok(Rebalanced {
            members: count as u64,
            rebalances: options.joins as u64 + 1,
            form_seconds,
            join_seconds: spread.map(|spread| spread.median),
            join_seconds_max: spread.map(|spread| spread.max),
        })
    })
}

async fn wait_for_coordinator(options: &MembersOptions) -> Result<()> {
    let mut wire = Wire::connect(&options.bootstrap).await?;
    let is_found = |answer: &[u8]| Some((read_find(answer)?, ()));
    wire.ask_until_there(&find(&options.group), is_found).await?;
    wire.ask_until_there(&committed(&options.group, "none", 0), read_committed)
        .await?;
    Ok(())
}

/// Everybody joins at once; returns the members and the seconds until each has its assignment.
async fn form(group: &str, members: Vec<Member>) -> Result<(Vec<Member>, f64)> {
    let goal = Goal::new(group, members.len());
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for member in members {
        tasks.spawn(member.settle(goal.clone()));
    }
    let members = all_of(tasks).await?;
    Ok((members, began.elapsed().as_secs_f64()))
}

/// One more joins, and all others learn of it and join again.
async fn admit(group: &str, mut members: Vec<Member>, newcomer: Member) -> Result<(Vec<Member>, f64)> {
    let goal = Goal::new(group, members.len() + 1);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    tasks.spawn(newcomer.settle(goal.clone()));
    // One asks until it is told, so that the others do not ask in vain by the thousand.
    if let Some(first) = members.first_mut() {
        first.wait_until_told(group).await?;
    }
    for mut member in members {
        let goal = goal.clone();
        tasks.spawn(async move {
            member.wait_until_told(&goal.group).await?;
            member.settle(goal).await
        });
    }
    let members = all_of(tasks).await?;
    Ok((members, began.elapsed().as_secs_f64()))
}

async fn all_of(mut tasks: JoinSet<Result<Member>>) -> Result<Vec<Member>> {
    let all = async {
        let mut members = Vec::with_capacity(tasks.len());
        while let Some(ended) = tasks.join_next().await {
            members.push(ended??);
        }
        Ok(members)
    };
    timeout(ANSWER, all)
        .await
        .with_context(|| format!("a rebalance takes more than {ANSWER:?}"))?
}

/// Everybody leaves at once: a group that is left behind would be rebalanced when its sessions end, in somebody else's
/// account.
async fn go(group: &str, mut members: Vec<Member>) -> Result<()> {
    for member in &mut members {
        member.wire.send(&leave(group, &member.id)).await?;
    }
    for member in &mut members {
        let error = understood(&member.wire.hear().await?, read_error)?;
        ensure!(error == NONE, "{} may not leave: error code {error}", member.id);
    }
    Ok(())
}

impl Member {
    async fn connect(bootstrap: &str) -> Result<Member> {
        Ok(Member {
            wire: Wire::connect(bootstrap).await?,
            id: String::new(),
            generation: NO_GENERATION,
        })
    }

    /// Joins and syncs until it has its assignment in a generation of which the leader saw all members.
    async fn settle(mut self, goal: Arc<Goal>) -> Result<Member> {
        loop {
            let joined = self.join(&goal).await?;
            if !self.sync(&goal, &joined).await? {
                continue;
            }
            loop {
                if goal.is_reached(self.generation) {
                    return Ok(self);
                }
                sleep(BEAT).await;
                if !goal.is_reached(self.generation) && self.is_told(&goal.group).await? {
                    break;
                }
            }
        }
    }

    async fn join(&mut self, goal: &Goal) -> Result<Joined> {
        loop {
            let request = join(&goal.group, &self.id, SESSION_MS, REBALANCE_MS);
            let joined = self.wire.ask(&request, read_join).await?;
            match joined.error {
                NONE => {
                    self.id.clone_from(&joined.member);
                    self.generation = joined.generation;
                    if joined.members.len() == goal.members {
                        goal.complete.store(joined.generation, Ordering::Relaxed);
                    }
                    return Ok(joined);
                }
                REBALANCE_IN_PROGRESS => sleep(BEAT).await,
                error => bail!("a member may not join: error code {error}"),
            }
        }
    }

    /// False if there is a rebalance again.
    async fn sync(&mut self, goal: &Goal, joined: &Joined) -> Result<bool> {
        let assignments = assignments(joined);
        let request = sync(&goal.group, self.generation, &self.id, &assignments);
        match self.wire.ask(&request, read_sync).await? {
            (NONE, assignment) => {
                ensure!(
                    assignment == assignment_of(&self.id),
                    "{} has the assignment of another member",
                    self.id
                );
                Ok(true)
            }
            (REBALANCE_IN_PROGRESS, _) => Ok(false),
            (error, _) => bail!("{} gets no assignment: error code {error}", self.id),
        }
    }

    /// Whether a heartbeat says that there is a rebalance.
    async fn is_told(&mut self, group: &str) -> Result<bool> {
        let request = heartbeat(group, self.generation, &self.id);
        match self.wire.ask(&request, read_error).await? {
            NONE => Ok(false),
            REBALANCE_IN_PROGRESS => Ok(true),
            error => bail!("{} is no member any more: error code {error}", self.id),
        }
    }

    async fn wait_until_told(&mut self, group: &str) -> Result<()> {
        while !self.is_told(group).await? {
            sleep(BEAT).await;
        }
        Ok(())
    }
}

/// What the leader assigns; nothing from others.
fn assignments(joined: &Joined) -> Vec<(String, Vec<u8>)> {
    if joined.leader != joined.member {
        return Vec::new();
    }
    let members = joined.members.iter();
    members.map(|id| (id.clone(), assignment_of(id))).collect()
}

/// An assignment that no other member has.
fn assignment_of(id: &str) -> Vec<u8> {
    let mut assignment = id.as_bytes().to_vec();
    assignment.resize(ASSIGNMENT_BYTES.max(assignment.len()), b'.');
    assignment
}

#[cfg(test)]
#[path = "members_test.rs"]
mod tests;
