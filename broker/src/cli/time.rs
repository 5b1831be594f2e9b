//! Times and durations in arguments and in output. Always UTC.
//!
//! Dates are the proleptic Gregorian calendar of RFC 3339; leap seconds do not exist, as in Unix time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MS_PER_DAY: i64 = 86_400_000;

/// A date and time of day, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, as 2026.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, 1 to 31.
    pub day: u32,
    /// Hour, 0 to 23.
    pub hour: u32,
    /// Minute, 0 to 59.
    pub minute: u32,
    /// Second, 0 to 59.
    pub second: u32,
    /// Millisecond, 0 to 999.
    pub millisecond: u32,
    /// Day of the week, 0 is Sunday.
    pub weekday: u32,
    /// Day of the year, from 1.
    pub year_day: u32,
}

/// Days from 1970-01-01 to a date. Years count from March, so that the leap day is a year's last.
fn days_from_date(year: i64, month: u32, day: u32) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_date`].
fn date_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    // Both are in the ranges of a calendar by construction.
    (
        year,
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

impl Civil {
    /// Returns the date and time of a timestamp in milliseconds since 1970.
    pub fn from_unix_ms(ms: i64) -> Self {
        let days = ms.div_euclid(MS_PER_DAY);
        let of_day = u32::try_from(ms.rem_euclid(MS_PER_DAY)).unwrap_or(0);
        let (year, month, day) = date_from_days(days);
        let year_day = days - days_from_date(year, 1, 1) + 1;
        Self {
            year,
            month,
            day,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
            weekday: u32::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            year_day: u32::try_from(year_day).unwrap_or(1),
        }
    }

    /// Returns the milliseconds since 1970.
    fn unix_ms(&self) -> i64 {
        let of_day =
            i64::from((self.hour * 60 + self.minute) * 60 + self.second) * 1000 + i64::from(self.millisecond);
        days_from_date(self.year, self.month, self.day) * MS_PER_DAY + of_day
    }
}

/// Writes a timestamp as `2026-11-20T08:15:00.123Z`, or `-` for none.
pub fn rfc3339(ms: i64) -> String {
    if ms < 0 {
        return "-".to_owned();
    }
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        millisecond,
        ..
    } = Civil::from_unix_ms(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Returns the present time in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a duration as `500ms`, `30s`, `1h30m`, `2d`.
///
/// # Errors
/// A sentence for the user.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("'{text}' is not a duration; write a number with ms, s, m, h or d, as 500ms or 1h30m");
    let mut rest = text;
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" | "sec" => 1000,
            "m" | "min" => 60_000,
            "h" | "hr" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit_ms));
        total_ms = part
            .and_then(|part| total_ms.checked_add(part))
            .ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_millis(total_ms))
}

/// Reads a duration in which something must be answered: not zero.
///
/// # Errors
/// A sentence for the user.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("in no time there is no answer; write at least 1ms".to_owned()),
        timeout => Ok(timeout),
    }
}

/// Reads `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS[.fraction]Z` as milliseconds since 1970.
pub fn parse_date(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time.strip_suffix('Z')?)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year = i64::from(number(parts.next()?, 4)?);
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let mut civil = Civil {
        year,
        month,
        day,
        ..Civil::from_unix_ms(0)
    };
    if let Some(time) = time {
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut parts = clock.splitn(3, ':');
        civil.hour = number(parts.next()?, 2)?;
        civil.minute = number(parts.next()?, 2)?;
        civil.second = number(parts.next()?, 2)?;
        civil.millisecond = milliseconds(fraction)?;
    }
    let ms = civil.unix_ms();
    // What the calendar does not have (February 30, 25 o'clock) does not come back the same.
    let back = Civil::from_unix_ms(ms);
    let same = (
        back.year,
        back.month,
        back.day,
        back.hour,
        back.minute,
        back.second,
    ) == (
        civil.year,
        civil.month,
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
    );
    same.then_some(ms)
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}

fn milliseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{fraction:0<3}");
    padded.get(..3)?.parse().ok()
}

#[cfg(test)]
#[path = "time_test.rs"]
mod tests;
