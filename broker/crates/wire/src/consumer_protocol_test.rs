use kafka_protocol::protocol::{Encodable, Message, StrBytes};

use super::*;
use crate::sample::{Fill, sample};

fn limits() -> GuardLimits {
    GuardLimits::default()
}

fn with_version(version: i16, body: &[u8]) -> Bytes {
    [&version.to_be_bytes(), body].concat().into()
}

/// Random bodies made from the table are decoded to the end and written back the same.
#[test]
fn the_table_describes_what_the_message_crate_reads_and_writes() {
    fn compare<T: Decodable + Encodable + Message>(schema: &'static MessageSchema) {
        assert_eq!(
            (schema.versions.first, schema.versions.last),
            (T::VERSIONS.min, T::VERSIONS.max)
        );
        for version in T::VERSIONS.min..=T::VERSIONS.max {
            for seed in 0..50 {
                let body = sample(schema, version, seed, Fill::Random).body;
                let decoded: T = decode(schema, with_version(version, &body), &limits()).unwrap();
                let mut again = Vec::new();
                decoded.encode(&mut again, version).unwrap();
                assert_eq!(again, body, "{} v{version} seed {seed}", schema.name);
            }
        }
    }
    compare::<ConsumerProtocolSubscription>(schema::subscription());
    compare::<ConsumerProtocolAssignment>(schema::assignment());
}

#[test]
fn a_newer_version_is_read_as_the_newest_known_and_its_rest_ignored() {
    let subscription =
        ConsumerProtocolSubscription::default().with_topics(vec![StrBytes::from_static_str("t")]);
    let mut body = Vec::new();
    subscription
        .encode(&mut body, ConsumerProtocolSubscription::VERSIONS.max)
        .unwrap();
    body.extend([1, 2, 3]);
    assert_eq!(
        decode_subscription(with_version(i16::MAX, &body), &limits()),
        Ok(subscription)
    );
}

#[test]
fn hostile_bytes_are_refused() {
    let refuse = |bytes: &'static [u8]| {
        decode_assignment(Bytes::from_static(bytes), &limits())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refuse(&[0]),
        "ConsumerProtocolAssignment v0: version at byte 0: needs 2 bytes, 1 are left"
    );
    assert_eq!(
        refuse(&[0xff, 0xff]),
        "ConsumerProtocolAssignment v0: version at byte 0: the value -1 has no meaning"
    );
    assert!(
        refuse(&[0, 0, 0x7f, 0xff, 0xff, 0xff])
            .contains("assigned_partitions at byte 0: 2147483647 elements")
    );
}
