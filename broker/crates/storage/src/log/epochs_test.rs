use super::*;

fn sample() -> Epochs {
    let mut epochs = Epochs::default();
    for (epoch, start) in [(1, 0), (3, 10), (3, 12), (2, 14), (5, 20)] {
        epochs.note(LeaderEpoch(epoch), Offset(start));
    }
    epochs
}

#[test]
fn epochs_never_go_back() {
    let entries = [(1, 0), (3, 10), (5, 20)].map(|(e, o)| (LeaderEpoch(e), Offset(o)));
    assert_eq!(sample().entries(), entries);
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next() {
    let epochs = sample();
    let end = |epoch| {
        let (found, end) = epochs.end_offset(LeaderEpoch(epoch), Offset(30));
        (found.0, end.0)
    };
    assert_eq!(end(1), (1, 10));
    assert_eq!(end(2), (1, 10));
    assert_eq!(end(3), (3, 20));
    assert_eq!(end(5), (5, 30));
    assert_eq!(end(6), (5, 30));
    assert_eq!(end(0), (0, 0));
    let none = Epochs::default().end_offset(LeaderEpoch(4), Offset(30));
    assert_eq!(none, (LeaderEpoch(4), Offset(30)));
}

#[test]
fn an_epoch_without_records_leaves_no_entry() {
    let mut epochs = sample();
    epochs.note(LeaderEpoch(7), Offset(20));
    assert_eq!(epochs.entries().len(), 3);
    assert_eq!(epochs.epoch_at(Offset(20)), Some(LeaderEpoch(7)));
    assert_eq!(epochs.epoch_at(Offset(19)), Some(LeaderEpoch(3)));
}

#[test]
fn truncation_and_log_start_cut_both_ends() {
    let mut epochs = sample();
    epochs.truncate_to(Offset(15));
    epochs.advance_start(Offset(11));
    assert_eq!(epochs.entries(), [(LeaderEpoch(3), Offset(11))]);
}
