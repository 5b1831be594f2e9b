use super::*;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
use kafka_protocol::protocol::StrBytes;

#[test]
fn rule_10_special_timestamps_have_their_first_version() {
    for (timestamp, first, wish) in [
        (-1, 1, Wish::Latest),
        (-2, 1, Wish::Earliest),
        (-3, 7, Wish::MaxTimestamp),
        (-4, 8, Wish::Earliest),
        (-5, 9, Wish::LatestTiered),
        (0, 1, Wish::At(TimestampMs(0))),
        (i64::MAX, 1, Wish::At(TimestampMs(i64::MAX))),
    ] {
        for version in 1..=10 {
            let expected = (version >= first).then_some(wish);
            assert_eq!(
                Wish::parse(timestamp, version),
                expected,
                "{timestamp} in v{version}"
            );
        }
    }
    assert_eq!(Wish::parse(-6, 10), None);
    assert_eq!(Wish::parse(i64::MIN, 10), None);
}

#[test]
fn an_older_epoch_is_fenced_a_newer_unknown_and_none_not_checked() {
    let current = LeaderEpoch(5);
    assert_eq!(check_leader_epoch(LeaderEpoch(-1), current), Ok(()));
    assert_eq!(check_leader_epoch(LeaderEpoch(5), current), Ok(()));
    assert_eq!(
        check_leader_epoch(LeaderEpoch(4), current),
        Err(ErrorCode::FencedLeaderEpoch)
    );
    assert_eq!(
        check_leader_epoch(LeaderEpoch(6), current),
        Err(ErrorCode::UnknownLeaderEpoch)
    );
}

#[test]
fn a_partition_named_in_two_places_counts_twice() {
    let topic = |indexes: &[i32]| {
        let partitions = indexes
            .iter()
            .map(|i| ListOffsetsPartition::default().with_partition_index(*i));
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_static_str("a")))
            .with_partitions(partitions.collect())
    };
    let body = ListOffsetsRequest::default().with_topics(vec![topic(&[0, 1]), topic(&[1])]);
    let counts = count_partitions(&body);
    assert_eq!((counts[&("a", 0)], counts[&("a", 1)]), (1, 2));
}

#[test]
fn the_epoch_is_told_from_version_four_on() {
    let found = FoundOffset {
        offset: Offset(3),
        timestamp: TimestampMs(9),
        leader_epoch: LeaderEpoch(2),
    };
    assert_eq!(answer(0, 3, found).leader_epoch, -1);
    assert_eq!(answer(0, 4, found).leader_epoch, 2);
}

use crate::test_broker::TestBroker;

async fn ask(broker: &TestBroker, topic: &crate::topics::TopicView, wish: Wish) -> FoundOffset {
    let log = broker.log(topic, 0);
    let asked = ListOffsetsPartition::default().with_current_leader_epoch(-1);
    match judge(&asked, wish, log, ReadLimit::HighWatermark).unwrap() {
        Answer::Now(found) => found,
        Answer::Search(wish, log) => tokio::task::spawn_blocking(move || {
            let wanted = Arc::new(());
            let search = Search {
                place: (0, 0),
                log,
                wish,
            };
            let limits = CompressionLimits::default();
            let mut found = search_all(
                vec![search],
                ReadLimit::HighWatermark,
                &limits,
                &Arc::downgrade(&wanted),
            );
            found.remove(0).1.unwrap().unwrap_or(NOT_FOUND)
        })
        .await
        .unwrap(),
    }
}

#[tokio::test]
async fn rule_10_an_offset_by_time_is_that_of_the_record_inside_its_batch_with_its_epoch() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("a", 1).await;
    let empty = ask(&broker, &topic, Wish::At(TimestampMs(0))).await;
    assert_eq!(empty, NOT_FOUND);
    assert_eq!(ask(&broker, &topic, Wish::Earliest).await.offset, Offset(0));
    broker.append(&topic, 0, &[100, 300, 200]).await;
    broker.append(&topic, 0, &[400, 400]).await;
    let epoch = broker.log(&topic, 0).offsets().leader_epoch;
    let found = |offset, timestamp| FoundOffset {
        offset: Offset(offset),
        timestamp: TimestampMs(timestamp),
        leader_epoch: epoch,
    };
    assert_eq!(
        ask(&broker, &topic, Wish::At(TimestampMs(0))).await,
        found(0, 100)
    );
    assert_eq!(
        ask(&broker, &topic, Wish::At(TimestampMs(101))).await,
        found(1, 300)
    );
    assert_eq!(
        ask(&broker, &topic, Wish::At(TimestampMs(301))).await,
        found(3, 400)
    );
    assert_eq!(ask(&broker, &topic, Wish::At(TimestampMs(401))).await, NOT_FOUND);
    assert_eq!(ask(&broker, &topic, Wish::MaxTimestamp).await, found(3, 400));
    assert_eq!(ask(&broker, &topic, Wish::Latest).await, found(5, -1));
    assert_eq!(ask(&broker, &topic, Wish::Earliest).await, found(0, -1));
    assert_eq!(ask(&broker, &topic, Wish::LatestTiered).await, NOT_FOUND);
}

#[tokio::test]
async fn a_search_that_nobody_waits_for_stops() {
    let broker = TestBroker::start(&[]);
    let topic = broker.create("a", 1).await;
    broker.append(&topic, 0, &[100]).await;
    let search = Search {
        place: (0, 0),
        log: broker.log(&topic, 0),
        wish: Wish::MaxTimestamp,
    };
    let limits = CompressionLimits::default();
    assert!(search_all(vec![search], ReadLimit::HighWatermark, &limits, &Weak::new()).is_empty());
}
