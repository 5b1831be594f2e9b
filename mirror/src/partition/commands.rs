//! Commands to the target, in the order that keeps the mirror true, and what their answers mean.

use std::time::{Duration, Instant};

use bytes::Bytes;
use thalweg_types::{ErrorCode, Offset};
use thalweg_wire::mirror::{Command, Operation, Ownership, Report};

use super::{Partition, Pending, Phase, Stop, WantedCommand, code_text};
use crate::config::LogStart;

/// Part of a lease after which it is renewed.
const RENEW_PART: u32 = 3;
/// Shortest wait for another holder's lease.
const LEASE_WAIT_MIN: Duration = Duration::from_millis(200);

/// A command that was not done, or of which nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The target's answer.
    Code(ErrorCode, Option<String>),
    /// No answer: it may have had its effect.
    Lost(String),
}

impl Partition {
    /// Which command is wanted now.
    #[must_use]
    pub fn command(&self, now: Instant) -> Option<WantedCommand> {
        if self.pending.is_some() || self.is_idle(now) {
            return None;
        }
        let (operation, expected_end) = self.operation(now)?;
        let records = match (operation, &self.buffered) {
            (Operation::Append { .. }, Some(run)) => run.records.clone(),
            _ => Bytes::new(),
        };
        Some(WantedCommand {
            command: Command {
                fence: self.fence(expected_end),
                operation,
            },
            records,
        })
    }

    fn operation(&self, now: Instant) -> Option<(Operation, Offset)> {
        let end = self.log_end();
        if let Some(promote) = self.promote_now(now) {
            return Some(promote);
        }
        match &self.phase {
            Phase::Claiming => {
                let lease_ms = i32::try_from(self.rules.lease.as_millis()).unwrap_or(i32::MAX);
                Some((Operation::Claim { lease_ms }, Offset::UNKNOWN))
            }
            Phase::Inspecting => Some((Operation::Inspect, Offset::UNKNOWN)),
            Phase::Placing => self.truncate_to.map(|to| (Operation::Truncate { to }, end)),
            Phase::Copying => self.copying(now, end),
            Phase::Stopped(_) => None,
        }
    }

    fn copying(&self, now: Instant, end: Offset) -> Option<(Operation, Offset)> {
        if let Some(to) = self.advance_to {
            return Some((Operation::AdvanceEnd { to }, end));
        }
        let source_end = self.place.map_or(Offset::UNKNOWN, |place| place.end);
        if self.buffered.is_some() {
            return Some((Operation::Append { source_end }, end));
        }
        if let Some(to) = self.wanted_start() {
            return Some((Operation::SetLogStart { to }, Offset::UNKNOWN));
        }
        (now >= self.renew_at).then_some((Operation::SetSourceEnd { source_end }, Offset::UNKNOWN))
    }

    /// The source's log start, as far as the mirror reaches; for a mirror that begins in the middle, where it begins.
    fn wanted_start(&self) -> Option<Offset> {
        let (report, place) = (self.report.as_ref()?, self.place.as_ref()?);
        let followed = match self.rules.log_start {
            LogStart::Follow => place.start.min(report.log_end),
            LogStart::Independent => Offset::ZERO,
        };
        let begin = self.begin_at.filter(|begin| *begin <= report.log_end);
        let to = followed.max(begin.unwrap_or(Offset::ZERO));
        (to > report.log_start && to > self.asked_start).then_some(to)
    }

    /// The command is on its way.
    pub fn commanded(&mut self, command: &Command) {
        let run = match command.operation {
            Operation::Append { .. } => self.buffered.take(),
            Operation::SetLogStart { to } => {
                self.asked_start = to;
                None
            }
            Operation::Promote { .. } => {
                self.cut = Some(self.log_end());
                self.doubt();
                None
            }
            _ => None,
        };
        self.pending = Some(Pending {
            operation: command.operation,
            run,
        });
    }

    /// The command that gives up the claim, when the service stops in order.
    #[must_use]
    pub fn release(&self) -> Option<Command> {
        let holds =
            matches!(self.phase, Phase::Inspecting | Phase::Placing | Phase::Copying) && self.session > 0;
        holds.then(|| Command {
            fence: self.fence(Offset::UNKNOWN),
            operation: Operation::Release,
        })
    }

