//! Each kind of broken promise is planted into recorded lists of events, at places that a seed chooses, and must be found.

use std::collections::BTreeMap;

use super::*;
use crate::chance::Chance;
use crate::transactions::{Place, Source, TransactionId, Value, model};

const SEEDS: u64 = 25;

/// A recorded list and what the tests ask about it.
struct List {
    events: Vec<Event>,
    chance: Chance,
    outcomes: BTreeMap<TransactionId, Outcome>,
    isolations: BTreeMap<u32, Isolation>,
    /// The consumers that read everything at the end: of committed records, and of all.
    readers: (u32, u32),
}

/// A poll of the list: its place in it, and what it says.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: usize,
    consumer: u32,
    place: Place,
    offset: i64,
    value: Value,
}

impl List {
    fn record(seed: u64) -> List {
        let events = model::record(seed);
        let ended = events.iter().filter_map(|event| match event {
            Event::Ended { transaction, outcome } => Some((*transaction, *outcome)),
            _ => None,
        });
        let positioned = events.iter().filter_map(|event| match event {
            Event::Positioned { consumer, isolation } => Some((*consumer, *isolation)),
            _ => None,
        });
        let (outcomes, isolations) = (ended.collect(), positioned.collect::<BTreeMap<_, _>>());
        let last = isolations.keys().last().copied().expect("there are consumers");
        List {
            events,
            chance: Chance::new(seed),
            outcomes,
            isolations,
            readers: (last - 1, last),
        }
    }

    fn polls(&self, mut wanted: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
        let polls = self
            .events
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match event {
                Event::Polled {
                    consumer,
                    place,
                    offset,
                    value: Ok(value),
                } => Some(Seen {
                    at,
                    consumer: *consumer,
                    place: *place,
                    offset: *offset,
                    value: *value,
                }),
                _ => None,
            });
        polls.filter(|seen| wanted(seen)).collect()
    }

    /// One of the polls that are wanted, by chance.
    fn pick(&mut self, wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let polls = self.polls(wanted);
        assert!(!polls.is_empty(), "the recorded list has no such poll");
        polls[self.chance.index(polls.len())]
    }

    fn is_ended(&self, write: Write, outcome: Outcome) -> bool {
        self.outcomes.get(&write.transaction) == Some(&outcome)
    }

    /// Takes all polls of these records out of the final committed reading, and of the others that came later.
    fn hide(&mut self, wanted: impl Fn(&Seen) -> bool) {
        let hidden: Vec<usize> = self.polls(wanted).into_iter().map(|seen| seen.at).collect();
        let mut at = 0;
        self.events.retain(|_| {
            at += 1;
            !hidden.contains(&(at - 1))
        });
    }

    fn insert(&mut self, at: usize, seen: Seen) {
        let event = Event::Polled {
            consumer: seen.consumer,
            place: seen.place,
            offset: seen.offset,
            value: Ok(seen.value),
        };
        self.events.insert(at, event);
    }

    #[track_caller]
    fn must_show(&self, seed: u64, what: &str, wanted: impl Fn(&Violation) -> bool) {
        let found = check(&self.events);
        assert!(
            found.iter().any(wanted),
            "seed {seed}: {what} was not found; found: {found:#?}"
        );
    }
}

/// Runs a falsification over many recorded lists.
fn for_seeds(mut falsify: impl FnMut(u64, List)) {
    for seed in 0..SEEDS {
        falsify(seed, List::record(seed));
    }
}

#[test]
fn a_kept_word_passes() {
    for seed in 0..8 * SEEDS {
        assert_eq!(check(&model::record(seed)), [], "seed {seed}");
    }
}

#[test]
fn a_recorded_list_has_everything_in_it() {
    for_seeds(|seed, list| {
        for outcome in [Outcome::Committed, Outcome::Aborted, Outcome::Unknown] {
            assert!(
                list.outcomes.values().any(|one| *one == outcome),
                "seed {seed}: {outcome:?}"
            );
        }
        assert!(
            list.polls(|seen| seen.value.source.is_some()).len() > 10,
            "seed {seed}"
        );
    });
}

