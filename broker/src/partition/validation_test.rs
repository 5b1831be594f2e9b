use std::collections::BTreeMap;
use std::sync::Arc;

use thalweg_metadata::{Revision, TopicKind};
use thalweg_settings::{Profile, Settings};
use thalweg_types::{ErrorCode, TopicId};
use thalweg_wire::batch::HEADER_LEN;
use thalweg_wire::compression::compress;
use thalweg_wire::records::{BatchBuilder, BatchOptions, decode_records};

use super::*;
use crate::topics::log_config;

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

const STRICT: (&str, &str) = ("record.validation.strict", "true");
const COMPACT: (&str, &str) = ("cleanup.policy", "compact");

fn topic(configs: &[(&str, &str)]) -> TopicView {
    let overrides: BTreeMap<String, String> = configs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let settings = Settings::defaults(Profile::Serve);
    let config = TopicConfig::resolve(&overrides, &settings).unwrap();
    TopicView {
        mirror: None,
        id: TopicId([1; 16]),
        name: "orders".into(),
        partitions: 1,
        kind: TopicKind::Client,
        overrides,
        log_config: Arc::new(log_config(&config, &settings)),
        config: Arc::new(config),
        version: Revision::ZERO,
    }
}

/// One record as its producer would write it; all numbers below 64.
#[derive(Clone, Copy)]
struct Record {
    offset_delta: u8,
    timestamp_delta: i8,
    key: Option<&'static [u8]>,
}

const fn record(offset_delta: u8) -> Record {
    Record {
        offset_delta,
        timestamp_delta: 0,
        key: Some(b"k"),
    }
}

fn bytes_of(records: &[Record]) -> Vec<u8> {
    let mut all = Vec::new();
    for record in records {
        // Zigzag: n is 2n, −n is 2n−1.
        let mut body = vec![
            0,
            ((record.timestamp_delta << 1) ^ (record.timestamp_delta >> 7)) as u8,
        ];
        body.push(record.offset_delta << 1);
        match record.key {
            Some(key) => {
                body.push((key.len() as u8) << 1);
                body.extend(key);
            }
            None => body.push(1),
        }
        body.extend([2, b'v', 0]);
        all.push((body.len() as u8) << 1);
        all.extend(body);
    }
    all
}

/// A batch that says `count` records from `NOW` on, over these bytes, signed.
fn batch(codec: Compression, count: i32, stored: &[u8]) -> BytesMut {
    let mut one = BatchBuilder::new(BatchOptions {
        compression: codec,
        ..BatchOptions::default()
    });
    one.push(NOW, None, None, &[]).unwrap();
    let header = BatchHeader {
        batch_length: i32::try_from(HEADER_LEN - LOG_OVERHEAD + stored.len()).unwrap(),
        record_count: count,
        last_offset_delta: count - 1,
        ..BatchHeader::parse(&one.build().unwrap()).unwrap()
    };
    let mut batch = BytesMut::from(&header.encode()[..]);
    batch.extend_from_slice(stored);
    patch_max_timestamp(&mut batch, NOW).unwrap();
    batch
}

fn packed(codec: Compression, count: i32, records: &[u8]) -> BytesMut {
    batch(codec, count, &compress(codec, None, records).unwrap())
}

fn check(topic: &TopicView, batch: BytesMut) -> Result<ValidRecords, ProduceError> {
    validate(batch, topic, NOW, &CompressionLimits::default())
}

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// What a header can say of the same records, and whether it is true.
fn lies() -> Vec<(&'static str, i32, Vec<u8>, Option<u32>)> {
    let honest = bytes_of(&[record(0), record(1), record(2)]);
    let mut cut = honest.clone();
    cut.truncate(cut.len() - 1);
    vec![
        ("fewer records than the header says", 4, honest.clone(), Some(3)),
        ("more records than the header says", 2, honest, Some(2)),
        (
            "a gap in the offsets",
            3,
            bytes_of(&[record(0), record(2), record(3)]),
            Some(1),
        ),
        (
            "offsets that do not begin at 0",
            3,
            bytes_of(&[record(1), record(2), record(3)]),
            Some(0),
        ),
        (
            "an offset twice",
            3,
            bytes_of(&[record(0), record(1), record(1)]),
            Some(2),
        ),
        ("a record cut short", 3, cut, Some(2)),
        ("garbage", 3, vec![0xff; 64], Some(0)),
    ]
}

