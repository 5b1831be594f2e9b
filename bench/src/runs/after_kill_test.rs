use super::*;

#[test]
fn the_first_commit_of_a_transaction_begun_after_the_start_counts() {
    let mut seen = Seen::default();
    let at = |ms| Instant::now() + Duration::from_millis(ms);
    let times = [at(10), at(20), at(30), at(40), at(50)];
    seen.committed(times[0], times[1]);
    assert_eq!(seen.first, None);
    seen.await_one(times[1]);
    // Begun before the kill, committed after the start.
    seen.committed(times[0], times[2]);
    assert_eq!(seen.first, None);
    seen.committed(times[2], times[3]);
    seen.committed(times[3], times[4]);
    assert_eq!((seen.first, seen.count), (Some(times[3]), 4));
    seen.await_one(times[4]);
    assert_eq!(seen.first, None);
}
