//! Which batches are believed to lie where they are.

use super::*;
use crate::test_batches::idempotent_header;

fn header(base: i64, count: i32, epoch: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base),
        leader_epoch: LeaderEpoch(epoch),
        ..idempotent_header(-1, -1, -1, count)
    }
}

fn known(entries: &[(i32, i64)], write_state: WriteState) -> KnownEpochs {
    let entries = entries
        .iter()
        .map(|(epoch, start)| (LeaderEpoch(*epoch), Offset(*start)));
    KnownEpochs {
        epochs: Epochs::restore(entries.collect()),
        write_state,
    }
}

#[test]
fn batches_that_overlap_or_leave_their_range_are_not_believed() {
    let mut walk = Walk::over(Offset(10), Offset(19));
    assert_eq!(walk.fit(&header(10, 3, 1)), Ok(Fit::Next));
    assert_eq!(walk.fit(&header(12, 3, 1)), Ok(Fit::BehindGap));
    for wrong in [
        header(9, 3, 1),
        header(-1, 3, 1),
        header(18, 3, 1),
        header(i64::MAX, 3, 1),
    ] {
        assert!(walk.fit(&wrong).is_err(), "{wrong:?}");
    }
    walk.pass(&header(10, 3, 1));
    assert_eq!(walk.fit(&header(13, 7, 1)), Ok(Fit::Next));
    assert!(walk.fit(&header(12, 1, 1)).is_err());
    let confirmed = Walk::over(Offset(10), Offset(19)).starting_confirmed();
    assert_eq!(confirmed.fit(&header(15, 2, 1)), Ok(Fit::Next));
    assert!(confirmed.fit(&header(8, 2, 1)).is_err());
}

#[test]
fn a_gap_is_one_only_if_the_batch_behind_leaves_room() {
    let shifted = header(14, 3, 1);
    assert!(check_behind(&shifted, &header(17, 1, 1)).is_ok());
    assert!(check_behind(&shifted, &header(16, 1, 1)).is_err());
}

#[test]
fn an_epoch_is_the_one_that_the_log_knows() {
    let known_here = known(&[(3, 0), (5, 10)], WriteState::Open);
    let walk = Walk::over(Offset(0), Offset(99));
    let judge = |walk: &Walk, batch: &BatchHeader, behind: Option<BatchHeader>| {
        walk.check_epoch(batch, &known_here, || None, || behind).is_ok()
    };
    assert!(judge(&walk, &header(0, 1, 3), None));
    assert!(judge(&walk, &header(10, 1, 5), None));
    assert!(!judge(&walk, &header(0, 1, 4), None), "newer than known");
    assert!(!judge(&walk, &header(10, 1, i32::MAX), None));
    assert!(
        !judge(&walk, &header(20, 1, 4), Some(header(21, 1, 5))),
        "the next one is as expected"
    );
    let mut behind_one = walk;
    behind_one.pass(&header(20, 1, 5));
    assert!(!judge(&behind_one, &header(21, 1, 4), None), "epochs do not fall");
    let first = || Some(header(12, 1, 5));
    let fallen = walk.check_epoch(&header(21, 1, 4), &known_here, first, || None);
    assert!(fallen.is_err(), "the segment began with a newer one");
}

/// After a truncation the log's epoch is above those that the source's batches carry.
#[test]
fn a_mirrors_older_epochs_are_believed() {
    let mirror = known(&[(3, 0), (9, 10)], WriteState::OwnedByLink);
    let mut walk = Walk::over(Offset(10), Offset(99));
    let next = || Some(header(11, 1, 9));
    assert!(
        walk.check_epoch(&header(10, 1, 4), &mirror, || None, next)
            .is_ok()
    );
    walk.pass(&header(10, 1, 4));
    assert!(
        walk.check_epoch(&header(11, 1, 4), &mirror, || None, || None)
            .is_ok()
    );
    assert!(
        walk.check_epoch(&header(11, 1, 10), &mirror, || None, || None)
            .is_err()
    );
    let none = known(&[], WriteState::OwnedByLink);
    assert!(
        walk.check_epoch(&header(11, 1, 4), &none, || None, || None)
            .is_err()
    );
    let unknown = Walk::over(Offset(0), Offset(9));
    assert!(
        unknown
            .check_epoch(&header(1, 1, -1), &none, || None, || None)
            .is_ok()
    );
}
