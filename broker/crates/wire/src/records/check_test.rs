use super::*;
use crate::batch::HEADER_LEN;
use crate::compression::CompressionError;
use crate::records::sample::{LIMITS, Spec, at_times, build, with_header, with_records};
use crate::records::{BatchOptions, ProducerStamp};
use thalweg_types::ProducerId;

fn full(batch: &[u8]) -> Result<BatchFacts, BatchError> {
    check_batch(batch, Walk::Full, &LIMITS)
}

fn keyless(timestamp: i64) -> Spec {
    Spec {
        key: None,
        ..Spec::at(timestamp)
    }
}

#[test]
fn the_records_tell_times_and_keys() {
    let specs = [Spec::at(50), keyless(90), Spec::at(-1), Spec::at(90), keyless(10)];
    for compression in Compression::ALL {
        let batch = build(
            BatchOptions {
                compression,
                ..BatchOptions::default()
            },
            &specs,
        );
        let batch = with_header(&batch, |header| header.base_offset = Offset(100));
        let expected = BatchFacts {
            record_count: 5,
            max_timestamp: TimestampMs(90),
            min_timestamp: Some(TimestampMs(10)),
            offset_of_max_timestamp: Some(Offset(101)),
            index_of_min_timestamp: Some(4),
            keyless: vec![1, 4],
            keyless_count: 2,
            coverage: Coverage::Records,
        };
        assert_eq!(full(&batch), Ok(expected.clone()));
        let shallow = check_batch(&batch, Walk::Uncompressed, &LIMITS).unwrap();
        if compression == Compression::None {
            assert_eq!(shallow, expected);
        } else {
            assert_eq!(
                (shallow.coverage, shallow.offset_of_max_timestamp),
                (Coverage::Header, None)
            );
        }
    }
}

#[test]
fn a_header_walk_believes_the_header() {
    let batch = with_header(&at_times(&[1, 2]), |header| {
        header.max_timestamp = TimestampMs(77)
    });
    let facts = check_batch(&batch, Walk::HeaderOnly, &LIMITS).unwrap();
    let expected = BatchFacts {
        record_count: 2,
        max_timestamp: TimestampMs(77),
        min_timestamp: None,
        offset_of_max_timestamp: None,
        index_of_min_timestamp: None,
        keyless: Vec::new(),
        keyless_count: 0,
        coverage: Coverage::Header,
    };
    assert_eq!(facts, expected);
    // Whoever walks learns the truth, and can patch it in.
    assert_eq!(full(&batch).unwrap().max_timestamp, TimestampMs(2));
}

#[test]
fn all_records_of_log_append_time_have_the_batch_time() {
    let mut batch = at_times(&[50, 90, 10]);
    crate::batch::patch_log_append_time(&mut batch, TimestampMs(70)).unwrap();
    let facts = full(&batch).unwrap();
    assert_eq!(
        (facts.max_timestamp, facts.min_timestamp),
        (TimestampMs(70), Some(TimestampMs(70)))
    );
    assert_eq!(facts.offset_of_max_timestamp, Some(Offset(0)));
}

#[test]
fn keyless_indexes_are_capped_and_counted() {
    let specs: Vec<_> = (0..KEYLESS_INDEXES_MAX as i64 + 50).map(keyless).collect();
    let facts = full(&build(BatchOptions::default(), &specs)).unwrap();
    assert_eq!(facts.keyless, (0..KEYLESS_INDEXES_MAX as u32).collect::<Vec<_>>());
    assert_eq!(facts.keyless_count as usize, specs.len());
}

#[test]
fn counts_and_deltas_that_do_not_fit_are_named() {
    let batch = at_times(&[1, 2, 3]);
    let counted = |count| with_header(&batch, |header| header.record_count = count);
    let what = "bytes after the last record";
    assert_eq!(full(&counted(2)), Err(BatchError::BadRecord { index: 2, what }));
    let what = "missing: the batch has fewer records than its header says";
    assert_eq!(full(&counted(4)), Err(BatchError::BadRecord { index: 3, what }));
    assert_eq!(
        full(&counted(i32::MAX)),
        Err(BatchError::BadRecord { index: 3, what })
    );
    let last = with_header(&batch, |header| header.last_offset_delta = 5);
    let what = "record count does not match the last offset delta";
    assert_eq!(
        full(&last),
        Err(BatchError::Inconsistent {
            what,
            expected: 6,
            found: 3
        })
    );
    // The same offset twice: the second record's delta is 0.
    let twice = at_times(&[1])[HEADER_LEN..].repeat(2);
    let batch = with_records(&at_times(&[1, 1]), &twice, |_| {});
    let what = "offset delta is not the record's index";
    assert_eq!(full(&batch), Err(BatchError::BadRecord { index: 1, what }));
}

