//! The judgement: what a consumer may see, and what must be there at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Reading};
use super::{Event, Isolation, Outcome, Violation, Write, judge_polls, judge_processing};

/// Judges a list of events. Violations come sorted, each once.
pub fn check(events: &[Event]) -> Vec<Violation> {
    let mut found = Vec::new();
    let facts = Facts::gather(events, &mut found);
    judge_visibility(&facts, &mut found);
    for (consumer, reading) in &facts.readings {
        match facts.isolations.get(consumer) {
            Some(Isolation::Committed) => judge_committed_reading(&facts, reading, &mut found),
            _ => judge_full_reading(&facts, reading, &mut found),
        }
    }
    judge_polls::judge(&facts, events, &mut found);
    judge_processing::judge(&facts, &mut found);
    found.sort();
    found.dedup();
    found
}

/// Nothing is read as committed that was aborted, or not yet asked to be committed.
fn judge_visibility(facts: &Facts, found: &mut Vec<Violation>) {
    let committed = facts
        .polls
        .iter()
        .filter(|poll| poll.isolation == Isolation::Committed);
    for poll in committed {
        let Some(transaction) = facts.transactions.get(&poll.write.transaction) else {
            continue;
        };
        let (write, consumer, place, offset) = (poll.write, poll.consumer, poll.place, poll.offset);
        if transaction.outcome() == Outcome::Aborted {
            found.push(Violation::AbortedRead {
                write,
                consumer,
                place,
                offset,
            });
        } else if transaction.commit_asked.is_none_or(|asked| asked > poll.at) {
            found.push(Violation::IntermediateRead {
                write,
                consumer,
                place,
                offset,
            });
        }
    }
}

/// A reading of all committed records: every transaction is there as a whole or not at all, the committed ones are.
fn judge_committed_reading(facts: &Facts, reading: &Reading, found: &mut Vec<Violation>) {
    for (id, transaction) in &facts.transactions {
        let outcome = transaction.outcome();
        if outcome == Outcome::Aborted {
            continue;
        }
        // Only partitions that this consumer has read say anything.
        let read = |write: &&Write| reading.places.contains(&facts.sent[*write].place);
        let (seen, missing): (Vec<Write>, Vec<Write>) = transaction
            .writes
            .iter()
            .filter(read)
            .partition(|write| reading.writes.contains(write));
        if !seen.is_empty() && !missing.is_empty() {
            found.push(Violation::TornTransaction {
                transaction: *id,
                outcome,
                seen,
                missing,
            });
        } else if outcome == Outcome::Committed {
            found.extend(
                missing
                    .into_iter()
                    .map(|write| lost(facts, write, Isolation::Committed)),
            );
        }
    }
    let seen_before = facts
        .polls
        .iter()
        .filter(|poll| poll.isolation == Isolation::Committed && reading.places.contains(&poll.place));
    let gone: BTreeSet<Write> = seen_before
        .map(|poll| poll.write)
        .filter(|write| !reading.writes.contains(write))
        .collect();
    found.extend(
        gone.into_iter()
            .map(|write| lost(facts, write, Isolation::Committed)),
    );
}

/// A reading of all records: what was acknowledged or read before is there, whatever became of its transaction.
fn judge_full_reading(facts: &Facts, reading: &Reading, found: &mut Vec<Violation>) {
    let acknowledged = facts.delivered.keys().copied();
    let seen_before = facts.polls.iter().map(|poll| poll.write);
    let expected: BTreeMap<Write, _> = acknowledged
        .chain(seen_before)
        .filter_map(|write| Some((write, facts.sent.get(&write)?.place)))
        .collect();
    let gone = expected
        .iter()
        .filter(|(write, place)| reading.places.contains(place) && !reading.writes.contains(write));
    found.extend(gone.map(|(write, _)| lost(facts, *write, Isolation::Uncommitted)));
}

fn lost(facts: &Facts, write: Write, isolation: Isolation) -> Violation {
    Violation::LostWrite {
        write,
        place: facts.sent[&write].place,
        isolation,
    }
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