#[test]
fn a_strict_topic_refuses_what_a_compressed_batch_lies_about_and_names_the_record() {
    let (strict, lax) = (topic(&[STRICT]), topic(&[]));
    for codec in CODECS {
        for (what, count, records, index) in lies() {
            let lying = packed(codec, count, &records);
            assert!(check(&lax, lying.clone()).is_ok(), "{what}: nobody looks");
            let error = check(&strict, lying).expect_err(what);
            assert_eq!(
                error.error_code(),
                ErrorCode::InvalidRecord,
                "{codec} {what}: {error}"
            );
            assert_eq!(error.reason(), "invalid_record");
            let named: Vec<u32> = error.records().iter().map(|record| record.index).collect();
            assert_eq!(named, Vec::from_iter(index), "{codec} {what}: {error}");
        }
        let honest = packed(codec, 2, &bytes_of(&[record(0), record(1)]));
        let taken = check(&strict, honest.clone()).expect("honest").into_bytes();
        assert_eq!(taken, honest, "stored as sent");
    }
}

#[test]
fn uncompressed_batches_are_looked_into_on_every_topic() {
    for (what, count, records, index) in lies() {
        let error = check(&topic(&[]), batch(Compression::None, count, &records)).expect_err(what);
        assert_eq!(error.error_code(), ErrorCode::InvalidRecord, "{what}: {error}");
        let named: Vec<u32> = error.records().iter().map(|record| record.index).collect();
        assert_eq!(named, Vec::from_iter(index), "{what}: {error}");
    }
}

#[test]
fn bytes_that_no_codec_wrote_are_corrupt_on_a_strict_topic() {
    for codec in CODECS {
        let error = check(&topic(&[STRICT]), batch(codec, 3, &[0xa5; 100])).expect_err("garbage");
        assert_eq!(error.error_code(), ErrorCode::CorruptMessage, "{codec}: {error}");
        assert_eq!(error.reason(), "corrupt");
    }
}

#[test]
fn a_batch_that_becomes_too_large_is_to_be_split() {
    let limits = CompressionLimits {
        output_bytes_max: 1 << 20,
        ratio_max: 10,
    };
    let bomb = packed(Compression::Zstd, 1, &vec![0; 5 << 20]);
    let error = validate(bomb, &topic(&[STRICT]), NOW, &limits).expect_err("a bomb");
    assert_eq!(error.error_code(), ErrorCode::MessageTooLarge, "{error}");
    assert!(error.to_string().contains("decompression.bytes.max"), "{error}");
    assert_eq!(error.reason(), "inflates_too_far");
}

#[test]
fn the_header_has_to_count_its_offsets_everywhere() {
    let mut lying = packed(
        Compression::Zstd,
        3,
        &bytes_of(&[record(0), record(1), record(2)]),
    );
    lying[23..27].copy_from_slice(&7_i32.to_be_bytes());
    patch_max_timestamp(&mut lying, NOW).unwrap();
    let error = check(&topic(&[]), lying).expect_err("3 records on 8 offsets");
    assert_eq!(error.error_code(), ErrorCode::InvalidRecord, "{error}");
}

#[test]
fn a_compacted_topic_needs_keys_also_inside_compressed_batches() {
    let keyless = Record {
        key: None,
        ..record(1)
    };
    for codec in CODECS {
        let records = packed(codec, 3, &bytes_of(&[record(0), keyless, record(2)]));
        for configs in [&[COMPACT][..], &[COMPACT, STRICT]] {
            let error = check(&topic(configs), records.clone()).expect_err("a record without a key");
            assert_eq!(error.error_code(), ErrorCode::InvalidRecord, "{codec}: {error}");
            assert_eq!(error.reason(), "no_key");
            assert_eq!(error.records().len(), 1);
            assert_eq!(error.records()[0].index, 1);
        }
        assert!(
            check(&topic(&[STRICT]), records).is_ok(),
            "no other topic needs keys"
        );
    }
}

fn timed(timestamp_delta: i8) -> Vec<u8> {
    let other = Record {
        timestamp_delta,
        ..record(1)
    };
    bytes_of(&[record(0), other, record(2)])
}

