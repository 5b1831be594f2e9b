use bytes::Bytes;
use thalweg_types::TopicId;
use thalweg_wire::fetch::{FetchTopic, ForgottenTopic, IsolationLevel};

use super::*;

fn name(text: &str) -> TopicKey {
    TopicKey::Name(text.to_owned())
}

fn wish(index: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        index: PartitionIndex(index),
        current_leader_epoch: LeaderEpoch::UNKNOWN,
        fetch_offset: Offset(offset),
        last_fetched_epoch: LeaderEpoch::UNKNOWN,
        log_start_offset: Offset::UNKNOWN,
        max_bytes: 1000,
        replica_directory_id: [0; 16],
        high_watermark: Offset(i64::MAX),
    }
}

fn request(id: i32, epoch: i32, topics: &[(TopicKey, &[(i32, i64)])]) -> FetchRequest {
    FetchRequest {
        replica_id: BrokerId(-1),
        replica_epoch: -1,
        cluster_id: None,
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: i32::MAX,
        isolation_level: IsolationLevel::ReadUncommitted,
        session_id: id,
        session_epoch: epoch,
        topics: topics
            .iter()
            .map(|(topic, partitions)| FetchTopic {
                topic: topic.clone(),
                partitions: partitions
                    .iter()
                    .map(|(index, offset)| wish(*index, *offset))
                    .collect(),
            })
            .collect(),
        forgotten_topics: Vec::new(),
        rack_id: String::new(),
    }
}

fn empty(index: i32, high_watermark: i64) -> FetchPartitionResponse {
    FetchPartitionResponse {
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start_offset: Offset(0),
        ..FetchPartitionResponse::refused(PartitionIndex(index), ErrorCode::None)
    }
}

fn full(index: i32, high_watermark: i64) -> FetchPartitionResponse {
    FetchPartitionResponse {
        records: vec![Bytes::from_static(b"batch")],
        ..empty(index, high_watermark)
    }
}

/// Answers each partition of a fetch with `answer(partition)`.
fn finish(
    sessions: &FetchSessions,
    fetch: &SessionFetch,
    answer: impl Fn(i32) -> FetchPartitionResponse,
) -> (i32, Vec<i32>) {
    let results = fetch
        .partitions
        .iter()
        .map(|p| answer(p.partition.get()))
        .enumerate()
        .collect();
    let (id, topics) = sessions.finish(fetch, results);
    (
        id,
        topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| p.index.get()))
            .collect(),
    )
}

fn order(fetch: &SessionFetch) -> Vec<i32> {
    fetch
        .partitions
        .iter()
        .map(|partition| partition.partition.get())
        .collect()
}

/// Opens a session over partitions `0..count` of `topic`.
fn open(sessions: &FetchSessions, topic: &str, count: i32, now: Instant) -> i32 {
    let partitions: Vec<(i32, i64)> = (0..count).map(|index| (index, 0)).collect();
    let fetch = sessions
        .begin(&request(0, 0, &[(name(topic), &partitions)]), now)
        .unwrap();
    finish(sessions, &fetch, |index| empty(index, 5)).0
}

#[test]
fn rule_22_outside_sessions_every_partition_is_listed_and_the_id_is_zero() {
    let sessions = FetchSessions::new(10);
    let asked = request(0, -1, &[(name("a"), &[(1, 0), (0, 0)]), (name("b"), &[(7, 0)])]);
    for _ in 0..2 {
        let fetch = sessions.begin(&asked, Instant::now()).unwrap();
        assert_eq!(
            finish(&sessions, &fetch, |index| empty(index, 5)),
            (0, vec![1, 0, 7])
        );
    }
    assert_eq!(sessions.counts().sessions, 0);
}

#[test]
fn a_partition_named_twice_is_read_once_with_the_later_wish() {
    let sessions = FetchSessions::new(10);
    let asked = request(0, -1, &[(name("a"), &[(0, 1), (0, 2)]), (name("a"), &[(0, 3)])]);
    let fetch = sessions.begin(&asked, Instant::now()).unwrap();
    assert_eq!(fetch.partitions.len(), 1);
    assert_eq!(fetch.partitions[0].fetch_offset, Offset(3));
}

#[test]
fn an_incremental_answer_has_only_what_changed() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, "a", 4, now);
    assert_ne!(id, 0);
    let fetch = sessions.begin(&request(id, 1, &[]), now).unwrap();
    assert_eq!(order(&fetch), [0, 1, 2, 3]);
    let answer = |index| match index {
        1 => full(1, 5),
        2 => empty(2, 6),
        3 => FetchPartitionResponse::refused(PartitionIndex(3), ErrorCode::NotLeaderOrFollower),
        other => empty(other, 5),
    };
    assert_eq!(finish(&sessions, &fetch, answer), (id, vec![1, 2, 3]));
    // After an error the partition is listed again even with the old numbers; who had records is read last.
    let fetch = sessions.begin(&request(id, 2, &[]), now).unwrap();
    assert_eq!(order(&fetch), [0, 2, 3, 1]);
    let answer = |index| empty(index, if index == 2 { 6 } else { 5 });
    assert_eq!(finish(&sessions, &fetch, answer), (id, vec![3]));
}

