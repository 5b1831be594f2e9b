use super::*;

#[test]
fn every_day_of_a_thousand_years_follows_the_one_before() {
    let mut before = civil_from_days(-250_000);
    for days in -249_999..250_000 {
        let (year, month, day) = civil_from_days(days);
        assert_eq!(days_from_civil(year, month, day), days);
        let next_day = (before.0, before.1, before.2 + 1);
        let next_month = (before.0, before.1 + 1, 1);
        let next_year = (before.0 + 1, 1, 1);
        assert!(
            [next_day, next_month, next_year].contains(&(year, month, day)),
            "{before:?} then {year}-{month}-{day}"
        );
        before = (year, month, day);
    }
}

#[test]
fn known_dates_are_where_they_belong() {
    assert_eq!(parse_date("1970-01-01"), Some(0));
    assert_eq!(parse_date("2000-02-29"), Some(11_016));
    assert_eq!(parse_date("1969-12-31"), Some(-1));
    for wrong in [
        "1900-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "26-1-1",
        "2026/01/01",
        "+026-01-01",
        "é",
    ] {
        assert_eq!(parse_date(wrong), None, "{wrong}");
    }
}

#[test]
fn timestamps_are_utc_unless_they_say_otherwise() {
    assert_eq!(parse_timestamp("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(parse_timestamp("1970-01-01 02:00+02:00"), Some(0));
    assert_eq!(parse_timestamp("1969-12-31T23:00:00-01:00"), Some(0));
    assert_eq!(parse_timestamp("1970-01-01T00:00:00.5"), Some(500_000));
    assert_eq!(parse_timestamp("1970-01-02"), Some(DAY_MICROS));
    for wrong in [
        "1970-01-01T24:00",
        "1970-01-01T00:00:60",
        "1970-01-01x00:00",
        "1970-01-01T00:00.5",
        "1970-01-01T",
    ] {
        assert_eq!(parse_timestamp(wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    for micros in [0, -1, 1, DAY_MICROS - 1, -DAY_MICROS, 1_786_000_000_123_456] {
        assert_eq!(parse_timestamp(&format_timestamp(micros)), Some(micros));
    }
}
