use proptest::prelude::*;

use super::*;
use crate::records::{BatchBuilder, BatchOptions};

fn sample() -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for index in 0..3 {
        let headers: [(&[u8], Option<&[u8]>); 1] = [(b"h", Some(b"v"))];
        builder
            .push(TimestampMs(1_000 + index), Some(b"key"), Some(b"value"), &headers)
            .unwrap();
    }
    builder.build().unwrap().to_vec()
}

fn with_bytes(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = sample();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    batch
}

fn resigned(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&crc.to_be_bytes());
    batch
}

prop_compose! {
    fn any_header()(
        base_offset in 0..i64::MAX / 2,
        batch_length in BATCH_LENGTH_MIN..,
        leader_epoch in any::<i32>(),
        crc in any::<u32>(),
        attributes in any::<i16>(),
        (last_offset_delta, record_count) in (0i32.., 0i32..),
        (base_timestamp, max_timestamp) in any::<(i64, i64)>(),
        (producer_id, producer_epoch, base_sequence) in any::<(i64, i16, i32)>(),
    ) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(base_offset),
            batch_length,
            leader_epoch: LeaderEpoch(leader_epoch),
            magic: MAGIC_V2,
            crc,
            attributes,
            last_offset_delta,
            base_timestamp: TimestampMs(base_timestamp),
            max_timestamp: TimestampMs(max_timestamp),
            producer_id: ProducerId(producer_id),
            producer_epoch: ProducerEpoch(producer_epoch),
            base_sequence,
            record_count,
        }
    }
}

proptest! {
    #[test]
    fn header_encoding_round_trips(header in any_header()) {
        prop_assert_eq!(BatchHeader::parse(&header.encode()), Ok(header));
    }

    #[test]
    fn sequences_wrap_as_counting_one_by_one_does(base in i32::MAX - 50.., delta in 0..100i32) {
        let mut counted = base;
        for _ in 0..delta {
            counted = if counted == i32::MAX { 0 } else { counted + 1 };
        }
        let header = BatchHeader { base_sequence: base, last_offset_delta: delta, ..parsed_sample() };
        prop_assert_eq!(header.last_sequence(), counted);
    }

    #[test]
    fn crc32c_is_that_of_an_independent_implementation(bytes in prop::collection::vec(any::<u8>(), 0..5_000)) {
        prop_assert_eq!(crc32c(&bytes), ::crc32c::crc32c(&bytes));
    }

    #[test]
    fn no_bytes_make_the_header_or_the_iterator_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), magic in prop::option::of(Just(2u8)),
    ) {
        let mut bytes = bytes;
        if let (Some(magic), Some(at)) = (magic, bytes.get_mut(MAGIC_AT)) {
            *at = magic;
        }
        let _ = BatchHeader::parse(&bytes);
        let _ = verify_crc(&bytes);
        prop_assert!(split_batches(&bytes).count() <= bytes.len() / HEADER_LEN + 1);
    }
}

fn parsed_sample() -> BatchHeader {
    BatchHeader::parse(&sample()).unwrap()
}

#[test]
fn crc32c_gives_the_published_check_value() {
    // RFC 3720 §B.4 and the "check" column of the CRC catalogue.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0u8; 32]), 0x8a91_36aa);
}

#[test]
fn sequences_end_at_the_largest_number_and_go_on_at_zero() {
    let header = |base_sequence, last_offset_delta| BatchHeader {
        base_sequence,
        last_offset_delta,
        ..parsed_sample()
    };
    assert_eq!(header(0, 0).last_sequence(), 0);
    assert_eq!(header(i32::MAX - 2, 2).last_sequence(), i32::MAX);
    assert_eq!(header(i32::MAX - 2, 3).last_sequence(), 0);
    assert_eq!(header(i32::MAX, i32::MAX).last_sequence(), i32::MAX - 1);
    assert_eq!(header(-1, 5).last_sequence(), -1);
}

