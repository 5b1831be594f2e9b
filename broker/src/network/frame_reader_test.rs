use proptest::prelude::*;

use super::*;

const LIMIT: FrameLimit = FrameLimit {
    size_max: 100 << 20,
    advice: "raise it",
};

/// An ApiVersions v0 frame with its length; `size` counts from the key on.
fn frame(size: usize, fill: u8) -> Vec<u8> {
    let mut bytes = (size as i32).to_be_bytes().to_vec();
    bytes.extend([0, 18, 0, 0]);
    bytes.resize(4 + size, fill);
    bytes
}

/// Gives the reader what it asks for: memory freely, bytes from `input` in pieces of at most `piece`.
/// Returns the frames and the largest capacity seen.
fn drive(
    reader: &mut FrameReader,
    mut input: &[u8],
    piece: usize,
) -> Result<(Vec<Bytes>, usize), FrameRefused> {
    let mut frames = Vec::new();
    let mut capacity = 0;
    loop {
        let step = reader.step()?;
        capacity = capacity.max(reader.capacity());
        match step {
            Step::Frame(frame) => frames.push(frame.bytes),
            Step::Memory { bytes, rest } => {
                assert!(0 < bytes && bytes <= rest);
                reader.grant(bytes);
            }
            Step::Bytes => {
                let count = match reader.spare() {
                    Spare::Staging(place) => {
                        assert!(!place.is_empty());
                        let count = piece.min(place.len()).min(input.len());
                        place[..count].copy_from_slice(&input[..count]);
                        reader.staged(count);
                        count
                    }
                    Spare::Frame { bytes, room } => {
                        assert!(room > 0 && bytes.capacity() - bytes.len() >= room);
                        let count = piece.min(room).min(input.len());
                        bytes.extend_from_slice(&input[..count]);
                        count
                    }
                };
                input = &input[count..];
                if count == 0 {
                    return Ok((frames, capacity));
                }
            }
        }
    }
}

#[test]
fn a_claimed_100_mib_with_10_bytes_sent_holds_less_than_200_kib() {
    let mut reader = FrameReader::new(LIMIT);
    let claim = &frame(100 << 20, 0)[..14];
    let (frames, capacity) = drive(&mut reader, claim, usize::MAX).unwrap();
    assert!(frames.is_empty());
    assert!(capacity < 200 * 1024, "{capacity}");
    assert!(!reader.is_at_boundary());
}

#[test]
fn a_large_frame_grows_with_what_arrives() {
    let mut reader = FrameReader::new(LIMIT);
    let whole = frame(8 << 20, 7);
    for sent in [1_000, 70_000, 200_000, 1 << 20, 5 << 20] {
        let mut fresh = FrameReader::new(LIMIT);
        let (_, capacity) = drive(&mut fresh, &whole[..sent], 4096).unwrap();
        assert!(
            capacity <= 2 * sent.max(GROWTH_MIN) + 2 * STAGING_SIZE,
            "{sent} sent, {capacity} held"
        );
    }
    let (frames, _) = drive(&mut reader, &whole, 64 * 1024).unwrap();
    assert_eq!(frames, [Bytes::from(whole[4..].to_vec())]);
}

#[test]
fn after_a_large_frame_the_next_one_gets_its_buffer_at_once_but_not_more() {
    let mut reader = FrameReader::new(LIMIT);
    drive(&mut reader, &frame(1 << 20, 1), usize::MAX).unwrap();
    let (_, capacity) = drive(&mut reader, &frame(100 << 20, 0)[..14], usize::MAX).unwrap();
    assert!(capacity <= (1 << 20) + STAGING_SIZE, "{capacity}");
}

#[test]
fn a_single_giant_is_forgotten() {
    let mut reader = FrameReader::new(LIMIT);
    drive(&mut reader, &frame(8 << 20, 1), usize::MAX).unwrap();
    for _ in 0..100 {
        drive(&mut reader, &frame(100, 1), usize::MAX).unwrap();
    }
    assert!(reader.delivered_size < GROWTH_MIN, "{}", reader.delivered_size);
}

