use std::time::Duration;

use futures::FutureExt;

use super::*;

const MIB: u64 = 1 << 20;

/// 64 MiB: lane 8, so the common part is 56, of which 16 are closed to requests: they get 40, large frames 30.
fn budget() -> MemoryBudget {
    MemoryBudget::new(BudgetSettings {
        total: 64 * MIB,
        frame_max: 8 * MIB,
        response_total_max: 64 * MIB,
    })
}

fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    Box::pin(future).now_or_never()
}

#[test]
fn a_dropped_permit_gives_its_memory_back() {
    let budget = budget();
    let permit = now(budget.acquire_request(MIB, MIB)).unwrap();
    assert_eq!((permit.bytes(), budget.usage().requests), (MIB, MIB));
    drop(permit);
    assert_eq!(
        budget.usage(),
        BudgetUse {
            peak: MIB,
            ..BudgetUse::default()
        }
    );
}

#[test]
fn merged_and_shrunk_permits_stay_exact() {
    let budget = budget();
    let mut first = now(budget.acquire_request(3 * MIB, 3 * MIB)).unwrap();
    first.merge(now(budget.acquire_request(2 * MIB, 2 * MIB)).unwrap());
    assert_eq!((first.bytes(), budget.usage().requests), (5 * MIB, 5 * MIB));
    first.shrink_to(MIB);
    first.shrink_to(2 * MIB);
    assert_eq!((first.bytes(), budget.usage().requests), (MIB, MIB));
    drop(first);
    assert_eq!(budget.usage().requests, 0);
}

#[test]
fn requests_leave_the_responses_their_part() {
    let budget = budget();
    let _large = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let lane = now(budget.acquire_request(MIB, 2 * MIB)).unwrap();
    assert_eq!(lane.bytes(), 2 * MIB, "the lane gives all that the frame lacks");
    assert!(now(budget.acquire_request(MIB, MIB)).is_none());
    let small: Vec<_> =
        std::iter::from_fn(|| now(budget.acquire_request(SMALL_FRAME, SMALL_FRAME))).collect();
    assert_eq!(
        small.len() as u64,
        10 * MIB / SMALL_FRAME,
        "small ones have a quarter for themselves"
    );
    let responses = now(budget.acquire_response(100 * MIB)).unwrap();
    assert_eq!(responses.bytes(), budget.response_max());
    assert!(now(budget.acquire_response(1)).is_none());
    assert_eq!(budget.usage().peak, 58 * MIB);
    assert!(budget.usage().peak <= budget.total());
}

#[test]
fn responses_keep_to_their_own_limit_too() {
    let settings = BudgetSettings {
        total: 64 * MIB,
        frame_max: 8 * MIB,
        response_total_max: 10 * MIB,
    };
    let budget = MemoryBudget::new(settings);
    let first = now(budget.acquire_response(100 * MIB)).unwrap();
    assert_eq!(first.bytes(), 15 * MIB / 2, "a quarter is kept for small replies");
    assert!(!budget.is_short());
    let small: Vec<_> = std::iter::from_fn(|| now(budget.acquire_response(MIB))).collect();
    assert!(small.iter().all(|permit| permit.bytes() == SMALL_REPLY));
    assert_eq!(small.len() as u64, 5 * MIB / 2 / SMALL_REPLY);
    assert!(budget.is_short());
    assert!(now(budget.acquire_response(1)).is_none());
    assert!(
        now(budget.response_headroom()).is_some(),
        "other replies are small and go on"
    );
    assert!(now(budget.acquire_request(20 * MIB, 20 * MIB)).is_some());
    drop((first, small));
    assert!(now(budget.acquire_response(MIB)).is_some_and(|permit| permit.bytes() == MIB));
    assert!(!budget.is_short());
}

#[test]
fn groups_never_wait_and_have_a_limit() {
    let budget = budget();
    let groups = budget.try_acquire_group(8 * MIB).unwrap();
    assert!(budget.try_acquire_group(1).is_none());
    drop(groups);
    assert!(budget.try_acquire_group(8 * MIB).is_some());
}

#[test]
fn a_reply_charged_late_closes_the_headroom_until_it_is_gone() {
    let budget = budget();
    assert!(now(budget.response_headroom()).is_some());
    let reply = budget.charge_response(57 * MIB);
    assert!(now(budget.response_headroom()).is_none());
    assert!(now(budget.acquire_request(1, 1)).is_some_and(|permit| permit.lane == 1));
    drop(reply);
    assert!(now(budget.response_headroom()).is_some());
}

