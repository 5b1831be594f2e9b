//! Who owns a group's offsets, and what is committed where. Pure.
//!
//! Owns the state machine of one group. The truth is what clients and admins committed; what the mirror committed is
//! remembered as its own and never travels back. Kafka has no compare-and-commit, so a commit is noted before it is made
//! ([`Trace::writing`]): whatever a crash leaves, a value of ours is told apart from a client's.
//!
//! | members | owner |
//! |---|---|
//! | on one side | that side |
//! | on both | nobody: conflict, nothing is committed |
//! | on neither | the side that a client changed since the last look; both or none: the owner before; nobody yet: the side that is further |
//!
//! The owner's values go to the other side, clamped to what is there. Where the owner has only what the mirror wrote, or
//! never had anything, the other side's own value goes to it: a commit for one partition does not strand the others. What
//! vanished on one side (a deleted group, an expired offset) is not brought back by the mirror's own copy of it.

use std::collections::BTreeMap;

use thalweg_client::TopicPartition;
use thalweg_types::Offset;

/// One of the clusters of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Where records come from.
    Source,
    /// Where the mirror is.
    Target,
}

impl Side {
    /// The one across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }

    /// Its name in answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// Something for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both<T> {
    /// The source's.
    pub source: T,
    /// The target's.
    pub target: T,
}

impl<T> Both<T> {
    /// One side's.
    pub const fn of(&self, side: Side) -> &T {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// One side's, to be changed.
    pub const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }
}

/// A committed offset as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The offset.
    pub offset: Offset,
    /// A hash of the client's text beside it ([`text_hash`]): a client may change only that.
    pub text: u64,
}

impl Mark {
    /// The mark of a commit.
    #[must_use]
    pub fn new(offset: Offset, metadata: &str) -> Self {
        let text = text_hash(metadata);
        Self { offset, text }
    }
}

/// FNV-1a, 64 bits.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What is known of one side of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The commit that was there at the last look.
    pub seen: Option<Mark>,
    /// A commit of the mirror that may have been made since.
    pub writing: Option<Mark>,
    /// Whether `seen` is a commit of the mirror.
    pub is_ours: bool,
    /// Whether there was a commit, which vanished.
    pub is_gone: bool,
}

impl Trace {
    /// Looks at the commit that is there now, and reports whether a client or an admin made it since the last look.
    fn look(&mut self, now: Option<Mark>) -> bool {
        if now == self.seen {
            return false;
        }
        let is_ours = now.is_some() && now == self.writing;
        if is_ours {
            self.writing = None;
        }
        *self = Self {
            seen: now,
            writing: self.writing,
            is_ours,
            is_gone: now.is_none(),
        };
        now.is_some() && !is_ours
    }

    /// The commit that was under way was made: from now on anything else is a client's, also what was there before.
    pub fn confirm(&mut self) {
        if let Some(made) = self.writing.take() {
            *self = Self {
                seen: Some(made),
                writing: None,
                is_ours: true,
                is_gone: false,
            };
        }
    }

    /// A commit that a client or an admin made.
    fn of_client(&self) -> Option<Mark> {
        self.seen.filter(|_| !self.is_ours)
    }
}

/// What is known of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The owner at the last look.
    pub owner: Option<Side>,
    /// Its partitions, by the source's names.
    pub partitions: BTreeMap<TopicPartition, Both<Trace>>,
}

/// One partition of a group now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What is committed.
    pub committed: Both<Option<Mark>>,
    /// Log start and log end.
    pub bounds: Both<(Offset, Offset)>,
}

/// A commit to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Of which partition, by the source's name.
    pub partition: TopicPartition,
    /// Where.
    pub to: Side,
    /// The offset; its text is the other side's.
    pub offset: Offset,
    /// Whether it is the other side's offset, and not the nearest one that is there.
    pub is_exact: bool,
}

/// What a group's offsets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One side's, and the other follows.
    Owned(Side),
    /// Members are on both sides: nothing is committed.
    Conflict,
    /// There are none.
    Nothing,
}

