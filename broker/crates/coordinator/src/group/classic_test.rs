use super::*;
use crate::group::member::Knows;
use crate::group::testing::*;

impl Group {
    /// Panics if the counters and indexes disagree with the members.
    pub(crate) fn check(&self) {
        let awaiting = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count();
        assert_eq!(awaiting, self.awaiting_join, "awaiting_join of {}", self.id);
        let bytes: usize = self
            .members
            .iter()
            .map(|(id, member)| member.record_bytes(id))
            .sum();
        assert_eq!(bytes, self.members_record_bytes, "record bytes of {}", self.id);
        let mut supported: BTreeMap<String, usize> = BTreeMap::new();
        for member in self.members.values() {
            for name in distinct_names(&member.protocols) {
                *supported.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
        assert_eq!(supported, self.supported, "supported protocols of {}", self.id);
        let instances: BTreeMap<_, _> = self
            .members
            .iter()
            .filter_map(|(id, member)| member.instance_id.clone().map(|instance| (instance, id.clone())))
            .collect();
        assert_eq!(instances, self.static_members, "static members of {}", self.id);
        assert!(self.pending_sync.iter().all(|id| self.members.contains_key(id)));
        assert!(self.pending_join.iter().all(|id| !self.members.contains_key(id)));
        assert_eq!(
            self.leader.is_some(),
            !self.members.is_empty(),
            "leader of {}",
            self.id
        );
        if let Some(leader) = &self.leader {
            assert!(self.members.contains_key(leader));
        }
        match self.state {
            GroupState::Empty => assert!(self.members.is_empty()),
            GroupState::PreparingRebalance => {
                assert!(self.members.values().all(|member| member.awaiting_sync.is_none()));
            }
            GroupState::CompletingRebalance => {
                assert!(!self.members.is_empty());
                assert_eq!(self.awaiting_join, 0);
                for (id, member) in &self.members {
                    assert_ne!(member.awaiting_sync.is_some(), self.pending_sync.contains(id));
                }
            }
            GroupState::Stable => {
                assert!(!self.members.is_empty());
                assert_eq!(self.awaiting_join, 0);
                assert!(self.members.values().all(|member| member.awaiting_sync.is_none()));
            }
            GroupState::Dead => panic!("a dead group is not kept"),
        }
        let joins = self.state == GroupState::PreparingRebalance;
        assert!(
            joins || self.initial.is_none(),
            "an initial delay belongs to a join phase"
        );
    }
}

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