#[test]
fn a_frame_does_not_keep_its_neighbours_alive() {
    let mut reader = FrameReader::new(LIMIT);
    let input = [frame(20, 1), frame(30, 2), frame(40, 3)].concat();
    let (frames, _) = drive(&mut reader, &input, usize::MAX).unwrap();
    for frame in frames {
        assert!(frame.is_unique());
    }
}

#[test]
fn bad_lengths_are_refused_with_four_bytes() {
    for (size, is_size) in [
        (-1, true),
        (i32::MIN, true),
        (0, true),
        (7, true),
        (LIMIT.size_max as i32 + 1, false),
    ] {
        let mut reader = FrameReader::new(LIMIT);
        let refused = drive(&mut reader, &size.to_be_bytes(), 1).unwrap_err();
        match refused {
            FrameRefused::Size { size: named } => assert!(is_size && named == size),
            FrameRefused::TooLarge {
                size: named, limit, ..
            } => {
                assert!(!is_size && named == size && limit == LIMIT.size_max);
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_eight_bytes() {
    let mut input = frame(100 << 20, 0);
    input.truncate(8);
    input[4..6].copy_from_slice(&999i16.to_be_bytes());
    let refused = drive(&mut FrameReader::new(LIMIT), &input, 3).unwrap_err();
    assert_eq!(
        refused,
        FrameRefused::UnknownKey {
            api_key: 999,
            api_version: 0
        }
    );
}

#[test]
fn api_versions_of_any_version_is_read() {
    for version in [99i16, -1, i16::MAX] {
        let mut input = frame(20, 0);
        input[6..8].copy_from_slice(&version.to_be_bytes());
        let (frames, _) = drive(&mut FrameReader::new(LIMIT), &input, 1).unwrap();
        assert_eq!(frames.len(), 1, "{version}");
    }
}

#[test]
fn http_and_tls_on_this_port_are_named() {
    for (greeting, protocol) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
    ] {
        let refused = drive(&mut FrameReader::new(LIMIT), greeting, 1).unwrap_err();
        assert!(matches!(refused, FrameRefused::Foreign { protocol: named, .. } if named == protocol));
    }
}

#[test]
fn a_new_limit_holds_for_the_next_frame() {
    let mut reader = FrameReader::new(FrameLimit {
        size_max: 64,
        advice: "authenticate",
    });
    assert!(drive(&mut reader, &frame(64, 1), 7).is_ok());
    reader.set_limit(LIMIT);
    assert_eq!(drive(&mut reader, &frame(65, 1), 7).unwrap().0.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn frames_come_out_as_sent_whatever_the_pieces(
        sizes in prop::collection::vec(prop_oneof![8usize..64, 2000usize..2100, 60_000usize..200_000], 0..6),
        piece in prop_oneof![1usize..16, 1000usize..3000, 100_000usize..300_000],
        cut in any::<prop::sample::Index>(),
    ) {
        let sent: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, size)| frame(*size, i as u8)).collect();
        let input = sent.concat();
        let cut = if input.is_empty() { 0 } else { cut.index(input.len()) };
        let mut reader = FrameReader::new(LIMIT);
        let mut frames = drive(&mut reader, &input[..cut], piece).unwrap().0;
        frames.extend(drive(&mut reader, &input[cut..], piece).unwrap().0);
        let expected: Vec<&[u8]> = sent.iter().map(|frame| &frame[4..]).collect();
        prop_assert_eq!(frames, expected);
        prop_assert!(reader.is_at_boundary());
    }

    #[test]
    fn no_input_panics_or_holds_more_than_its_share(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = FrameReader::new(LIMIT);
        if let Ok((_, capacity)) = drive(&mut reader, &input, 5) {
            prop_assert!(capacity < 200 * 1024);
        }
    }
}
