use super::*;

#[test]
fn dates_are_read_and_written_in_utc() {
    for (text, ms, written) in [
        ("1970-01-01", 0, "1970-01-01T00:00:00.000Z"),
        (
            "2000-02-29T23:59:59Z",
            951_868_799_000,
            "2000-02-29T23:59:59.000Z",
        ),
        (
            "2022-02-14T12:34:56.7Z",
            1_644_842_096_700,
            "2022-02-14T12:34:56.700Z",
        ),
        (
            "2026-11-20T00:00:00.123456789Z",
            1_795_132_800_123,
            "2026-11-20T00:00:00.123Z",
        ),
        ("9999-12-31", 253_402_214_400_000, "9999-12-31T00:00:00.000Z"),
    ] {
        assert_eq!(parse_date(text), Some(ms), "{text}");
        assert_eq!(rfc3339(ms), written);
    }
    assert_eq!(rfc3339(-1), "-");
}

#[test]
fn every_day_of_four_centuries_comes_back() {
    let first = days_from_date(1900, 1, 1);
    for days in first..first + 146_097 {
        let (year, month, day) = date_from_days(days);
        assert_eq!(days_from_date(year, month, day), days, "{year}-{month}-{day}");
    }
}

#[test]
fn the_weekday_and_the_day_of_the_year_are_known() {
    let civil = Civil::from_unix_ms(parse_date("2024-12-31").unwrap());
    assert_eq!((civil.weekday, civil.year_day), (2, 366));
    assert_eq!(Civil::from_unix_ms(0).weekday, 4);
    assert_eq!(Civil::from_unix_ms(-1).second, 59);
}

#[test]
fn what_the_calendar_does_not_have_is_refused() {
    for text in [
        "2023-02-29",
        "2023-13-01",
        "2023-1-1",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:00:00",
        "x",
        "",
    ] {
        assert_eq!(parse_date(text), None, "{text}");
    }
}

#[test]
fn durations_add_their_parts() {
    for (text, ms) in [
        ("3ms", 3),
        ("10s", 10_000),
        ("9m", 540_000),
        ("1h", 3_600_000),
        ("1m3ms", 60_003),
        ("2d", 172_800_000),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "5", "ms", "1x", "-1s", "99999999999999999999s", "1s "] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert_eq!(parse_timeout("1ms"), Ok(Duration::from_millis(1)));
    for text in ["0s", "0ms", "0h0m", "x"] {
        assert!(parse_timeout(text).is_err(), "{text}");
    }
}