/// What to do for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whose the offsets are.
    pub verdict: Verdict,
    /// Commits to make, once the memory is durable.
    pub writes: Vec<Write>,
    /// Partitions where the other side does not reach the offset.
    pub clamped: usize,
}

/// Looks at a group and decides. Partitions that are in `memory` and not in `now` stay as they are.
pub fn step(memory: &mut Memory, has_members: Both<bool>, now: &BTreeMap<TopicPartition, Now>) -> Outcome {
    let mut has_changed = Both::default();
    let mut ahead: i128 = 0;
    for (partition, now) in now {
        let traces = memory.partitions.entry(partition.clone()).or_default();
        for side in [Side::Source, Side::Target] {
            *has_changed.of_mut(side) |= traces.of_mut(side).look(*now.committed.of(side));
        }
        if let (Some(source), Some(target)) = (traces.source.seen, traces.target.seen) {
            ahead += i128::from(target.offset.get()) - i128::from(source.offset.get());
        }
    }
    let is_known = |traces: &Both<Trace>| traces.source.seen.is_some() || traces.target.seen.is_some();
    let is_any = now
        .keys()
        .any(|partition| memory.partitions.get(partition).is_some_and(is_known));
    let is_conflict = has_members.source && has_members.target;
    memory.owner = owner(memory.owner, has_members, has_changed, ahead);
    let mut outcome = Outcome {
        verdict: Verdict::Nothing,
        writes: Vec::new(),
        clamped: 0,
    };
    match memory.owner {
        _ if is_any && is_conflict => outcome.verdict = Verdict::Conflict,
        Some(owner) if is_any => {
            outcome.verdict = Verdict::Owned(owner);
            order(memory, owner, has_members, now, &mut outcome);
        }
        _ => {}
    }
    memory.partitions.retain(|_, traces| {
        is_known(traces) || traces.source.writing.is_some() || traces.target.writing.is_some()
    });
    outcome
}

fn owner(
    before: Option<Side>,
    has_members: Both<bool>,
    has_changed: Both<bool>,
    ahead: i128,
) -> Option<Side> {
    let only = |both: Both<bool>| match (both.source, both.target) {
        (true, false) => Some(Side::Source),
        (false, true) => Some(Side::Target),
        _ => None,
    };
    let first = || match (has_changed.source || has_changed.target, ahead > 0) {
        (false, _) => None,
        (true, true) => Some(Side::Target),
        (true, false) => Some(Side::Source),
    };
    only(has_members)
        .or_else(|| only(has_changed))
        .or(before)
        .or_else(first)
}

fn order(
    memory: &mut Memory,
    owner: Side,
    has_members: Both<bool>,
    now: &BTreeMap<TopicPartition, Now>,
    outcome: &mut Outcome,
) {
    for (partition, now) in now {
        let Some(traces) = memory.partitions.get_mut(partition) else {
            continue;
        };
        let Some(from) = author(traces, owner) else {
            continue;
        };
        let to = from.other();
        // Only an owner has members here, and a coordinator refuses commits from outside a group that has some.
        let Some(mark) = traces.of(from).seen.filter(|_| !*has_members.of(to)) else {
            continue;
        };
        let (start, end) = *now.bounds.of(to);
        let offset = mark.offset.clamp(start, end.max(start));
        outcome.clamped += usize::from(offset != mark.offset);
        let wanted = Mark { offset, ..mark };
        let trace = traces.of_mut(to);
        if trace.seen != Some(wanted) {
            trace.writing = Some(wanted);
            outcome.writes.push(Write {
                partition: partition.clone(),
                to,
                offset,
                is_exact: offset == mark.offset,
            });
        }
    }
}

/// The side whose value counts for one partition.
fn author(traces: &Both<Trace>, owner: Side) -> Option<Side> {
    let (own, across) = (traces.of(owner), traces.of(owner.other()));
    if own.of_client().is_some() {
        return Some(owner);
    }
    let was_deleted = own.seen.is_none() && own.is_gone;
    (across.of_client().is_some() && !was_deleted).then_some(owner.other())
}

#[cfg(test)]
#[path = "decision_test.rs"]
mod tests;
