use super::*;

fn joined(member: &str) -> Joined {
    Joined {
        error: NONE,
        generation: 3,
        leader: "a".to_owned(),
        member: member.to_owned(),
        members: vec!["a".to_owned(), "b".to_owned()],
    }
}

#[test]
fn the_leader_assigns_to_everybody_and_nobody_else_does() {
    let assigned = assignments(&joined("a"));
    assert_eq!(assigned.len(), 2);
    assert_ne!(assigned[0].1, assigned[1].1);
    assert!(assigned.iter().all(|(_, bytes)| bytes.len() == ASSIGNMENT_BYTES));
    assert!(assignments(&joined("b")).is_empty());
}

#[test]
fn a_goal_is_reached_in_the_generation_that_has_all_members_and_in_no_other() {
    let goal = Goal::new("g", 2);
    assert!(!goal.is_reached(1));
    goal.complete.store(2, Ordering::Relaxed);
    assert!(goal.is_reached(2) && !goal.is_reached(1) && !goal.is_reached(3));
}