#[test]
fn timestamps_that_overflow_are_named() {
    let batch = with_header(&at_times(&[1, 2]), |header| {
        header.base_timestamp = TimestampMs(i64::MAX)
    });
    assert_eq!(
        full(&batch),
        Err(BatchError::BadRecord {
            index: 1,
            what: "timestamp overflows"
        })
    );
}

#[test]
fn only_exactly_one_batch_is_checked() {
    let batch = at_times(&[1]);
    for depth in [Walk::HeaderOnly, Walk::Uncompressed, Walk::Full] {
        for length in 0..batch.len() {
            assert!(check_batch(&batch[..length], depth, &LIMITS).is_err());
        }
        assert!(check_batch(&batch.repeat(2), depth, &LIMITS).is_err());
    }
}

#[test]
fn a_bomb_is_refused_when_it_is_opened_and_not_before() {
    let value = vec![0u8; 3 * 1024 * 1024];
    let spec = Spec {
        value: Some(value),
        ..Spec::at(1)
    };
    let limits = CompressionLimits {
        output_bytes_max: 1024 * 1024,
        ratio_max: 1_000_000,
    };
    for compression in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let batch = build(
            BatchOptions {
                compression,
                ..BatchOptions::default()
            },
            std::slice::from_ref(&spec),
        );
        assert!(check_batch(&batch, Walk::Uncompressed, &limits).is_ok());
        let error = check_batch(&batch, Walk::Full, &limits);
        let stopped = BatchError::Compression(CompressionError::OutputLimit {
            codec: compression,
            input_bytes: batch.len() - HEADER_LEN,
            limit_bytes: limits.output_bytes_max,
        });
        assert_eq!(error, Err(stopped));
    }
}

fn header() -> BatchHeader {
    BatchHeader::parse(&at_times(&[1, 2])).unwrap()
}

fn idempotent() -> BatchHeader {
    let producer = ProducerStamp {
        id: ProducerId(0),
        epoch: ProducerEpoch(0),
        base_sequence: 0,
    };
    let options = BatchOptions {
        producer: Some(producer),
        ..BatchOptions::default()
    };
    BatchHeader::parse(&build(options, &[Spec::at(1)])).unwrap()
}

#[test]
fn headers_that_clients_really_send_pass() {
    check_client_header(&header()).unwrap();
    check_client_header(&idempotent()).unwrap();
    // KafkaJS without idempotence: no id, but epoch 0 and sequence 0.
    let zeros = BatchHeader {
        producer_epoch: ProducerEpoch(0),
        base_sequence: 0,
        ..header()
    };
    check_client_header(&zeros).unwrap();
    check_client_header(&BatchHeader {
        attributes: 0x10,
        ..idempotent()
    })
    .unwrap();
}

#[test]
fn headers_that_no_client_may_send_are_refused() {
    let empty = BatchHeader {
        record_count: 0,
        ..header()
    };
    let fewer = BatchHeader {
        record_count: 1,
        ..header()
    };
    let more = BatchHeader {
        record_count: i32::MAX,
        last_offset_delta: i32::MAX,
        ..header()
    };
    let codec = BatchHeader {
        attributes: 7,
        ..header()
    };
    let horizon = BatchHeader {
        attributes: 0x40,
        ..header()
    };
    let transactional = BatchHeader {
        attributes: 0x10,
        ..header()
    };
    let no_epoch = BatchHeader {
        producer_epoch: ProducerEpoch::NONE,
        ..idempotent()
    };
    let no_sequence = BatchHeader {
        base_sequence: -1,
        ..idempotent()
    };
    for refused in [empty, fewer, more, horizon, transactional, no_epoch, no_sequence] {
        let error = check_client_header(&refused);
        assert!(
            matches!(error, Err(BatchError::Inconsistent { .. })),
            "{refused:?}: {error:?}"
        );
    }
    assert_eq!(
        check_client_header(&codec),
        Err(BatchError::UnknownCodec { id: 7 })
    );
}
