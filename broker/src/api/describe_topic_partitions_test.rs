use proptest::prelude::*;

use super::*;

const TOPICS: &[(&str, i32)] = &[("a", 3), ("b", 0), ("c", 2)];

fn place(topic: &str, partition: i32) -> Place {
    Place {
        topic: topic.to_owned(),
        partition,
    }
}

#[test]
fn rule_01_eligible_leaders_are_an_empty_list_and_never_null() {
    let partition = partition(0, BrokerId(0), 1);
    assert_eq!(partition.eligible_leader_replicas, Some(Vec::new()));
    assert_eq!(partition.last_known_elr, Some(Vec::new()));
}

#[test]
fn everything_fits_into_one_page_of_the_right_size() {
    let page = page(TOPICS, None, 5);
    assert_eq!(
        page,
        Page {
            parts: vec![(0, 0..3), (1, 0..0), (2, 0..2)],
            next: None
        }
    );
}

#[test]
fn a_page_ends_inside_a_topic_and_the_next_goes_on_there() {
    let first = page(TOPICS, None, 2);
    assert_eq!(
        first,
        Page {
            parts: vec![(0, 0..2)],
            next: Some(place("a", 2))
        }
    );
    let second = page(TOPICS, first.next.as_ref(), 2);
    assert_eq!(
        second,
        Page {
            parts: vec![(0, 2..3), (1, 0..0), (2, 0..1)],
            next: Some(place("c", 1))
        }
    );
}

#[test]
fn a_page_that_ends_with_a_topic_names_the_next_one() {
    assert_eq!(page(TOPICS, None, 3).next, Some(place("b", 0)));
}

#[test]
fn a_cursor_at_a_topic_that_is_gone_goes_on_with_the_one_after() {
    assert_eq!(
        page(TOPICS, Some(&place("aa", 7)), 9).parts,
        [(1, 0..0), (2, 0..2)]
    );
    assert_eq!(
        page(TOPICS, Some(&place("z", 0)), 9),
        Page {
            parts: Vec::new(),
            next: None
        }
    );
    assert_eq!(page(TOPICS, Some(&place("c", i32::MAX)), 9).parts, [(2, 2..2)]);
}

proptest! {
    #[test]
    fn pages_together_give_every_partition_once(sizes in prop::collection::vec(0..9i32, 0..9), limit in 1..7i32) {
        let names: Vec<String> = (0..sizes.len()).map(|index| format!("t{index}")).collect();
        let topics: Vec<(&str, i32)> = names.iter().map(String::as_str).zip(sizes.iter().copied()).collect();
        let mut given = Vec::new();
        let mut start = None;
        loop {
            let page = page(&topics, start.as_ref(), limit);
            let count: i32 = page.parts.iter().map(|(_, part)| part.end - part.start).sum();
            prop_assert!(count <= limit);
            given.extend(page.parts.into_iter().flat_map(|(index, part)| part.map(move |p| (index, p))));
            match page.next {
                None => break,
                next => start = next,
            }
        }
        let all: Vec<(usize, i32)> =
            sizes.iter().enumerate().flat_map(|(index, size)| (0..*size).map(move |p| (index, p))).collect();
        prop_assert_eq!(given, all);
    }
}
