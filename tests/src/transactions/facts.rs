//! What a list of events says, in the order in which the rules ask for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Isolation, Outcome, Place, Source, TransactionId, Violation, Write};

/// A record as its producer sent it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub place: Place,
    pub source: Option<Source>,
}

/// A transaction as its producer knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Transaction {
    pub writes: BTreeSet<Write>,
    /// The place in the list at which the commit was asked for.
    pub commit_asked: Option<usize>,
    pub ended: Option<Outcome>,
}

impl Transaction {
    /// The end that everybody must agree with. A commit that nobody asked for must not happen.
    pub fn outcome(&self) -> Outcome {
        match (self.ended, self.commit_asked) {
            (Some(outcome), _) => outcome,
            (None, Some(_)) => Outcome::Unknown,
            (None, None) => Outcome::Aborted,
        }
    }
}

/// A record that a consumer got, at its place in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poll {
    pub at: usize,
    pub consumer: u32,
    pub isolation: Isolation,
    pub place: Place,
    pub offset: i64,
    pub write: Write,
}

/// What a consumer that read everything has seen in the partitions it has read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub places: BTreeSet<Place>,
    pub writes: BTreeSet<Write>,
}

/// The list, taken apart.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub sent: BTreeMap<Write, Sent>,
    pub delivered: BTreeMap<Write, i64>,
    pub transactions: BTreeMap<TransactionId, Transaction>,
    pub polls: Vec<Poll>,
    /// By consumer, only those that read whole partitions.
    pub readings: BTreeMap<u32, Reading>,
    pub isolations: BTreeMap<u32, Isolation>,
    pub committed_offsets: BTreeMap<Place, i64>,
}

impl Facts {
    /// Takes the list apart; what is wrong by itself goes to `found`.
    pub fn gather(events: &[Event], found: &mut Vec<Violation>) -> Facts {
        let mut facts = Facts::default();
        for (at, event) in events.iter().enumerate() {
            facts.take(at, event, found);
        }
        for poll in &facts.polls {
            if let Some(reading) = facts.readings.get_mut(&poll.consumer)
                && reading.places.contains(&poll.place)
            {
                reading.writes.insert(poll.write);
            }
        }
        facts
    }

    fn take(&mut self, at: usize, event: &Event, found: &mut Vec<Violation>) {
        match event {
            Event::Sent { write, place, source } => {
                let sent = Sent {
                    place: *place,
                    source: *source,
                };
                self.sent.insert(*write, sent);
                self.transaction(write.transaction).writes.insert(*write);
            }
            Event::Refused(write) => {
                self.sent.remove(write);
                self.transaction(write.transaction).writes.remove(write);
            }
            Event::Delivered { write, offset } => {
                self.delivered.insert(*write, *offset);
            }
            Event::CommitAsked(id) => {
                self.transaction(*id).commit_asked.get_or_insert(at);
            }
            Event::Ended { transaction, outcome } => self.transaction(*transaction).ended = Some(*outcome),
            Event::Positioned { consumer, isolation } => {
                self.isolations.insert(*consumer, *isolation);
            }
            Event::Polled {
                consumer,
                place,
                offset,
                value,
            } => self.take_poll((at, *consumer, *place, *offset), value, found),
            Event::ReadAll { consumer, place } => {
                self.readings.entry(*consumer).or_default().places.insert(*place);
            }
            Event::CommittedOffset { place, offset } => {
                self.committed_offsets.insert(*place, *offset);
            }
            Event::Mark(_) => {}
            Event::Breach(what) => found.push(Violation::Breach(what.clone())),
        }
    }

    fn take_poll(
        &mut self,
        (at, consumer, place, offset): (usize, u32, Place, i64),
        value: &Result<super::Value, String>,
        found: &mut Vec<Violation>,
    ) {
        let value = match value {
            Ok(value) => value,
            Err(what) => {
                found.push(Violation::Damaged {
                    consumer,
                    place,
                    offset,
                    what: what.clone(),
                });
                return;
            }
        };
        let write = value.write;
        let sent = self.sent.get(&write);
        if value.place != place || sent.is_none_or(|sent| sent.place != place || sent.source != value.source)
        {
            found.push(Violation::NeverSent {
                consumer,
                place,
                offset,
                write,
            });
            return;
        }
        self.polls.push(Poll {
            at,
            consumer,
            isolation: self
                .isolations
                .get(&consumer)
                .copied()
                .unwrap_or(Isolation::Uncommitted),
            place,
            offset,
            write,
        });
    }

    fn transaction(&mut self, id: TransactionId) -> &mut Transaction {
        self.transactions.entry(id).or_default()
    }
}
