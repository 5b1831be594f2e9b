use thalweg_settings::Profile;

use super::*;

#[test]
fn the_defaults_of_both_profiles_are_kafkas_and_valid() {
    for (profile, delay_ms) in [(Profile::Serve, 3_000), (Profile::Dev, 0)] {
        let config = group_config(&Settings::defaults(profile));
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.initial_rebalance_delay_ms, delay_ms);
        assert_eq!(
            (
                config.session_timeout_ms_min,
                config.session_timeout_ms_max,
                config.offset_metadata_max
            ),
            (6_000, 1_800_000, 4_096)
        );
        assert_eq!(config.offsets_retention_ms, 7 * 24 * 3_600_000);
    }
}

#[test]
fn a_largest_session_timeout_below_the_least_is_raised_to_it() {
    let settings = Settings::builder(Profile::Serve)
        .set("group.min.session.timeout.ms", "10000")
        .set("group.max.session.timeout.ms", "5000")
        .build();
    // Refused by the settings already, or repaired here.
    if let Ok(settings) = settings {
        let config = group_config(&settings);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.session_timeout_ms_max, 10_000);
    }
}
