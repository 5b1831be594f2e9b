//! The text of `thalweg config explain KEY`.

use std::fmt::Write;

use crate::error::SettingError;
use crate::lookup::{lookup_broker, lookup_topic};
use crate::setting::{Owner, Setting, Update};
use crate::settings::{Origin, Profile, Settings};
use crate::topic_config::broker_value;

/// Explains a key without a running broker: values are the defaults.
///
/// # Errors
/// [`SettingError::Unknown`] with the nearest key.
pub fn explain_defaults(name: &str) -> Result<String, SettingError> {
    explain(name, &Settings::defaults(Profile::Serve))
}

/// Explains a key: what it is, what it may be, and what it is now and why. A name that both a broker and a topic
/// have is explained as both.
///
/// # Errors
/// [`SettingError::Unknown`] with the nearest key.
pub fn explain(name: &str, settings: &Settings) -> Result<String, SettingError> {
    let mut text = String::new();
    if let Some(setting) = lookup_broker(name) {
        head(&mut text, setting, "broker");
        if let Some(effective) = settings.effective(name) {
            line(
                &mut text,
                "value",
                &format!("{} ({})", effective.shown(), effective.origin),
            );
        }
        if let Some(overridden) = overridden(name, settings) {
            line(&mut text, "hides", &overridden);
        }
    }
    if let Some(setting) = lookup_topic(name) {
        if !text.is_empty() {
            text.push('\n');
        }
        head(&mut text, setting, "topic");
        if !setting.synonyms.is_empty() {
            line(&mut text, "from broker", &setting.synonyms.join(" > "));
        }
        let value = broker_value(name, settings).printed();
        line(
            &mut text,
            "value",
            &format!("{} for a topic that sets none", quoted(value.as_deref())),
        );
    }
    if text.is_empty() {
        Err(SettingError::unknown(name, &Origin::Question))
    } else {
        Ok(text)
    }
}

fn head(text: &mut String, setting: &Setting, what: &str) {
    let owner = match setting.owner {
        Owner::Kafka => "Apache Kafka's",
        Owner::Thalweg => "Thalweg's own",
    };
    let unit = setting.unit.name();
    let kind = setting.kind.name();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{} ({what} key, {owner})", setting.name);
    let _ = writeln!(text, "  {}", setting.full_doc());
    let typed = if unit.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind}, {unit}")
    };
    line(text, "type", &typed);
    let mut default = quoted(setting.default);
    if let Some(dev) = setting.dev_default {
        let _ = write!(default, "; {dev} under `thalweg dev`");
    }
    line(text, "default", &default);
    let rule = setting.rule.describe();
    if !rule.is_empty() {
        line(text, "allowed", &rule);
    }
    let changed = match setting.update {
        Update::ReadOnly => "at start only",
        Update::PerBroker => "while running, for one broker",
        Update::ClusterWide => "while running, for one broker or all",
        Update::Topic => "while running, for one topic",
    };
    line(text, "changed", changed);
    let topics: Vec<&str> = crate::topic_keys::TOPIC_SETTINGS
        .iter()
        .filter(|row| what == "broker" && row.synonyms.contains(&setting.name))
        .map(|row| row.name)
        .collect();
    if !topics.is_empty() {
        line(text, "topic key", &topics.join(", "));
    }
    if what == "broker" {
        line(
            text,
            "environment",
            &format!("THALWEG_{}", crate::environment::encode(setting.name)),
        );
    }
}

/// Weaker sources whose value is not in force.
fn overridden(name: &str, settings: &Settings) -> Option<String> {
    let slot = settings.slot(name)?;
    let secret = settings.effective(name)?.setting.is_sensitive();
    let (_, hidden) = slot.layers.split_last()?;
    let parts: Vec<String> = hidden
        .iter()
        .rev()
        .map(|layer| {
            let value = if secret {
                "(hidden)".to_owned()
            } else {
                layer.value.to_string()
            };
            format!("{value} ({})", layer.origin)
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn quoted(value: Option<&str>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "  {label:<12} {value}");
}

#[cfg(test)]
#[path = "explain_test.rs"]
mod tests;