    /// The target answered, or did not.
    pub fn answered(&mut self, result: Result<(), Refusal>, report: Option<Report>, now: Instant) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let before = self.log_end();
        if let Some(report) = report {
            self.report = Some(report);
        }
        if matches!(self.phase, Phase::Stopped(_)) {
            return;
        }
        match (result, report) {
            (Ok(()), Some(report)) => self.done(&pending, &report, now),
            (Ok(()), None) => {
                self.look_at_target("the target answered without a report".to_owned(), now);
            }
            (Err(Refusal::Lost(reason)), _) => self.look_at_target(reason, now),
            (Err(Refusal::Code(code, message)), report) => {
                self.refused(&pending, (code, message), report, before, now);
            }
        }
    }

    fn done(&mut self, pending: &Pending, report: &Report, now: Instant) {
        if matches!(pending.operation, Operation::Promote { .. }) {
            return self.promoted();
        }
        if let Some(stop) = self.not_ours(report) {
            return self.halt(stop);
        }
        match pending.operation {
            Operation::Claim { .. } => {
                self.session = report.session;
                self.renewed(now);
                self.place_anew();
            }
            Operation::Inspect if report.session == self.session => self.place_anew(),
            Operation::Inspect => self.claim_anew(report, now),
            Operation::Append { .. } => self.appended_run(pending, report, now),
            Operation::AdvanceEnd { .. } => {
                self.advance_to = None;
                self.proceed();
            }
            Operation::Truncate { .. } => {
                self.truncate_to = None;
                self.place_anew();
            }
            Operation::SetSourceEnd { .. } => self.renewed(now),
            // Seals are asked of the source, see `sealing`.
            Operation::SetLogStart { .. }
            | Operation::Promote { .. }
            | Operation::Release
            | Operation::Seal { .. }
            | Operation::Unseal => {}
        }
        self.settle();
    }

    fn renewed(&mut self, now: Instant) {
        self.renew_at = now + self.rules.lease / RENEW_PART;
        self.went_well();
    }

    fn appended_run(&mut self, pending: &Pending, report: &Report, now: Instant) {
        let Some(run) = &pending.run else { return };
        if report.log_end != run.next {
            let said = format!(
                "after an append up to offset {} the target ends at {}",
                run.next, report.log_end
            );
            return self.look_at_target(said, now);
        }
        self.count(run);
        self.corrupt_tries = 0;
        self.renewed(now);
    }

    /// The target's own word is needed before anything goes on.
    fn look_at_target(&mut self, reason: String, now: Instant) {
        self.doubt();
        self.phase = self.phase_after_doubt();
        self.retry(reason, now);
    }

    fn place_anew(&mut self) {
        self.doubt();
        self.proceed();
        self.phase = Phase::Placing;
    }

    /// Another session exists: it is waited for until its lease ends.
    fn claim_anew(&mut self, report: &Report, now: Instant) {
        self.doubt();
        self.phase = Phase::Claiming;
        let left = Duration::from_millis(u64::try_from(report.lease_left_ms).unwrap_or(0));
        self.not_before = Some(now + left.max(LEASE_WAIT_MIN));
        self.reason = Some("another instance of the service holds the partition".to_owned());
    }

    fn not_ours(&self, report: &Report) -> Option<Stop> {
        match report.ownership {
            Ownership::Link if report.link == self.link => None,
            Ownership::Open if self.cut.is_some() || report.link == self.link => Some(Stop::Promoted),
            Ownership::Open => Some(Stop::NotOurs(
                "clients may write to it: it is no mirror partition, or another link promoted it".to_owned(),
            )),
            Ownership::Sealed => Some(Stop::NotOurs("it is sealed".to_owned())),
            Ownership::Link => Some(Stop::NotOurs(format!(
                "link {} owns it",
                crate::config::link_id_text(report.link)
            ))),
        }
    }

    fn refused(
        &mut self,
        pending: &Pending,
        (code, message): (ErrorCode, Option<String>),
        report: Option<Report>,
        before: Offset,
        now: Instant,
    ) {
        let said = code_text(code, message.as_deref());
        if let Some(report) = report {
            if let Some(stop) = self.not_ours(&report) {
                return self.halt(stop);
            }
            let is_claim = matches!(pending.operation, Operation::Claim { .. });
            if is_claim && report.lease_left_ms > 0 {
                return self.claim_anew(&report, now);
            }
            if !is_claim && report.session != self.session {
                return self.claim_anew(&report, now);
            }
            // The answer to the first try was lost, and it had been done.
            if let Some(run) = pending.run.as_ref().filter(|run| report.log_end == run.next) {
                if before < run.next {
                    self.count(run);
                }
                return self.renewed(now);
            }
        }
        match code {
            ErrorCode::CorruptMessage | ErrorCode::InvalidRecord => self.try_bytes_again(said, now),
            ErrorCode::OffsetOutOfRange => self.look_at_target(said, now),
            ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => self.look_at_target(said, now),
            code if code.is_retriable() => self.look_at_target(said, now),
            code => {
                let message = message.unwrap_or_else(|| code.message().to_owned());
                self.halt(Stop::Refused { code, message });
            }
        }
    }
}