#[test]
fn a_lost_transaction_is_found() {
    for_seeds(|seed, mut list| {
        let reader = list.readers.0;
        let outcomes = list.outcomes.clone();
        let victim = list.pick(|seen| {
            seen.consumer == reader
                && outcomes.get(&seen.value.write.transaction) == Some(&Outcome::Committed)
        });
        let id = victim.value.write.transaction;
        list.hide(|seen| seen.consumer == reader && seen.value.write.transaction == id);
        list.must_show(
            seed,
            "the loss",
            |violation| matches!(violation, Violation::LostWrite { write, .. } if write.transaction == id),
        );
    });
}

#[test]
fn a_loss_of_what_was_read_before_is_found_even_if_nobody_knows_the_end() {
    for_seeds(|seed, mut list| {
        let reader = list.readers.0;
        let read_twice = list.polls(|seen| {
            seen.consumer != reader
                && list.is_ended(seen.value.write, Outcome::Unknown)
                && list.isolations[&seen.consumer] == Isolation::Committed
        });
        let Some(victim) = read_twice.first().copied() else {
            return;
        };
        let id = victim.value.write.transaction;
        list.hide(|seen| seen.consumer == reader && seen.value.write.transaction == id);
        list.must_show(
            seed,
            "the loss",
            |violation| matches!(violation, Violation::LostWrite { write, .. } if write.transaction == id),
        );
    });
}

#[test]
fn a_loss_of_an_acknowledged_record_of_an_aborted_transaction_is_found() {
    for_seeds(|seed, mut list| {
        let reader = list.readers.1;
        let outcomes = list.outcomes.clone();
        let victim = list.pick(|seen| {
            seen.consumer == reader && outcomes.get(&seen.value.write.transaction) == Some(&Outcome::Aborted)
        });
        let lost = victim.value.write;
        let is_known = list
            .events
            .iter()
            .any(|event| matches!(event, Event::Delivered { write, .. } if *write == lost));
        list.hide(|seen| seen.consumer == reader && seen.value.write == lost);
        if is_known {
            list.must_show(
                seed,
                "the loss",
                |violation| matches!(violation, Violation::LostWrite { write, .. } if *write == lost),
            );
        }
    });
}

#[test]
fn an_aborted_read_is_found() {
    for_seeds(|seed, mut list| {
        let (committed, all) = list.readers;
        let outcomes = list.outcomes.clone();
        let mut aborted = list.pick(|seen| {
            seen.consumer == all && outcomes.get(&seen.value.write.transaction) == Some(&Outcome::Aborted)
        });
        aborted.consumer = committed;
        let write = aborted.value.write;
        list.insert(aborted.at, aborted);
        list.must_show(
            seed,
            "the aborted read",
            |violation| matches!(violation, Violation::AbortedRead { write: found, .. } if *found == write),
        );
    });
}

#[test]
fn a_read_of_a_transaction_that_was_left_open_is_found() {
    for_seeds(|seed, mut list| {
        let (committed, all) = list.readers;
        let outcomes = list.outcomes.clone();
        let left =
            list.polls(|seen| seen.consumer == all && !outcomes.contains_key(&seen.value.write.transaction));
        let Some(mut left) = left.first().copied() else {
            return;
        };
        left.consumer = committed;
        list.insert(left.at, left);
        list.must_show(seed, "the aborted read", |violation| {
            matches!(violation, Violation::AbortedRead { .. })
        });
    });
}

#[test]
fn an_intermediate_read_is_found() {
    for_seeds(|seed, mut list| {
        let (reader, _) = list.readers;
        let outcomes = list.outcomes.clone();
        let late = list.pick(|seen| {
            seen.consumer == reader
                && outcomes.get(&seen.value.write.transaction) == Some(&Outcome::Committed)
        });
        let id = late.value.write.transaction;
        let asked = list
            .events
            .iter()
            .position(|event| *event == Event::CommitAsked(id));
        let asked = asked.expect("a committed transaction was asked to be");
        let early = Seen { consumer: 0, ..late };
        list.insert(asked, early);
        list.must_show(seed, "the intermediate read", |violation| {
            matches!(violation, Violation::IntermediateRead { write, .. } if write.transaction == id)
        });
    });
}

