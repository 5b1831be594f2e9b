use bytes::Buf;
use kafka_protocol::messages::{
    self, ApiKey, ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use proptest::prelude::*;

use super::*;
use crate::schema::schemas;

fn header_bytes(key: i16, version: i16, client_id: Option<&[u8]>, tail: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(42i32.to_be_bytes());
    match client_id {
        None => bytes.extend((-1i16).to_be_bytes()),
        Some(id) => {
            bytes.extend((id.len() as i16).to_be_bytes());
            bytes.extend(id);
        }
    }
    bytes.extend(tail);
    bytes
}

#[test]
fn a_frame_length_is_neither_negative_nor_above_the_limit() {
    assert_eq!(frame_body_len(100i32.to_be_bytes(), 100), Ok(100));
    assert_eq!(
        frame_body_len(101i32.to_be_bytes(), 100),
        Err(FrameError::Length { len: 101, max: 100 })
    );
    assert_eq!(
        frame_body_len([0xff; 4], 100),
        Err(FrameError::Length { len: -1, max: 100 })
    );
    // "GET " of a browser.
    assert!(frame_body_len(*b"GET ", 100 << 20).is_err());
}

#[test]
fn key_and_version_are_seen_before_the_rest_arrives() {
    assert_eq!(peek_api(&[0, 3, 0, 12, 1]), Some((3, 12)));
    assert_eq!(peek_api(&[0xff, 0xff, 0x80, 0]), Some((-1, i16::MIN)));
    assert_eq!(peek_api(&[0, 3, 0]), None);
}

#[test]
fn plain_and_flexible_headers_end_where_the_body_starts() {
    let (header, start) = parse_request_header(&header_bytes(12, 3, Some(b"me"), &[9, 9])).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id, start),
        (12, 3, 42, 12)
    );
    let (header, start) = parse_request_header(&header_bytes(12, 4, None, &[0, 9])).unwrap();
    assert_eq!((header.client_id, start), (None, 11));
    // Two tagged fields that nobody knows.
    let (_, start) =
        parse_request_header(&header_bytes(12, 4, Some(b""), &[2, 7, 1, 0xaa, 8, 0, 9])).unwrap();
    assert_eq!(start, 16);
}

#[test]
fn headers_agree_with_the_message_crate_for_every_version() {
    for (direction, key, schema) in schemas().api_messages() {
        let api_key = ApiKey::try_from(key).unwrap();
        for version in schema.versions.first..=schema.versions.last {
            match direction {
                Direction::Request => {
                    let theirs = messages::RequestHeader::default()
                        .with_request_api_key(key)
                        .with_request_api_version(version)
                        .with_correlation_id(-7)
                        .with_client_id(Some(StrBytes::from_static_str("client-1")));
                    let mut bytes = BytesMut::new();
                    theirs
                        .encode(&mut bytes, api_key.request_header_version(version))
                        .unwrap();
                    let (ours, start) = parse_request_header(&bytes).unwrap();
                    assert_eq!(start, bytes.len(), "{} v{version}", schema.name);
                    assert_eq!(
                        ours,
                        RequestHeader {
                            api_key: key,
                            api_version: version,
                            correlation_id: -7,
                            client_id: Some("client-1".to_owned())
                        }
                    );
                }
                Direction::Response => {
                    let theirs = messages::ResponseHeader::default().with_correlation_id(-7);
                    let mut bytes = BytesMut::new();
                    theirs
                        .encode(&mut bytes, api_key.response_header_version(version))
                        .unwrap();
                    assert_eq!(parse_response_header(key, version, &bytes), Ok((-7, bytes.len())));
                }
            }
        }
    }
}

/// KIP-511: a newer client's ApiVersions request must be answerable.
#[test]
fn an_api_versions_request_of_any_version_has_a_header() {
    for version in [5, 6, 100, i16::MAX] {
        let (header, start) =
            parse_request_header(&header_bytes(18, version, Some(b"new"), &[0, 1, 2])).unwrap();
        assert_eq!((header.client_id.as_deref(), start), (Some("new"), 14));
        // A header layout that is not known yet.
        let strange = header_bytes(18, version, Some(b"new"), &[0xff; 9]);
        let (header, start) = parse_request_header(&strange).unwrap();
        assert_eq!((header.api_version, header.correlation_id), (version, 42));
        assert_eq!((header.client_id, start), (None, strange.len()));
        assert_eq!(response_header_version(18, version), Some(0));
    }
    let (header, _) = parse_request_header(&header_bytes(18, -1, None, &[])).unwrap();
    assert_eq!(header.api_version, -1);
    // A version that we do know has to be right.
    assert!(parse_request_header(&header_bytes(18, 3, Some(b"old"), &[0xff; 9])).is_err());
}

