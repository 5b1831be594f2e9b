use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;

use super::*;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn inflate(codec: Compression, input: &[u8]) -> Result<Bytes, CompressionError> {
    decompress(codec, input, &CompressionLimits::default())
}

/// Bytes that compress, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    (0..)
        .flat_map(|number: u32| format!("line {} of text\n", number % 1_000).into_bytes())
        .take(length)
        .collect()
}

fn any_data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3_000),
        prop::collection::vec(0u8..3, 0..20_000),
        (0usize..300_000).prop_map(text),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_codec_gives_back_what_it_took(data in any_data()) {
        for codec in Compression::ALL {
            let small = compress(codec, None, &data).unwrap();
            prop_assert_eq!(&inflate(codec, &small).unwrap()[..], &data[..], "{}", codec);
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(data in prop::collection::vec(any::<u8>(), 0..500)) {
        for codec in CODECS {
            let _ = inflate(codec, &data);
        }
    }

    #[test]
    fn no_damage_makes_a_decoder_panic_or_pass_its_limit(
        length in 1usize..100_000, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let data = text(length);
        let limits = CompressionLimits { output_bytes_max: 200_000, ratio_max: 10 };
        for codec in CODECS {
            let mut small = compress(codec, None, &data).unwrap();
            for (at, byte) in &damage {
                *at.get_mut(&mut small) = *byte;
            }
            if let Ok(output) = decompress(codec, &small, &limits) {
                prop_assert!(output.len() <= limits.output_bytes_max);
            }
        }
    }
}

#[test]
fn names_and_ids_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec = Compression::from_id(id as u8).unwrap();
        assert_eq!((codec.id(), codec.name()), (id as u8, name));
        assert_eq!(Compression::from_name(name), Some(codec));
        assert_eq!(Compression::ALL[id], codec);
    }
    assert_eq!(Compression::from_id(5), None);
    assert_eq!(Compression::from_name("uncompressed"), Some(Compression::None));
    assert_eq!(Compression::from_name("producer"), None);
}

#[test]
fn every_level_kafka_allows_works_and_others_are_refused() {
    let data = text(10_000);
    for codec in CODECS {
        let Some(range) = codec.level_range() else {
            continue;
        };
        // The zstd range starts at −131072; its ends and the middle are enough.
        for level in [*range.start(), -1, 1, 2, 9, 17, 22, *range.end()] {
            let result = compress(codec, Some(level), &data);
            if range.contains(&level) || (codec == Compression::Gzip && level == -1) {
                assert_eq!(inflate(codec, &result.unwrap()).unwrap(), data, "{codec} {level}");
            } else {
                let (min, max) = range.clone().into_inner();
                assert_eq!(
                    result,
                    Err(CompressionError::LevelOutOfRange {
                        codec,
                        level,
                        min,
                        max
                    })
                );
            }
        }
    }
    assert_eq!(Compression::Zstd.level_range(), Some(-131_072..=22));
    assert_eq!(
        compress(Compression::Gzip, Some(-1), &data),
        compress(Compression::Gzip, None, &data)
    );
}

#[test]
fn an_output_as_large_as_the_limit_passes_and_one_byte_more_does_not() {
    let data = text(100_000);
    for codec in CODECS {
        let small = compress(codec, None, &data).unwrap();
        let limits = |output_bytes_max| CompressionLimits {
            output_bytes_max,
            ratio_max: 1_000,
        };
        assert_eq!(decompress(codec, &small, &limits(data.len())).unwrap(), data);
        let limit_bytes = data.len() - 1;
        assert_eq!(
            decompress(codec, &small, &limits(limit_bytes)),
            Err(CompressionError::OutputLimit {
                codec,
                input_bytes: small.len(),
                limit_bytes
            })
        );
    }
    let error = decompress(
        Compression::None,
        &data,
        &CompressionLimits {
            output_bytes_max: 9,
            ratio_max: 1,
        },
    );
    let codec = Compression::None;
    assert_eq!(
        error,
        Err(CompressionError::OutputLimit {
            codec,
            input_bytes: data.len(),
            limit_bytes: 9
        })
    );
}

