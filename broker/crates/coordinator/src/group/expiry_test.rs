use super::*;
use crate::group::testing::*;
use crate::group::{GroupConfig, MemberId, OffsetCommit};
use thalweg_types::Offset;

const RETENTION_MS: i64 = 7 * 24 * 3_600_000;
const CHECK_MS: i64 = 600_000;

#[test]
fn offsets_of_a_group_that_only_stores_them_expire_after_their_commit() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    desk.advance(RETENTION_MS / 2);
    desk.commit(commit("orders", 6).topic("other")).unwrap();
    desk.advance(RETENTION_MS / 2 - 1);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
    desk.advance(CHECK_MS + 1);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    assert_eq!(desk.fetch("orders", "other", 0).offset, Offset(6));
    desk.advance(RETENTION_MS);
    assert_eq!(desk.state("orders"), GroupState::Dead);
    assert_eq!(desk.shard.stats().offsets_expired, 2);
}

#[test]
fn offsets_of_a_group_that_had_members_expire_after_it_became_empty() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    let generation = desk.generation("orders");
    desk.commit(commit("orders", 5).by(&id, generation)).unwrap();
    beat_for(&mut desk, &id, RETENTION_MS * 2);
    assert_eq!(
        desk.fetch("orders", "events", 0).offset,
        Offset(5),
        "the group lives and reads the topic"
    );
    desk.leave("orders", &id).unwrap();
    desk.advance(RETENTION_MS - 1);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
    desk.advance(CHECK_MS + 1);
    assert_eq!(
        desk.state("orders"),
        GroupState::Dead,
        "the group goes with its last offset"
    );
    assert_eq!(desk.restart(config()).state("orders"), GroupState::Dead);
}

/// Lets time pass with a heartbeat now and then, in big steps: the session is prolonged by hand.
fn beat_for(desk: &mut Desk, id: &MemberId, ms: i64) {
    // A session of 10 s would take many thousand beats; a few around each expiry check do as well.
    let steps = ms / 3_600_000;
    for _ in 0..steps {
        desk.now += 3_600_000 - 1;
        assert_eq!(
            desk.beat("orders", id),
            Ok(()),
            "the shard has not been told the time yet"
        );
        desk.advance(1);
    }
}

#[test]
fn offsets_of_topics_a_stable_consumer_group_no_longer_reads_expire() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5).topic("old")).unwrap();
    let id = desk.stable("orders", 1).remove(0);
    let generation = desk.generation("orders");
    desk.commit(commit("orders", 5).by(&id, generation)).unwrap();
    beat_for(&mut desk, &id, RETENTION_MS + 3_600_000);
    desk.advance(1);
    assert_eq!(desk.fetch("orders", "old", 0).offset, Offset::UNKNOWN);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
    assert_eq!(desk.state("orders"), GroupState::Stable);
}

#[test]
fn offsets_of_a_live_group_of_another_protocol_do_not_expire() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    let token = desk.send(join("orders").version(3).protocol_type("connect"));
    let (id, told) = desk.joined(token);
    let token = desk.send(sync("orders", &id, told.generation));
    assert!(desk.sync_reply(token).unwrap().is_ok());
    beat_for(&mut desk, &id, RETENTION_MS + 3_600_000);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
}

#[test]
fn a_commit_with_its_own_retention_expires_by_it() {
    let mut desk = Desk::new();
    let short = OffsetCommit {
        retention_time_ms: Some(1_000),
        ..commit("orders", 5)
    };
    let long = OffsetCommit {
        retention_time_ms: Some(2 * RETENTION_MS),
        ..commit("orders", 6).topic("other")
    };
    desk.commit(short).unwrap();
    desk.commit(long).unwrap();
    desk.advance(CHECK_MS);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset::UNKNOWN);
    let mut desk = desk.restart(config());
    desk.advance(2 * RETENTION_MS - 2 * CHECK_MS);
    assert_eq!(desk.fetch("orders", "other", 0).offset, Offset(6));
    desk.advance(2 * CHECK_MS);
    assert_eq!(desk.state("orders"), GroupState::Dead);
}

#[test]
fn an_empty_group_without_offsets_goes_at_the_next_check() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    desk.leave("orders", &id).unwrap();
    desk.advance(CHECK_MS);
    assert_eq!(desk.state("orders"), GroupState::Dead);
    assert_eq!(desk.log.last().unwrap().value, None);
}

#[test]
fn an_empty_group_somebody_is_about_to_join_stays() {
    let mut desk = Desk::new();
    let id = desk.stable("orders", 1).remove(0);
    desk.leave("orders", &id).unwrap();
    desk.advance(CHECK_MS - 1_000);
    let pending = desk.pending("orders");
    desk.advance(2_000);
    let token = desk.send(join("orders").member(&pending));
    desk.joined(token);
}

#[test]
fn a_clock_that_jumps_back_expires_nothing() {
    let mut desk = Desk::new();
    desk.commit(commit("orders", 5)).unwrap();
    let step = desk.shard.tick(TimestampMs(i64::MIN));
    assert!(step.is_empty());
    let mut desk = Desk::with(GroupConfig {
        offsets_retention_ms: i64::MAX,
        ..config()
    });
    desk.commit(commit("orders", 5)).unwrap();
    desk.advance(100 * RETENTION_MS);
    assert_eq!(desk.fetch("orders", "events", 0).offset, Offset(5));
}
