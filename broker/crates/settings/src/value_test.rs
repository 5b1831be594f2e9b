use super::*;

#[test]
fn doubles_are_printed_as_java_prints_them() {
    let cases = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (0.5, "0.5"),
        (0.001, "0.001"),
        (0.000_1, "1.0E-4"),
        (1.25e-7, "1.25E-7"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (-1.5e10, "-1.5E10"),
        (f64::MAX, "1.7976931348623157E308"),
    ];
    for (value, text) in cases {
        assert_eq!(java_double(value), text);
    }
}

#[test]
fn whole_numbers_keep_to_their_width() {
    assert_eq!(parse(Kind::Int, "2147483647"), Ok(Value::Number(2_147_483_647)));
    assert!(parse(Kind::Int, "2147483648").is_err());
    assert!(parse(Kind::Short, "32768").is_err());
    assert_eq!(
        parse(Kind::Long, "-9223372036854775808"),
        Ok(Value::Number(i64::MIN))
    );
    assert_eq!(
        parse(Kind::Long, "9223372036854775808"),
        Err("must be from -9223372036854775808 to 9223372036854775807".to_owned())
    );
    assert_eq!(
        parse(Kind::Long, "7d"),
        Err("must be a whole number in digits, without a unit".to_owned())
    );
}

#[test]
fn lists_drop_repeats_and_refuse_gaps() {
    assert_eq!(parse(Kind::List, ""), Ok(Value::List(vec![])));
    assert_eq!(
        parse(Kind::List, "a , b,a"),
        Ok(Value::List(vec!["a".to_owned(), "b".to_owned()]))
    );
    assert!(parse(Kind::List, "a,,b").is_err());
    assert!(parse(Kind::List, "a,").is_err());
}

#[test]
fn null_prints_as_nothing() {
    assert_eq!(Value::Null.printed(), None);
    assert_eq!(Value::Text(String::new()).printed(), Some(String::new()));
}

#[test]
fn enums_follow_their_texts() {
    let text = |text: &str| Value::Text(text.to_owned());
    let all: Vec<_> = CompressionType::NAMES
        .iter()
        .map(|name| CompressionType::of(&text(name)))
        .collect();
    let distinct: std::collections::BTreeSet<_> = all
        .iter()
        .map(|kind| format!("{kind:?}").to_lowercase())
        .collect();
    assert_eq!(
        distinct,
        CompressionType::NAMES
            .iter()
            .map(|name| (*name).to_owned())
            .collect()
    );
    assert_eq!(TimestampType::of(&text("CreateTime")), TimestampType::CreateTime);
    assert_eq!(
        TimestampType::of(&text("LogAppendTime")),
        TimestampType::LogAppendTime
    );
    let policy = CleanupPolicy::of(&Value::List(vec!["compact".to_owned()]));
    assert_eq!(
        policy,
        CleanupPolicy {
            delete: false,
            compact: true
        }
    );
    assert_eq!(
        CleanupPolicy::of(&Value::List(vec![])),
        CleanupPolicy {
            delete: false,
            compact: false
        }
    );
}
