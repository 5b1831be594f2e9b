use super::*;
use crate::cleaner::MapLimits;
use crate::cleaner::digest::DigestSeed;
use crate::segment::transaction_index::AbortedTransaction;
use thalweg_types::ProducerEpoch;
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::records::{BatchBuilder, BatchContent, BatchOptions, ProducerStamp, Transactionality};

const NOW: i64 = 10_000;

fn map(keys: &[(&str, i64)], latest: i64) -> OffsetMap {
    let limits = MapLimits {
        bytes: 1 << 16,
        load_factor: 0.9,
    };
    let mut map = OffsetMap::new(limits, 100, DigestSeed(1, 2));
    for (key, offset) in keys {
        map.put(key.as_bytes(), Offset(*offset)).unwrap();
    }
    map.advance(Offset(latest));
    map
}

fn producer(id: i64) -> Option<ProducerStamp> {
    Some(ProducerStamp {
        id: ProducerId(id),
        epoch: ProducerEpoch(0),
        base_sequence: 0,
    })
}

fn batch(options: BatchOptions, base: i64, rows: &[(Option<&str>, Option<&str>)]) -> BytesMut {
    let mut builder = BatchBuilder::new(options);
    for (key, value) in rows {
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        builder.push(TimestampMs(5), key, value, &[]).unwrap();
    }
    let mut bytes = builder.build().unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base), thalweg_types::LeaderEpoch(1)).unwrap();
    bytes
}

fn marker(id: i64, base: i64, kind: u8) -> BytesMut {
    let options = BatchOptions {
        producer: producer(id),
        transactionality: Transactionality::Transactional,
        content: BatchContent::Control,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    builder
        .push(TimestampMs(5), Some(&[0, 0, 0, kind]), Some(&[0; 6]), &[])
        .unwrap();
    let mut bytes = builder.build().unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base), thalweg_types::LeaderEpoch(1)).unwrap();
    bytes
}

fn filter<'a>(
    map: &'a OffsetMap,
    last_offsets: &'a HashMap<ProducerId, Offset>,
    aborted: Vec<AbortedTransaction>,
    now: i64,
) -> Filter<'a> {
    Filter::new(FilterParts {
        map,
        transactions: Transactions::new(aborted),
        last_offsets,
        end: Offset(1000),
        now: TimestampMs(now),
        delete_retention_ms: 500,
        inflate: CompressionLimits::default(),
    })
}

fn judge(filter: &mut Filter<'_>, bytes: &[u8]) -> (Fate, Option<BatchHeader>) {
    let fate = filter.judge(&BatchHeader::parse(bytes).unwrap(), bytes).unwrap();
    let header = match &fate {
        Fate::Rewritten(bytes) => Some(BatchHeader::parse(bytes).unwrap()),
        Fate::Gone | Fate::AsItIs => None,
    };
    (fate, header)
}

#[test]
fn records_stay_by_the_map_and_beyond_it_all_do() {
    let (map, none) = (map(&[("a", 12), ("b", 11)], 15), HashMap::new());
    let mut filter = filter(&map, &none, Vec::new(), NOW);
    let (value, a, b) = (Some("v"), Some("a"), Some("b"));
    let old = batch(BatchOptions::default(), 0, &[(a, value), (b, value)]);
    assert_eq!(judge(&mut filter, &old).0, Fate::Gone);
    let mixed = batch(
        BatchOptions::default(),
        11,
        &[(b, value), (a, value), (None, value)],
    );
    let (_, header) = judge(&mut filter, &mixed);
    assert_eq!(
        header.map(|h| (h.record_count, h.last_offset_delta)),
        Some((2, 2)),
        "no key, no place"
    );
    let beyond = batch(
        BatchOptions::default(),
        16,
        &[(a, value), (None, value), (a, value)],
    );
    assert_eq!(judge(&mut filter, &beyond).0, Fate::AsItIs);
    let clean = batch(BatchOptions::default(), 3, &[(Some("c"), value)]);
    assert_eq!(
        judge(&mut filter, &clean).0,
        Fate::AsItIs,
        "a key that is not dirty"
    );
    assert_eq!(
        (
            filter.counts.records_read,
            filter.counts.records_kept,
            filter.counts.keyless
        ),
        (9, 6, 2)
    );
}

#[test]
fn the_last_batch_of_a_producer_and_of_the_range_is_emptied_not_removed() {
    let map = map(&[("a", 2000)], 3000);
    let last = HashMap::from([(ProducerId(7), Offset(50))]);
    let mut filter = filter(&map, &last, Vec::new(), NOW);
    let options = BatchOptions {
        producer: producer(7),
        ..BatchOptions::default()
    };
    let row = [(Some("a"), Some("v"))];
    assert_eq!(judge(&mut filter, &batch(options, 49, &row)).0, Fate::Gone);
    let (fate, header) = judge(&mut filter, &batch(options, 50, &row));
    assert_eq!(header.map(|h| (h.record_count, h.producer_id.0)), Some((0, 7)));
    let Fate::Rewritten(empty) = fate else {
        panic!("{fate:?}")
    };
    assert_eq!(
        judge(&mut filter, &empty).0,
        Fate::AsItIs,
        "an empty one is as it is"
    );
    let at_end = batch(BatchOptions::default(), 999, &row);
    assert_eq!(judge(&mut filter, &at_end).1.map(|h| h.record_count), Some(0));
}

#[test]
fn aborted_records_go_and_a_marker_goes_after_the_horizon_once_they_are_gone() {
    let (map, none) = (map(&[], 3000), HashMap::new());
    let aborted = AbortedTransaction {
        producer_id: ProducerId(7),
        first_offset: Offset(10),
        last_offset: Offset(12),
        last_stable_offset: Offset(13),
    };
    let options = BatchOptions {
        producer: producer(7),
        transactionality: Transactionality::Transactional,
        ..BatchOptions::default()
    };
    let (records, abort) = (batch(options, 10, &[(Some("a"), Some("v"))]), marker(7, 12, 0));
    let mut first = filter(&map, &none, vec![aborted], NOW);
    assert_eq!(judge(&mut first, &records).0, Fate::Gone);
    assert_eq!(judge(&mut first, &abort).0, Fate::AsItIs);
    assert_eq!(first.take_kept_transactions(), [aborted]);
    // The next cleaning meets the marker alone and sets the horizon; one after that time removes it.
    let mut second = filter(&map, &none, vec![aborted], NOW);
    let (fate, header) = judge(&mut second, &abort);
    assert_eq!(header.map(|h| h.base_timestamp), Some(TimestampMs(NOW + 500)));
    let Fate::Rewritten(dated) = fate else {
        panic!("{fate:?}")
    };
    let mut early = filter(&map, &none, Vec::new(), NOW + 499);
    assert_eq!(judge(&mut early, &dated).0, Fate::AsItIs);
    let mut late = filter(&map, &none, Vec::new(), NOW + 500);
    assert_eq!(judge(&mut late, &dated).0, Fate::Gone);
}

#[test]
fn times_too_far_apart_to_be_counted_from_the_horizon_leave_the_batch_as_it_is() {
    let (map, none) = (map(&[], 3000), HashMap::new());
    let mut filter = filter(&map, &none, Vec::new(), i64::MAX - 1);
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder
        .push(TimestampMs(i64::MIN + 2), Some(b"a"), None, &[])
        .unwrap();
    let bytes = builder.build().unwrap();
    assert_eq!(judge(&mut filter, &bytes).0, Fate::AsItIs);
}
