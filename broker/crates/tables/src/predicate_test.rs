use super::*;

#[test]
fn maps_keep_order() {
    let micros = [
        i64::MIN,
        -DAY_MICROS - 1,
        -DAY_MICROS,
        -1,
        0,
        HOUR_MICROS,
        DAY_MICROS,
        i64::MAX,
    ];
    let maps = [
        Map::ToDate,
        Map::TruncateHour,
        Map::TruncateDay,
        Map::TruncateMonth,
        Map::TruncateYear,
    ];
    for map in maps {
        let images: Vec<Value> = micros
            .iter()
            .map(|micros| map.of(&Value::Timestamp(*micros)))
            .collect();
        assert!(images.is_sorted(), "{map:?} {images:?}");
    }
}

#[test]
fn times_are_truncated_downwards() {
    let time = |text: &str| Value::Timestamp(civil::parse_timestamp(text).unwrap());
    let of = time("1969-12-31T23:59:59.9");
    assert_eq!(Map::TruncateHour.of(&of), time("1969-12-31T23:00:00"));
    assert_eq!(Map::TruncateMonth.of(&of), time("1969-12-01"));
    assert_eq!(Map::TruncateYear.of(&of), time("1969-01-01"));
    assert_eq!(Map::ToDate.of(&of), Value::Date(-1));
}
