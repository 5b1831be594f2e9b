use super::*;

fn join(name: &str) -> String {
    name.to_owned()
}

#[test]
fn timers_run_in_order_of_deadline_and_then_of_setting() {
    let mut timers = Timers::default();
    timers.schedule(join("c"), TimestampMs(0), 20);
    timers.schedule(join("a"), TimestampMs(0), 10);
    timers.schedule(join("b"), TimestampMs(0), 10);
    assert_eq!(timers.next_deadline(), Some(TimestampMs(10)));
    assert_eq!(timers.pop_due(TimestampMs(9), timers.mark()), None);
    assert_eq!(timers.pop_due(TimestampMs(20), timers.mark()), Some(join("a")));
    assert_eq!(timers.pop_due(TimestampMs(20), timers.mark()), Some(join("b")));
    assert_eq!(timers.pop_due(TimestampMs(20), timers.mark()), Some(join("c")));
    assert_eq!(timers.pop_due(TimestampMs(20), timers.mark()), None);
    assert_eq!(timers.len(), 0);
}

#[test]
fn setting_again_replaces_the_deadline() {
    let mut timers = Timers::default();
    timers.schedule(join("a"), TimestampMs(0), 10);
    timers.schedule(join("a"), TimestampMs(0), 30);
    assert_eq!(timers.len(), 1);
    assert_eq!(timers.next_deadline(), Some(TimestampMs(30)));
    timers.cancel(&join("a"));
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn a_deadline_is_never_now_and_never_overflows() {
    let mut timers = Timers::default();
    timers.schedule(join("a"), TimestampMs(5), 0);
    timers.schedule(join("b"), TimestampMs(5), i64::MAX);
    assert_eq!(timers.pop_due(TimestampMs(5), timers.mark()), None);
    assert_eq!(timers.pop_due(TimestampMs(6), timers.mark()), Some(join("a")));
    assert_eq!(timers.next_deadline(), Some(TimestampMs(i64::MAX)));
}

#[test]
fn what_is_set_after_the_mark_waits_for_the_next_tick() {
    let end = TimestampMs(i64::MAX);
    let mut timers = Timers::default();
    timers.schedule(join("a"), end, 1);
    let mark = timers.mark();
    assert_eq!(timers.pop_due(end, mark), Some(join("a")));
    timers.schedule(join("a"), end, 1);
    assert_eq!(timers.pop_due(end, mark), None);
}
