use super::*;

#[test]
fn rule_17_names_follow_kafkas_alphabet() {
    for name in ["a", "A.b_c-9", "__consumer_offsets", "...", &"x".repeat(249)] {
        assert_eq!(check_topic_name(name), Ok(()), "{name}");
    }
    for name in ["", ".", "..", "a b", "ä", "a/b", "a\0", &"x".repeat(250)] {
        assert!(check_topic_name(name).is_err(), "{name}");
    }
}
