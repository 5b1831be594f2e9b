//! Timestamps by strftime or by Go's reference date. UTC; letters neither knows are written as they stand.

use crate::cli::time::Civil;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

fn month(civil: &Civil) -> &'static str {
    MONTHS
        .get(civil.month.saturating_sub(1) as usize)
        .copied()
        .unwrap_or_default()
}

fn weekday(civil: &Civil) -> &'static str {
    WEEKDAYS.get(civil.weekday as usize).copied().unwrap_or_default()
}

fn hour_of_twelve(civil: &Civil) -> u32 {
    match civil.hour % 12 {
        0 => 12,
        hour => hour,
    }
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// Writes a timestamp (milliseconds) by a strftime pattern.
pub(super) fn strftime(pattern: &str, ms: i64) -> String {
    let civil = Civil::from_unix_ms(ms);
    let Civil {
        year,
        month: number,
        day,
        hour,
        minute,
        second,
        millisecond,
        ..
    } = civil;
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let piece = match letters.next() {
            Some('Y') => format!("{year:04}"),
            Some('y') => format!("{:02}", year.rem_euclid(100)),
            Some('C') => format!("{:02}", year.div_euclid(100)),
            Some('m') => format!("{number:02}"),
            Some('d') => format!("{day:02}"),
            Some('e') => format!("{day:2}"),
            Some('j') => format!("{:03}", civil.year_day),
            Some('H') => format!("{hour:02}"),
            Some('I') => format!("{:02}", hour_of_twelve(&civil)),
            Some('M') => format!("{minute:02}"),
            Some('S') => format!("{second:02}"),
            Some('L') => format!("{millisecond:03}"),
            Some('f') => format!("{:06}", millisecond * 1000),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('F') => format!("{year:04}-{number:02}-{day:02}"),
            Some('D') => format!("{number:02}/{day:02}/{:02}", year.rem_euclid(100)),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('R') => format!("{hour:02}:{minute:02}"),
            Some('s') => ms.div_euclid(1000).to_string(),
            Some('z') => "+0000".to_owned(),
            Some('Z') => "UTC".to_owned(),
            Some('a') => short(weekday(&civil)).to_owned(),
            Some('A') => weekday(&civil).to_owned(),
            Some('b' | 'h') => short(month(&civil)).to_owned(),
            Some('B') => month(&civil).to_owned(),
            Some('u') => if civil.weekday == 0 { 7 } else { civil.weekday }.to_string(),
            Some('w') => civil.weekday.to_string(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') => "%".to_owned(),
            Some(other) => format!("%{other}"),
            None => "%".to_owned(),
        };
        text.push_str(&piece);
    }
    text
}

/// Writes a timestamp (milliseconds) by a Go layout, which spells the date 2006-01-02 15:04:05.
pub(super) fn go(layout: &str, ms: i64) -> String {
    let civil = Civil::from_unix_ms(ms);
    // Longest first: "2006" before "2", "January" before "Jan".
    let pieces: [(&str, String); 25] = [
        ("January", month(&civil).to_owned()),
        ("Monday", weekday(&civil).to_owned()),
        ("Z07:00", "Z".to_owned()),
        ("-07:00", "+00:00".to_owned()),
        ("Z0700", "Z".to_owned()),
        ("-0700", "+0000".to_owned()),
        ("2006", format!("{:04}", civil.year)),
        (".000000000", format!(".{:03}000000", civil.millisecond)),
        (".000000", format!(".{:03}000", civil.millisecond)),
        (".000", format!(".{:03}", civil.millisecond)),
        ("Jan", short(month(&civil)).to_owned()),
        ("Mon", short(weekday(&civil)).to_owned()),
        ("MST", "UTC".to_owned()),
        ("002", format!("{:03}", civil.year_day)),
        ("01", format!("{:02}", civil.month)),
        ("02", format!("{:02}", civil.day)),
        ("_2", format!("{:2}", civil.day)),
        ("03", format!("{:02}", hour_of_twelve(&civil))),
        ("04", format!("{:02}", civil.minute)),
        ("05", format!("{:02}", civil.second)),
        ("06", format!("{:02}", civil.year.rem_euclid(100))),
        ("15", format!("{:02}", civil.hour)),
        ("PM", if civil.hour < 12 { "AM" } else { "PM" }.to_owned()),
        ("1", civil.month.to_string()),
        ("2", civil.day.to_string()),
    ];
    let mut text = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((token, piece)) = pieces.iter().find(|(token, _)| rest.starts_with(token)) {
            text.push_str(piece);
            rest = rest.get(token.len()..).unwrap_or_default();
        } else {
            text.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    text
}
