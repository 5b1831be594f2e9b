//! Places in a partition as a user writes them: `start`, `end`, `47`, `+2`, `-3`, `10:20`, `@2026-11-20:1h`.
//!
//! Owns the notation (rpk's) and its resolution to offsets. Invariant: a resolved start lies between the log start and
//! the end, so that a fetch from it is in range; an exact start that is later is kept as a filter by the reader.

use std::collections::BTreeMap;

use thalweg_client::{Cluster, Isolation, OffsetQuery, TopicPartition};
use thalweg_types::{Offset, TimestampMs};

use super::error::CliError;
use super::time::{now_ms, parse_date, parse_duration};

/// One place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first offset kept.
    Start,
    /// The offset the next record gets.
    End,
    /// This offset.
    Exact(i64),
    /// So many after the start.
    AfterStart(i64),
    /// So many before the end.
    BeforeEnd(i64),
    /// The first record not older than this (milliseconds since 1970).
    Time(i64),
}

/// A range: from a place, up to a place that is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetSpec {
    /// Where to begin.
    pub from: Place,
    /// Where to stop; `None` goes on for ever.
    pub until: Option<Place>,
}

/// Text that stands in both a time and a range needs care: RFC 3339 has colons of its own.
#[derive(Clone, Copy)]
enum TimeBase {
    Now(i64),
    /// The first time, for a second one that is a duration.
    After(i64),
}

impl OffsetSpec {
    /// Reads a range.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_at(text, now_ms())
    }

    fn parse_at(text: &str, now: i64) -> Result<Self, String> {
        if let Some(times) = text.strip_prefix('@') {
            return time_range(times, now);
        }
        let (from, until) = match text.split_once(':') {
            None => (place(text)?, None),
            Some(("", "")) => return Err(wrong(text)),
            Some(("", until)) => (Place::Start, Some(place(until)?)),
            Some((from, "")) => (place(from)?, None),
            Some((from, until)) => (place(from)?, Some(place(until)?)),
        };
        if let (Place::Exact(from), Some(Place::Exact(until))) = (from, until)
            && until <= from
        {
            return Err(format!(
                "offset range '{text}' is empty: it ends at or before its start"
            ));
        }
        Ok(Self { from, until })
    }
}

impl Place {
    /// Reads a single place, as `topic trim` takes it.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spec = OffsetSpec::parse(text)?;
        match spec.until {
            None => Ok(spec.from),
            Some(_) => Err(format!("'{text}' is a range; one offset is needed here")),
        }
    }
}

fn wrong(text: &str) -> String {
    if matches!(text, "json" | "table" | "wide") {
        return format!("'{text}' is not an offset; how records are printed is chosen with -f, as -f json");
    }
    format!("'{text}' is not an offset; write start, end, 47, +2, -3, 10:20, :end, @2026-11-20 or @-1h")
}

fn place(text: &str) -> Result<Place, String> {
    let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse::<i64>().map_err(|_| wrong(text)),
        false => Err(wrong(text)),
    };
    match text {
        "start" | "oldest" | "earliest" | "beginning" => Ok(Place::Start),
        "end" | "newest" | "latest" => Ok(Place::End),
        _ => match text.as_bytes().first() {
            Some(b'+') => number(&text[1..]).map(Place::AfterStart),
            Some(b'-') => number(&text[1..]).map(Place::BeforeEnd),
            Some(_) => number(text).map(Place::Exact),
            None => Err(wrong(text)),
        },
    }
}

/// Reads `T`, `T:`, `:T`, `T1:T2`, the `@` being taken already.
fn time_range(text: &str, now: i64) -> Result<OffsetSpec, String> {
    let fail =
        || format!("'@{text}' is not a time; write @1732060800, @2026-11-20, @2026-11-20T08:00:00Z or @-1h");
    if let Some(until) = text.strip_prefix(':') {
        let (until, rest) = time(until, TimeBase::Now(now)).ok_or_else(fail)?;
        return if rest.is_empty() {
            Ok(OffsetSpec {
                from: Place::Start,
                until: Some(until),
            })
        } else {
            Err(fail())
        };
    }
    let (from, rest) = time(text, TimeBase::Now(now)).ok_or_else(fail)?;
    let Place::Time(from_ms) = from else {
        return Err(fail());
    };
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Ok(OffsetSpec { from, until: None }),
        None => Err(fail()),
        Some("") => Ok(OffsetSpec { from, until: None }),
        Some(second) => {
            // A duration after a date counts from the date, after a duration from now.
            let relative = parse_signed(leading_duration(text)).is_some();
            let base = if relative {
                TimeBase::Now(now)
            } else {
                TimeBase::After(from_ms)
            };
            let (until, rest) = time(second, base).ok_or_else(fail)?;
            match until {
                _ if !rest.is_empty() => Err(fail()),
                Place::Time(until_ms) if until_ms <= from_ms => Err(format!(
                    "time range '@{text}' is empty: it ends at or before its start"
                )),
                until => Ok(OffsetSpec {
                    from,
                    until: Some(until),
                }),
            }
        }
    }
}

