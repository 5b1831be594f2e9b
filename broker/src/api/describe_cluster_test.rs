use super::*;

#[test]
fn rule_21_brokers_are_described_and_other_endpoints_are_refused_by_kafkas_codes() {
    assert_eq!(check_endpoint(1), Ok(()));
    assert_eq!(
        check_endpoint(2).unwrap_err().code,
        ErrorCode::MismatchedEndpointType
    );
    for other in [0, 3, -1] {
        assert_eq!(
            check_endpoint(other).unwrap_err().code,
            ErrorCode::UnsupportedEndpointType
        );
    }
}
