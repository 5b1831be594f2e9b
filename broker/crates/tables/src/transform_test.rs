use super::*;
use crate::value::TimeUnit;

const MICROS: DataType = DataType::Timestamp(TimeUnit::Micros);

fn slot(transform: &Transform, value: Value) -> Slot {
    transform.slot(Some(&value)).unwrap()
}

#[test]
fn numbers_are_rounded_down_and_the_least_has_a_slot() {
    let ten = Transform::Truncate { width: 10 };
    assert_eq!(slot(&ten, Value::Integer(-1)), Slot::Value(Value::Integer(-10)));
    assert_eq!(slot(&ten, Value::Integer(19)), Slot::Value(Value::Integer(10)));
    let least = slot(&ten, Value::Integer(i64::MIN));
    assert!(
        ten.domain(&least, DataType::BigInt)
            .holds(Some(&Value::Integer(i64::MIN)))
    );
    assert!(
        !ten.domain(&least, DataType::BigInt)
            .holds(Some(&Value::Integer(i64::MIN + 8)))
    );
}

#[test]
fn times_before_1970_are_rounded_down() {
    assert_eq!(slot(&Transform::Hour, Value::Timestamp(-1)), Slot::Number(-1));
    assert_eq!(slot(&Transform::Day, Value::Timestamp(-1)), Slot::Number(-1));
    assert_eq!(slot(&Transform::Month, Value::Date(-1)), Slot::Number(-1));
    assert_eq!(slot(&Transform::Year, Value::Date(364)), Slot::Number(0));
}

#[test]
fn a_month_ends_where_the_next_begins() {
    let domain = Transform::Month.domain(&Slot::Number(1), MICROS);
    let march = civil::parse_timestamp("1970-03-01").unwrap();
    assert!(domain.holds(Some(&Value::Timestamp(march - 1))));
    assert!(!domain.holds(Some(&Value::Timestamp(march))));
    assert!(!domain.holds(None));
}

#[test]
fn a_prefix_counts_characters_and_a_short_string_is_alone() {
    let two = Transform::Prefix { chars: 2 };
    let text = |text: &str| Value::String(text.to_owned());
    assert_eq!(slot(&two, text("éab")), Slot::Value(text("éa")));
    let short = two.domain(&slot(&two, text("é")), DataType::String);
    assert!(short.holds(Some(&text("é"))) && !short.holds(Some(&text("éa"))));
}

#[test]
fn null_goes_where_the_list_says() {
    let list = |values: Vec<Option<Value>>, unlisted| Transform::List {
        groups: vec![ListGroup { values }],
        unlisted,
    };
    let one = Some(Value::Integer(1));
    let with_null = list(vec![one.clone(), None], Unlisted::Default);
    assert_eq!(with_null.slot(None), Some(Slot::Number(0)));
    assert!(!with_null.domain(&Slot::Default, DataType::Int).holds(None));
    let without = list(vec![one.clone()], Unlisted::Default);
    assert_eq!(without.slot(None), Some(Slot::Default));
    assert!(without.domain(&Slot::Default, DataType::Int).holds(None));
    assert_eq!(list(vec![one], Unlisted::Refused).slot(None), None);
}

#[test]
fn what_does_not_go_together_is_refused_with_the_reason() {
    let group = |values| Transform::List {
        groups: vec![ListGroup { values }],
        unlisted: Unlisted::Default,
    };
    let number = Some(Value::Integer(1));
    let cases = [
        (Transform::Identity, DataType::Double, "not exact"),
        (Transform::Bucket { count: 0 }, DataType::Int, "buckets"),
        (Transform::Truncate { width: 5 }, DataType::String, "prefix"),
        (Transform::Prefix { chars: 1 }, DataType::Bytes, "STRING"),
        (Transform::Hour, DataType::Date, "TIMESTAMP"),
        (group(vec![]), DataType::Int, "at least one"),
        (
            group(vec![number.clone(), number.clone()]),
            DataType::Int,
            "1 stands in the list twice",
        ),
        (group(vec![number]), DataType::String, "1 is no STRING"),
        (
            Transform::Range {
                bounds: vec![Value::Integer(2), Value::Integer(1)],
            },
            DataType::Int,
            "ascend",
        ),
    ];
    for (transform, data_type, words) in cases {
        let refusal = transform.refusal(data_type).expect(words);
        assert!(refusal.contains(words), "{refusal}");
    }
}
