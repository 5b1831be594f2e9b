use super::*;

#[test]
fn kafkas_defaults_are_valid() {
    assert_eq!(GroupConfig::default().validate(), Ok(()));
}

#[test]
fn session_bounds_in_the_wrong_order_are_refused() {
    let config = GroupConfig {
        session_timeout_ms_min: 10,
        session_timeout_ms_max: 9,
        ..GroupConfig::default()
    };
    assert_eq!(
        config.validate(),
        Err(GroupConfigError::SessionTimeouts { min: 10, max: 9 })
    );
}

#[test]
fn a_value_below_its_least_is_named() {
    let config = GroupConfig {
        record_bytes_max: 100,
        ..GroupConfig::default()
    };
    assert_eq!(
        config.validate(),
        Err(GroupConfigError::TooSmall {
            name: "record_bytes_max",
            value: 100,
            least: 1_024
        })
    );
}
