//! The source's partition: sealed for a planned promotion and behind a failover, opened again when a promotion is given up.
//!
//! | wish | comes from | is over when |
//! |---|---|---|
//! | seal | a planned promotion, as soon as the mirror keeps up | the source says where it is sealed, or that a link owns it |
//! | seal, below the promoted epoch | a partition that was promoted | the same; or the source was given to clients later |
//! | unseal | an operator gives the promotion up | the source is open |
//!
//! Invariant: a source is opened again only while no promotion of its mirror was ever sent by this service, and only with a
//! session of its own at the mirror, so that none that an earlier service sent takes effect later.

use std::time::{Duration, Instant};

use thalweg_types::{ErrorCode, LeaderEpoch, Offset};
use thalweg_wire::mirror::{Command, Fence, LinkId, Operation, Ownership, Report};

use super::{Partition, Phase, Promotion, Refusal, Stop, code_text};

/// Pause after the source did not do what was asked.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a planned promotion waits for a moment in which the mirror has everything before it seals all the same.
const KEEP_UP: Duration = Duration::from_secs(10);

/// What is wanted of the source's partition, and what it said.
#[derive(Clone, Debug, Default)]
pub(super) struct AtSource {
    wish: Option<(Operation, Instant)>,
    is_under_way: bool,
    not_before: Option<Instant>,
    /// Where it ended when it was sealed, and since when that is known.
    sealed: Option<(Offset, Instant)>,
    problem: Option<String>,
}

impl AtSource {
    pub(super) fn want_seal(&mut self, epoch_below: LeaderEpoch, now: Instant) {
        self.wish = Some((Operation::Seal { epoch_below }, now));
    }

    pub(super) fn want_nothing(&mut self) {
        self.wish = None;
        self.problem = None;
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    pub(super) fn sealed_at(&self) -> Option<Offset> {
        self.sealed.map(|(end, _)| end)
    }
}

impl Partition {
    /// What the source's leader is to be asked now.
    #[must_use]
    pub fn source_command(&self, now: Instant) -> Option<Command> {
        let at = &self.at_source;
        let (operation, since) = at.wish?;
        if at.is_under_way || at.not_before.is_some_and(|until| until > now) {
            return None;
        }
        let is_promoted = self.stop() == Some(&Stop::Promoted);
        let may = match operation {
            Operation::Unseal => self.session > 0 && self.cut.is_none() && self.phase != Phase::Claiming,
            _ if is_promoted => true,
            // Until the mirror keeps up the source's producers need not wait for it.
            _ => {
                let keeps_up = matches!(self.phase, Phase::Copying) && self.is_caught_up;
                keeps_up || now.saturating_duration_since(since) >= KEEP_UP
            }
        };
        may.then_some(Command {
            fence: Fence {
                link: LinkId::NONE,
                session: 0,
                expected_end: Offset::UNKNOWN,
            },
            operation,
        })
    }

    /// It was asked.
    pub fn source_commanded(&mut self) {
        self.at_source.is_under_way = true;
    }

    /// The source's leader answered, or did not.
    pub fn source_answered(&mut self, result: Result<(), Refusal>, report: Option<Report>, now: Instant) {
        self.at_source.is_under_way = false;
        let Some((operation, _)) = self.at_source.wish else {
            return;
        };
        match (result, report) {
            (Ok(()), Some(report)) => self.source_did(operation, &report, now),
            (Err(Refusal::Code(ErrorCode::PolicyViolation, _)), _) => self.source_is_a_mirror(),
            (Err(Refusal::Code(ErrorCode::FencedLeaderEpoch, message)), _) => {
                self.at_source.wish = None;
                let why = code_text(ErrorCode::FencedLeaderEpoch, message.as_deref());
                self.news.push(format!("the source is not sealed: {why}"));
            }
            (Err(Refusal::Code(code, message)), _) => {
                self.source_failed(code_text(code, message.as_deref()), now);
            }
            (Err(Refusal::Lost(reason)), _) => self.source_failed(reason, now),
            (Ok(()), None) => self.source_failed("the source answered without a report".to_owned(), now),
        }
    }

    fn source_did(&mut self, operation: Operation, report: &Report, now: Instant) {
        let at = &mut self.at_source;
        at.problem = None;
        match (operation, report.ownership) {
            (Operation::Seal { .. }, Ownership::Sealed) => {
                at.wish = None;
                if at.sealed.is_none() {
                    at.sealed = Some((report.log_end, now));
                    let end = report.log_end;
                    self.news.push(format!(
                        "the source was sealed at offset {end}: it takes no new records"
                    ));
                }
            }
            (Operation::Unseal, Ownership::Open) => {
                (at.wish, at.sealed) = (None, None);
                self.news.push("the source was opened again".to_owned());
            }
            (_, ownership) => self.source_failed(format!("the source is {ownership:?}"), now),
        }
    }

    /// It takes no client's records anyway; where it ends is for its own link to say.
    fn source_is_a_mirror(&mut self) {
        self.at_source.wish = None;
        if let Some(Promotion::Planned { seal, .. }) = &mut self.promotion {
            *seal = None;
        }
    }

    fn source_failed(&mut self, why: String, now: Instant) {
        self.at_source.problem = Some(format!("the source cannot be sealed or opened: {why}"));
        self.at_source.not_before = Some(now + PAUSE);
    }

    /// Gives up a planned promotion: the source takes records again. Too late once the target was told to promote.
    pub fn give_up(&mut self, now: Instant) {
        if self.cut.is_some() || self.stop() == Some(&Stop::Promoted) {
            return self.news.push(
                "the promotion is not given up: the target was told to promote, or has done it".to_owned(),
            );
        }
        self.promotion = None;
        self.at_source.not_before = None;
        self.at_source.wish = Some((Operation::Unseal, now));
    }

    /// Where the source was sealed.
    #[must_use]
    pub fn sealed_at(&self) -> Option<Offset> {
        self.at_source.sealed_at()
    }

    /// Whether a sealed source's open transactions have had the time that they were given.
    #[must_use]
    pub fn waits_for_transactions(&self, now: Instant) -> bool {
        let (
            Some(Promotion::Planned {
                seal: Some(after), ..
            }),
            Some((_, since)),
            Some(place),
        ) = (self.promotion, self.at_source.sealed, self.place)
        else {
            return false;
        };
        place.stable_end < place.end && now.saturating_duration_since(since) >= after
    }
}
