//! Finding a key by its name, and the nearest one when there is none.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::broker_keys::BROKER_SETTINGS;
use crate::setting::Setting;
use crate::topic_keys::TOPIC_SETTINGS;

static BROKER_INDEX: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    BROKER_SETTINGS
        .iter()
        .enumerate()
        .map(|(index, row)| (row.name, index))
        .collect()
});

static TOPIC_INDEX: LazyLock<HashMap<&'static str, &'static Setting>> =
    LazyLock::new(|| TOPIC_SETTINGS.iter().map(|row| (row.name, row)).collect());

/// Returns the place of a broker key in [`BROKER_SETTINGS`].
pub(crate) fn broker_index(name: &str) -> Option<usize> {
    BROKER_INDEX.get(name).copied()
}

/// Returns the broker key of this name.
#[must_use]
pub fn lookup_broker(name: &str) -> Option<&'static Setting> {
    broker_index(name).and_then(|index| BROKER_SETTINGS.get(index))
}

/// Returns the topic key of this name.
#[must_use]
pub fn lookup_topic(name: &str) -> Option<&'static Setting> {
    TOPIC_INDEX.get(name).copied()
}

/// Returns the key of this name: the broker's, else the topic's. A few names are both.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Setting> {
    lookup_broker(name).or_else(|| lookup_topic(name))
}

/// Returns the broker or topic key that is spelled most like `name`, if one is near enough to be meant.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, BROKER_SETTINGS.iter().chain(TOPIC_SETTINGS))
}

/// Returns the broker key that is spelled most like `name`; a topic key is offered by its broker name.
pub(crate) fn nearest_broker(name: &str) -> Option<&'static str> {
    let topic = || nearest_of(name, TOPIC_SETTINGS.iter()).and_then(lookup_topic);
    nearest_of(name, BROKER_SETTINGS.iter()).or_else(|| topic().and_then(|row| row.synonyms.first().copied()))
}

/// Returns the topic key that is spelled most like `name`; a broker key is offered by its topic name.
pub(crate) fn nearest_topic(name: &str) -> Option<&'static str> {
    let by_synonym = TOPIC_SETTINGS
        .iter()
        .find(|row| row.synonyms.contains(&name))
        .map(|row| row.name);
    by_synonym.or_else(|| nearest_of(name, TOPIC_SETTINGS.iter()))
}

/// Keys of Kafka before 4.0 that old files still hold, with what to do about them.
const REMOVED: &[(&str, &str)] = &[
    ("zookeeper.", "there is no ZooKeeper any more; remove it"),
    ("control.plane.listener.name", "remove it"),
    ("inter.broker.protocol.version", "remove it"),
    (
        "log.message.format.version",
        "every record has format 2; remove it",
    ),
    ("message.format.version", "every record has format 2; remove it"),
    (
        "log.message.downconversion.enable",
        "every client reads format 2; remove it",
    ),
    (
        "message.downconversion.enable",
        "every client reads format 2; remove it",
    ),
    (
        "log.message.timestamp.difference.max.ms",
        "use log.message.timestamp.before.max.ms and .after.max.ms",
    ),
    (
        "message.timestamp.difference.max.ms",
        "use message.timestamp.before.max.ms and .after.max.ms",
    ),
    ("broker.id.generation.enable", "set node.id"),
    ("reserved.broker.max.id", "remove it"),
    ("delegation.token.master.key", "use delegation.token.secret.key"),
    ("password.encoder.", "remove it"),
    ("port", "use listeners"),
    ("host.name", "use listeners"),
    ("advertised.port", "use advertised.listeners"),
    ("advertised.host.name", "use advertised.listeners"),
];

/// Returns what to do about a key that Kafka 4.0 removed.
pub(crate) fn removed(name: &str) -> Option<&'static str> {
    let is = |key: &str| {
        if key.ends_with('.') {
            name.starts_with(key)
        } else {
            name == key
        }
    };
    REMOVED.iter().find(|(key, _)| is(key)).map(|(_, hint)| *hint)
}

/// Longest name that is compared; the longest key has fewer characters.
const NAME_CHARS_MAX: usize = 100;

fn nearest_of(name: &str, rows: impl Iterator<Item = &'static Setting>) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase().replace(['_', '-'], ".");
    let chars: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).collect();
    if chars.len() > NAME_CHARS_MAX {
        return None;
    }
    // A third of the letters may be wrong: `retenton.ms` is near, `foo` is near to nothing.
    let limit = (chars.len() / 3).clamp(1, 6);
    rows.map(|row| (edit_distance(&chars, row.name), row.name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `left` into `right`.
fn edit_distance(left: &[char], right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let width = right.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row = vec![0; width];
    for (i, a) in left.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            let swapped = i > 0 && j > 0 && left[i - 1] == *b && right[j - 1] == *a;
            if swapped {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[width - 1]
}

#[cfg(test)]
#[path = "lookup_test.rs"]
mod tests;
