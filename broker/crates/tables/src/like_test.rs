use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, Some('\\')).unwrap()
}

#[test]
fn patterns_match_by_characters() {
    let cases = [
        ("", "", true),
        ("", "a", false),
        ("%", "", true),
        ("%", "anything", true),
        ("a%", "abc", true),
        ("a%", "ba", false),
        ("_", "é", true),
        ("__", "é", false),
        ("é_%", "éa", true),
        ("%b", "ab", true),
        ("%b", "abc", false),
        ("%ab%ab", "ababab", true),
        ("a%b%c", "a-b-b-c", true),
        ("a%b%c", "a-c-b", false),
        ("a\\%", "a%", true),
        ("a\\%", "ab", false),
        ("%%__%", "ab", true),
        ("A%", "ab", false),
    ];
    for (text, value, expected) in cases {
        assert_eq!(pattern(text).matches(value), expected, "{value:?} LIKE {text:?}");
    }
}

#[test]
fn shapes_are_told_apart() {
    assert_eq!(pattern("abc").shape(), Shape::Exact);
    assert_eq!(pattern("ab%").shape(), Shape::Prefix);
    assert_eq!(pattern("ab%%").shape(), Shape::Prefix);
    assert_eq!(pattern("%").shape(), Shape::Prefix);
    assert_eq!(pattern("ab_").shape(), Shape::Other);
    assert_eq!(pattern("ab%c").prefix(), "ab");
    assert_eq!(pattern("a\\_b%").prefix(), "a_b");
}

#[test]
fn a_pattern_may_not_end_with_its_escape() {
    assert!(Pattern::parse("ab\\", Some('\\')).is_none());
    assert!(Pattern::parse("ab\\", None).is_some());
}
