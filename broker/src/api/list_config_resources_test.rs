use super::*;

#[test]
fn version_0_lists_client_metrics_only() {
    assert_eq!(wanted(0, &[]), Some(BTreeSet::from([CLIENT_METRICS])));
}

#[test]
fn no_types_means_all_and_unknown_ones_are_not_supported() {
    assert_eq!(wanted(1, &[]).map(|types| types.len()), Some(5));
    assert_eq!(wanted(1, &[TOPIC, TOPIC]), Some(BTreeSet::from([TOPIC])));
    assert_eq!(wanted(1, &[TOPIC, 3]), None);
    assert_eq!(wanted(1, &[0]), None);
}
