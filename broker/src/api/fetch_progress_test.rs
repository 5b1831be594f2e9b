use super::*;
use crate::test_broker::TestBroker;

fn read(log: &PartitionLog, offset: i64, max_bytes: usize) -> (Vec<Bytes>, usize, Offset) {
    let request = ReadRequest {
        offset: Offset(offset),
        max_bytes,
        limit: ReadLimit::HighWatermark,
        min_one: MinOne::Yes,
    };
    let read = log.read(request).unwrap();
    (read.batches, read.bytes, read.offsets.high_watermark)
}

#[tokio::test]
async fn a_long_poll_reads_again_only_when_there_is_enough() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("a", 2).await;
    broker.append(&topic, 0, &[1]).await;
    let logs = [0, 1].map(|partition| broker.log(&topic, partition));
    let (records, one, end) = read(&logs[0], 0, 1 << 20);
    let mut progress = Progress::new(4 * one, ReadLimit::HighWatermark);
    progress.add(&logs[0], Offset(0), &records, end);
    progress.add(&logs[1], Offset(0), &[], Offset(0));
    assert!(!progress.ended_early);
    assert_eq!(progress.advance(), Advance::Waits);
    broker.append(&topic, 0, &[1]).await;
    assert_eq!(progress.advance(), Advance::Waits, "two of four");
    assert_eq!(
        progress.advance(),
        Advance::Waits,
        "the same is not counted twice"
    );
    broker.append(&topic, 1, &[1]).await;
    assert_eq!(progress.advance(), Advance::Waits, "three of four");
    broker.append(&topic, 1, &[1]).await;
    assert_eq!(progress.advance(), Advance::ReadAgain);
}

#[tokio::test]
async fn records_behind_a_limit_end_the_wait_and_an_error_is_left_to_a_read() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("a", 1).await;
    for _ in 0..2 {
        broker.append(&topic, 0, &[1]).await;
    }
    let log = broker.log(&topic, 0);
    let (records, _, end) = read(&log, 0, 1);
    let mut progress = Progress::new(1 << 20, ReadLimit::HighWatermark);
    progress.add(&log, Offset(0), &records, end);
    assert!(progress.ended_early, "the second batch is there and was not read");
    broker.topics.delete(topic.id).await.unwrap();
    assert_eq!(progress.advance(), Advance::ReadAgain);
}

#[test]
fn the_end_of_nothing_is_not_known() {
    assert_eq!(end_of(&[]), None);
    assert_eq!(end_of(&[Bytes::new()]), None);
    assert_eq!(end_of(&[Bytes::from_static(b"no batch")]), None);
}
