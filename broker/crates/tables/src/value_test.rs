use super::*;

fn decimal(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).unwrap())
}

#[test]
fn numbers_compare_exactly_whatever_their_scale() {
    assert_eq!(decimal("1.00"), Value::Integer(1));
    assert_eq!(decimal("-0.5"), decimal("-0.50"));
    assert!(decimal("-0.5") < Value::Integer(0));
    assert!(decimal("-1.5") > Value::Integer(-2));
    assert!(decimal("99999999999999999999999999999999999999") > Value::Integer(i64::MAX));
    assert!(decimal("0.00000000000000000000000000000000000001") > Value::Integer(0));
    assert!(decimal("9223372036854775806.9") < Value::Integer(i64::MAX));
}

#[test]
fn zeros_are_equal_and_nan_comes_last() {
    assert_eq!(Value::Double(-0.0), Value::Double(0.0));
    assert_eq!(Value::Double(f64::NAN), Value::Double(-f64::NAN));
    assert!(Value::Double(f64::NAN) > Value::Double(f64::INFINITY));
}

#[test]
fn a_date_is_its_midnight() {
    assert_eq!(Value::Date(1), Value::Timestamp(civil::DAY_MICROS));
    assert!(Value::Date(i32::MAX) > Value::Timestamp(i64::MAX));
}

#[test]
fn strings_compare_by_bytes() {
    let text = |text: &str| Value::String(text.to_owned());
    assert!(text("Z") < text("a"));
    assert!(text("z") < text("é"));
    assert!(text("\u{ffff}") < text("\u{10000}"));
}

#[test]
fn decimals_are_read_and_written() {
    for (text, written) in [
        ("0", "0"),
        ("-1.50", "-1.50"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("12e-3", "0.012"),
        ("5.", "5"),
    ] {
        assert_eq!(Decimal::parse(text).unwrap().to_string(), written);
    }
    let long = "1".repeat(39);
    for wrong in [
        "",
        ".",
        "-",
        "1e",
        "1e99",
        "x",
        "1.2.3",
        long.as_str(),
        "1e-99999",
        "--1",
    ] {
        assert!(Decimal::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_decimal_changes_scale_only_without_loss() {
    let number = Decimal::parse("1.50").unwrap();
    assert_eq!(number.rescaled(1).map(|number| number.unscaled), Some(15));
    assert!(number.rescaled(0).is_none());
    assert!(number.rescaled(37).is_some());
    assert!(number.rescaled(38).is_none());
    assert!(Decimal::parse("10").unwrap().rescaled(38).is_none());
}

#[test]
fn a_value_fits_its_type_only() {
    assert!(!Value::Integer(1 << 40).fits(DataType::Int));
    assert!(!Value::Timestamp(1).fits(DataType::Timestamp(TimeUnit::Millis)));
    assert!(!Value::Double(0.1).fits(DataType::Float));
    let two_digits = DataType::Decimal {
        precision: 2,
        scale: 1,
    };
    assert!(decimal("9.9").fits(two_digits));
    assert!(!decimal("10.0").fits(two_digits));
    assert!(!decimal("1").fits(two_digits));
}