#[test]
fn bad_headers_are_refused_by_name() {
    assert_eq!(
        parse_request_header(&header_bytes(4, 0, None, &[])),
        Err(FrameError::UnknownApi { api_key: 4 })
    );
    let text = |bytes: &[u8]| parse_request_header(bytes).unwrap_err().to_string();
    assert_eq!(
        text(&[0, 3]),
        "header: api_version at byte 2: needs 2 bytes, 0 are left"
    );
    assert_eq!(
        text(&header_bytes(3, 0, Some(&[b'x'; 4097]), &[])),
        "header: client_id at byte 8: 4097 bytes long, at most 4096 are allowed"
    );
    assert_eq!(
        text(&header_bytes(3, 0, Some(&[0xff]), &[])),
        "header: client_id at byte 8: not UTF-8"
    );
    assert_eq!(
        text(&header_bytes(3, 12, None, &[0xff, 0xff, 0xff, 0xff, 0x0f])),
        "header: tagged fields at byte 10: 4294967295 tagged fields, at most 64 are allowed"
    );
    assert_eq!(
        text(&header_bytes(3, 12, None, &[1, 0, 0xff, 0xff, 0x03])),
        "header: tagged fields at byte 10: needs 65535 bytes, 0 are left"
    );
    assert!(parse_response_header(4, 0, &[0; 4]).is_err());
    assert!(parse_response_header(3, 12, &[0; 4]).is_err());
}

#[test]
fn a_response_frame_carries_length_header_and_body() {
    let body = HeartbeatResponse::default().with_error_code(27);
    // v0: no throttle time, plain header.
    assert_eq!(
        encode_response(5, 12, 0, &body).unwrap()[..],
        [0, 0, 0, 6, 0, 0, 0, 5, 0, 27]
    );
    assert_eq!(
        encode_response(5, 12, 4, &body).unwrap()[..],
        [0, 0, 0, 12, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 27, 0]
    );
    // ApiVersions v3 is flexible, its header is not.
    let frame = encode_response(5, 18, 3, &ApiVersionsResponse::default()).unwrap();
    assert_eq!(frame[..8], [0, 0, 0, 12, 0, 0, 0, 5]);
    let mut rest = frame.slice(8..);
    ApiVersionsResponse::decode(&mut rest, 3).unwrap();
    assert!(!rest.has_remaining());
    assert!(matches!(
        encode_response(5, 12, 5, &body),
        Err(FrameError::Encode {
            name: "Heartbeat",
            version: 5,
            ..
        })
    ));
    assert_eq!(
        encode_response(5, 7, 0, &body),
        Err(FrameError::UnknownApi { api_key: 7 })
    );
}

#[test]
fn a_request_frame_is_read_back() {
    for version in 0..=4 {
        for client_id in [None, Some("c".to_owned())] {
            let header = RequestHeader {
                api_key: 12,
                api_version: version,
                correlation_id: 9,
                client_id,
            };
            let body = HeartbeatRequest::default().with_generation_id(3);
            let frame = encode_request(&header, &body).unwrap();
            assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
            let (read, start) = parse_request_header(&frame[4..]).unwrap();
            assert_eq!(read, header);
            assert_eq!(
                HeartbeatRequest::decode(&mut frame.slice(4 + start..), version).unwrap(),
                body
            );
        }
    }
    let header = RequestHeader {
        api_key: 18,
        api_version: 3,
        correlation_id: 9,
        client_id: Some("x".repeat(5000)),
    };
    assert!(encode_request(&header, &ApiVersionsRequest::default()).is_err());
}

#[test]
fn a_frame_of_parts_is_the_bytes_in_order() {
    let frame = Frame {
        parts: vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")],
        len: 3,
    };
    assert_eq!(frame.to_contiguous(), "abc");
    assert_eq!(
        Frame::from(Bytes::from_static(b"abc")).parts,
        vec![Bytes::from_static(b"abc")]
    );
    assert_eq!(Frame::from(Bytes::new()), Frame::default());
}

proptest! {
    #[test]
    fn random_headers_never_panic(key in -2..100i16, version in any::<i16>(), tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = Vec::new();
        bytes.extend(key.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        bytes.extend(&tail);
        if let Ok((_, start)) = parse_request_header(&bytes) {
            prop_assert!(start <= bytes.len());
        }
        if let Ok((_, start)) = parse_response_header(key, version, &tail) {
            prop_assert!(start <= tail.len());
        }
        let _ = peek_api(&tail);
    }
}
