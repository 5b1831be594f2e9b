//! Which versions a broker offers, and the one both sides speak.

use std::collections::BTreeMap;

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::protocol::VersionRange;

/// Version ranges a broker announced in its ApiVersions answer (KIP-35).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiVersionTable {
    ranges: BTreeMap<i16, VersionRange>,
    /// Features in force in the cluster (KIP-584): lowest and highest version.
    features: BTreeMap<String, (i16, i16)>,
}

impl ApiVersionTable {
    pub(crate) fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response
            .api_keys
            .iter()
            .map(|api| {
                (
                    api.api_key,
                    VersionRange {
                        min: api.min_version,
                        max: api.max_version,
                    },
                )
            })
            .collect();
        let features = response
            .finalized_features
            .iter()
            .map(|feature| {
                let levels = (feature.min_version_level, feature.max_version_level);
                (feature.name.to_string(), levels)
            })
            .collect();
        Self { ranges, features }
    }

    /// Returns the lowest and highest version of a feature that is in force in the cluster (KIP-584).
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<(i16, i16)> {
        self.features.get(name).copied()
    }

    /// Returns the lowest and highest version the broker offers of an API key.
    #[must_use]
    pub fn range(&self, api_key: i16) -> Option<(i16, i16)> {
        self.ranges.get(&api_key).map(|range| (range.min, range.max))
    }

    /// Returns the highest version that both sides speak.
    pub(crate) fn highest_common(&self, api_key: i16, ours: VersionRange) -> Option<i16> {
        let common = self.ranges.get(&api_key)?.intersect(&ours);
        (!common.is_empty()).then_some(common.max)
    }

    /// Says in words what the broker offers of an API key.
    pub(crate) fn offered(&self, api_key: i16) -> String {
        match self.ranges.get(&api_key) {
            Some(range) => format!("it offers {} to {}", range.min, range.max),
            None => "it does not offer the API at all".to_owned(),
        }
    }
}

/// Returns Kafka's name of an API that this client calls, for messages.
pub(crate) const fn api_name(api_key: i16) -> &'static str {
    match api_key {
        0 => "Produce",
        1 => "Fetch",
        2 => "ListOffsets",
        3 => "Metadata",
        8 => "OffsetCommit",
        9 => "OffsetFetch",
        10 => "FindCoordinator",
        15 => "DescribeGroups",
        16 => "ListGroups",
        18 => "ApiVersions",
        19 => "CreateTopics",
        20 => "DeleteTopics",
        21 => "DeleteRecords",
        22 => "InitProducerId",
        23 => "OffsetForLeaderEpoch",
        24 => "AddPartitionsToTxn",
        26 => "EndTxn",
        32 => "DescribeConfigs",
        35 => "DescribeLogDirs",
        37 => "CreatePartitions",
        42 => "DeleteGroups",
        44 => "IncrementalAlterConfigs",
        47 => "OffsetDelete",
        60 => "DescribeCluster",
        69 => "ConsumerGroupDescribe",
        _ => "another API",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::api_versions_response::ApiVersion;

    #[test]
    fn the_highest_common_version_is_taken() {
        let offered = |min, max| {
            ApiVersion::default()
                .with_api_key(3)
                .with_min_version(min)
                .with_max_version(max)
        };
        for (min, max, expected) in [
            (0, 12, Some(12)),
            (0, 99, Some(13)),
            (5, 5, Some(5)),
            (14, 20, None),
        ] {
            let response = ApiVersionsResponse::default().with_api_keys(vec![offered(min, max)]);
            let table = ApiVersionTable::from_response(&response);
            assert_eq!(
                table.highest_common(3, VersionRange { min: 4, max: 13 }),
                expected
            );
            assert_eq!(table.highest_common(1, VersionRange { min: 4, max: 13 }), None);
        }
    }
}