/// A bomb for each codec: the most of nothing that its format can say, `repeats` times a part of 1 MiB or
/// more.
fn bomb(codec: Compression, repeats: usize) -> Vec<u8> {
    let zeros = vec![0u8; 4 * 1024 * 1024];
    match codec {
        // Members and frames may follow each other, so one part repeated is a bomb.
        Compression::Gzip | Compression::Zstd => compress(codec, None, &zeros).unwrap().repeat(repeats),
        Compression::Snappy => {
            let block = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
            let mut stream = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for _ in 0..repeats {
                stream.extend_from_slice(&(block.len() as u32).to_be_bytes());
                stream.extend_from_slice(&block);
            }
            stream
        }
        Compression::Lz4 => {
            let info = FrameInfo::new().block_size(BlockSize::Max4MB);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&zeros).unwrap();
            let frame = encoder.finish().unwrap();
            // 7 bytes of header, one block, 4 bytes of end mark.
            let block = &frame[7..frame.len() - 4];
            [&frame[..7], &block.repeat(repeats), &[0; 4]].concat()
        }
        Compression::None => zeros,
    }
}

#[test]
fn a_bomb_stops_at_the_fixed_limit() {
    for codec in CODECS {
        // 2 GiB if it were let to; the test would not end in time, nor fit.
        let bomb = bomb(codec, 512);
        let limits = CompressionLimits {
            output_bytes_max: 6 * 1024 * 1024,
            ratio_max: usize::MAX,
        };
        assert_eq!(
            decompress(codec, &bomb, &limits),
            Err(CompressionError::OutputLimit {
                codec,
                input_bytes: bomb.len(),
                limit_bytes: limits.output_bytes_max
            })
        );
    }
}

#[test]
fn a_bomb_stops_at_the_ratio() {
    for codec in CODECS {
        let bomb = bomb(codec, 1);
        let limits = CompressionLimits {
            output_bytes_max: usize::MAX,
            ratio_max: 10,
        };
        let limit_bytes = 10 * bomb.len() + RATIO_FREE_BYTES;
        assert_eq!(
            decompress(codec, &bomb, &limits),
            Err(CompressionError::RatioLimit {
                codec,
                input_bytes: bomb.len(),
                limit_bytes,
                ratio_max: 10
            }),
            "{codec}"
        );
    }
}

#[test]
fn small_batches_of_equal_records_pass_whatever_their_ratio() {
    let zeros = vec![0u8; RATIO_FREE_BYTES];
    for codec in CODECS {
        let small = compress(codec, None, &zeros).unwrap();
        let limits = CompressionLimits {
            output_bytes_max: usize::MAX,
            ratio_max: 1,
        };
        assert_eq!(decompress(codec, &small, &limits).unwrap(), zeros);
    }
}

#[test]
fn the_limits_of_one_codec_hold_for_sizes_that_the_input_only_claims() {
    // Snappy: 4 GiB − 1 in a block of seven bytes.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61];
    assert!(matches!(
        inflate(Compression::Snappy, &claim),
        Err(CompressionError::Corrupt { .. })
    ));
    // Zstd: a single-segment frame that says it holds 1 TiB, then one raw block of one byte.
    let mut claim = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    claim.extend_from_slice(&(1u64 << 40).to_le_bytes());
    claim.extend_from_slice(&[0x09, 0x00, 0x00, b'a']);
    assert!(matches!(
        inflate(Compression::Zstd, &claim),
        Err(CompressionError::Corrupt { .. })
    ));
    // Zstd: a window of 256 MiB.
    let claim = [
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x00,
        (28 - 10) << 3,
        0x09,
        0x00,
        0x00,
        b'a',
    ];
    assert!(matches!(
        inflate(Compression::Zstd, &claim),
        Err(CompressionError::Corrupt { .. })
    ));
    // The same with 128 MiB, the most a producer's highest level asks for, is fine.
    let claim = [
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x00,
        (27 - 10) << 3,
        0x09,
        0x00,
        0x00,
        b'a',
    ];
    assert_eq!(inflate(Compression::Zstd, &claim).unwrap(), "a");
}

#[test]
fn an_empty_input_is_no_output_of_any_codec() {
    for codec in CODECS {
        let reason = "no bytes".to_owned();
        assert_eq!(
            inflate(codec, &[]),
            Err(CompressionError::Corrupt { codec, reason })
        );
    }
    assert_eq!(inflate(Compression::None, &[]).unwrap(), "");
}

#[test]
fn a_cut_off_stream_is_refused_by_the_codecs_that_mark_their_end() {
    let data = text(5_000);
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let small = compress(codec, None, &data).unwrap();
        for length in 0..small.len() {
            assert!(
                inflate(codec, &small[..length]).is_err(),
                "{codec} cut at {length}"
            );
        }
    }
    // Snappy streams end anywhere between two blocks.
    let data = text(32 * 1024);
    let small = compress(Compression::Snappy, None, &data).unwrap();
    for length in 17..small.len() {
        assert!(
            inflate(Compression::Snappy, &small[..length]).is_err(),
            "cut at {length}"
        );
    }
}

