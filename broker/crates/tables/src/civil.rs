//! Dates and times of the proleptic Gregorian calendar, always UTC: days and microseconds since 1970-01-01.
//!
//! Owns reading and writing them as text and rounding them down. Knows no leap seconds, as POSIX time does not.

/// Microseconds of a day.
pub const DAY_MICROS: i64 = 86_400_000_000;
/// Microseconds of an hour.
pub const HOUR_MICROS: i64 = 3_600_000_000;

/// Days of a whole cycle of the calendar: 400 years.
const CYCLE_DAYS: i64 = 146_097;
/// Days from 0000-03-01, where a cycle begins, to 1970-01-01.
const EPOCH_SHIFT: i64 = 719_468;

/// Returns the days from 1970-01-01 to a date. `month` and `day` are taken as they are, from 1.
///
/// Years are counted from March, so that the day that leap years add is the last of its year.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (march_year, march_month) = match month {
        3.. => (year, month - 3),
        _ => (year - 1, month + 9),
    };
    let cycle = march_year.div_euclid(400);
    let year_of_cycle = march_year.rem_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * CYCLE_DAYS + day_of_cycle - EPOCH_SHIFT
}

/// Returns year, month (1 to 12) and day (1 to 31) of a day since 1970-01-01.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_SHIFT;
    let cycle = shifted.div_euclid(CYCLE_DAYS);
    let day_of_cycle = shifted.rem_euclid(CYCLE_DAYS);
    // The last day of four and of four hundred years would otherwise open a year of its own.
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let (month, carry) = match march_month {
        ..10 => (march_month + 3, 0),
        _ => (march_month - 9, 1),
    };
    (cycle * 400 + year_of_cycle + carry, month, day)
}

/// Reads `YYYY-MM-DD`; `None` if it is no date of the calendar. Years 0000 to 9999.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (digits(text, 0..4)?, digits(text, 5..7)?, digits(text, 8..10)?);
    let days = days_from_civil(year, month, day);
    // Day 30 of February comes back as another date.
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// Reads `YYYY-MM-DD[(T| )HH:MM[:SS[.ffffff]][Z|±HH:MM]]` as microseconds since 1970; without a zone it is UTC.
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let days = parse_date(text.get(..10)?)?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return days.checked_mul(DAY_MICROS);
    }
    let time = rest.strip_prefix(['T', ' '])?;
    let (time, zone_micros) = split_zone(time)?;
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (two_digits(seconds)?, 0),
            Some((seconds, fraction)) => (two_digits(seconds)?, fraction_micros(fraction)?),
        },
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let of_day = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    days.checked_mul(DAY_MICROS)?
        .checked_add(of_day)?
        .checked_sub(zone_micros)
}

/// Takes the zone off the end of a time.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = (time.get(..at)?, time.get(at..)?);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    if hours > 18 || minutes > 59 {
        return None;
    }
    let micros = (hours * 60 + minutes) * 60_000_000;
    Some((time, if zone.starts_with('-') { -micros } else { micros }))
}

/// Digits behind the point of a second, at most six.
fn fraction_micros(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 6 {
        return None;
    }
    let missing = u32::try_from(6 - text.len()).ok()?;
    Some(digits(text, 0..text.len())? * 10_i64.pow(missing))
}

fn two_digits(text: &str) -> Option<i64> {
    if text.len() == 2 { digits(text, 0..2) } else { None }
}

fn digits(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let part = text.get(range)?;
    if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

/// Writes a day as `YYYY-MM-DD`.
#[must_use]
pub fn format_date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes microseconds since 1970 as `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`.
#[must_use]
pub fn format_timestamp(micros: i64) -> String {
    let date = format_date(micros.div_euclid(DAY_MICROS));
    let of_day = micros.rem_euclid(DAY_MICROS);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = match fraction {
        0 => String::new(),
        _ => format!(".{fraction:06}"),
    };
    format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

#[cfg(test)]
#[path = "civil_test.rs"]
mod tests;
