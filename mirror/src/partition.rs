//! One mirrored partition: what it wants next, and what each answer means. Pure: time comes in, nothing goes out.
//!
//! Owns the decisions; sockets, topics and memory are [`crate::engine`]'s. The truth about the mirror is the target's
//! report, never what was sent: after any doubt the partition looks again. At most one fetch, one question and one
//! command are under way; the next run is fetched while the one before is appended.
//!
//! | phase | wants | leaves it when |
//! |---|---|---|
//! | Claiming | a session from the target | it has one → Placing; another link owns it → Stopped |
//! | Inspecting | the target's report, after a doubt | the session is still ours → Placing; it is not → Claiming |
//! | Placing | the source's start, end and epochs | they fit → Copying; a gap or a rewind → as the rules say |
//! | Copying | fetches, appends, log start, source end | an answer does not fit → Inspecting or Placing |
//! | Stopped | nothing | an operator resumes it → Claiming |
//!
//! Invariant: nothing is appended but at the end that the target reported last, and every loss is in [`Partition::losses`].

mod commands;
mod fetching;
mod placing;
mod promoting;
mod sealing;
mod stop;

use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_client::Backoff;
use thalweg_types::{ErrorCode, LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::mirror::{Command, Fence, LinkId, Operation, Report};

use crate::config::Rules;
use crate::run::Run;

pub use commands::Refusal;
pub use fetching::{FetchFailure, Fetched};
pub use placing::Place;
pub use promoting::Promotion;
use sealing::AtSource;
pub use stop::{Loss, Stop};

/// Waits after failures: a target that restarts is back within seconds.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::from_secs(5),
};
/// Losses that are remembered; older ones are in the log.
const LOSSES_MAX: usize = 20;

/// What a partition does, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Asks the target for the right to append.
    Claiming,
    /// Compares the mirror with the source.
    Checking,
    /// Copies, and is behind.
    CatchingUp,
    /// Copies, and has all there was a moment ago.
    Live,
    /// Waits after a failure.
    Retrying,
    /// Waits for an operator, who paused it.
    Paused,
    /// Waits for an operator: something is wrong that time does not mend.
    Stopped,
}

impl State {
    /// All states, for metrics.
    pub const ALL: [Self; 7] = [
        Self::Claiming,
        Self::Checking,
        Self::CatchingUp,
        Self::Live,
        Self::Retrying,
        Self::Paused,
        Self::Stopped,
    ];

    /// Its name in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claiming => "claiming",
            Self::Checking => "checking",
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Claiming,
    Inspecting,
    Placing,
    Copying,
    Stopped(Stop),
}

/// Which fetches a partition goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits at the source's end for what comes.
    Live,
    /// Reads what is there.
    CatchUp,
    /// Reads with nobody else, so that an empty answer means that there is nothing.
    Alone,
}

/// A fetch that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedFetch {
    /// First offset.
    pub at: Offset,
    /// With whom.
    pub lane: Lane,
    /// Goes back with the answer: an answer to an older one is of no use.
    pub generation: u64,
}

/// A command that is wanted, with its batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCommand {
    /// The command.
    pub command: Command,
    /// Batches of an append.
    pub records: Bytes,
}

/// What is on its way to the target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    operation: Operation,
    run: Option<Run>,
}

/// One partition of one link.
#[derive(Clone, Debug)]
pub struct Partition {
    link: LinkId,
    rules: Rules,
    phase: Phase,
    session: i64,
    /// The target's last word.
    report: Option<Report>,
    /// The source's last word.
    place: Option<Place>,
    /// Next offset to fetch.
    fetch_at: Offset,
    generation: u64,
    is_fetching: bool,
    is_asking: bool,
    pending: Option<Pending>,
    buffered: Option<Run>,
    /// Where the end goes before the next append.
    advance_to: Option<Offset>,
    /// A jump waits for the first batch behind it, which may begin before its goal.
    jump: Option<Offset>,
    /// Where an empty mirror begins: its log start, once its end is there.
    begin_at: Option<Offset>,
    /// Where the mirror is cut back to.
    truncate_to: Option<Offset>,
    /// A fetch said that the source's log is elsewhere; it is asked when the mirror's end stands still.
    must_look: bool,
    /// The log start that was asked for last: a target that does not follow is not asked again and again.
    asked_start: Offset,
    /// Empty answers in a row to fetches without company although the source has more.
    empty_alone: u32,
    corrupt_tries: u32,
    is_caught_up: bool,
    /// When it last had everything.
    complete_at: Instant,
    /// When the lease has to be renewed and the source's end be told.
    renew_at: Instant,
    attempts: u32,
    not_before: Option<Instant>,
    reason: Option<String>,
    is_paused: bool,
    /// An operator wants clients to write to the mirror.
    promotion: Option<Promotion>,
    /// The source's end, and since when it is the same.
    still: Option<(Offset, Instant)>,
    /// The highest leader epoch that the source announced.
    source_epoch: LeaderEpoch,
    /// Where the mirror ended when it was promoted.
    cut: Option<Offset>,
    at_source: AtSource,
    losses: Vec<Loss>,
    /// What an operator should hear, until somebody takes it.
    news: Vec<String>,
    appended_bytes: u64,
    appended_batches: u64,
    appended_records: u64,
    newest: Option<TimestampMs>,
}

