use super::*;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn is_in(values: &[i64]) -> Test {
    Test::In(Literals::new(
        values.iter().copied().map(Value::Integer).collect(),
    ))
}

fn numbers(low: i64, high: i64) -> ValueSet {
    ValueSet::Range {
        low: Some(Value::Integer(low)),
        high: Some(High::Inside(Value::Integer(high))),
    }
}

#[test]
fn a_range_decides_at_its_ends() {
    let set = numbers(10, 19);
    let cases = [
        (Test::Less(Value::Integer(10)), Outcomes::FALSE),
        (Test::Less(Value::Integer(11)), Outcomes::DECIDED),
        (Test::Less(Value::Integer(19)), Outcomes::DECIDED),
        (Test::Less(Value::Integer(20)), Outcomes::TRUE),
        (Test::LessOrEqual(Value::Integer(9)), Outcomes::FALSE),
        (Test::LessOrEqual(Value::Integer(10)), Outcomes::DECIDED),
        (Test::LessOrEqual(Value::Integer(19)), Outcomes::TRUE),
        (is_in(&[9, 20]), Outcomes::FALSE),
        (is_in(&[9, 15]), Outcomes::DECIDED),
        (is_in(&[]), Outcomes::FALSE),
    ];
    for (test, expected) in cases {
        assert_eq!(test_outcomes(&test, &set), expected, "{test:?}");
    }
    assert_eq!(test_outcomes(&is_in(&[7]), &numbers(7, 7)), Outcomes::TRUE);
}

#[test]
fn a_prefix_decides_patterns_of_every_length() {
    let like = |text: &str| Test::Like(Pattern::parse(text, None).unwrap());
    let set = ValueSet::Prefix("ab".to_owned());
    for (pattern, expected) in [
        ("a%", Outcomes::TRUE),
        ("ab%", Outcomes::TRUE),
        ("abc%", Outcomes::DECIDED),
        ("b%", Outcomes::FALSE),
        ("a_%", Outcomes::DECIDED),
        ("%", Outcomes::TRUE),
    ] {
        assert_eq!(test_outcomes(&like(pattern), &set), expected, "{pattern}");
    }
    assert_eq!(test_outcomes(&Test::Less(text("ab")), &set), Outcomes::FALSE);
    assert_eq!(test_outcomes(&Test::Less(text("abc")), &set), Outcomes::DECIDED);
    assert_eq!(test_outcomes(&Test::Less(text("ac")), &set), Outcomes::TRUE);
}

#[test]
fn the_default_partition_refutes_what_others_hold() {
    let set = ValueSet::NoneOf(vec![Value::Integer(1), Value::Integer(2)]);
    assert_eq!(test_outcomes(&is_in(&[1, 2]), &set), Outcomes::FALSE);
    assert_eq!(test_outcomes(&is_in(&[1, 3]), &set), Outcomes::DECIDED);
    assert!(!set.holds(&Value::Integer(2)));
}

#[test]
fn an_end_of_strings_that_is_outside_stays_outside() {
    let set = ValueSet::Range {
        low: Some(text("a")),
        high: Some(High::Outside(text("b"))),
    };
    assert!(set.holds(&text("a\u{10ffff}")) && !set.holds(&text("b")));
    assert_eq!(test_outcomes(&Test::Less(text("b")), &set), Outcomes::TRUE);
    let like = Test::Like(Pattern::parse("b%", None).unwrap());
    assert_eq!(test_outcomes(&like, &set), Outcomes::FALSE);
}

#[test]
fn null_alone_is_certain() {
    assert_eq!(null_outcomes(&Domain::null()), Outcomes::TRUE);
    assert_eq!(null_outcomes(&Domain::of(ValueSet::All)), Outcomes::FALSE);
}
