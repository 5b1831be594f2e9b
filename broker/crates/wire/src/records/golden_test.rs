//! Batches that Apache Kafka's Java client and librdkafka wrote (see `golden/README.md`), and the same
//! records through an independent Rust codec.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as independent;
use proptest::prelude::*;
use thalweg_types::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::sample::{LIMITS, Spec, any_specs, build};
use super::*;
use crate::batch::{HEADER_LEN, TimestampType, split_batches, verify_crc};
use crate::compression::Compression;

const JAVA: [(Compression, &[u8]); 5] = [
    (
        Compression::None,
        include_bytes!("../../golden/java-4.3.1/none.bin"),
    ),
    (
        Compression::Gzip,
        include_bytes!("../../golden/java-4.3.1/gzip.bin"),
    ),
    (
        Compression::Snappy,
        include_bytes!("../../golden/java-4.3.1/snappy.bin"),
    ),
    (
        Compression::Lz4,
        include_bytes!("../../golden/java-4.3.1/lz4.bin"),
    ),
    (
        Compression::Zstd,
        include_bytes!("../../golden/java-4.3.1/zstd.bin"),
    ),
];

const LIBRDKAFKA: [(Compression, &[u8]); 5] = [
    (
        Compression::None,
        include_bytes!("../../golden/librdkafka-2.0.2/none.bin"),
    ),
    (
        Compression::Gzip,
        include_bytes!("../../golden/librdkafka-2.0.2/gzip.bin"),
    ),
    (
        Compression::Snappy,
        include_bytes!("../../golden/librdkafka-2.0.2/snappy.bin"),
    ),
    (
        Compression::Lz4,
        include_bytes!("../../golden/librdkafka-2.0.2/lz4.bin"),
    ),
    (
        Compression::Zstd,
        include_bytes!("../../golden/librdkafka-2.0.2/zstd.bin"),
    ),
];

/// The records of the Java batches.
fn java_specs() -> Vec<Spec> {
    let headers = vec![
        (b"a".to_vec(), Some(b"1".to_vec())),
        (b"a".to_vec(), Some(b"2".to_vec())),
        (Vec::new(), Some(Vec::new())),
        (b"n".to_vec(), None),
    ];
    let spec = |index: i64| Spec {
        timestamp: 1_700_000_000_000 + if index == 7 { 500_000 } else { index * 10 },
        key: match index {
            3 => None,
            4 => Some(Vec::new()),
            _ => Some(format!("key-{index}").into_bytes()),
        },
        value: match index {
            5 => None,
            6 => Some(Vec::new()),
            _ => Some(format!("value {index} of a batch that a Java producer wrote").into_bytes()),
        },
        headers: if index % 4 == 0 {
            headers.clone()
        } else {
            Vec::new()
        },
    };
    (0..12).map(spec).collect()
}

fn java_options(compression: Compression) -> BatchOptions {
    BatchOptions {
        compression,
        producer: Some(ProducerStamp {
            id: ProducerId(4_242),
            epoch: ProducerEpoch(7),
            base_sequence: 2_147_483_640,
        }),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    }
}

fn specs(records: &[OwnedRecord]) -> Vec<Spec> {
    let bytes = |piece: &Option<Bytes>| piece.as_ref().map(|piece| piece.to_vec());
    let headers = |record: &OwnedRecord| {
        record
            .headers
            .iter()
            .map(|(key, value)| (key.to_vec(), bytes(value)))
            .collect()
    };
    let spec = |record: &OwnedRecord| Spec {
        timestamp: record.timestamp.get(),
        key: bytes(&record.key),
        value: bytes(&record.value),
        headers: headers(record),
    };
    records.iter().map(spec).collect()
}

#[test]
fn an_uncompressed_batch_is_byte_for_byte_javas() {
    let ours = build(java_options(Compression::None), &java_specs());
    assert_eq!(ours, JAVA[0].1);
}

#[test]
fn compressed_headers_are_javas_but_for_length_and_checksum() {
    for (codec, golden) in JAVA {
        let ours = build(java_options(codec), &java_specs());
        let same = [0..8, 12..17, 21..HEADER_LEN];
        assert!(
            same.into_iter().all(|range| ours[range.clone()] == golden[range]),
            "{codec}"
        );
    }
}

#[test]
fn java_batches_are_read_record_by_record() {
    for (codec, batch) in JAVA {
        verify_crc(batch).unwrap();
        let (header, _) = open_records(batch, &LIMITS).unwrap();
        assert_eq!(header.compression(), Ok(codec));
        assert_eq!((header.base_sequence, header.last_sequence()), (2_147_483_640, 3));
        assert!(header.is_transactional() && header.is_idempotent() && !header.is_control());
        check_client_header(&header).unwrap();
        let records = decode_records(batch, &LIMITS).unwrap();
        assert_eq!(specs(&records), java_specs(), "{codec}");
        let offsets: Vec<_> = records.iter().map(|record| record.offset.get()).collect();
        assert_eq!(offsets, (0..12).collect::<Vec<_>>());
        let latest = Some((Offset(7), TimestampMs(1_700_000_500_000)));
        assert_eq!(offset_of_max_timestamp(batch, &LIMITS).unwrap(), latest);
        let facts = check_batch(batch, Walk::Full, &LIMITS).unwrap();
        assert_eq!(
            (facts.max_timestamp, facts.keyless),
            (header.max_timestamp, vec![3])
        );
    }
}

