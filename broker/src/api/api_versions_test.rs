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