#[tokio::test]
async fn waiters_are_served_in_the_order_they_came() {
    let budget = budget();
    let all = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let lane = now(budget.acquire_request(MIB, MIB)).unwrap();
    let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for (index, bytes) in [30 * MIB, MIB, MIB].into_iter().enumerate() {
        let (shared, order) = (budget.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let permit = shared.acquire_request(bytes, bytes).await;
            order.send(index).unwrap();
            drop(permit);
        }));
        // Lets the task reach its place in the queue.
        while budget.usage().waiting <= index {
            tokio::task::yield_now().await;
        }
    }
    assert!(budget.is_short());
    drop(all);
    for expected in 0..3 {
        assert_eq!(served.recv().await, Some(expected));
    }
    for task in tasks {
        task.await.unwrap();
    }
    drop(lane);
    assert_eq!(budget.usage().requests, 0);
}

#[tokio::test]
async fn a_waiter_that_gives_up_frees_its_place_and_its_grant() {
    let budget = budget();
    let all = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let lane = now(budget.acquire_request(MIB, MIB)).unwrap();
    let given_up =
        tokio::time::timeout(Duration::from_millis(5), budget.acquire_request(9 * MIB, 9 * MIB)).await;
    assert!(given_up.is_err());
    assert_eq!(budget.usage().waiting, 0);
    // Granted, but dropped before it was polled again.
    let mut granted = Box::pin(budget.acquire_request(MIB, MIB));
    assert!((&mut granted).now_or_never().is_none());
    drop(all);
    assert_eq!(budget.usage().requests, 2 * MIB);
    drop(granted);
    drop(lane);
    assert_eq!(budget.usage().requests, 0);
}

/// Frames that are half received and fill the budget together would wait for each other for ever without the
/// lane.
#[tokio::test]
async fn half_received_frames_that_fill_the_budget_all_finish() {
    let budget = budget();
    let frame = 8 * MIB;
    let chunk = MIB;
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let budget = budget.clone();
        tasks.push(tokio::spawn(async move {
            let mut memory = budget.acquire_request(chunk, frame).await;
            while memory.bytes() < frame {
                tokio::task::yield_now().await;
                let rest = frame - memory.bytes();
                memory.merge(budget.acquire_request(chunk.min(rest), rest).await);
            }
            // The handler waits for reply memory while it holds the request.
            let reply = budget.acquire_response(4 * MIB).await;
            tokio::task::yield_now().await;
            drop((memory, reply));
        }));
    }
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(20), task)
            .await
            .expect("no deadlock")
            .unwrap();
    }
    let usage = budget.usage();
    assert!(usage.peak <= budget.total(), "{usage:?}");
    assert_eq!((usage.requests, usage.responses, usage.waiting), (0, 0, 0));
}

/// Clients that stall in the middle of large frames fill their part and wait in line; a heartbeat passes by.
#[test]
fn small_frames_pass_by_large_ones_that_wait() {
    let budget = budget();
    let _stalled = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let _lane = now(budget.acquire_request(MIB, 8 * MIB)).unwrap();
    let mut waiting = Box::pin(budget.acquire_request(MIB, 8 * MIB));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(now(budget.acquire_request(100, 100)).is_some());
}

#[test]
fn small_requests_are_decoded_while_large_frames_wait() {
    let budget = budget();
    let _stalled = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let _lane = now(budget.acquire_request(MIB, 8 * MIB)).unwrap();
    let mut waiting = Box::pin(budget.acquire_request(MIB, 8 * MIB));
    assert!((&mut waiting).now_or_never().is_none());
    let frame = now(budget.acquire_request(100, 100)).unwrap();
    assert!(now(budget.acquire_decoding(&frame, DECODING_UNWAITED_MAX + 1)).is_some());
    assert!(now(budget.acquire_decoding(&frame, MIB)).is_none());
}

/// The oldest waiter gets the lane, small or not: large frames are not passed by for ever.
#[test]
fn the_lane_goes_to_whoever_waits_longest() {
    let budget = budget();
    let _large = now(budget.acquire_request(30 * MIB, 30 * MIB)).unwrap();
    let lane = now(budget.acquire_request(MIB, MIB)).unwrap();
    let small: Vec<_> =
        std::iter::from_fn(|| now(budget.acquire_request(SMALL_FRAME, SMALL_FRAME))).collect();
    assert!(!small.is_empty());
    let mut large = Box::pin(budget.acquire_request(MIB, 2 * MIB));
    assert!((&mut large).now_or_never().is_none());
    let mut late = Box::pin(budget.acquire_request(1, 1));
    assert!((&mut late).now_or_never().is_none());
    drop(lane);
    assert!((&mut late).now_or_never().is_none());
    assert!(
        (&mut large)
            .now_or_never()
            .is_some_and(|permit| permit.bytes() == 2 * MIB)
    );
}

#[test]
fn headroom_is_asked_for_past_those_who_wait() {
    let budget = budget();
    let held: Vec<_> = std::iter::from_fn(|| now(budget.acquire_response(MIB))).collect();
    assert!(!held.is_empty());
    let _requests = now(budget.acquire_request(MIB, MIB));
    let mut waiting = Box::pin(budget.acquire_response(MIB));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(now(budget.response_headroom()).is_some());
}
