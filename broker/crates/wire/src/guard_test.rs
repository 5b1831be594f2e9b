use kafka_protocol::messages::{ListOffsetsRequest, MetadataRequest, RequestKind};
use proptest::prelude::*;

use super::*;
use crate::sample::{CountAt, Fill, put_varint, sample};
use crate::schema::{Encoding, is_parsed_here_only, schemas};

fn limits() -> GuardLimits {
    GuardLimits::default()
}

fn malformed(error: GuardError) -> (String, usize, Problem) {
    match error {
        GuardError::Malformed {
            path,
            position,
            problem,
            ..
        } => (path, position, problem),
        other => panic!("not about the bytes: {other}"),
    }
}

/// Runs `check` for every message and version with a body in which every field occurs.
fn for_each_full_body(mut check: impl FnMut(&'static MessageSchema, i16, &[u8], &[CountAt])) {
    for (_, _, schema) in schemas().api_messages() {
        for version in schema.versions.first..=schema.versions.last {
            for seed in 0..3 {
                let sample = sample(schema, version, seed, Fill::Full);
                check(schema, version, &sample.body, &sample.counts);
            }
        }
    }
}

/// Puts another count in place of one in the body.
fn with_count(body: &[u8], at: &CountAt, plain: i32, compact: u32) -> Vec<u8> {
    let mut changed = body[..at.position].to_vec();
    match at.encoding {
        Encoding::Plain => changed.extend(plain.to_be_bytes()),
        Encoding::Flexible => put_varint(&mut changed, compact),
    }
    changed.extend(&body[at.position + at.len..]);
    changed
}

#[test]
fn a_count_that_the_body_cannot_hold_is_refused_in_every_array_of_every_version() {
    let mut arrays = 0;
    for_each_full_body(|schema, version, body, counts| {
        let honest = walk::check(schema, version, body, &limits()).unwrap();
        for at in counts {
            arrays += 1;
            for (plain, compact) in [
                (i32::MAX, u32::MAX),
                (i32::MAX / 16, i32::MAX as u32),
                (1_000_001, 1_000_002),
            ] {
                let changed = with_count(body, at, plain, compact);
                let error = walk::check(schema, version, &changed, &limits()).unwrap_err();
                let (path, position, problem) = malformed(error);
                assert_eq!(
                    position, at.position,
                    "{} v{version} {path}: {problem}",
                    schema.name
                );
                assert!(
                    matches!(problem, Problem::CountTooLarge { .. }),
                    "{} v{version} {path}: {problem}",
                    schema.name
                );
                assert!(path.ends_with(at.field), "{path} is not {}", at.field);
            }
        }
        assert!(honest.estimated_bytes <= limits().decoded_bytes_max);
    });
    assert!(arrays > 3000, "{arrays}");
}

/// One element too many always runs past the end or leaves a tag with the wrong size.
#[test]
fn a_count_of_one_too_many_is_refused() {
    for_each_full_body(|schema, version, body, counts| {
        for at in counts
            .iter()
            .filter(|at| at.len == 1 || at.encoding == Encoding::Plain)
        {
            let more_than_left = i32::try_from(body.len() - at.position).unwrap();
            let changed = with_count(body, at, more_than_left, more_than_left.unsigned_abs() + 1);
            assert!(
                walk::check(schema, version, &changed, &limits()).is_err(),
                "{} v{version}",
                schema.name
            );
        }
    });
}

#[test]
fn a_negative_count_is_refused_and_null_only_taken_where_the_version_allows_it() {
    for_each_full_body(|schema, version, body, counts| {
        for at in counts {
            if at.encoding == Encoding::Plain {
                let changed = with_count(body, at, -2, 0);
                let (_, position, problem) =
                    malformed(walk::check(schema, version, &changed, &limits()).unwrap_err());
                assert_eq!((position, problem), (at.position, Problem::NegativeLength(-2)));
            }
            let changed = with_count(body, at, -1, 0);
            let error = walk::check(schema, version, &changed, &limits());
            if !at.nullable && !at.in_tag {
                let (_, position, problem) = malformed(error.unwrap_err());
                assert_eq!(
                    (position, problem),
                    (at.position, Problem::NullNotAllowed),
                    "{}",
                    schema.name
                );
            }
        }
    });
}

#[test]
fn every_truncation_and_every_trailing_byte_is_refused() {
    for_each_full_body(|schema, version, body, _| {
        for len in 0..body.len() {
            assert!(
                walk::check(schema, version, &body[..len], &limits()).is_err(),
                "{} v{version} cut to {len}",
                schema.name
            );
        }
        let mut longer = body.to_vec();
        longer.push(0);
        let (path, position, problem) =
            malformed(walk::check(schema, version, &longer, &limits()).unwrap_err());
        assert_eq!(
            (path.as_str(), position, problem),
            ("(end)", body.len(), Problem::TrailingBytes(1))
        );
    });
}

/// The body that made the bare decoder ask for 154 GB and abort.
#[test]
fn the_metadata_request_with_two_billion_topics_is_refused() {
    let body = [0x7f, 0xff, 0xff, 0xff];
    let error = check_request(3, 0, &body, &limits()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Metadata v0: topics at byte 0: 2147483647 elements of at least 2 bytes do not fit into the 0 bytes left"
    );
    let refused = decode_request(3, 0, Bytes::copy_from_slice(&body), &limits()).unwrap_err();
    assert_eq!(refused, DecodeError::Guard(error));
}

#[test]
fn errors_name_the_field_inside_its_arrays() {
    // ListOffsets v1: replica −1, topic a without partitions, topic b with one; then b claims two.
    let mut body = Vec::new();
    body.extend((-1i32).to_be_bytes());
    body.extend(2i32.to_be_bytes());
    body.extend([0, 1, b'a']);
    body.extend(0i32.to_be_bytes());
    body.extend([0, 1, b'b']);
    body.extend(1i32.to_be_bytes());
    body.extend(7i32.to_be_bytes());
    body.extend([0; 8]);
    assert!(check_request(2, 1, &body, &limits()).is_ok());
    body[18..22].copy_from_slice(&2i32.to_be_bytes());
    let (path, position, problem) = malformed(check_request(2, 1, &body, &limits()).unwrap_err());
    assert_eq!((path.as_str(), position), ("topics[1].partitions", 18));
    assert!(matches!(problem, Problem::CountTooLarge { .. }), "{problem}");
}

#[test]
fn unknown_keys_and_versions_are_named() {
    assert_eq!(
        check_request(4, 0, &[], &limits()).unwrap_err().to_string(),
        "there is no request with API key 4"
    );
    assert_eq!(
        check_request(2, 0, &[], &limits()).unwrap_err().to_string(),
        "ListOffsets request has no version 0, only 1 to 10"
    );
    assert!(check_response(1, 19, &[], &limits()).is_err());
    assert!(check_response(i16::MIN, i16::MIN, &[], &limits()).is_err());
    assert_eq!(supported_versions(Direction::Request, 8), Some((2, 10)));
    assert_eq!(supported_versions(Direction::Response, 8), Some((2, 10)));
    assert_eq!(supported_versions(Direction::Request, 5), None);
}

/// A Metadata v12 request for `count` topics given by a null name, each with `tags` unknown tagged fields.
fn metadata_v12(count: u32, tags: u32) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(&mut body, count + 1);
    for _ in 0..count {
        body.extend([0; 16]);
        body.push(0);
        put_varint(&mut body, tags);
        (0..tags).for_each(|tag| {
            put_varint(&mut body, 1000 + tag);
            body.push(0);
        });
    }
    body.extend([1, 0, 0]);
    body
}