#[test]
fn a_moved_log_start_or_stable_offset_is_told() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, "a", 2, now);
    let fetch = sessions.begin(&request(id, 1, &[]), now).unwrap();
    let answer = |index| match index {
        0 => FetchPartitionResponse {
            log_start_offset: Offset(2),
            ..empty(0, 5)
        },
        other => FetchPartitionResponse {
            last_stable_offset: Offset(4),
            ..empty(other, 5)
        },
    };
    assert_eq!(finish(&sessions, &fetch, answer), (id, vec![0, 1]));
}

#[test]
fn requests_add_change_and_forget_partitions() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, "a", 3, now);
    let mut change = request(id, 1, &[(name("a"), &[(1, 9), (5, 0)])]);
    change.forgotten_topics = vec![ForgottenTopic {
        topic: name("a"),
        partitions: vec![PartitionIndex(0), PartitionIndex(77)],
    }];
    let fetch = sessions.begin(&change, now).unwrap();
    assert_eq!(order(&fetch), [1, 2, 5]);
    assert_eq!(fetch.partitions[0].fetch_offset, Offset(9));
    assert_eq!(finish(&sessions, &fetch, |index| empty(index, 5)), (id, vec![5]));
    assert_eq!(sessions.counts().partitions, 3);
}

#[test]
fn wrong_ids_epochs_and_namings_have_their_codes() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, "a", 1, now);
    let code = |request: &FetchRequest| sessions.begin(request, now).unwrap_err();
    assert_eq!(
        code(&request(id.wrapping_add(1), 1, &[])),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(code(&request(0, 3, &[])), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(code(&request(id, 2, &[])), ErrorCode::InvalidFetchSessionEpoch);
    let by_id = [(TopicKey::Id(TopicId([1; 16])), &[(0, 0)][..])];
    assert_eq!(code(&request(id, 1, &by_id)), ErrorCode::FetchSessionTopicIdError);
    // None of these broke the session.
    let fetch = sessions.begin(&request(id, 1, &[]), now).unwrap();
    assert!(fetch.fits_version(12) && !fetch.fits_version(13));
}

#[test]
fn a_full_fetch_closes_the_session_it_names() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let first = open(&sessions, "a", 1, now);
    let fetch = sessions
        .begin(&request(first, 0, &[(name("a"), &[(0, 0)])]), now)
        .unwrap();
    let (second, _) = finish(&sessions, &fetch, |index| empty(index, 5));
    assert_eq!(sessions.counts().sessions, 1);
    sessions
        .begin(&request(second, -1, &[(name("a"), &[(0, 0)])]), now)
        .unwrap();
    let counts = FetchSessionCounts {
        sessions: 0,
        partitions: 0,
        evictions: 0,
    };
    assert_eq!(sessions.counts(), counts);
}

#[test]
fn a_session_that_forgets_everything_is_closed() {
    let (sessions, now) = (FetchSessions::new(10), Instant::now());
    let id = open(&sessions, "a", 1, now);
    let mut forget = request(id, 1, &[]);
    forget.forgotten_topics = vec![ForgottenTopic {
        topic: name("a"),
        partitions: vec![PartitionIndex(0)],
    }];
    let fetch = sessions.begin(&forget, now).unwrap();
    assert_eq!(finish(&sessions, &fetch, |index| empty(index, 5)), (0, vec![]));
    assert_eq!(sessions.counts().partitions, 0);
}

#[test]
fn a_young_session_keeps_its_place_and_an_old_small_one_makes_room() {
    let (sessions, now) = (FetchSessions::new(2), Instant::now());
    let small = open(&sessions, "a", 1, now);
    let large = open(&sessions, "b", 3, now);
    assert_eq!(
        open(&sessions, "c", 2, now + EVICTION_AGE),
        0,
        "too young to make room"
    );
    let later = now + EVICTION_AGE + Duration::from_secs(1);
    for id in [small, large] {
        sessions.begin(&request(id, 1, &[]), later).unwrap();
    }
    assert_eq!(open(&sessions, "c", 1, later), 0, "not larger than the smallest");
    let third = open(&sessions, "c", 2, later);
    assert_ne!(third, 0);
    assert_eq!(
        sessions.begin(&request(small, 2, &[]), later).unwrap_err(),
        ErrorCode::FetchSessionIdNotFound
    );
    assert!(sessions.begin(&request(large, 2, &[]), later).is_ok());
    assert_eq!(sessions.counts().evictions, 1);
    let unused = later + EVICTION_AGE + Duration::from_secs(1);
    assert_ne!(
        open(&sessions, "d", 1, unused),
        0,
        "an unused session makes room for any"
    );
}

#[test]
fn partitions_of_all_sessions_are_bounded() {
    let (sessions, now) = (FetchSessions::with_partitions_max(10, 5), Instant::now());
    let id = open(&sessions, "a", 3, now);
    assert_ne!(id, 0);
    assert_eq!(open(&sessions, "b", 3, now), 0);
    // A session that outgrows the bound is answered in full and closed.
    let grown = request(id, 1, &[(name("b"), &[(10, 0), (11, 0), (12, 0)])]);
    let fetch = sessions.begin(&grown, now).unwrap();
    assert_eq!(
        finish(&sessions, &fetch, |index| empty(index, 5)),
        (0, vec![0, 1, 2, 10, 11, 12])
    );
    assert_eq!(sessions.counts().partitions, 0);
}

#[test]
fn without_slots_there_are_no_sessions() {
    assert_eq!(open(&FetchSessions::new(0), "a", 1, Instant::now()), 0);
}

#[test]
fn epochs_wrap_to_one() {
    assert_eq!(next_epoch(i32::MAX), 1);
    assert_eq!(next_epoch(0), 1);
}
