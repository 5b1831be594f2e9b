use super::*;
use crate::cli::log::scan::{Damage, Kind};

fn findings(last_offset: Option<i64>, damaged: &[(i64, Option<i64>)]) -> Findings {
    let damage = |(first, last): &(i64, Option<i64>)| Damage {
        position: 89,
        kind: Kind::Checksum,
        expected: "0x00000001".to_owned(),
        found: "0x00000002".to_owned(),
        offsets: Some(OffsetRange {
            first: *first,
            last: *last,
        }),
    };
    Findings {
        size_bytes: 321,
        batches: 1,
        records: 1,
        first_offset: last_offset.map(|_| 10),
        last_offset,
        damages: damaged.iter().map(damage).collect(),
        damage_count: damaged.len() as u64,
    }
}

#[test]
fn a_quarantined_segment_loses_everything_up_to_the_next_one() {
    for (next, last_offset, damaged, expected) in [
        (Some(100), Some(12), &[(13, Some(20))][..], Some(99)),
        (None, Some(12), &[(13, Some(20))], Some(20)),
        (None, Some(30), &[(13, Some(20))], Some(30)),
        (None, Some(12), &[(13, None)], None),
        (None, None, &[(10, Some(20))], Some(20)),
    ] {
        let lost = lost_range(Some(10), next, &findings(last_offset, damaged));
        assert_eq!(
            lost,
            Some(OffsetRange {
                first: 10,
                last: expected
            })
        );
    }
}

#[test]
fn a_report_is_one_flat_json_object() {
    let report = Report {
        file: "a.log".to_owned(),
        findings: findings(Some(10), &[(11, Some(20))]),
        quarantined_to: None,
        lost_offsets: None,
    };
    let expected = concat!(
        r#"{"file":"a.log","size_bytes":321,"batches":1,"records":1,"first_offset":10,"last_offset":10,"#,
        r#""damages":[{"position":89,"kind":"checksum","expected":"0x00000001","found":"0x00000002","#,
        r#""offsets":{"first":11,"last":20}}],"damage_count":1,"quarantined_to":null,"lost_offsets":null}"#
    );
    assert_eq!(serde_json::to_string(&report).unwrap(), expected);
}