#[test]
fn limits_hold_for_elements_memory_and_tagged_fields() {
    let facts = check_request(3, 12, &metadata_v12(10, 3), &limits()).unwrap();
    assert_eq!((facts.array_elements, facts.unknown_tagged_fields), (10, 30));
    let few = GuardLimits {
        array_elements_max: 9,
        ..limits()
    };
    let (_, _, problem) = malformed(check_request(3, 12, &metadata_v12(10, 0), &few).unwrap_err());
    assert_eq!(problem, Problem::ArrayAboveLimit { count: 10, limit: 9 });
    let small = GuardLimits {
        decoded_bytes_max: 500,
        ..limits()
    };
    let (_, _, problem) = malformed(check_request(3, 12, &metadata_v12(10, 0), &small).unwrap_err());
    assert!(
        matches!(problem, Problem::DecodedSizeAboveLimit { limit: 500, .. }),
        "{problem}"
    );
    let (_, _, problem) = malformed(check_request(3, 12, &metadata_v12(1, 65), &limits()).unwrap_err());
    assert_eq!(problem, Problem::TooManyTaggedFields { count: 65, limit: 64 });
    let (path, _, problem) = malformed(check_request(3, 12, &metadata_v12(200, 51), &limits()).unwrap_err());
    assert_eq!(
        problem,
        Problem::TooManyTaggedFields {
            count: 10_001,
            limit: 10_000
        }
    );
    assert_eq!(path, "topics[196]");
}

