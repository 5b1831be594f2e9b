use super::*;
use crate::civil::parse_timestamp;
use crate::outcomes::Truth;
use crate::schema::{Column, FieldId};
use crate::value::{DataType, Decimal, TimeUnit, Value};

fn schema() -> Schema {
    let column = |id, name: &str, data_type| Column {
        id: FieldId(id),
        name: name.to_owned(),
        data_type,
        nullable: true,
    };
    let columns = vec![
        column(1, "os", DataType::String),
        column(2, "n", DataType::Int),
        column(
            3,
            "price",
            DataType::Decimal {
                precision: 9,
                scale: 2,
            },
        ),
        column(4, "ts", DataType::Timestamp(TimeUnit::Millis)),
        column(5, "day", DataType::Date),
        column(6, "ok", DataType::Boolean),
        column(7, "x", DataType::Double),
        column(8, "Mixed", DataType::Bytes),
    ];
    Schema::new(columns).unwrap()
}

fn row() -> Vec<Option<Value>> {
    vec![
        Some(Value::String("ios".to_owned())),
        Some(Value::Integer(5)),
        Decimal::new(150, 2).map(Value::Decimal),
        parse_timestamp("2026-03-04T05:06:07Z").map(Value::Timestamp),
        Some(Value::Date(20_516)),
        Some(Value::Boolean(true)),
        Some(Value::Double(f64::NAN)),
        None,
    ]
}

fn truth(text: &str) -> Truth {
    let predicate = parse_predicate(text, &schema()).unwrap_or_else(|error| panic!("{text}: {error}"));
    predicate.of_row(&row())
}

#[test]
fn what_is_understood_means_what_sql_says() {
    let cases = [
        ("os = 'ios'", Truth::True),
        ("'ios' = os AND n > 4", Truth::True),
        ("os <> 'ios' OR n <= 4", Truth::False),
        ("os IN ('a', 'ios')", Truth::True),
        ("os NOT IN ('a', NULL)", Truth::Unknown),
        ("os IN ('ios', NULL)", Truth::True),
        ("n BETWEEN 5 AND 6", Truth::True),
        ("n NOT BETWEEN 5 AND 6", Truth::False),
        ("n = 5.0", Truth::True),
        ("n = 5.5", Truth::False),
        ("n < 5.5 AND n > 4.9", Truth::True),
        ("n < 99999999999999999999", Truth::True),
        ("price = 1.5", Truth::True),
        ("price > 1.499", Truth::True),
        ("price = 1.505", Truth::False),
        ("price < -1", Truth::False),
        ("ts >= '2026-03-04'", Truth::True),
        ("ts < TIMESTAMP '2026-03-04 05:06:07.000001'", Truth::True),
        ("ts = TIMESTAMP '2026-03-04T06:06:07+01:00'", Truth::True),
        ("CAST(ts AS DATE) = DATE '2026-03-04'", Truth::True),
        ("date_trunc('hour', ts) = '2026-03-04T05:00:00Z'", Truth::True),
        ("day = '2026-03-04'", Truth::True),
        ("day = ts", Truth::False),
        ("day <= ts", Truth::True),
        ("ok", Truth::True),
        ("NOT ok", Truth::False),
        ("x > 1e300", Truth::True),
        ("x = CAST('NaN' AS DOUBLE)", Truth::True),
        ("n < x", Truth::True),
        ("\"Mixed\" IS NULL", Truth::True),
        ("Mixed = X'00ff'", Truth::Unknown),
        ("(Mixed = X'00ff') IS NULL", Truth::True),
        ("(Mixed = X'00ff') IS NOT TRUE", Truth::True),
        ("Mixed IS DISTINCT FROM X'00'", Truth::True),
        ("os LIKE 'i%'", Truth::True),
        ("os LIKE '_o_'", Truth::True),
        ("os NOT LIKE 'i!%' ESCAPE '!'", Truth::True),
        ("os = NULL", Truth::Unknown),
        ("NULL OR TRUE", Truth::True),
        ("NOT (os = 'a' OR n = 1)", Truth::True),
    ];
    for (text, expected) in &cases {
        assert_eq!(truth(text), *expected, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let cases = [
        ("os = ", None, "expected"),
        ("oss = 'a'", Some((1, 1)), "no column 'oss'"),
        ("n = 1 AND\n  OS = 'a'", Some((2, 3)), "there is 'os'"),
        ("n = 'five'", Some((1, 5)), "a text is not compared with INT"),
        ("n + 1 = 2", Some((1, 1)), "a column is expected"),
        ("lower(os) = 'a'", Some((1, 1)), "function lower"),
        ("os ILIKE 'a%'", Some((1, 1)), "a column is expected"),
        ("n LIKE 'a%'", Some((1, 1)), "LIKE takes a STRING"),
        ("os LIKE 'a!' ESCAPE '!'", Some((1, 9)), "ends with its escape"),
        ("day = '2026-02-30'", Some((1, 7)), "is no date"),
        ("n = 1 n = 2", Some((1, 7)), "an operator is missing"),
        ("n IN (1, n)", Some((1, 10)), "a list of literals"),
        ("os", Some((1, 1)), "is no condition"),
        ("n IN (SELECT 1)", Some((1, 1)), "a column is expected"),
        ("os = 'a' AND (n = 1", None, "expected"),
        ("os = 'a", Some((1, 6)), "nterminated"),
        ("1 = 1", Some((1, 1)), "two literals"),
        ("os < n", Some((1, 1)), "STRING is not compared with INT"),
        ("t.os = 'a'", Some((1, 1)), "without its table"),
    ];
    for (text, place, words) in cases {
        let error = parse_predicate(text, &schema()).expect_err(text);
        let found = error.position.map(|position| (position.line, position.column));
        assert!(
            error.message.to_lowercase().contains(&words.to_lowercase()),
            "{text}: {error}"
        );
        assert_eq!(found, place, "{text}: {error}");
    }
}

#[test]
fn long_and_deep_texts_are_refused() {
    let deep = format!("{}n = 1{}", "(".repeat(5_000), ")".repeat(5_000));
    let not = format!("{} ok", "NOT ".repeat(900));
    let chain = vec!["n = 1"; 5_000].join(" OR ");
    let nulls = format!("n {}", "IS NULL ".repeat(499));
    let long = format!("n IN ({})", vec!["1"; 200_000].join(","));
    for text in [&deep, &not, &chain, &long] {
        assert!(parse_predicate(text, &schema()).is_err(), "{} bytes", text.len());
    }
    // A chain of postfix operators is deep, but bounded by its words.
    let _ = parse_predicate(&nulls, &schema());
    let wide = format!("n IN ({})", vec!["1"; 20_000].join(","));
    assert!(parse_predicate(&wide, &schema()).is_ok());
    let chain = vec!["n = 1"; 250].join(" OR ");
    assert!(parse_predicate(&chain, &schema()).is_ok());
}
