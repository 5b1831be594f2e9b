use std::collections::BTreeSet;

use kafka_protocol::protocol::VersionRange;

use super::*;

#[test]
fn rows_rise_by_key_without_repeats() {
    for pair in TABLE.windows(2) {
        assert!(
            (pair[0].key as i16) < (pair[1].key as i16),
            "{} before {}",
            pair[0].name,
            pair[1].name
        );
    }
}

/// Versions that kafka-protocol does not have, and parsers of our own read.
const OWN_PARSERS: [(ApiKey, i16); 1] = [(ApiKey::WriteTxnMarkers, 2)];

#[test]
fn every_row_stays_inside_the_stable_schemas() {
    for row in TABLE {
        let VersionRange { min, mut max } = row.key.valid_versions();
        if let Some((_, own)) = OWN_PARSERS.iter().find(|(key, _)| *key == row.key) {
            max = max.max(*own);
        }
        assert!(
            min <= row.version_min && row.version_max <= max,
            "{}: {min} to {max}",
            row.name
        );
        assert!(
            row.version_min <= row.version_max && row.advertised_min <= row.version_min,
            "{}",
            row.name
        );
    }
}

#[test]
fn every_row_can_be_decoded_by_the_guard() {
    use thalweg_wire::guard::{Direction, supported_versions};
    for row in TABLE {
        for direction in [Direction::Request, Direction::Response] {
            let (first, last) =
                supported_versions(direction, row.key as i16).expect("the schema table has the API");
            assert!(
                first <= row.version_min && row.version_max <= last,
                "{} {direction}",
                row.name
            );
        }
    }
}

/// Bodies that Apache Kafka's own classes wrote; the wire crate's tests read and write each of them.
const GOLDEN: &str = include_str!("../../crates/wire/golden/java-4.3.1/messages.tsv");

#[test]
fn every_served_version_is_compared_with_what_apache_kafka_writes() {
    let compared: BTreeSet<(&str, &str, &str, &str)> = GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().expect("six columns");
            let (direction, key, _, version, filling) = (next(), next(), next(), next(), next());
            (direction, key, version, filling)
        })
        .collect();
    let mut count = 0;
    for row in TABLE {
        for version in row.version_min..=row.version_max {
            let (key, version) = ((row.key as i16).to_string(), version.to_string());
            for (direction, filling) in [
                ("request", "full"),
                ("request", "sparse"),
                ("response", "full"),
                ("response", "sparse"),
            ] {
                assert!(
                    compared.contains(&(direction, &*key, &*version, filling)),
                    "{} v{version}: no {filling} {direction}",
                    row.name
                );
                count += 1;
            }
        }
    }
    assert!(count > 600, "only {count} bodies");
}

/// InitProducerId v6 exists in the schemas but is not stable in Kafka 4.3.
#[test]
fn unstable_versions_are_not_served() {
    if let Some(row) = row(ApiKey::InitProducerId as i16) {
        assert!(row.version_max <= 5);
    }
}

/// librdkafka drops compression or Kerberos when these minima are higher.
#[test]
fn rule_03_produce_and_join_group_are_advertised_from_version_0() {
    for key in [ApiKey::Produce, ApiKey::JoinGroup] {
        if let Some(row) = row(key as i16) {
            assert_eq!(row.advertised_min, 0, "{}", row.name);
        }
    }
}

#[test]
fn only_api_versions_is_admitted_in_an_unknown_version() {
    assert!(matches!(admit(18, 99), Admission::AnswerVersions(_)));
    assert!(matches!(admit(18, -1), Admission::AnswerVersions(_)));
    assert!(matches!(admit(18, 4), Admission::Serve(row) if row.name == "ApiVersions"));
    for key in [-1, 4, 52, 999, i16::MAX, i16::MIN] {
        assert!(matches!(admit(key, 0), Admission::UnknownKey), "{key}");
    }
    for row in TABLE.iter().filter(|row| row.key != ApiKey::ApiVersions) {
        let above = row.version_max + 1;
        assert!(
            matches!(admit(row.key as i16, above), Admission::UnsupportedVersion(_)),
            "{}",
            row.name
        );
        assert!(
            matches!(admit(row.key as i16, -1), Admission::UnsupportedVersion(_)),
            "{}",
            row.name
        );
    }
}
