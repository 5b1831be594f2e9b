use super::*;
use proptest::prelude::*;
use std::io::Cursor;
use thalweg_types::{LeaderEpoch, Offset, TimestampMs};
use thalweg_wire::batch::patch_base_offset_and_epoch;
use thalweg_wire::compression::Compression;
use thalweg_wire::records::{BatchBuilder, BatchOptions};

/// A batch of `count` records whose values are 100 bytes.
fn batch(base_offset: i64, count: usize, compression: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions {
        compression,
        ..BatchOptions::default()
    });
    for index in 0..count {
        builder
            .push(TimestampMs(1), None, Some(&[index as u8; 100]), &[])
            .unwrap();
    }
    let mut bytes = builder.build().unwrap();
    patch_base_offset_and_epoch(&mut bytes, Offset(base_offset), LeaderEpoch(0)).unwrap();
    bytes.to_vec()
}

/// Four batches: offsets 100–102, 103–107, 108, 109–110.
fn batches() -> [Vec<u8>; 4] {
    [
        batch(100, 3, Compression::None),
        batch(103, 5, Compression::Zstd),
        batch(108, 1, Compression::None),
        batch(109, 2, Compression::None),
    ]
}

fn frame(next_base_offset: Option<i64>) -> Frame {
    Frame {
        base_offset: Some(100),
        next_base_offset,
        depth: Depth::Records,
    }
}

fn scanned(bytes: &[u8], frame: Frame) -> Findings {
    let mut reader = SegmentReader::over(Cursor::new(bytes.to_vec()), bytes.len() as u64);
    scan(&mut reader, frame, |_| {}).unwrap()
}

type Place = (Kind, u64, Option<(i64, Option<i64>)>);

fn lost(findings: &Findings) -> Vec<Place> {
    let offsets = |damage: &Damage| damage.offsets.map(|range| (range.first, range.last));
    findings
        .damages
        .iter()
        .map(|damage| (damage.kind, damage.position, offsets(damage)))
        .collect()
}

#[test]
fn a_whole_segment_has_no_damage() {
    let findings = scanned(&batches().concat(), frame(Some(111)));
    assert_eq!(findings.damages, []);
    assert_eq!((findings.batches, findings.records), (4, 11));
    assert_eq!(
        (findings.first_offset, findings.last_offset),
        (Some(100), Some(110))
    );
}

#[test]
fn a_flipped_bit_in_the_records_loses_one_batch() {
    let batches = batches();
    let mut bytes = batches.concat();
    let second = batches[0].len();
    bytes[second + 70] ^= 4;
    let findings = scanned(&bytes, frame(Some(111)));
    assert_eq!(
        lost(&findings),
        [(Kind::Checksum, second as u64, Some((103, Some(107))))]
    );
    assert_eq!(findings.batches, 3);
    assert!(findings.damages[0].expected.starts_with("0x") && findings.damages[0].found.starts_with("0x"));
}

#[test]
fn a_damaged_length_loses_no_more_than_its_batch() {
    let batches = batches();
    let second = batches[0].len();
    for (byte, value) in [(8, 0x7f), (8, 0xff), (11, 0), (10, 0xff), (16, 9)] {
        let mut bytes = batches.concat();
        bytes[second + byte] = value;
        let findings = scanned(&bytes, frame(None));
        let kinds: Vec<Kind> = findings.damages.iter().map(|damage| damage.kind).collect();
        assert!(
            matches!(kinds[..], [Kind::NoBatch | Kind::Checksum]),
            "{byte}: {findings:?}"
        );
        assert_eq!(
            findings.damages[0].offsets,
            Some(OffsetRange {
                first: 103,
                last: Some(107)
            }),
            "{byte}"
        );
        assert_eq!(findings.batches, 3);
    }
}

#[test]
fn a_cut_tail_is_told_from_other_damage() {
    let batches = batches();
    let whole = batches.concat();
    let last = (whole.len() - batches[3].len()) as u64;
    for cut in 1..batches[3].len() {
        let findings = scanned(&whole[..whole.len() - cut], frame(None));
        assert_eq!(
            lost(&findings),
            [(Kind::CutTail, last, Some((109, None)))],
            "{cut}"
        );
        assert!(findings.only_tail_is_cut());
    }
    let mut zeros = whole.clone();
    zeros.extend([0; 5000]);
    let findings = scanned(&zeros, frame(None));
    assert_eq!(
        lost(&findings),
        [(Kind::Zeros, whole.len() as u64, Some((111, None)))]
    );
    // The next segment says where this one should have ended.
    let findings = scanned(&whole[..whole.len() - 1], frame(Some(111)));
    assert_eq!(
        findings.damages[0].offsets,
        Some(OffsetRange {
            first: 109,
            last: Some(110)
        })
    );
}

#[test]
fn offsets_must_rise_and_stay_within_the_segment() {
    let swapped = [batch(100, 3, Compression::None), batch(101, 1, Compression::None)].concat();
    assert_eq!(lost(&scanned(&swapped, frame(None)))[0].0, Kind::Offsets);
    let early = batch(99, 1, Compression::None);
    assert_eq!(lost(&scanned(&early, frame(None)))[0].0, Kind::Offsets);
    let late = batch(100, 3, Compression::None);
    assert_eq!(lost(&scanned(&late, frame(Some(102))))[0].0, Kind::Offsets);
    // Compaction leaves gaps between batches.
    let gap = [batch(100, 3, Compression::None), batch(500, 1, Compression::None)].concat();
    assert_eq!(lost(&scanned(&gap, frame(None))), []);
}

#[test]
fn no_damage_hides_the_batches_behind_it() {
    // A thousand damaged places in one file: all are counted, the memory for them is bounded.
    let mut bytes = Vec::new();
    for index in 0..1500 {
        let mut one = batch(100 + index, 1, Compression::None);
        *one.last_mut().unwrap() ^= 1;
        bytes.extend(one);
    }
    bytes.extend(batch(1600, 1, Compression::None));
    let findings = scanned(&bytes, frame(None));
    assert_eq!(
        (findings.damage_count, findings.damages.len(), findings.batches),
        (1500, 1000, 1)
    );
}

proptest! {
    #[test]
    fn any_damage_is_found_and_every_other_batch_survives(at in 0usize..1300, value: u8, size in 1usize..40) {
        let batches = batches();
        let whole = batches.concat();
        let mut bytes = whole.clone();
        let end = bytes.len();
        for byte in bytes.iter_mut().take((at + size).min(end)).skip(at.min(end)) {
            *byte = value;
        }
        let findings = scanned(&bytes, frame(Some(111)));
        let mut start = 0;
        let mut intact = 0;
        for batch in &batches {
            let range = start..start + batch.len();
            // Base offset and epoch are outside the checksum: 8 + 4 bytes.
            intact += u64::from(bytes[range.clone()] == whole[range.clone()]);
            start = range.end;
        }
        prop_assert!(findings.batches >= intact, "{findings:?}");
        let checked_part_differs = bytes.iter().zip(&whole).enumerate().any(|(index, (new, old))| {
            let mut place = index;
            for batch in &batches {
                if place < batch.len() {
                    break;
                }
                place -= batch.len();
            }
            new != old && !(0..8).contains(&place) && !(12..16).contains(&place)
        });
        prop_assert!(!checked_part_differs || findings.damage_count > 0, "{findings:?}");
    }
}
