//! The own parsers of Produce and Fetch, which leave the records where they are, beside the decoder of the message
//! crate: both take and refuse the same bodies and read the same from them.

use crate::input::Input;
use crate::memory;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages;
use thalweg_types::TopicId;
use thalweg_wire::batch::split_batches;
use thalweg_wire::fetch::{IsolationLevel, TopicKey, parse_fetch_request};
use thalweg_wire::guard::{DecodeError, GuardLimits, check_request, decode_request_as};
use thalweg_wire::produce::parse_produce_request;

/// Byte 0: Produce or Fetch; byte 1: version; then the body.
///
/// Beyond "no panic": see the module. The memory taken stays within the estimate that bounds it in the broker.
pub fn produce_fetch(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, version) = (input.u8(), i16::from(input.u8() % 20));
    if choice & 1 == 0 {
        produce(version, input.rest());
    } else {
        fetch(version, input.rest());
    }
}

fn limits() -> GuardLimits {
    GuardLimits::default()
}

/// What the limit on decoded bytes lets a body take.
fn allowed(key: i16, version: i16, body: &[u8]) -> usize {
    match check_request(key, version, body, &limits()) {
        Ok(facts) => facts.estimated_bytes,
        // What stands behind the message is ignored by the parsers, but not by the check.
        Err(_) => limits().decoded_bytes_max,
    }
}

fn produce(version: i16, body: &[u8]) {
    let frame = BytesMut::from(body);
    let bytes_max = allowed(thalweg_wire::produce::KEY, version, body);
    let ours = memory::within(2 * bytes_max, "a Produce request", || {
        parse_produce_request(version, frame, &limits())
    });
    let theirs: Result<messages::ProduceRequest, DecodeError> =
        decode_request_as(version, Bytes::copy_from_slice(body), &limits());
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return,
        (ours, theirs) => panic!("v{version}: ours {ours:?}, the message crate's {theirs:?}"),
    };
    let transactional_id = theirs.transactional_id.as_ref().map(|id| id.as_str());
    assert_eq!(ours.transactional_id.as_deref(), transactional_id);
    assert_eq!((ours.acks, ours.timeout_ms), (theirs.acks, theirs.timeout_ms));
    assert_eq!(ours.topics.len(), theirs.topic_data.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs.topic_data) {
        assert_eq!(
            ours.topic,
            key(version, 13, theirs.name.as_str(), theirs.topic_id.into_bytes())
        );
        let found = ours
            .partitions
            .iter()
            .map(|p| (p.index.get(), p.records.as_deref()));
        let expected = theirs
            .partition_data
            .iter()
            .map(|p| (p.index, p.records.as_deref()));
        assert!(found.eq(expected), "v{version}: the partitions differ");
        for records in ours.partitions.iter().filter_map(|p| p.records.as_deref()) {
            let whole: usize = split_batches(records)
                .flatten()
                .map(|batch| batch.bytes.len())
                .sum();
            assert!(whole <= records.len());
        }
    }
}

fn fetch(version: i16, body: &[u8]) {
    let bytes_max = allowed(thalweg_wire::fetch::KEY, version, body);
    let ours = memory::within(2 * bytes_max, "a Fetch request", || {
        parse_fetch_request(version, body, &limits())
    });
    let theirs: Result<messages::FetchRequest, DecodeError> =
        decode_request_as(version, Bytes::copy_from_slice(body), &limits());
    let (ours, theirs) = match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(_), Err(_)) => return,
        // A level that does not exist is refused by the parser alone.
        (Err(_), Ok(theirs)) if IsolationLevel::from_code(theirs.isolation_level).is_none() => return,
        (ours, theirs) => panic!("v{version}: ours {ours:?}, the message crate's {theirs:?}"),
    };
    assert_eq!(
        Some(ours.isolation_level),
        IsolationLevel::from_code(theirs.isolation_level)
    );
    assert_eq!(
        (
            ours.max_wait_ms,
            ours.min_bytes,
            ours.max_bytes,
            ours.session_id,
            ours.session_epoch
        ),
        (
            theirs.max_wait_ms,
            theirs.min_bytes,
            theirs.max_bytes,
            theirs.session_id,
            theirs.session_epoch
        )
    );
    assert_eq!(ours.cluster_id.as_deref(), theirs.cluster_id.as_deref());
    assert_eq!(ours.rack_id, theirs.rack_id.as_str());
    assert_eq!(ours.topics.len(), theirs.topics.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs.topics) {
        assert_eq!(
            ours.topic,
            key(version, 13, theirs.topic.as_str(), theirs.topic_id.into_bytes())
        );
        let found = ours.partitions.iter();
        let found = found.map(|p| {
            (
                p.index.get(),
                p.fetch_offset.get(),
                p.max_bytes,
                p.current_leader_epoch.get(),
            )
        });
        let expected = theirs.partitions.iter();
        let expected = expected.map(|p| {
            (
                p.partition,
                p.fetch_offset,
                p.partition_max_bytes,
                p.current_leader_epoch,
            )
        });
        assert!(found.eq(expected), "v{version}: the partitions differ");
    }
    assert_eq!(ours.forgotten_topics.len(), theirs.forgotten_topics_data.len());
    for (ours, theirs) in ours.forgotten_topics.iter().zip(&theirs.forgotten_topics_data) {
        assert_eq!(
            ours.topic,
            key(version, 13, theirs.topic.as_str(), theirs.topic_id.into_bytes())
        );
        assert!(
            ours.partitions
                .iter()
                .map(|p| p.get())
                .eq(theirs.partitions.iter().copied())
        );
    }
}

fn key(version: i16, ids_from: i16, name: &str, id: [u8; 16]) -> TopicKey {
    if version >= ids_from {
        TopicKey::Id(TopicId(id))
    } else {
        TopicKey::Name(name.to_owned())
    }
}
