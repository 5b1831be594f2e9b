use super::*;

#[test]
fn client_software_follows_the_pattern_of_kip_511() {
    for good in ["librdkafka", "apache-kafka-java", "2.15.0-RC1", "a", "7", "a..b"] {
        assert!(is_software_text(good), "{good}");
    }
    let long = "x".repeat(SOFTWARE_TEXT_LENGTH_MAX + 1);
    for bad in ["", "-a", "a-", ".", "a b", "a/b", "é", "a\n", &long] {
        assert!(!is_software_text(bad), "{bad:?}");
    }
}

/// Clients use version 2 of transactions only when it is finalized. A feature with level 0 would confuse older ones.
#[test]
fn the_transaction_version_is_finalized_and_its_levels_are_told_from_version_4() {
    for version in 0..=4 {
        let response = response(ErrorCode::None, version);
        let finalized: Vec<_> = response
            .finalized_features
            .iter()
            .map(|feature| {
                (
                    feature.name.as_str(),
                    feature.min_version_level,
                    feature.max_version_level,
                )
            })
            .collect();
        let expected: &[_] = if version >= 3 {
            &[("transaction.version", 2, 2), ("thalweg.mirror", 1, 2)]
        } else {
            &[]
        };
        assert_eq!(finalized, expected, "v{version}");
        // Ours since the list began, and one with a least level of 0.
        let supported = usize::from(version >= 3) + usize::from(version >= 4);
        assert_eq!(response.supported_features.len(), supported);
    }
}