/// Reads one time from the front of `text` and returns what follows.
fn time(text: &str, base: TimeBase) -> Option<(Place, &str)> {
    if let Some(rest) = text.strip_prefix("end") {
        return Some((Place::End, rest));
    }
    if let Some(end) = text.find('Z')
        && let Some(ms) = parse_date(text.get(..=end)?)
    {
        return Some((Place::Time(ms), text.get(end + 1..)?));
    }
    let (head, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    let all_digits = head.bytes().all(|byte| byte.is_ascii_digit());
    let ms = match head.len() {
        13 if all_digits => head.parse().ok()?,
        9 | 10 if all_digits => head.parse::<i64>().ok()?.checked_mul(1000)?,
        _ => match parse_date(head) {
            Some(ms) => ms,
            None => {
                let (TimeBase::Now(from) | TimeBase::After(from)) = base;
                from.checked_add(parse_signed(head)?)?
            }
        },
    };
    Some((Place::Time(ms), rest))
}

fn leading_duration(text: &str) -> &str {
    text.split(':').next().unwrap_or_default()
}

/// Reads a duration with an optional sign, in milliseconds.
fn parse_signed(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let ms = i64::try_from(parse_duration(digits).ok()?.as_millis()).ok()?;
    ms.checked_mul(sign)
}

/// First kept and next offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first kept.
    pub start: i64,
    /// The one the next record gets (the last stable one for read-committed readers).
    pub end: i64,
}

/// Asks for the first and the next offset of partitions.
///
/// # Errors
/// Those of the cluster.
pub async fn bounds(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, Bounds>, CliError> {
    let ask = async |query| {
        let queries: Vec<_> = partitions
            .iter()
            .map(|partition| (partition.clone(), query))
            .collect();
        cluster.list_offsets(&queries, isolation).await
    };
    let (starts, ends) = (ask(OffsetQuery::Earliest).await?, ask(OffsetQuery::Latest).await?);
    Ok(starts
        .into_iter()
        .filter_map(|(partition, start)| {
            let end = ends.get(&partition)?.offset.get();
            Some((
                partition,
                Bounds {
                    start: start.offset.get(),
                    end,
                },
            ))
        })
        .collect())
}

/// Finds the offset of a place in each partition, between its start and its end.
///
/// # Errors
/// Those of the cluster.
pub async fn resolve(
    cluster: &Cluster,
    place: Place,
    bounds: &BTreeMap<TopicPartition, Bounds>,
) -> Result<BTreeMap<TopicPartition, i64>, CliError> {
    if let Place::Time(ms) = place {
        let query = OffsetQuery::AtTime(TimestampMs(ms.max(0)));
        let queries: Vec<_> = bounds
            .keys()
            .map(|partition| (partition.clone(), query))
            .collect();
        let found = cluster.list_offsets(&queries, Isolation::ReadUncommitted).await?;
        return Ok(bounds
            .iter()
            .map(|(partition, bounds)| {
                // No record is young enough: everything is before that time.
                let offset = found
                    .get(partition)
                    .map(|listed| listed.offset)
                    .filter(|offset| *offset >= Offset::ZERO);
                (
                    partition.clone(),
                    offset
                        .map_or(bounds.end, Offset::get)
                        .clamp(bounds.start, bounds.end),
                )
            })
            .collect());
    }
    Ok(bounds
        .iter()
        .map(|(partition, bounds)| (partition.clone(), within(place, *bounds)))
        .collect())
}

fn within(place: Place, Bounds { start, end }: Bounds) -> i64 {
    let end = end.max(start);
    match place {
        Place::Start => start,
        Place::End | Place::Time(_) => end,
        Place::Exact(offset) => offset.clamp(start, end),
        Place::AfterStart(count) => start.saturating_add(count).min(end),
        Place::BeforeEnd(count) => end.saturating_sub(count).max(start),
    }
}

#[cfg(test)]
#[path = "offset_spec_test.rs"]
mod tests;
