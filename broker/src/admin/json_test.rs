use super::*;

fn part(after: Option<&str>, limit: Option<usize>) -> Part {
    Part {
        after: after.map(str::to_owned),
        limit,
    }
}

#[test]
fn parts_follow_each_other_without_gap_or_overlap() {
    let all = ["a", "b", "c", "d", "e"];
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (page, next) = cut(&all, &part(after.as_deref(), Some(2)), |name| name);
        seen.extend_from_slice(page);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, all);
}

#[test]
fn a_part_is_bounded_and_never_empty_by_its_limit() {
    let all: Vec<String> = (0..1500).map(|number| format!("{number:04}")).collect();
    assert_eq!(cut(&all, &part(None, None), |name| name).0.len(), PART_MAX);
    assert_eq!(
        cut(&all, &part(None, Some(usize::MAX)), |name| name).0.len(),
        PART_MAX
    );
    assert_eq!(cut(&all, &part(None, Some(0)), |name| name).0.len(), 1);
    assert_eq!(cut(&all, &part(Some("9"), None), |name| name), (&[][..], None));
}
