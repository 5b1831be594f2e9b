use super::*;

fn mark(base: i64, next: i64, crc: u32) -> Mark {
    Mark {
        base: Offset(base),
        next: Offset(next),
        crc,
    }
}

/// Feeds both sides in reads of `step` batches.
fn compare(source: &[Mark], mirror: &[Mark], to: i64, step: usize) -> (u64, Vec<Difference>) {
    let mut comparison = Comparison::new(Offset(0), Offset(0), Offset(to));
    let mut reads = 0;
    while let Some((side, at)) = comparison.wants() {
        let all = match side {
            Side::Source => source,
            Side::Mirror => mirror,
        };
        let found = all.iter().filter(|mark| mark.next > at).take(step).copied();
        comparison.take(side, at, found.collect());
        reads += 1;
        assert!(reads < 100, "it ends");
    }
    (comparison.equal(), comparison.into_differences())
}

#[test]
fn equal_sides_are_equal_however_they_arrive() {
    let all = [mark(0, 3, 1), mark(3, 4, 2), mark(10, 12, 3)];
    for step in 1..4 {
        assert_eq!(compare(&all, &all, 12, step), (3, vec![]), "{step}");
    }
    assert_eq!(compare(&[], &[], 100, 1), (0, vec![]));
}

#[test]
fn what_differs_is_named_with_its_range() {
    let source = [mark(0, 3, 1), mark(3, 4, 2), mark(4, 6, 3), mark(10, 12, 4)];
    let mirror = [mark(0, 3, 1), mark(10, 12, 9), mark(12, 14, 5)];
    for step in 1..4 {
        let (equal, differences) = compare(&source, &mirror, 14, step);
        assert_eq!(equal, 1);
        let named: Vec<(Kind, i64, i64)> = differences
            .iter()
            .map(|difference| (difference.kind, difference.from.get(), difference.to.get()))
            .collect();
        assert_eq!(
            named,
            [
                (Kind::SourceOnly, 3, 6),
                (Kind::Content, 10, 12),
                (Kind::MirrorOnly, 12, 14)
            ],
            "{step}"
        );
    }
}

#[test]
fn batches_beyond_the_end_do_not_count() {
    let source = [mark(0, 3, 1), mark(3, 4, 2)];
    assert_eq!(compare(&source, &source[..1], 3, 2), (1, vec![]));
}