#[test]
fn a_header_that_breaks_a_rule_is_refused_with_the_values() {
    let base_offset_max = i64::MAX - 3;
    let cases: [(usize, &[u8], BatchError); 9] = [
        (MAGIC_AT, &[0], BatchError::UnsupportedMagic { magic: 0 }),
        (MAGIC_AT, &[1], BatchError::UnsupportedMagic { magic: 1 }),
        (MAGIC_AT, &[3], BatchError::UnknownMagic { magic: 3 }),
        (MAGIC_AT, &[0xff], BatchError::UnknownMagic { magic: -1 }),
        (
            8,
            &48i32.to_be_bytes(),
            BatchError::BadLength { batch_length: 48 },
        ),
        (
            8,
            &(-1i32).to_be_bytes(),
            BatchError::BadLength { batch_length: -1 },
        ),
        (
            23,
            &(-1i32).to_be_bytes(),
            BatchError::Inconsistent {
                what: "last offset delta is negative",
                expected: 0,
                found: -1,
            },
        ),
        (
            57,
            &(-7i32).to_be_bytes(),
            BatchError::Inconsistent {
                what: "record count is negative",
                expected: 0,
                found: -7,
            },
        ),
        (
            0,
            &(base_offset_max + 1).to_be_bytes(),
            BatchError::Inconsistent {
                what: "base offset leaves no room for the records",
                expected: base_offset_max,
                found: base_offset_max + 1,
            },
        ),
    ];
    for (at, bytes, error) in cases {
        assert_eq!(BatchHeader::parse(&with_bytes(at, bytes)), Err(error));
    }
    let last = BatchHeader::parse(&with_bytes(0, &base_offset_max.to_be_bytes())).unwrap();
    assert_eq!(
        (last.last_offset(), last.next_offset()),
        (Offset(i64::MAX - 1), Offset(i64::MAX))
    );
}

#[test]
fn an_old_message_shorter_than_a_v2_header_is_named_as_such() {
    let mut message = vec![0u8; 34];
    message[MAGIC_AT] = 1;
    assert_eq!(
        BatchHeader::parse(&message),
        Err(BatchError::UnsupportedMagic { magic: 1 })
    );
}

#[test]
fn attribute_bits_mean_what_kafka_says() {
    let header = |attributes| BatchHeader {
        attributes,
        ..parsed_sample()
    };
    for codec in Compression::ALL {
        assert_eq!(header(i16::from(codec.id())).compression(), Ok(codec));
    }
    assert_eq!(header(5).compression(), Err(BatchError::UnknownCodec { id: 5 }));
    assert_eq!(header(0b0000).timestamp_type(), TimestampType::CreateTime);
    assert_eq!(header(0b1000).timestamp_type(), TimestampType::LogAppendTime);
    let flags = |bits| {
        let header = header(bits);
        (
            header.is_transactional(),
            header.is_control(),
            header.has_delete_horizon(),
        )
    };
    assert_eq!(flags(0), (false, false, false));
    assert_eq!(flags(0x10), (true, false, false));
    assert_eq!(flags(0x20), (false, true, false));
    assert_eq!(flags(0x40), (false, false, true));
}

#[test]
fn an_epoch_and_a_sequence_without_a_producer_id_mean_nothing() {
    let header = BatchHeader {
        producer_epoch: ProducerEpoch(0),
        base_sequence: 0,
        ..parsed_sample()
    };
    assert!(!header.has_producer_id() && !header.is_idempotent());
    let header = BatchHeader {
        producer_id: ProducerId(0),
        ..header
    };
    assert!(header.has_producer_id() && header.is_idempotent());
    // A transaction marker: an id, no sequence.
    let header = BatchHeader {
        base_sequence: -1,
        ..header
    };
    assert!(header.has_producer_id() && !header.is_idempotent());
}

#[test]
fn a_checksum_piece_by_piece_is_that_of_the_whole() {
    let sound = sample();
    let mut flipped = sound.clone();
    flipped[ATTRIBUTES_AT + 1] ^= 1;
    for batch in [sound, flipped] {
        let header = BatchHeader::parse(&batch).unwrap();
        for len in 1..=batch.len() {
            let mut crc = PiecewiseCrc::new(&header);
            batch.chunks(len).for_each(|piece| crc.update(piece));
            assert_eq!(crc.finish(), verify_crc(&batch), "pieces of {len}");
        }
    }
}

