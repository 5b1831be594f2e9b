use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use kafka_protocol::messages::OffsetFetchRequest;
use tokio::time::timeout;

use super::super::testing::TestBroker;
use super::*;

const OFFSET_FETCH: i16 = 9;
/// Long enough for anything that is meant to happen.
const SOON: Duration = Duration::from_secs(30);

/// OffsetFetch v1 of one topic with this many partitions, 4 bytes each.
fn many(partitions: u32) -> Bytes {
    let mut body = vec![0, 1, b'g', 0, 0, 0, 1, 0, 1, b't'];
    body.extend(partitions.to_be_bytes());
    (0..partitions).for_each(|index| body.extend(index.to_be_bytes()));
    body.into()
}

fn broker() -> TestBroker {
    TestBroker::start_with_budget(16 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_tiny_elements_are_refused_before_they_are_decoded() {
    let broker = broker();
    // 160,000 bytes; the answer would have 40,000 structures.
    let refused = broker.reply(OFFSET_FETCH, 1, many(40_000)).await.unwrap_err();
    assert!(
        matches!(&refused, ApiError::Refused(why) if why.contains("memory.budget.bytes")),
        "{refused}"
    );
    assert_eq!(broker.context.budget.usage().requests, 0);
    let peak = broker.context.budget.usage().peak;
    assert!(peak < 1 << 20, "{peak} bytes were charged for nothing");
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tiny_elements_wait_for_memory_and_give_it_back() {
    let broker = Arc::new(broker());
    let budget = broker.context.budget.clone();
    // The lane, and what large requests may have of the common part but for a little.
    let lane = budget.acquire_request(8 << 20, 8 << 20).await;
    let common = budget.acquire_request((3 << 20) - (64 << 10), 4 << 20).await;
    assert_eq!(budget.usage().waiting, 0);
    let asking = tokio::spawn({
        let broker = broker.clone();
        async move { broker.call_raw::<OffsetFetchRequest>(1, many(10_000)).await }
    });
    timeout(SOON, async {
        while budget.usage().waiting == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it waits");
    assert!(!asking.is_finished());
    drop((lane, common));
    let answered = timeout(SOON, asking).await.expect("in time").unwrap();
    assert_eq!(answered.topics[0].partitions.len(), 10_000);
    let usage = budget.usage();
    assert_eq!((usage.requests, usage.waiting), (0, 0));
    Arc::into_inner(broker).unwrap().running.stop().await;
}

/// What is held is what the answer may take, until it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_held_until_the_reply_is_built() {
    let broker = broker();
    let Reply::Later(later) = broker.reply(OFFSET_FETCH, 1, many(10_000)).await.unwrap() else {
        panic!("OffsetFetch answers later");
    };
    let held = broker.context.budget.usage().requests;
    assert!(held >= 10_000 * (4 + ELEMENT_WORK_BYTES), "{held} bytes");
    drop(timeout(SOON, later).await.expect("in time").unwrap());
    assert_eq!(broker.context.budget.usage().requests, 0);
    broker.running.stop().await;
}

/// Otherwise two requests could wait for each other.
#[tokio::test]
async fn who_has_the_lane_never_waits_to_be_decoded() {
    let broker = broker();
    let budget = &broker.context.budget;
    let common = budget.acquire_request(3 << 20, 4 << 20).await;
    let lane = budget.acquire_request(1, 8 << 20).await;
    assert_eq!(lane.bytes(), 8 << 20, "the lane was given");
    let decoding = budget.acquire_decoding(&lane, 2 << 20).now_or_never();
    assert_eq!(decoding.expect("at once").bytes(), 2 << 20);
    assert!(budget.acquire_decoding(&common, 2 << 20).now_or_never().is_none());
    drop((common, lane));
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_after_a_request_close_the_connection() {
    let broker = broker();
    let body = [&many(1)[..], &[0]].concat();
    let refused = broker.reply(OFFSET_FETCH, 1, body.into()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "malformed OffsetFetch request: OffsetFetch v1: (end) at byte 18: 1 bytes follow the end of the message"
    );
    broker.running.stop().await;
}
