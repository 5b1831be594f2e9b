use super::*;

const NOW: i64 = 1_700_000_000_000;
const VALENTINE: i64 = 1_644_796_800_000;
const HOUR: i64 = 3_600_000;

fn spec(from: Place, until: Option<Place>) -> Result<OffsetSpec, String> {
    Ok(OffsetSpec { from, until })
}

#[test]
fn offsets_are_written_as_rpk_has_them() {
    for (text, expected) in [
        ("start", spec(Place::Start, None)),
        ("oldest", spec(Place::Start, None)),
        ("end", spec(Place::End, None)),
        (":end", spec(Place::Start, Some(Place::End))),
        ("47", spec(Place::Exact(47), None)),
        ("47:", spec(Place::Exact(47), None)),
        (":47", spec(Place::Start, Some(Place::Exact(47)))),
        ("3:9", spec(Place::Exact(3), Some(Place::Exact(9)))),
        ("3:end", spec(Place::Exact(3), Some(Place::End))),
        ("+2", spec(Place::AfterStart(2), None)),
        ("-3", spec(Place::BeforeEnd(3), None)),
        ("-3:end", spec(Place::BeforeEnd(3), Some(Place::End))),
    ] {
        assert_eq!(OffsetSpec::parse_at(text, NOW), expected, "{text}");
    }
}

#[test]
fn times_are_numbers_dates_or_durations() {
    for (text, from, until) in [
        ("@1622505600000", 1_622_505_600_000, None),
        ("@1622505600", 1_622_505_600_000, None),
        ("@2022-02-14", VALENTINE, None),
        ("@2022-02-14:", VALENTINE, None),
        ("@2022-02-14T01:00:00Z", VALENTINE + HOUR, None),
        ("@-1h", NOW - HOUR, None),
        ("@2022-02-14:1h", VALENTINE, Some(VALENTINE + HOUR)),
        (
            "@2022-02-14T01:00:00Z:2022-02-14T02:00:00.5Z",
            VALENTINE + HOUR,
            Some(VALENTINE + 2 * HOUR + 500),
        ),
        (
            "@1622505600:1622505601",
            1_622_505_600_000,
            Some(1_622_505_601_000),
        ),
        ("@-48h:-24h", NOW - 48 * HOUR, Some(NOW - 24 * HOUR)),
        (
            "@2022-02-14T00:00:00Z:90m",
            VALENTINE,
            Some(VALENTINE + 90 * 60_000),
        ),
    ] {
        let expected = spec(Place::Time(from), until.map(Place::Time));
        assert_eq!(OffsetSpec::parse_at(text, NOW), expected, "{text}");
    }
    assert_eq!(
        OffsetSpec::parse_at("@-1m:end", NOW),
        spec(Place::Time(NOW - 60_000), Some(Place::End))
    );
    assert_eq!(
        OffsetSpec::parse_at("@:-1hr", NOW),
        spec(Place::Start, Some(Place::Time(NOW - HOUR)))
    );
}

#[test]
fn what_is_no_offset_is_refused() {
    for text in [
        "",
        ":",
        "x",
        "1:x",
        "9:3",
        "3:3",
        "+",
        "-",
        "+-1",
        "1.5",
        "99999999999999999999",
        "@",
        "@x",
        "@end",
        "@:",
        "@-1h:-2h",
        "@2022-02-30",
        "é",
    ] {
        assert!(OffsetSpec::parse_at(text, NOW).is_err(), "{text}");
    }
    assert!(Place::parse("3:9").is_err());
    assert_eq!(Place::parse("9"), Ok(Place::Exact(9)));
}

#[test]
fn places_stay_within_the_partition() {
    let bounds = Bounds { start: 10, end: 20 };
    for (place, expected) in [
        (Place::Start, 10),
        (Place::End, 20),
        (Place::Exact(5), 10),
        (Place::Exact(15), 15),
        (Place::Exact(50), 20),
        (Place::AfterStart(3), 13),
        (Place::AfterStart(i64::MAX), 20),
        (Place::BeforeEnd(3), 17),
        (Place::BeforeEnd(i64::MAX), 10),
    ] {
        assert_eq!(within(place, bounds), expected, "{place:?}");
    }
}
