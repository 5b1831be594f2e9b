use super::*;
use std::time::Duration;

#[tokio::test]
async fn the_phase_only_rises() {
    let (trigger, shutdown) = shutdown_channel();
    assert_eq!(shutdown.phase(), Phase::Running);
    trigger.force();
    trigger.request();
    assert_eq!(shutdown.phase(), Phase::Fast);
    shutdown.requested().await;
    shutdown.forced().await;
}

#[tokio::test]
async fn a_graceful_request_wakes_waiters_but_not_those_who_wait_for_force() {
    let (trigger, shutdown) = shutdown_channel();
    let waiter = shutdown.clone();
    let woken = tokio::spawn(async move { waiter.requested().await });
    trigger.request();
    woken.await.unwrap();
    let forced = tokio::time::timeout(Duration::from_millis(20), shutdown.forced()).await;
    assert!(forced.is_err());
}

#[tokio::test]
async fn a_lost_trigger_is_not_a_request() {
    let (trigger, shutdown) = shutdown_channel();
    drop(trigger);
    let requested = tokio::time::timeout(Duration::from_millis(20), shutdown.requested()).await;
    assert!(requested.is_err());
}

#[tokio::test]
async fn the_first_signal_is_graceful_and_the_second_is_fast() {
    let (trigger, shutdown) = shutdown_channel();
    trigger.on_signals().unwrap();
    let own_pid = std::process::id().to_string();
    let kill = |signal: &str| {
        let status = std::process::Command::new("kill")
            .args([signal, &own_pid])
            .status()
            .unwrap();
        assert!(status.success());
    };
    kill("-TERM");
    shutdown.requested().await;
    assert_eq!(shutdown.phase(), Phase::Graceful);
    kill("-INT");
    shutdown.forced().await;
}
