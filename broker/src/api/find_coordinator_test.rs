use super::super::testing::TestBroker;
use super::*;

fn request(version: i16, key_type: i8, keys: &[&str]) -> FindCoordinatorRequest {
    let keys: Vec<StrBytes> = keys.iter().map(|key| text(*key)).collect();
    let request = FindCoordinatorRequest::default();
    // Version 0 knows groups only.
    let request = if version >= 1 {
        request.with_key_type(key_type)
    } else {
        request
    };
    if version >= BATCHED_SINCE {
        request.with_coordinator_keys(keys)
    } else {
        request.with_key(keys[0].clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_coordinated_here_in_every_version() {
    let broker = TestBroker::start();
    let (host, port) = advertised(&broker.running.settings.current(), "PLAINTEXT");
    for version in 0..=6 {
        let response = broker.call(version, &request(version, GROUP, &["g", "h"])).await;
        if version < BATCHED_SINCE {
            assert_eq!((response.error_code, response.port), (0, port), "v{version}");
            assert_eq!(response.host.as_str(), host);
        } else {
            assert_eq!(response.coordinators.len(), 2);
            for (found, key) in response.coordinators.iter().zip(["g", "h"]) {
                assert_eq!(
                    (found.error_code, found.port, found.key.as_str()),
                    (0, port, key),
                    "v{version}"
                );
                assert_eq!(found.host.as_str(), host);
            }
        }
    }
    assert!(
        broker
            .running
            .topics
            .by_name(crate::groups::OFFSETS_TOPIC)
            .is_some()
    );
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transactional_id_is_coordinated_here_and_its_topic_is_made() {
    let broker = TestBroker::start();
    for version in 1..=6 {
        let response = broker.call(version, &request(version, TRANSACTION, &["t"])).await;
        let found = match response.coordinators.first() {
            Some(found) => (found.error_code, found.node_id),
            None => (response.error_code, response.node_id),
        };
        assert_eq!(found, (0, BrokerId(0)), "v{version}");
    }
    let topics = &broker.running.topics;
    let topic = topics.by_name(crate::transactions::TRANSACTION_TOPIC).unwrap();
    assert!(topic.is_internal() && topic.is_compacted());
    assert!(topics.by_name(crate::groups::OFFSETS_TOPIC).is_none());
    broker.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn share_groups_and_unknown_kinds_are_refused_with_a_text() {
    let broker = TestBroker::start();
    for key_type in [SHARE, 9] {
        let response = broker.call(6, &request(6, key_type, &["t"])).await;
        let found = &response.coordinators[0];
        assert_eq!(
            (found.error_code, found.node_id),
            (ErrorCode::InvalidRequest.code(), BrokerId(-1))
        );
        assert!(
            found
                .error_message
                .as_ref()
                .is_some_and(|message| !message.is_empty())
        );
    }
    broker.running.stop().await;
}
