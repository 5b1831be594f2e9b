//! Offsets and the order in which records are handed out.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::{Event, Isolation, Place, TransactionId, Violation, Write};

/// Adds what is wrong with offsets, order and the consumers' way through the partitions.
pub(super) fn judge(facts: &Facts, events: &[Event], found: &mut Vec<Violation>) {
    let known = judge_offsets(facts, found);
    judge_order(&known, found);
    // Acknowledgements may have named the offsets in the right order.
    judge_order(&visible(facts, Isolation::Uncommitted), found);
    judge_way(facts, events, found);
}

/// By place and offset, every record that was acknowledged or read there. Each offset holds one record, each record has
/// one offset.
fn judge_offsets(facts: &Facts, found: &mut Vec<Violation>) -> BTreeMap<(Place, i64), Write> {
    let mut by_offset: BTreeMap<(Place, i64), Write> = BTreeMap::new();
    let mut by_write: BTreeMap<Write, i64> = BTreeMap::new();
    let acknowledged = facts
        .delivered
        .iter()
        .filter_map(|(write, offset)| Some((facts.sent.get(write)?.place, *offset, *write)));
    let read = facts
        .polls
        .iter()
        .map(|poll| (poll.place, poll.offset, poll.write));
    for (place, offset, write) in acknowledged.chain(read) {
        let first = *by_offset.entry((place, offset)).or_insert(write);
        if first != write {
            found.push(Violation::InconsistentOffset {
                place,
                offset,
                first,
                second: write,
            });
        }
        let at = *by_write.entry(write).or_insert(offset);
        if at != offset {
            found.push(Violation::Duplicate {
                write,
                place,
                first: at.min(offset),
                second: at.max(offset),
            });
        }
    }
    by_offset
}

/// Records of one transactional id rise with their offsets, over all its transactions and all clients that used it.
fn judge_order(known: &BTreeMap<(Place, i64), Write>, found: &mut Vec<Violation>) {
    let mut newest: BTreeMap<(Place, u32), Write> = BTreeMap::new();
    for ((place, offset), write) in known {
        let TransactionId { producer, .. } = write.transaction;
        let before = newest.entry((*place, producer)).or_insert(*write);
        if *before > *write {
            found.push(Violation::OutOfOrder {
                place: *place,
                before: *before,
                after: *write,
                offset: *offset,
            });
        } else {
            *before = *write;
        }
    }
}

/// A consumer goes forward, record by record, until it is positioned anew.
fn judge_way(facts: &Facts, events: &[Event], found: &mut Vec<Violation>) {
    let committed = visible(facts, Isolation::Committed);
    let all = visible(facts, Isolation::Uncommitted);
    let mut positions: BTreeMap<(u32, Place), i64> = BTreeMap::new();
    let mut isolations: BTreeMap<u32, Isolation> = BTreeMap::new();
    for event in events {
        let (consumer, place, offset) = match event {
            Event::Positioned { consumer, isolation } => {
                positions.retain(|(owner, _), _| owner != consumer);
                isolations.insert(*consumer, *isolation);
                continue;
            }
            Event::Polled {
                consumer,
                place,
                offset,
                ..
            } => (*consumer, *place, *offset),
            _ => continue,
        };
        let Some(after) = positions.insert((consumer, place), offset) else {
            continue;
        };
        if offset <= after {
            found.push(Violation::NonMonotonicPoll {
                consumer,
                place,
                offset,
                after,
            });
            continue;
        }
        let expected = match isolations.get(&consumer) {
            Some(Isolation::Committed) => &committed,
            _ => &all,
        };
        let skipped = expected.range((place, after + 1)..(place, offset));
        found.extend(skipped.map(|((place, offset), write)| Violation::SkippedPoll {
            consumer,
            place: *place,
            write: *write,
            offset: *offset,
        }));
    }
}

/// What consumers of this kind have got from anywhere: what one of them got, all must get.
fn visible(facts: &Facts, isolation: Isolation) -> BTreeMap<(Place, i64), Write> {
    // What is read as committed is read by everybody.
    let counts = |of: Isolation| of == isolation || isolation == Isolation::Uncommitted;
    facts
        .polls
        .iter()
        .filter(|poll| counts(poll.isolation))
        .map(|poll| ((poll.place, poll.offset), poll.write))
        .collect()
}