#[test]
fn every_flipped_bit_under_the_checksum_is_found() {
    let batch = sample();
    verify_crc(&batch).unwrap();
    for at in 0..batch.len() {
        for bit in 0..8 {
            let mut flipped = batch.clone();
            flipped[at] ^= 1 << bit;
            // Base offset and leader epoch change on every append and are not covered.
            let covered = !(at < 8 || (LOG_OVERHEAD..MAGIC_AT).contains(&at));
            assert_eq!(verify_crc(&flipped).is_err(), covered, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_cut_of_a_batch_is_found() {
    let batch = sample();
    for length in 0..batch.len() {
        let error = verify_crc(&batch[..length]).unwrap_err();
        assert!(
            matches!(error, BatchError::TooShort { have, .. } if have == length),
            "{length}: {error}"
        );
    }
    let longer = [&batch[..], &[0]].concat();
    assert_eq!(
        verify_crc(&longer),
        Err(BatchError::TrailingBytes {
            batch: batch.len(),
            have: batch.len() + 1
        })
    );
}

#[test]
fn base_offset_and_epoch_change_without_the_checksum() {
    let before = sample();
    let mut batch = before.clone();
    patch_base_offset_and_epoch(&mut batch, Offset(77), LeaderEpoch(5)).unwrap();
    verify_crc(&batch).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    let expected = BatchHeader {
        base_offset: Offset(77),
        leader_epoch: LeaderEpoch(5),
        ..parsed_sample()
    };
    assert_eq!(header, expected);
    assert_eq!(batch[MAGIC_AT..], before[MAGIC_AT..]);
}

#[test]
fn log_append_time_sets_the_flag_the_time_and_the_checksum() {
    let mut batch = sample();
    patch_log_append_time(&mut batch, TimestampMs(9_999)).unwrap();
    verify_crc(&batch).unwrap();
    let header = BatchHeader::parse(&batch).unwrap();
    let expected = BatchHeader {
        attributes: 0b1000,
        max_timestamp: TimestampMs(9_999),
        crc: header.crc,
        ..parsed_sample()
    };
    assert_eq!(header, expected);
    assert_eq!(batch[HEADER_LEN..], sample()[HEADER_LEN..]);
}

#[test]
fn patches_refuse_what_is_shorter_than_a_header() {
    let mut batch = sample();
    batch.truncate(HEADER_LEN - 1);
    let before = batch.clone();
    let error = BatchError::TooShort {
        needed: HEADER_LEN,
        have: HEADER_LEN - 1,
    };
    assert_eq!(
        patch_base_offset_and_epoch(&mut batch, Offset(1), LeaderEpoch(1)),
        Err(error.clone())
    );
    assert_eq!(
        patch_log_append_time(&mut batch, TimestampMs(1)),
        Err(error.clone())
    );
    assert_eq!(patch_max_timestamp(&mut batch, TimestampMs(1)), Err(error));
    assert_eq!(batch, before);
}

#[test]
fn a_run_is_cut_into_its_batches() {
    let batch = sample();
    let run = [&batch[..], &batch, &batch].concat();
    let slices: Vec<_> = split_batches(&run).map(Result::unwrap).collect();
    let positions: Vec<_> = slices.iter().map(|slice| slice.position).collect();
    assert_eq!(positions, [0, batch.len(), 2 * batch.len()]);
    assert!(
        slices
            .iter()
            .all(|slice| slice.bytes == batch && slice.header == parsed_sample())
    );
    assert_eq!(split_batches(&[]).count(), 0);
}

#[test]
fn every_cut_of_a_run_gives_the_whole_batches_and_then_names_the_cut() {
    let batch = sample();
    let run = [&batch[..], &batch].concat();
    for length in 0..run.len() {
        let mut iter = split_batches(&run[..length]);
        let whole = length / batch.len();
        for _ in 0..whole {
            iter.next().unwrap().unwrap();
        }
        assert_eq!(iter.valid_len(), whole * batch.len());
        if length % batch.len() == 0 {
            assert!(iter.next().is_none());
            continue;
        }
        let have = length % batch.len();
        let needed = if have < HEADER_LEN {
            HEADER_LEN
        } else {
            batch.len()
        };
        let error = iter.next().unwrap().unwrap_err();
        assert_eq!(
            error,
            BatchError::Truncated {
                position: whole * batch.len(),
                needed,
                have
            }
        );
        assert!(iter.next().is_none(), "ends after an error");
        assert_eq!(iter.valid_len(), whole * batch.len());
    }
}

#[test]
fn a_run_with_garbage_ends_at_the_garbage() {
    let batch = sample();
    let run = [&batch[..], &[0xee; 100], &batch].concat();
    let items: Vec<_> = split_batches(&run).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(
        items[1].clone().unwrap_err(),
        BatchError::UnknownMagic { magic: -18 }
    );
}

#[test]
fn a_largest_length_claims_no_memory_and_no_wrap() {
    let batch = resigned(with_bytes(8, &i32::MAX.to_be_bytes()));
    let needed = LOG_OVERHEAD + i32::MAX as usize;
    assert_eq!(
        verify_crc(&batch),
        Err(BatchError::TooShort {
            needed,
            have: batch.len()
        })
    );
    let error = split_batches(&batch).next().unwrap().unwrap_err();
    assert_eq!(
        error,
        BatchError::Truncated {
            position: 0,
            needed,
            have: batch.len()
        }
    );
}
