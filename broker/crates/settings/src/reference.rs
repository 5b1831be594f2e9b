//! `broker/SETTINGS.md`: every key in tables, as `thalweg config explain --all` prints it.

use std::fmt::Write;

use crate::broker_keys::BROKER_SETTINGS;
use crate::setting::{Effect, Owner, Setting};
use crate::topic_keys::TOPIC_SETTINGS;

const HEAD: &str = "\
# Settings

Written by `thalweg config explain --all`; do not edit. `thalweg config explain KEY` tells more of one key.

A value comes from the weakest to the strongest source: default, settings file, environment (`THALWEG_` and the key in
capitals with `_` for `.`), `--set KEY=VALUE`, and what was changed while the broker runs (IncrementalAlterConfigs, where
the column *changed* allows it). A key that nobody knows is refused, with the nearest one named.
";

/// The broker's keys by what they do here: heading, and which belong there.
type Part = (&'static str, fn(&Setting) -> bool);

const PARTS: [Part; 4] = [
    ("Thalweg's own", |setting| setting.owner == Owner::Thalweg),
    ("Kafka's, obeyed", |setting| setting.effect == Effect::Live),
    (
        "Kafka's, not available yet: only the default is taken",
        |setting| setting.effect == Effect::Refused,
    ),
    ("Kafka's, stored and reported, without effect here", |setting| {
        setting.effect == Effect::Stored
    }),
];

/// Returns the text of `broker/SETTINGS.md`.
#[must_use]
pub fn settings_reference() -> String {
    let mut text = HEAD.to_owned();
    let mut left: Vec<&Setting> = BROKER_SETTINGS.iter().collect();
    for (heading, belongs) in PARTS {
        let (here, others) = left.into_iter().partition(|setting| belongs(setting));
        left = others;
        table(&mut text, &format!("Broker keys: {heading}"), here);
    }
    table(&mut text, "Topic keys", TOPIC_SETTINGS.iter().collect());
    text
}

fn table(text: &mut String, heading: &str, mut settings: Vec<&Setting>) {
    settings.sort_by_key(|setting| setting.name);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n## {heading}\n\n| key | type | default | allowed | changed | meaning |\n|---|---|---|---|---|---|\n"
    );
    for setting in settings {
        let unit = setting.unit.name();
        let kind = setting.kind.name();
        let typed = if unit.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}, {unit}")
        };
        let shown = |value: Option<&str>| match value {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        let mut default = shown(setting.default);
        if let Some(dev) = setting.dev_default {
            let _ = write!(default, "; `thalweg dev`: {}", shown(Some(dev)));
        }
        let mut meaning = match setting.effect {
            // The heading says the rest.
            Effect::Stored | Effect::Refused if setting.synonyms.is_empty() => setting.doc.to_owned(),
            _ => setting.full_doc(),
        };
        if !setting.synonyms.is_empty() {
            let names: Vec<String> = setting.synonyms.iter().map(|name| format!("`{name}`")).collect();
            let _ = write!(meaning, " Default from {}.", names.join(", "));
        }
        let cells = [
            format!("`{}`", setting.name),
            typed,
            default,
            setting.rule.describe(),
            setting.update.name().to_owned(),
            meaning,
        ];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
#[path = "reference_test.rs"]
mod tests;
