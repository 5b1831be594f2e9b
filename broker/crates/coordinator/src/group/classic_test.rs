use super::*;
use crate::group::testing::*;

fn group_of(members: &[(&str, &[&str])]) -> Group {
    let mut group = Group::new("g".into(), TimestampMs(0));
    group.state = GroupState::PreparingRebalance;
    for (member_id, names) in members {
        let protocols = names.iter().map(|name| protocol(name, &[])).collect();
        let terms = MemberTerms::of(&join("g").protocols(protocols));
        group.insert_member(
            (*member_id).into(),
            Member::new(None, terms, Knows::Nothing),
            "consumer",
        );
    }
    group
}

#[test]
fn a_tie_of_votes_goes_to_what_the_leader_prefers() {
    let group = group_of(&[("a", &["x", "y"]), ("b", &["y", "x"])]);
    assert_eq!(group.select_protocol().as_deref(), Some("x"));
    let mut group = group;
    group.leader = Some("b".into());
    assert_eq!(group.select_protocol().as_deref(), Some("y"));
}

#[test]
fn a_protocol_only_some_support_is_not_chosen() {
    let group = group_of(&[("a", &["x", "y"]), ("b", &["x", "y"]), ("c", &["z", "y"])]);
    assert_eq!(group.select_protocol().as_deref(), Some("y"));
    assert_eq!(group_of(&[("a", &["x"]), ("b", &["y"])]).select_protocol(), None);
    assert_eq!(group_of(&[]).select_protocol(), None);
}

#[test]
fn a_protocol_named_twice_by_a_member_counts_once() {
    let mut group = group_of(&[("a", &["x", "x"]), ("b", &["y", "x"])]);
    assert_eq!(group.select_protocol().as_deref(), Some("x"));
    group.take_member(&"a".into());
    assert_eq!(group.select_protocol().as_deref(), Some("y"));
    group.check();
}

#[test]
fn the_lead_falls_to_another_member_and_to_nobody_after_the_last() {
    let mut group = group_of(&[("b", &["x"]), ("a", &["x"])]);
    assert_eq!(group.leader, Some("b".into()));
    group.take_member(&"b".into());
    assert_eq!(group.leader, Some("a".into()));
    group.take_member(&"a".into());
    assert_eq!(group.leader, None);
    group.check();
}

#[test]
fn the_size_estimate_is_never_below_the_record() {
    let mut group = group_of(&[("a", &["x", "longer-name"])]);
    let request = join("g").protocols(vec![protocol("longer-name", &["events", "other"])]);
    let new_id = MemberId::from("a-much-longer-member-id");
    let estimate = group.record_bytes_with(&Candidate::of(&request, &new_id, None));
    let member = Member::new(None, MemberTerms::of(&request), Knows::Nothing);
    group.insert_member(new_id.clone(), member, "consumer");
    group.protocol_name = group.select_protocol();
    group.leader = Some(new_id);
    assert!(group.to_record().size_bytes() <= estimate);
}