#[test]
fn a_torn_transaction_is_found_whether_its_end_is_known_or_not() {
    for wanted in [Outcome::Committed, Outcome::Unknown] {
        let mut torn = 0;
        for_seeds(|seed, mut list| {
            let (reader, _) = list.readers;
            let outcomes = list.outcomes.clone();
            let seen = list.polls(|seen| {
                seen.consumer == reader && outcomes.get(&seen.value.write.transaction) == Some(&wanted)
            });
            let mut counts: BTreeMap<TransactionId, Vec<Seen>> = BTreeMap::new();
            for one in seen {
                counts.entry(one.value.write.transaction).or_default().push(one);
            }
            let Some((id, writes)) = counts.into_iter().find(|(_, writes)| writes.len() > 1) else {
                return;
            };
            let victim = writes[list.chance.index(writes.len())].value.write;
            list.hide(|seen| seen.value.write == victim && list_is_committed(seen, reader));
            list.must_show(seed, "the torn transaction", |violation| {
                matches!(violation, Violation::TornTransaction { transaction, missing, outcome, .. }
                    if *transaction == id && missing == &[victim] && *outcome == wanted)
            });
            torn += 1;
        });
        assert!(
            torn > SEEDS / 2,
            "{wanted:?}: only {torn} lists could be falsified"
        );
    }
}

fn list_is_committed(seen: &Seen, reader: u32) -> bool {
    // The consumers 0 and 1 of a recorded list read committed records too.
    seen.consumer == reader || seen.consumer < 2
}

#[test]
fn a_duplicate_is_found() {
    for_seeds(|seed, mut list| {
        let (_, reader) = list.readers;
        let first = list.pick(|seen| seen.consumer == reader);
        let write = first.value.write;
        let second = Seen {
            offset: first.offset + 1_000_000,
            ..first
        };
        list.insert(first.at + 1, second);
        list.must_show(
            seed,
            "the duplicate",
            |violation| matches!(violation, Violation::Duplicate { write: found, .. } if *found == write),
        );
    });
}

#[test]
fn an_inconsistent_offset_is_found() {
    for_seeds(|seed, mut list| {
        let (_, reader) = list.readers;
        let first = list.pick(|seen| seen.consumer == reader);
        let (place, own) = (first.place, first.value.write);
        let other =
            list.pick(|seen| seen.consumer == reader && seen.place == place && seen.value.write != own);
        list.insert(
            first.at,
            Seen {
                value: other.value,
                ..first
            },
        );
        list.must_show(seed, "the inconsistent offset", |violation| {
            matches!(violation, Violation::InconsistentOffset { offset, .. } if *offset == first.offset)
        });
    });
}

#[test]
fn a_wrong_order_is_found() {
    change_places(Acknowledgements::Follow);
}