#[test]
fn gzip_members_one_after_the_other_are_one_stream() {
    let (one, two) = (text(1_000), text(70_000));
    let members = [
        compress(Compression::Gzip, Some(1), &one).unwrap(),
        compress(Compression::Gzip, Some(9), &two).unwrap(),
    ];
    assert_eq!(
        inflate(Compression::Gzip, &members.concat()).unwrap(),
        [one, two].concat()
    );
}

#[test]
fn snappy_is_read_in_both_framings() {
    let data = text(100_000);
    let bare = snap::raw::Encoder::new().compress_vec(&data).unwrap();
    assert_eq!(inflate(Compression::Snappy, &bare).unwrap(), data);
    let stream = compress(Compression::Snappy, None, &data).unwrap();
    assert_eq!(stream[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    assert_eq!(inflate(Compression::Snappy, &stream).unwrap(), data);
    assert_eq!(
        inflate(Compression::Snappy, &stream.repeat(2)).unwrap(),
        data.repeat(2)
    );
}

#[test]
fn snappy_streams_with_bad_framing_are_refused() {
    let stream = compress(Compression::Snappy, None, b"some bytes").unwrap();
    let cases: [(&[u8], &str); 5] = [
        (&stream[..10], "cut-off stream header"),
        (b"\x82SNAPPY\0\0\0\0\x00\0\0\0\x01", "stream version 0"),
        (b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0", "cut-off block length"),
        (
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff",
            "negative block length",
        ),
        (b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x02\0", "cut-off block"),
    ];
    for (input, reason) in cases {
        let error = CompressionError::Corrupt {
            codec: Compression::Snappy,
            reason: reason.to_owned(),
        };
        assert_eq!(inflate(Compression::Snappy, input), Err(error));
    }
}

#[test]
fn lz4_frames_are_read_with_every_block_size_mode_and_checksum() {
    let data = text(700_000);
    for block_size in [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ] {
        for block_mode in [BlockMode::Independent, BlockMode::Linked] {
            for checksums in [false, true] {
                let info = FrameInfo::new()
                    .block_size(block_size)
                    .block_mode(block_mode)
                    .block_checksums(checksums)
                    .content_checksum(checksums)
                    .content_size(checksums.then_some(data.len() as u64));
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&data).unwrap();
                let frame = encoder.finish().unwrap();
                let output = inflate(Compression::Lz4, &frame);
                assert!(
                    output.unwrap() == data,
                    "{block_size:?} {block_mode:?} {checksums}"
                );
            }
        }
    }
}

#[test]
fn lz4_checksums_and_sizes_are_checked() {
    let data = text(1_000);
    let info = FrameInfo::new()
        .block_checksums(true)
        .content_checksum(true)
        .content_size(Some(1_000));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&data).unwrap();
    let frame = encoder.finish().unwrap();
    assert!(inflate(Compression::Lz4, &frame).is_ok());
    for at in 0..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x10;
        assert!(inflate(Compression::Lz4, &damaged).is_err(), "byte {at}");
    }
    let longer = [&frame[..], &[0]].concat();
    let reason = "1 bytes after the frame".to_owned();
    assert_eq!(
        inflate(Compression::Lz4, &longer),
        Err(CompressionError::Corrupt {
            codec: Compression::Lz4,
            reason
        })
    );
}

#[test]
fn lz4_is_written_as_javas_reader_wants_it() {
    let frame = compress(Compression::Lz4, None, &text(200_000)).unwrap();
    // Magic, version 1 with independent blocks and nothing else, blocks of 64 KiB, checksum of these two
    // bytes.
    assert_eq!(frame[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
}

#[test]
fn lz4_stores_what_does_not_compress_and_reads_it_within_the_limit() {
    let noise: Vec<u8> = (0..100_000u32)
        .flat_map(|i| crate::batch::crc32c(&i.to_le_bytes()).to_le_bytes())
        .collect();
    let frame = compress(Compression::Lz4, None, &noise).unwrap();
    assert!(frame.len() > noise.len());
    assert_eq!(inflate(Compression::Lz4, &frame).unwrap(), noise);
    let limits = CompressionLimits {
        output_bytes_max: noise.len() - 1,
        ratio_max: 1_000,
    };
    let error = decompress(Compression::Lz4, &frame, &limits).unwrap_err();
    assert!(matches!(error, CompressionError::OutputLimit { .. }), "{error}");
}