#[test]
fn the_times_of_records_count_on_a_strict_topic_and_name_the_record() {
    let after = ("message.timestamp.after.max.ms", "10");
    let before = ("message.timestamp.before.max.ms", "10");
    for (bound, delta) in [(after, 30), (before, -30)] {
        let records = packed(Compression::Lz4, 3, &timed(delta));
        assert!(
            check(&topic(&[bound]), records.clone()).is_ok(),
            "the header alone says nothing"
        );
        let error = check(&topic(&[bound, STRICT]), records.clone()).expect_err("outside");
        assert_eq!(error.error_code(), ErrorCode::InvalidTimestamp, "{error}");
        assert_eq!(error.records().len(), 1, "{error:?}");
        assert_eq!(error.records()[0].index, 1);
        let stamped = topic(&[bound, STRICT, ("message.timestamp.type", "LogAppendTime")]);
        assert!(
            check(&stamped, records).is_ok(),
            "the broker's clock counts there"
        );
    }
}

#[test]
fn a_wrong_largest_time_is_put_right_where_the_records_are_seen() {
    for (configs, expected) in [(&[STRICT][..], 30), (&[], 0)] {
        let records = packed(Compression::Zstd, 3, &timed(30));
        let taken = check(&topic(configs), records).unwrap().into_bytes();
        verify_crc(&taken).unwrap();
        let header = BatchHeader::parse(&taken).unwrap();
        assert_eq!(header.max_timestamp, TimestampMs(NOW.get() + expected));
    }
}

#[test]
fn only_a_broker_may_say_log_append_time() {
    for codec in [Compression::None, Compression::Gzip] {
        let stored = bytes_of(&[record(0)]);
        let mut batch = match codec {
            Compression::None => batch(codec, 1, &stored),
            _ => packed(codec, 1, &stored),
        };
        thalweg_wire::batch::patch_log_append_time(&mut batch, NOW).unwrap();
        for kind in ["CreateTime", "LogAppendTime"] {
            let topic = topic(&[("message.timestamp.type", kind)]);
            let error = check(&topic, batch.clone()).expect_err("a stamp of the producer's own");
            assert_eq!(error.error_code(), ErrorCode::InvalidTimestamp, "{error}");
        }
    }
}

#[test]
fn another_codec_is_used_at_the_topics_level() {
    let text: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| (n * n % 251).to_string().into_bytes())
        .collect();
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.push(NOW, Some(b"k"), Some(&text), &[]).unwrap();
    let sent = builder.build().unwrap();
    let stored = |level: &'static str| {
        let topic = topic(&[("compression.type", "zstd"), ("compression.zstd.level", level)]);
        check(&topic, sent.clone()).unwrap().into_bytes()
    };
    let (fast, small) = (stored("-5"), stored("19"));
    assert!(small.len() < fast.len(), "{} {}", small.len(), fast.len());
    for batch in [fast, small] {
        verify_crc(&batch).unwrap();
        let records = decode_records(&batch, &CompressionLimits::default()).unwrap();
        assert_eq!(records[0].value.as_deref(), Some(&text[..]));
    }
}

#[test]
fn only_what_takes_long_goes_aside() {
    let small = packed(Compression::Zstd, 1, &bytes_of(&[record(0)]));
    let plain = batch(Compression::None, 1, &bytes_of(&[record(0)]));
    let large = batch(Compression::None, 1, &vec![0; SHORT_WORK_BYTES_MAX]);
    let large_packed = batch(Compression::Zstd, 1, &vec![0; SHORT_WORK_BYTES_MAX]);
    let cases = [
        (&small, &[][..], Work::Short),
        (&large_packed, &[], Work::Short),
        (&small, &[STRICT], Work::Long),
        (&small, &[COMPACT], Work::Long),
        (&small, &[("compression.type", "lz4")], Work::Long),
        (&small, &[("compression.type", "zstd")], Work::Short),
        (&plain, &[STRICT, COMPACT], Work::Short),
        (&plain, &[("compression.type", "lz4")], Work::Long),
        (&large, &[], Work::Long),
    ];
    for (batch, configs, expected) in cases {
        assert_eq!(work(batch, &topic(configs)), expected, "{configs:?}");
    }
    assert_eq!(work(b"no batch", &topic(&[STRICT])), Work::Short);
}