#[test]
fn a_wrong_order_is_found_though_the_acknowledgements_deny_it() {
    change_places(Acknowledgements::Stay);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acknowledgements {
    Follow,
    Stay,
}

/// Two records of one producer change places, wherever they are seen.
fn change_places(acknowledgements: Acknowledgements) {
    for_seeds(|seed, mut list| {
        let (_, reader) = list.readers;
        let first = list.pick(|seen| seen.consumer == reader && seen.value.write.index == 0);
        let (place, producer) = (first.place, first.value.write.transaction.producer);
        let others = list.polls(|seen| {
            seen.consumer == reader
                && seen.place == place
                && seen.value.write.transaction.producer == producer
                && seen.offset > first.offset
        });
        let Some(second) = others.first().copied() else {
            return;
        };
        let swap = |write: &mut Write| {
            if *write == first.value.write {
                *write = second.value.write;
            } else if *write == second.value.write {
                *write = first.value.write;
            }
        };
        for event in &mut list.events {
            match event {
                Event::Polled { value: Ok(value), .. } => {
                    let source = if value.write == first.value.write {
                        second.value.source
                    } else if value.write == second.value.write {
                        first.value.source
                    } else {
                        value.source
                    };
                    swap(&mut value.write);
                    value.source = source;
                }
                Event::Delivered { write, .. } if acknowledgements == Acknowledgements::Follow => swap(write),
                _ => {}
            }
        }
        list.must_show(
            seed,
            "the wrong order",
            |violation| matches!(violation, Violation::OutOfOrder { place: found, .. } if *found == place),
        );
    });
}

#[test]
fn a_consumer_that_goes_back_is_found() {
    for_seeds(|seed, mut list| {
        let one = list.pick(|_| true);
        list.insert(one.at + 1, one);
        list.must_show(seed, "the repetition", |violation| {
            matches!(violation, Violation::NonMonotonicPoll { consumer, .. } if *consumer == one.consumer)
        });
    });
}

#[test]
fn a_record_that_one_consumer_never_gets_is_found() {
    for_seeds(|seed, mut list| {
        // Neither the first nor the last of its partition: it lies between two that the consumer gets.
        let reader = list.readers.1;
        let middle = list.polls(|seen| seen.consumer == 2);
        let victims: Vec<Seen> = middle
            .iter()
            .filter(|one| {
                let same = |other: &&Seen| other.place == one.place;
                middle
                    .iter()
                    .filter(same)
                    .any(|other| other.at < one.at && other.offset + 1 == one.offset)
                    && middle
                        .iter()
                        .filter(same)
                        .any(|other| other.at > one.at && other.offset == one.offset + 1)
            })
            .copied()
            .collect();
        assert!(!victims.is_empty(), "seed {seed}");
        let victim = victims[list.chance.index(victims.len())];
        assert_ne!(victim.consumer, reader);
        list.events.remove(victim.at);
        list.must_show(seed, "the record that was passed over", |violation| {
            matches!(violation, Violation::SkippedPoll { write, consumer: 2, .. } if *write == victim.value.write)
        });
    });
}

#[test]
fn a_record_that_nobody_sent_and_one_of_another_place_are_found() {
    for_seeds(|seed, mut list| {
        let mut one = list.pick(|_| true);
        one.value.write.index += 1_000;
        list.insert(one.at, one);
        list.must_show(seed, "the stranger", |violation| {
            matches!(violation, Violation::NeverSent { .. })
        });
        let mut list = List::record(seed);
        let mut one = list.pick(|_| true);
        one.place.partition += 10;
        list.insert(one.at, one);
        list.must_show(seed, "the stray", |violation| {
            matches!(violation, Violation::NeverSent { .. })
        });
    });
}

#[test]
fn a_damaged_value_is_found() {
    for_seeds(|seed, mut list| {
        let one = list.pick(|_| true);
        let damaged = Event::Polled {
            consumer: one.consumer,
            place: one.place,
            offset: one.offset,
            value: Err("changed bytes".to_owned()),
        };
        list.events[one.at] = damaged;
        list.must_show(seed, "the damage", |violation| {
            matches!(violation, Violation::Damaged { .. })
        });
    });
}

/// A committed output of the recorded list.
fn output(list: &mut List) -> (Seen, Source) {
    let reader = list.readers.0;
    let seen = list.pick(|seen| seen.consumer == reader && seen.value.source.is_some());
    let source = seen.value.source.expect("an output has a source");
    (seen, source)
}

#[test]
fn an_input_that_is_processed_twice_is_found() {
    for_seeds(|seed, mut list| {
        let (first, source) = output(&mut list);
        let mut second = first;
        second.value.write.transaction.number += 1_000_000;
        second.offset += 1_000_000;
        let sent = Event::Sent {
            write: second.value.write,
            place: second.place,
            source: Some(source),
        };
        list.insert(first.at + 1, second);
        list.events
            .insert(0, Event::CommitAsked(second.value.write.transaction));
        list.events.insert(0, sent);
        list.must_show(seed, "the second output", |violation| {
            matches!(violation, Violation::ProcessedTwice { source: found, .. } if *found == source)
        });
    });
}

#[test]
fn an_input_that_was_passed_over_is_found() {
    for_seeds(|seed, mut list| {
        let (_, source) = output(&mut list);
        list.hide(|seen| seen.value.source == Some(source));
        list.must_show(seed, "the input without an output", |violation| {
            matches!(violation, Violation::ProcessedNever { source: found, .. } if *found == source)
        });
    });
}

#[test]
fn offsets_that_were_not_committed_with_their_outputs_are_found() {
    for_seeds(|seed, mut list| {
        let (_, source) = output(&mut list);
        for event in &mut list.events {
            if let Event::CommittedOffset { place, offset } = event
                && *place == source.place
            {
                *offset = source.offset;
            }
        }
        list.must_show(
            seed,
            "the torn offsets",
            |violation| matches!(violation, Violation::OffsetsTorn { source: found, .. } if *found == source),
        );
    });
}

#[test]
fn what_a_client_reports_as_a_breach_is_a_violation() {
    let events = [Event::Breach("a fenced producer has committed".to_owned())];
    assert_eq!(check(&events).len(), 1);
}
