use super::*;

#[tokio::test(start_paused = true)]
async fn the_rate_is_held_within_a_twentieth() {
    let rate = Rate::new(Some(1_000_000));
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(10) {
        let piece = rate.piece_bytes().min(33_000);
        if let Some(at) = rate.take(piece) {
            tokio::time::sleep_until(at).await;
        }
        sent += piece;
    }
    assert!((9_500_000..=10_500_000).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_caught_up_with() {
    let rate = Rate::new(Some(1_000_000));
    assert_eq!(rate.take(1_000), None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut at_once = 0;
    while rate.take(10_000).is_none() {
        at_once += 10_000;
    }
    assert!(at_once <= 60_000, "{at_once}");
}

#[test]
fn without_a_rate_nothing_waits() {
    let rate = Rate::new(None);
    assert_eq!(rate.take(usize::MAX), None);
}
