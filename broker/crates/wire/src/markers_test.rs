use bytes::Bytes;
use kafka_protocol::messages::WriteTxnMarkersRequest;

use super::*;
use crate::guard::{Direction, decode_request_as};
use crate::sample::{Fill, sample};
use crate::schema;

fn body(version: i16, seed: u64) -> Vec<u8> {
    let schema = schema::message(Direction::Request, MARKERS_KEY).unwrap();
    let fill = if seed < 20 { Fill::Full } else { Fill::Random };
    sample(schema, version, seed, fill).body
}

fn parsed(version: i16, body: &[u8]) -> Result<Vec<WritableMarker>, GuardError> {
    parse_write_txn_markers_request(version, body, &GuardLimits::default())
}

#[test]
fn random_requests_parse_as_the_message_crate_decodes_them() {
    for seed in 0..200 {
        let body = body(1, seed);
        let limits = GuardLimits::default();
        let theirs: WriteTxnMarkersRequest =
            decode_request_as(1, Bytes::copy_from_slice(&body), &limits).unwrap();
        let expected: Vec<WritableMarker> = theirs
            .markers
            .iter()
            .map(|marker| WritableMarker {
                producer_id: ProducerId(marker.producer_id.0),
                producer_epoch: ProducerEpoch(marker.producer_epoch),
                is_commit: marker.transaction_result,
                topics: marker
                    .topics
                    .iter()
                    .map(|topic| MarkerTopic {
                        name: topic.name.to_string(),
                        partitions: topic
                            .partition_indexes
                            .iter()
                            .copied()
                            .map(PartitionIndex)
                            .collect(),
                    })
                    .collect(),
                coordinator_epoch: marker.coordinator_epoch,
                transaction_version: 0,
            })
            .collect();
        assert_eq!(parsed(1, &body).unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    for version in 1..=2 {
        for seed in 0..30 {
            let body = body(version, seed);
            parsed(version, &body).unwrap();
            for cut in 0..body.len() {
                assert!(
                    parsed(version, &body[..cut]).is_err(),
                    "v{version} seed {seed} at {cut}"
                );
            }
        }
    }
    assert!(parsed(3, &body(2, 1)).is_err(), "no such version");
}
