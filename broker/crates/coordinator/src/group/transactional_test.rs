use super::super::request::{OffsetCommit, TxnOffsetCommit};
use super::super::testing::{Desk, commit, config};
use super::super::*;
use crate::transaction::{Outcome, ProducerIdAndEpoch};
use thalweg_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

fn by(producer: i64, commit: OffsetCommit) -> GroupRequest {
    GroupRequest::TxnOffsetCommit(TxnOffsetCommit {
        producer: ProducerIdAndEpoch {
            id: ProducerId(producer),
            epoch: ProducerEpoch(0),
        },
        commit,
    })
}

fn outcome(reply: GroupReply) -> Result<(), GroupError> {
    match reply {
        GroupReply::OffsetCommit(reply) => reply.topics[0].partitions[0].outcome,
        other => panic!("{other:?}"),
    }
}

/// The topic and the partition that [`commit`] commits.
fn fetch(desk: &mut Desk, group: &str, stability: Stability) -> Result<i64, GroupError> {
    let template = commit(group, 0);
    let topic = TopicPartitions {
        topic: template.topics[0].topic.clone(),
        partitions: vec![template.topics[0].partitions[0].partition],
    };
    let request = OffsetFetch {
        group_id: group.into(),
        topics: FetchTopics::Some(vec![topic]),
        stability,
    };
    match desk.call(GroupRequest::OffsetFetch(request)) {
        GroupReply::OffsetFetch(reply) => {
            let fetched = &reply.outcome.unwrap()[0].partitions[0];
            fetched.error.map_or(Ok(fetched.offset.0), Err)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offset_of_a_transaction_is_seen_when_it_commits_and_never_when_it_aborts() {
    for (decided, expected) in [(Outcome::Commit, 7), (Outcome::Abort, 3)] {
        let mut desk = Desk::new();
        desk.commit(commit("g", 3)).unwrap();
        assert_eq!(outcome(desk.call(by(1, commit("g", 7)))), Ok(()));
        assert_eq!(fetch(&mut desk, "g", Stability::Any), Ok(3));
        assert_eq!(
            fetch(&mut desk, "g", Stability::Stable),
            Err(GroupError::UnstableOffsetCommit)
        );
        desk.complete_transaction(ProducerId(2), Outcome::Abort);
        assert!(fetch(&mut desk, "g", Stability::Stable).is_err());
        desk.complete_transaction(ProducerId(1), decided);
        assert_eq!(fetch(&mut desk, "g", Stability::Stable), Ok(expected));
        assert_eq!(desk.shard.pending_producers().count(), 0);
    }
}

#[test]
fn what_stands_later_in_the_log_wins_whatever_is_decided_first() {
    // A plain commit behind the transaction's.
    let mut desk = Desk::new();
    desk.call(by(1, commit("g", 7)));
    desk.commit(commit("g", 9)).unwrap();
    desk.complete_transaction(ProducerId(1), Outcome::Commit);
    assert_eq!(fetch(&mut desk, "g", Stability::Any), Ok(9));
    // Two transactions, decided in either order.
    for order in [[1, 2], [2, 1]] {
        let mut desk = Desk::new();
        desk.call(by(1, commit("g", 7)));
        desk.call(by(2, commit("g", 8)));
        for producer in order {
            desk.complete_transaction(ProducerId(producer), Outcome::Commit);
        }
        assert_eq!(fetch(&mut desk, "g", Stability::Any), Ok(8), "{order:?}");
    }
    // An aborted one takes nothing with it.
    let mut desk = Desk::new();
    desk.call(by(1, commit("g", 7)));
    desk.call(by(2, commit("g", 8)));
    desk.complete_transaction(ProducerId(2), Outcome::Abort);
    desk.complete_transaction(ProducerId(1), Outcome::Commit);
    assert_eq!(fetch(&mut desk, "g", Stability::Any), Ok(7));
}

#[test]
fn a_member_says_which_generation_it_is_in_and_older_clients_say_nothing() {
    let mut desk = Desk::new();
    let members = desk.stable("g", 1);
    let generation = desk.generation("g");
    let good = commit("g", 1).by(&members[0], generation);
    assert_eq!(outcome(desk.call(by(1, good))), Ok(()));
    let old = commit("g", 1).by(&members[0], generation - 1);
    assert_eq!(outcome(desk.call(by(1, old))), Err(GroupError::IllegalGeneration));
    let stranger = commit("g", 1).by(&"somebody".into(), generation);
    assert_eq!(
        outcome(desk.call(by(1, stranger))),
        Err(GroupError::UnknownMemberId)
    );
    assert_eq!(outcome(desk.call(by(1, commit("g", 1)))), Ok(()));
    let nobody = commit("unknown", 1).by(&members[0], 4);
    assert_eq!(
        outcome(desk.call(by(1, nobody))),
        Err(GroupError::IllegalGeneration)
    );
}

#[test]
fn a_group_with_a_pending_offset_stays_and_a_deleted_one_takes_it_along() {
    let mut desk = Desk::new();
    desk.call(by(1, commit("g", 7)));
    desk.advance(config().offsets_retention_ms * 3);
    assert_eq!(desk.shard.groups().count(), 1);
    let delete = GroupRequest::Delete(DeleteGroup { group_id: "g".into() });
    assert!(matches!(
        desk.call(delete),
        GroupReply::Delete(DeleteGroupReply { outcome: Ok(()), .. })
    ));
    desk.complete_transaction(ProducerId(1), Outcome::Commit);
    assert_eq!(desk.shard.groups().count(), 0);
    // An aborted transaction leaves no group behind.
    desk.call(by(1, commit("g", 7)));
    desk.complete_transaction(ProducerId(1), Outcome::Abort);
    assert_eq!(desk.shard.groups().count(), 0);
}

/// A step of the log: a plain record, a transactional one, or a marker.
enum Entry {
    Plain(GroupRecord),
    Of(i64, GroupRecord),
    Marker(i64, Outcome),
}

#[test]
fn replaying_any_prefix_of_the_log_gives_what_was_there() {
    let mut live = GroupShard::new(config());
    let _ = live.loaded(TimestampMs(0));
    let mut log = Vec::new();
    let mut seen = vec![None];
    let read = |shard: &GroupShard| -> Option<i64> {
        let group = shard.group("g")?;
        group.offsets().next().map(|(_, _, committed)| committed.offset.0)
    };
    let acts: [(Option<i64>, Option<i64>, Option<Outcome>); 7] = [
        (None, Some(1), None),
        (Some(1), Some(2), None),
        (Some(2), Some(3), None),
        (Some(2), None, Some(Outcome::Commit)),
        (Some(1), None, Some(Outcome::Commit)),
        (Some(1), Some(5), None),
        (Some(1), None, Some(Outcome::Abort)),
    ];
    for (token, (producer, offset, decided)) in acts.into_iter().enumerate() {
        match (producer, offset, decided) {
            (Some(producer), None, Some(decided)) => {
                live.complete_transaction(ProducerId(producer), decided);
                log.push(Entry::Marker(producer, decided));
            }
            (producer, Some(offset), _) => {
                let commit = commit("g", offset);
                let request = match producer {
                    None => GroupRequest::OffsetCommit(commit),
                    Some(producer) => by(producer, commit),
                };
                let mut ids = super::super::testing::CountingIds::default();
                let step = live.step(TimestampMs(0), &mut ids, request, ReplyToken(token as u64));
                assert_eq!(step.producer.map(|producer| producer.id.0), producer);
                for record in step.records {
                    log.push(producer.map_or_else(
                        || Entry::Plain(record.clone()),
                        |producer| Entry::Of(producer, record.clone()),
                    ));
                }
            }
            other => panic!("{other:?}"),
        }
        seen.push(read(&live));
    }
    assert_eq!(log.len() + 1, seen.len());
    assert_eq!(seen.last(), Some(&Some(3)));
    for (count, expected) in seen.iter().enumerate() {
        let mut loaded = GroupShard::new(config());
        for (offset, entry) in log.iter().take(count).enumerate() {
            let offset = Offset(i64::try_from(offset).unwrap());
            match entry {
                Entry::Plain(record) => {
                    loaded
                        .replay(&record.key, record.value.as_deref(), offset, TimestampMs(0))
                        .unwrap();
                }
                Entry::Of(producer, record) => {
                    let record = (&record.key[..], record.value.as_deref());
                    loaded
                        .replay_transactional(ProducerId(*producer), record, offset, TimestampMs(0))
                        .unwrap();
                }
                Entry::Marker(producer, decided) => {
                    loaded.complete_transaction(ProducerId(*producer), *decided);
                }
            }
        }
        assert_eq!(read(&loaded), *expected, "after {count} entries");
    }
}

#[test]
fn a_removed_offset_takes_what_is_pending_on_it_along() {
    let mut desk = Desk::new();
    desk.commit(commit("g", 3)).unwrap();
    desk.call(by(1, commit("g", 7)));
    let topic = commit("g", 0).topics[0].topic.clone();
    desk.topics_deleted(&[&topic]);
    desk.complete_transaction(ProducerId(1), Outcome::Commit);
    assert_eq!(fetch(&mut desk, "g", Stability::Stable), Ok(-1));
}
