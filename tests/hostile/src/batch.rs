//! One record batch: header, checks, records, searches, another codec.

use crate::input::Input;
use crate::memory;
use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use thalweg_wire::batch::{
    BatchHeader, HEADER_LEN, PiecewiseCrc, crc32c, parse_exact, patch_base_offset_and_epoch,
    patch_log_append_time, split_batches, verify_crc,
};
use thalweg_wire::compression::{Compression, CompressionLimits};
use thalweg_wire::records::{
    Coverage, EndTransactionMarker, OwnedRecord, Walk, check_batch, check_client_header, decode_records,
    first_record_at_or_after, offset_of_max_timestamp, recompress,
};

const LIMITS: CompressionLimits = CompressionLimits {
    output_bytes_max: 64 << 10,
    ratio_max: 64,
};
/// "About 35 times the decompressed size", and the growing buffers of a codec.
const RECORDS_BYTES_MAX: usize = 36 * LIMITS.output_bytes_max + (1 << 20);

/// Byte 0: whether length and checksum are put right first, and which time is searched for; then the batch.
///
/// Beyond "no panic": the header encodes to the bytes it came from; cutting into batches stays inside; the walks agree
/// with the decoded records; another codec keeps the records; memory stays within the limits.
pub fn record_batch(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let mut bytes = input.rest().to_vec();
    if choice & 1 == 1 {
        sign(&mut bytes);
    }
    if let Ok(header) = BatchHeader::parse(&bytes) {
        assert_eq!(header.encode(), bytes[..HEADER_LEN], "decoded and encoded again");
        let _ = (
            check_client_header(&header),
            header.last_sequence(),
            header.next_offset(),
        );
    }
    cut(&bytes);
    let checked = verify_crc(&bytes);
    if let Ok(header) = parse_exact(&bytes) {
        let mut crc = PiecewiseCrc::new(&header);
        bytes
            .chunks(1 + usize::from(choice))
            .for_each(|piece| crc.update(piece));
        assert_eq!(crc.finish(), checked, "piece by piece");
    }
    if let Some(marker) = EndTransactionMarker::of_batch(&bytes) {
        let producer = (ProducerId(1), ProducerEpoch(0));
        let again = marker.build(producer, TimestampMs(0)).expect("a marker");
        assert_eq!(EndTransactionMarker::of_batch(&again), Some(marker));
    }
    let facts = memory::within(RECORDS_BYTES_MAX, "check_batch", || {
        check_batch(&bytes, Walk::Full, &LIMITS)
    });
    let records = memory::within(RECORDS_BYTES_MAX + 36 * bytes.len(), "decode_records", || {
        decode_records(&bytes, &LIMITS)
    });
    for depth in [Walk::HeaderOnly, Walk::Uncompressed] {
        let shallow = check_batch(&bytes, depth, &LIMITS);
        assert!(
            shallow.is_ok() || facts.is_err(),
            "{depth:?} refuses more than a full walk"
        );
    }
    match (facts, &records) {
        (Ok(facts), Ok(records)) => {
            assert_eq!(facts.coverage, Coverage::Records);
            assert_eq!(facts.record_count as usize, records.len());
            let keyless = records.iter().filter(|record| record.key.is_none()).count();
            assert_eq!(facts.keyless_count as usize, keyless);
            if let Some(max) = records.iter().map(|record| record.timestamp).max() {
                assert_eq!(facts.max_timestamp, max);
            }
        }
        (Ok(_), Err(error)) => panic!("checked, but its records do not decode: {error}"),
        (Err(_), _) => {}
    }
    if let (Ok(records), Ok(header)) = (records, parse_exact(&bytes)) {
        search(&bytes, &header, &records, choice);
        rewrite(&bytes, &records, choice);
    }
}

/// Puts length and checksum right, so that what lies behind them is reached.
fn sign(bytes: &mut [u8]) {
    if bytes.len() < HEADER_LEN {
        return;
    }
    let len = u32::try_from(bytes.len() - 12).unwrap_or(u32::MAX);
    bytes[8..12].copy_from_slice(&len.to_be_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn cut(bytes: &[u8]) {
    let mut batches = split_batches(bytes);
    let mut end = 0;
    while let Some(batch) = batches.next() {
        let Ok(batch) = batch else {
            assert!(batches.next().is_none(), "the first error ends it");
            break;
        };
        assert_eq!(
            (batch.position, batch.bytes.len()),
            (end, batch.header.total_len())
        );
        end += batch.bytes.len();
    }
    assert_eq!(batches.valid_len(), end);
}

fn search(bytes: &[u8], header: &BatchHeader, records: &[OwnedRecord], choice: u8) {
    let place = |record: &OwnedRecord| (record.offset, record.timestamp);
    let target = match records.get(usize::from(choice >> 1) % records.len().max(1)) {
        Some(record) if choice & 0x80 == 0 => record.timestamp,
        _ => TimestampMs(i64::from(choice)),
    };
    // Only a producer sends offsets below zero; the log assigns others.
    let fits = |(offset, timestamp): &(Offset, TimestampMs)| *timestamp >= target && *offset >= Offset::ZERO;
    // A batch whose header claims less is not opened.
    let expected = records.iter().map(place).find(fits);
    let expected =
        expected.filter(|_| header.max_timestamp >= target && header.last_offset() >= Offset::ZERO);
    assert_eq!(first_record_at_or_after(bytes, target, &LIMITS), Ok(expected));
    let timed = records
        .iter()
        .map(place)
        .filter(|(_, timestamp)| *timestamp > TimestampMs::NONE);
    let expected = timed.reduce(|best, next| if next.1 > best.1 { next } else { best });
    assert_eq!(offset_of_max_timestamp(bytes, &LIMITS), Ok(expected));
}

fn rewrite(bytes: &[u8], records: &[OwnedRecord], choice: u8) {
    let codec = Compression::ALL[usize::from(choice >> 2) % Compression::ALL.len()];
    // The limits hold for what was compressed well, too.
    let free = CompressionLimits {
        output_bytes_max: usize::MAX >> 1,
        ratio_max: usize::MAX,
    };
    if let Ok(other) = recompress(bytes, codec, None, &LIMITS) {
        assert_eq!(verify_crc(&other), Ok(()));
        assert_eq!(
            decode_records(&other, &free).as_deref(),
            Ok(records),
            "under {codec}"
        );
    }
    let mut stored = bytes.to_vec();
    assert_eq!(
        patch_base_offset_and_epoch(&mut stored, Offset(7), LeaderEpoch(3)),
        Ok(())
    );
    assert_eq!(verify_crc(&stored), verify_crc(bytes), "outside the checksum");
    assert_eq!(patch_log_append_time(&mut stored, TimestampMs(99)), Ok(()));
    assert_eq!(verify_crc(&stored), Ok(()));
    let stamped = decode_records(&Bytes::from(stored), &LIMITS);
    assert!(stamped.is_ok_and(|records| records.iter().all(|record| record.timestamp == TimestampMs(99))));
}