/// 64 KiB of the densest bodies we know do not cost more than the limit for strangers.
#[test]
fn a_stranger_cannot_make_a_frame_cost_more_than_its_limit() {
    let limits = GuardLimits::before_authentication();
    for (count, tags) in [(3_000, 0), (1_000, 1), (3_000, 1), (600, 40)] {
        match check_request(3, 12, &metadata_v12(count, tags), &limits) {
            Ok(facts) => assert!(facts.estimated_bytes <= limits.decoded_bytes_max),
            Err(error) => assert!(matches!(
                malformed(error).2,
                Problem::DecodedSizeAboveLimit { .. } | Problem::TooManyTaggedFields { .. }
            )),
        }
    }
}

#[test]
fn a_known_tag_must_fill_its_size_and_belong_to_the_version() {
    let fetch = |version: i16, tags: &[u8]| {
        let mut body = Vec::new();
        if version < 15 {
            body.extend((-1i32).to_be_bytes());
        }
        body.extend([0; 13]);
        body.extend([0; 8]);
        // No topics, nothing forgotten, empty rack.
        body.extend([1, 1, 1]);
        body.extend(tags);
        check_request(1, version, &body, &limits())
    };
    assert!(fetch(15, &[1, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0]).is_ok());
    let (path, _, problem) =
        malformed(fetch(15, &[1, 1, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 9]).unwrap_err());
    assert_eq!(
        problem,
        Problem::TagSize {
            tag: 1,
            size: 14,
            used: 13
        }
    );
    assert_eq!(path, "replica_state");
    let (path, _, problem) = malformed(fetch(15, &[1, 1, 5, 0, 0, 0, 1, 0]).unwrap_err());
    assert_eq!(problem, Problem::TooShort { needed: 8, left: 1 });
    assert_eq!(path, "replica_state.replica_epoch");
    let (_, _, problem) =
        malformed(fetch(14, &[1, 1, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0]).unwrap_err());
    assert_eq!(problem, Problem::TagNotInVersion(1));
}

#[test]
fn a_varint_above_32_bits_is_refused() {
    for tail in [[0xff, 0xff, 0xff, 0xff, 0x10], [0x80, 0x80, 0x80, 0x80, 0x80]] {
        let mut body = tail.to_vec();
        body.extend([0; 8]);
        let (_, position, problem) = malformed(check_request(3, 12, &body, &limits()).unwrap_err());
        assert_eq!((position, problem), (0, Problem::VarintTooLong));
    }
}

#[test]
fn decoding_through_the_guard_gives_the_message() {
    let body = Bytes::copy_from_slice(&[0, 0, 0, 1, 0, 5, b't', b'o', b'p', b'i', b'c']);
    let request: MetadataRequest = decode_request_as(0, body.clone(), &limits()).unwrap();
    assert_eq!(
        request.topics.unwrap()[0].name.as_ref().unwrap().as_str(),
        "topic"
    );
    assert!(matches!(
        decode_request(3, 0, body, &limits()).unwrap(),
        RequestKind::Metadata(_)
    ));
    let not_utf8 = Bytes::copy_from_slice(&[0, 0, 0, 1, 0, 1, 0xff]);
    let error = decode_request_as::<MetadataRequest>(0, not_utf8, &limits()).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::Content {
                name: "Metadata",
                version: 0,
                ..
            }
        ),
        "{error}"
    );
    let response = Bytes::copy_from_slice(&[0, 0, 0, 0]);
    assert!(
        decode_response_as::<ListOffsetsRequest>(1, response.clone(), &limits())
            .unwrap()
            .topics
            .is_empty()
    );
    assert!(decode_response(2, 1, response, &limits()).is_ok());
}