#[test]
fn librdkafka_batches_are_read_record_by_record() {
    let headers = vec![
        (b"a".to_vec(), Some(b"1".to_vec())),
        (b"a".to_vec(), Some(b"2".to_vec())),
        (b"empty".to_vec(), Some(Vec::new())),
        (b"bare".to_vec(), None),
    ];
    let spec = |index: u32, timestamp: i64| {
        let text = format!("value of record {index}: so it goes, so it goes, so it goes").into_bytes();
        let (key, value) = match index {
            20 => (Some(b"key-null".to_vec()), None),
            21 => (None, Some(b"no key".to_vec())),
            _ => (Some(format!("key-{index}").into_bytes()), Some(text)),
        };
        Spec {
            timestamp,
            key,
            value,
            headers: headers.clone(),
        }
    };
    for (codec, segment) in LIBRDKAFKA {
        let mut found = Vec::new();
        for slice in split_batches(segment) {
            let slice = slice.unwrap();
            verify_crc(slice.bytes).unwrap();
            assert_eq!(slice.header.compression(), Ok(codec));
            assert_eq!(slice.header.base_offset, Offset(found.len() as i64));
            check_client_header(&slice.header).unwrap();
            check_batch(slice.bytes, Walk::Full, &LIMITS).unwrap();
            found.extend(decode_records(slice.bytes, &LIMITS).unwrap());
        }
        let time = found[0].timestamp.get();
        assert_eq!(
            specs(&found),
            (0..22).map(|index| spec(index, time)).collect::<Vec<_>>(),
            "{codec}"
        );
    }
}

#[test]
fn every_flip_and_every_cut_of_a_foreign_batch_is_harmless_even_with_a_valid_checksum() {
    for (codec, batch) in JAVA {
        let header = crate::batch::BatchHeader::parse(batch).unwrap();
        let records = &batch[HEADER_LEN..];
        for at in 0..records.len() {
            let mut flipped = records.to_vec();
            flipped[at] ^= 1 << (at % 8);
            for damaged in [&flipped[..], &records[..at]] {
                let batch = super::recompress::assemble(header, damaged).unwrap();
                verify_crc(&batch).unwrap();
                // Whether it passes depends on what was hit (a letter of a value may change); it must not
                // panic, and what passes must be whole.
                if let Ok(found) = decode_records(&batch, &LIMITS) {
                    assert_eq!(found.len(), 12, "{codec} byte {at}");
                }
                let _ = check_batch(&batch, Walk::Full, &LIMITS);
                let _ = offset_of_max_timestamp(&batch, &LIMITS);
            }
        }
    }
}

fn independent_codec(codec: Compression) -> independent::Compression {
    match codec {
        Compression::None => independent::Compression::None,
        Compression::Gzip => independent::Compression::Gzip,
        Compression::Snappy => independent::Compression::Snappy,
        Compression::Lz4 => independent::Compression::Lz4,
        Compression::Zstd => independent::Compression::Zstd,
    }
}

/// That codec keeps one header per key and only text keys: makes the headers such.
fn tame(specs: &[Spec]) -> Vec<Spec> {
    let mut specs = specs.to_vec();
    for spec in &mut specs {
        for (index, (key, _)) in spec.headers.iter_mut().enumerate() {
            *key = format!("{index}-{}", key.len()).into_bytes();
        }
    }
    specs
}

fn independent_record(index: usize, spec: &Spec) -> independent::Record {
    let headers = spec.headers.iter().map(|(key, value)| {
        let key = StrBytes::from_string(String::from_utf8(key.clone()).unwrap());
        (key, value.clone().map(Bytes::from))
    });
    independent::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 7,
        producer_epoch: 3,
        timestamp_type: independent::TimestampType::Creation,
        offset: index as i64,
        sequence: index as i32 + 100,
        timestamp: spec.timestamp,
        key: spec.key.clone().map(Bytes::from),
        value: spec.value.clone().map(Bytes::from),
        headers: headers.collect::<IndexMap<_, _>>(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_independent_decoder_reads_our_batches(specs in any_specs()) {
        let specs = tame(&specs);
        for codec in Compression::ALL {
            let producer = ProducerStamp { id: ProducerId(7), epoch: ProducerEpoch(3), base_sequence: 100 };
            let options = BatchOptions { producer: Some(producer), ..java_options(codec) };
            let mut bytes = Bytes::from(build(options, &specs));
            let set = independent::RecordBatchDecoder::decode(&mut bytes).unwrap();
            prop_assert!(bytes.is_empty());
            prop_assert_eq!(set.compression, independent_codec(codec));
            let expected: Vec<_> =
                specs.iter().enumerate().map(|(index, spec)| independent_record(index, spec)).collect();
            prop_assert_eq!(set.records, expected);
        }
    }

    #[test]
    fn our_decoder_reads_batches_of_an_independent_encoder(data in any_specs()) {
        let data = tame(&data);
        for codec in Compression::ALL {
            let records: Vec<_> =
                data.iter().enumerate().map(|(index, spec)| independent_record(index, spec)).collect();
            let options = independent::RecordEncodeOptions { version: 2, compression: independent_codec(codec) };
            let mut batch = BytesMut::new();
            independent::RecordBatchEncoder::encode(&mut batch, &records, &options).unwrap();
            verify_crc(&batch).unwrap();
            let (header, _) = open_records(&batch, &LIMITS).unwrap();
            prop_assert_eq!(header.timestamp_type(), TimestampType::CreateTime);
            prop_assert_eq!((header.producer_id, header.base_sequence), (ProducerId(7), 100));
            check_client_header(&header).unwrap();
            check_batch(&batch, Walk::Full, &LIMITS).unwrap();
            prop_assert_eq!(specs(&decode_records(&batch, &LIMITS).unwrap()), &data[..]);
        }
    }
}
