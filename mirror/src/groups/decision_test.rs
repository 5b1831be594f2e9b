use super::*;

const TEXT: u64 = 7;

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("orders", thalweg_types::PartitionIndex(number))
}

fn mark(offset: i64) -> Mark {
    Mark {
        offset: Offset(offset),
        text: TEXT,
    }
}

/// Two clusters, a service that may die, and the memory that survives it.
#[derive(Clone)]
struct World {
    committed: BTreeMap<TopicPartition, Both<Option<Mark>>>,
    end: Both<i64>,
    has_members: Both<bool>,
    memory: Memory,
    durable: Memory,
}

impl World {
    fn new(partitions: i32) -> Self {
        Self {
            committed: (0..partitions)
                .map(|number| (partition(number), Both::default()))
                .collect(),
            end: Both {
                source: 1000,
                target: 1000,
            },
            has_members: Both::default(),
            memory: Memory::default(),
            durable: Memory::default(),
        }
    }

    fn commit(&mut self, side: Side, number: i32, offset: i64) {
        *self
            .committed
            .get_mut(&partition(number))
            .expect("a partition")
            .of_mut(side) = Some(mark(offset));
    }

    fn delete(&mut self, side: Side) {
        for committed in self.committed.values_mut() {
            *committed.of_mut(side) = None;
        }
    }

    fn decide(&mut self) -> Outcome {
        let now = self.committed.iter().map(|(partition, committed)| {
            let bounds = Both {
                source: (Offset(0), Offset(self.end.source)),
                target: (Offset(0), Offset(self.end.target)),
            };
            let now = Now {
                committed: *committed,
                bounds,
            };
            (partition.clone(), now)
        });
        let outcome = step(&mut self.memory, self.has_members, &now.collect());
        self.durable = self.memory.clone();
        outcome
    }

    fn apply(&mut self, outcome: &Outcome) {
        for write in &outcome.writes {
            assert!(!self.has_members.of(write.to), "members refuse it: {write:?}");
            let committed = self.committed.get_mut(&write.partition).expect("a partition");
            *committed.of_mut(write.to) = Some(mark(write.offset.get()));
            let traces = self.memory.partitions.get_mut(&write.partition);
            traces.expect("it is remembered").of_mut(write.to).confirm();
        }
    }

    fn round(&mut self) -> Outcome {
        let outcome = self.decide();
        self.apply(&outcome);
        outcome
    }

    fn die(&mut self) {
        self.memory = self.durable.clone();
    }

    fn at(&self, number: i32) -> (Option<i64>, Option<i64>) {
        let committed = self.committed[&partition(number)];
        let offset = |mark: Option<Mark>| mark.map(|mark| mark.offset.get());
        (offset(committed.source), offset(committed.target))
    }
}

#[test]
fn a_clients_commit_goes_to_the_other_side_and_back_again() {
    let mut world = World::new(1);
    world.commit(Side::Source, 0, 50);
    assert_eq!(world.round().verdict, Verdict::Owned(Side::Source));
    assert_eq!(world.at(0), (Some(50), Some(50)));
    assert!(world.round().writes.is_empty(), "ours does not travel back");
    // A seek on the passive side, backwards.
    world.commit(Side::Target, 0, 20);
    assert_eq!(world.round().verdict, Verdict::Owned(Side::Target));
    assert_eq!(world.at(0), (Some(20), Some(20)));
    assert!(world.round().writes.is_empty());
    world.commit(Side::Source, 0, 60);
    world.round();
    assert_eq!(world.at(0), (Some(60), Some(60)));
}

#[test]
fn a_clamped_offset_is_raised_and_never_rewinds_its_owner() {
    let mut world = World::new(1);
    world.end.target = 100;
    world.commit(Side::Source, 0, 500);
    assert_eq!(world.round().clamped, 1);
    assert_eq!(world.at(0), (Some(500), Some(100)));
    world.end.target = 200;
    world.round();
    assert_eq!(world.at(0), (Some(500), Some(200)));
    // Members appear at the target and commit nothing: what the mirror wrote is not theirs.
    world.has_members.target = true;
    for _ in 0..3 {
        assert_eq!(world.round().verdict, Verdict::Owned(Side::Target));
    }
    assert_eq!(world.at(0), (Some(500), Some(200)));
    world.commit(Side::Target, 0, 250);
    world.round();
    assert_eq!(world.at(0), (Some(250), Some(250)));
}

#[test]
fn members_on_both_sides_are_a_conflict_until_one_side_is_left() {
    let mut world = World::new(1);
    world.has_members = Both {
        source: true,
        target: true,
    };
    world.commit(Side::Source, 0, 50);
    world.commit(Side::Target, 0, 70);
    let outcome = world.round();
    assert_eq!((outcome.verdict, outcome.writes.len()), (Verdict::Conflict, 0));
    world.has_members.target = false;
    world.round();
    assert_eq!(world.at(0), (Some(50), Some(50)));
}