#[test]
fn bytes_after_a_request_are_refused_in_every_version_of_every_api() {
    every_version(|direction, api_key, schema, version| {
        if direction == Direction::Response {
            return;
        }
        let mut body = sample(schema, version, 1, Fill::Full).body;
        assert!(check_request(api_key, version, &body, &limits()).is_ok());
        let len = body.len();
        body.push(0);
        let (path, position, problem) =
            malformed(check_request(api_key, version, &body, &limits()).unwrap_err());
        assert_eq!(
            (path.as_str(), position, problem),
            ("(end)", len, Problem::TrailingBytes(1)),
            "{} v{version}",
            schema.name
        );
    });
}

#[test]
fn what_librdkafka_leaves_after_a_request_for_all_topics_is_let_pass() {
    // Four bytes of count, of which the first is read as the count, then the flags and the tagged fields.
    for (version, rest) in [(13, [0, 0, 0, 1, 0, 0]), (12, [0, 0, 0, 1, 1, 0])] {
        let mut body = vec![0];
        body.extend(rest);
        assert_eq!(
            check_request(3, version, &body, &limits()).unwrap().message_bytes,
            4
        );
        let request: MetadataRequest =
            decode_request_as(version, Bytes::from(body.clone()), &limits()).unwrap();
        assert_eq!(request.topics, None);
        body.push(0);
        let (_, _, problem) = malformed(check_request(3, version, &body, &limits()).unwrap_err());
        assert_eq!(problem, Problem::TrailingBytes(4));
        // Only for all topics: one topic more than none is another request.
        body.truncate(7);
        body[0] = 1;
        let (_, _, problem) = malformed(check_request(3, version, &body, &limits()).unwrap_err());
        assert_eq!(problem, Problem::TrailingBytes(3));
    }
}

/// Guard, then decode: what the guard lets through is consumed to the end or is not UTF-8; nothing panics.
fn guard_and_decode(direction: Direction, api_key: i16, version: i16, body: Vec<u8>) {
    let body = Bytes::from(body);
    let (checked, outcome) = match direction {
        Direction::Request => (
            check_request(api_key, version, &body, &limits()),
            decode_request(api_key, version, body, &limits()).map(|_| ()),
        ),
        Direction::Response => (
            check_response(api_key, version, &body, &limits()),
            decode_response(api_key, version, body, &limits()).map(|_| ()),
        ),
    };
    match (checked, outcome) {
        (Ok(facts), outcome) => {
            assert!(facts.estimated_bytes <= limits().decoded_bytes_max);
            if let Err(error) = outcome {
                let DecodeError::Content { reason, .. } = &error else {
                    panic!("{error}")
                };
                assert!(
                    reason.contains("utf-8"),
                    "{direction} {api_key} v{version}: {reason}"
                );
            }
        }
        (Err(refused), outcome) => assert_eq!(outcome, Err(DecodeError::Guard(refused))),
    }
}

fn every_version(mut visit: impl FnMut(Direction, i16, &'static MessageSchema, i16)) {
    for (direction, api_key, schema) in schemas().api_messages() {
        for version in schema.versions.first..=schema.versions.last {
            if is_parsed_here_only(direction, api_key, version) {
                continue;
            }
            visit(direction, api_key, schema, version);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn random_bytes_never_panic_in_any_version(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        every_version(|direction, api_key, _, version| {
            guard_and_decode(direction, api_key, version, bytes.clone());
        });
    }

    #[test]
    fn mutated_bodies_never_panic_in_any_version(
        seed in any::<u64>(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        every_version(|direction, api_key, schema, version| {
            let mut body = sample(schema, version, seed, Fill::Random).body;
            for (index, byte) in &edits {
                if !body.is_empty() {
                    let index = index.index(body.len());
                    body[index] = *byte;
                }
            }
            guard_and_decode(direction, api_key, version, body);
        });
    }

    #[test]
    fn spliced_bodies_never_panic_in_any_version(
        seed in any::<u64>(),
        from in any::<proptest::sample::Index>(),
        to in any::<proptest::sample::Index>(),
        filler in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        every_version(|direction, api_key, schema, version| {
            let mut body = sample(schema, version, seed, Fill::Full).body;
            let (from, to) = (from.index(body.len() + 1), to.index(body.len() + 1));
            let range = from.min(to)..from.max(to);
            body.splice(range, filler.iter().copied());
            guard_and_decode(direction, api_key, version, body);
        });
    }
}