impl Partition {
    /// A partition of which nothing is known.
    #[must_use]
    pub fn new(link: LinkId, rules: Rules, now: Instant) -> Self {
        Self {
            link,
            rules,
            phase: Phase::Claiming,
            session: 0,
            report: None,
            place: None,
            fetch_at: Offset::ZERO,
            generation: 0,
            is_fetching: false,
            is_asking: false,
            pending: None,
            buffered: None,
            advance_to: None,
            jump: None,
            begin_at: None,
            truncate_to: None,
            must_look: false,
            asked_start: Offset::ZERO,
            empty_alone: 0,
            corrupt_tries: 0,
            is_caught_up: false,
            complete_at: now,
            renew_at: now,
            attempts: 0,
            not_before: None,
            reason: None,
            is_paused: false,
            promotion: None,
            still: None,
            source_epoch: LeaderEpoch::UNKNOWN,
            cut: None,
            at_source: AtSource::default(),
            losses: Vec::new(),
            news: Vec::new(),
            appended_bytes: 0,
            appended_batches: 0,
            appended_records: 0,
            newest: None,
        }
    }

    /// What it does.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Stopped(_) => State::Stopped,
            _ if self.is_paused => State::Paused,
            _ if self.not_before.is_some() && self.attempts > 0 => State::Retrying,
            Phase::Claiming => State::Claiming,
            Phase::Inspecting | Phase::Placing => State::Checking,
            Phase::Copying if self.is_caught_up => State::Live,
            Phase::Copying => State::CatchingUp,
        }
    }

    /// Why it is stopped or tries again.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match &self.phase {
            Phase::Stopped(stop) => Some(stop.to_string()),
            _ => self.reason.clone().or_else(|| self.at_source.problem()),
        }
    }

    /// Why it is stopped.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match &self.phase {
            Phase::Stopped(stop) => Some(stop),
            _ => None,
        }
    }

    /// Ranges of offsets the mirror does not have although the source had them, or had and gave up; the newest last.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// The target's last word.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// The source's last word.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Bytes and batches that were appended since the service began.
    #[must_use]
    pub fn appended(&self) -> (u64, u64) {
        (self.appended_bytes, self.appended_batches)
    }

    /// Records that were appended since the service began, control records among them.
    #[must_use]
    pub fn appended_records(&self) -> u64 {
        self.appended_records
    }

    /// The newest timestamp of the batch that was appended last.
    #[must_use]
    pub fn newest(&self) -> Option<TimestampMs> {
        self.newest
    }

    fn count(&mut self, run: &Run) {
        self.appended_bytes += run.records.len() as u64;
        self.appended_batches += run.batches as u64;
        self.appended_records += run.record_count;
        self.newest = Some(run.newest);
    }

    /// Offsets between the mirror's end and the end of what may be read; `None` while one of them is not known.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        let end = self.report.as_ref()?.log_end;
        let limit = self.place.as_ref()?.limit(self.rules.read);
        Some(limit.get().saturating_sub(end.get()).max(0))
    }

    /// How long ago the mirror had everything.
    #[must_use]
    pub fn behind_for(&self, now: Instant) -> Duration {
        match self.lag() {
            Some(0) => Duration::ZERO,
            _ => now.saturating_duration_since(self.complete_at),
        }
    }

    /// Bytes fetched and not yet appended.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let buffered = self.buffered.as_ref().map_or(0, |run| run.records.len());
        let pending = self.pending.as_ref().and_then(|pending| pending.run.as_ref());
        buffered + pending.map_or(0, |run| run.records.len())
    }

    /// Pauses it: what is under way is finished, nothing new begins.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Goes on after a pause; a stopped partition looks again whether its reason still holds.
    pub fn resume(&mut self, now: Instant) {
        self.is_paused = false;
        if matches!(self.phase, Phase::Stopped(_)) {
            self.corrupt_tries = 0;
            // It may be a mirror again (failback), and then nothing of the promotion holds any more.
            if self.cut.is_some() || self.stop() == Some(&Stop::Promoted) {
                (self.cut, self.still) = (None, None);
                self.at_source = AtSource::default();
            }
            self.doubt();
            self.phase = self.phase_after_doubt();
        }
        self.not_before = None;
        self.attempts = 0;
        self.renew_at = now;
    }

    /// Stops it for a reason that lies outside: the topic was deleted or recreated.
    pub fn stop_for(&mut self, stop: Stop) {
        self.halt(stop);
    }

    /// Takes what an operator should hear: each stop and each loss once.
    pub fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// When it wants something again, if it waits now.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Instant> {
        if self.is_paused || matches!(self.phase, Phase::Stopped(_)) {
            return None;
        }
        let renews = matches!(self.phase, Phase::Copying).then_some(self.renew_at);
        self.not_before.or(renews)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.is_paused || self.not_before.is_some_and(|until| until > now)
    }

    fn fence(&self, expected_end: Offset) -> Fence {
        Fence {
            link: self.link,
            session: self.session,
            expected_end,
        }
    }

    fn log_end(&self) -> Offset {
        self.report.as_ref().map_or(Offset::ZERO, |report| report.log_end)
    }

    /// Forgets what was fetched and planned: the next fetch begins where the target says.
    fn doubt(&mut self) {
        self.generation += 1;
        self.is_fetching = false;
        self.is_asking = false;
        self.buffered = None;
        self.advance_to = None;
        self.jump = None;
        self.begin_at = None;
        self.truncate_to = None;
        self.must_look = false;
        self.asked_start = Offset::ZERO;
        self.empty_alone = 0;
        self.is_caught_up = false;
        self.fetch_at = self.log_end();
    }

    /// Waits longer after each failure in a row.
    fn retry(&mut self, reason: String, now: Instant) {
        self.not_before = Some(now + BACKOFF.wait(self.attempts));
        self.attempts = self.attempts.saturating_add(1);
        self.reason = Some(reason);
    }

    /// A step was made. Waits stay long until records or the source's end got through, or a failure that comes back
    /// after each new look would never wait longer.
    fn proceed(&mut self) {
        self.not_before = None;
        self.reason = None;
    }

    fn went_well(&mut self) {
        self.attempts = 0;
        self.proceed();
    }

    fn phase_after_doubt(&self) -> Phase {
        match self.session {
            0 => Phase::Claiming,
            _ => Phase::Inspecting,
        }
    }

    fn halt(&mut self, stop: Stop) {
        self.doubt();
        self.reason = None;
        self.news.push(format!("stopped: {stop}"));
        // A source that comes back must not take records beside the promoted partition.
        match (&stop, &self.report) {
            (Stop::Promoted, Some(report)) => {
                self.at_source.want_seal(report.leader_epoch, self.complete_at);
            }
            _ => self.at_source.want_nothing(),
        }
        self.phase = Phase::Stopped(stop);
    }

    fn lose(&mut self, loss: Loss) {
        if self.losses.len() >= LOSSES_MAX {
            self.losses.remove(0);
        }
        self.news.push(loss.to_string());
        self.losses.push(loss);
    }
}

/// Where the epoch of the mirror's last batch ends at the source is asked for, when the mirror has records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The epoch; `None` for a mirror without records.
    pub epoch: Option<LeaderEpoch>,
    /// Goes back with the answer.
    pub generation: u64,
}

fn code_text(code: ErrorCode, message: Option<&str>) -> String {
    format!("{code}: {}", message.unwrap_or(code.message()))
}

#[cfg(test)]
#[path = "partition/partition_test.rs"]
mod tests;