#[test]
fn members_decide_even_if_the_other_side_changed_last() {
    let mut world = World::new(1);
    world.has_members.source = true;
    world.commit(Side::Source, 0, 50);
    world.round();
    world.commit(Side::Target, 0, 10);
    world.round();
    assert_eq!(world.at(0), (Some(50), Some(50)));
}

#[test]
fn what_was_deleted_stays_deleted_and_what_expired_at_the_passive_side_comes_back() {
    let mut world = World::new(2);
    world.commit(Side::Source, 0, 50);
    world.commit(Side::Source, 1, 60);
    world.round();
    world.delete(Side::Target);
    world.round();
    assert_eq!(world.at(0), (Some(50), Some(50)), "the owner still has it");
    world.delete(Side::Source);
    for _ in 0..3 {
        assert!(world.round().writes.is_empty());
    }
    assert_eq!(world.at(1), (None, Some(60)));
    world.delete(Side::Target);
    world.round();
    assert!(world.memory.partitions.is_empty(), "nothing is left to remember");
}

#[test]
fn a_commit_for_one_partition_does_not_strand_the_others() {
    let mut world = World::new(3);
    world.end.target = 100;
    world.commit(Side::Source, 0, 50);
    world.commit(Side::Source, 1, 500);
    world.round();
    world.commit(Side::Target, 0, 20);
    world.commit(Side::Source, 2, 30);
    world.end.target = 300;
    world.round();
    assert_eq!(
        (world.at(1), world.at(2)),
        ((Some(500), Some(300)), (Some(30), Some(30)))
    );
    let settled = world.at(0);
    assert!(settled.0 == settled.1, "{settled:?}");
}

#[test]
fn without_memory_the_side_that_is_further_counts() {
    for (source, target, both) in [(50, 70, 70), (70, 50, 70), (50, 50, 50)] {
        let mut world = World::new(1);
        world.commit(Side::Source, 0, source);
        world.commit(Side::Target, 0, target);
        world.round();
        assert_eq!(world.at(0), (Some(both), Some(both)));
    }
}

#[test]
fn a_changed_text_travels_like_an_offset() {
    let mut world = World::new(1);
    world.commit(Side::Source, 0, 50);
    world.round();
    let other = Mark {
        offset: Offset(50),
        text: TEXT + 1,
    };
    world.committed.insert(
        partition(0),
        Both {
            source: Some(other),
            target: Some(mark(50)),
        },
    );
    let outcome = world.decide();
    assert_eq!(outcome.writes.len(), 1);
    assert_eq!(outcome.writes[0].to, Side::Target);
}

/// Everything that can happen, in every order: after each client's change and two quiet rounds both sides have the
/// change, whatever died in between.
#[test]
fn every_short_history_ends_with_the_last_change_on_both_sides() {
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Commit(Side),
        Round,
        /// Decides and makes the memory durable, then dies before the commit …
        DiesBefore,
        /// … or after it.
        DiesAfter,
        Grow,
    }
    const EVENTS: [Event; 6] = [
        Event::Commit(Side::Source),
        Event::Commit(Side::Target),
        Event::Round,
        Event::DiesBefore,
        Event::DiesAfter,
        Event::Grow,
    ];
    const LENGTH: u32 = 6;
    for history in 0..EVENTS.len().pow(LENGTH) {
        let mut world = World::new(1);
        world.end.target = 10;
        let mut expected = None;
        let (mut rest, mut offset, mut said) = (history, 5, Vec::new());
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..LENGTH {
            let event = EVENTS[rest % EVENTS.len()];
            rest /= EVENTS.len();
            said.push(event);
            match event {
                Event::Commit(side) => {
                    // The target's clients cannot be beyond its end. Nobody commits what was there before or what the
                    // mirror commits: after a crash that cannot be told apart.
                    offset = match side {
                        Side::Source => offset + 7,
                        Side::Target => (offset + 3).min(world.end.target - 1),
                    };
                    while !used.insert(offset) {
                        offset -= 1;
                    }
                    world.commit(side, 0, offset);
                    // What the service sees between two clients' changes decides which was later.
                    world.round();
                    expected = Some(offset);
                }
                Event::Round => drop(world.round()),
                Event::DiesBefore => {
                    world.decide();
                    world.die();
                }
                Event::DiesAfter => {
                    world.round();
                    world.die();
                }
                Event::Grow => world.end.target += 20,
            }
            let (source, target) = world.at(0);
            if let (Some(expected), Some(source), Some(target)) = (expected, source, target) {
                let is_true = source == expected && target == expected.min(world.end.target);
                let is_waiting = source == expected || target == expected;
                assert!(
                    is_true || is_waiting,
                    "{said:?}: {source} {target}, not {expected}"
                );
            }
        }
        world.end.target = 1000;
        world.round();
        world.round();
        assert_eq!(world.at(0), (expected, expected), "{said:?}");
        assert!(world.round().writes.is_empty(), "{said:?}: it rests");
    }
}
