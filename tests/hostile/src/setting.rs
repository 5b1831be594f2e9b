//! Settings files.

use crate::memory;
use thalweg_settings::{Profile, Settings, SettingsBuilder, Value, parse_properties};

/// A `.properties` file.
///
/// Beyond "no panic": each pair, written on one line with escapes, reads back the same; memory is bounded by the file;
/// a file that is taken gives values whose printed form is taken and gives the same values.
pub fn settings(data: &[u8]) {
    let parsed = memory::within(64 * data.len() + (1 << 10), "a settings file", || {
        parse_properties(data)
    });
    if let Ok(properties) = &parsed {
        for property in properties {
            let line = format!("{}={}\n", escaped(&property.key), escaped(&property.value));
            let again = parse_properties(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
            let again: Vec<_> = again
                .iter()
                .map(|p| (p.line, p.key.as_str(), p.value.as_str()))
                .collect();
            assert_eq!(
                again,
                [(1, property.key.as_str(), property.value.as_str())],
                "{line}"
            );
        }
    }
    let built = Settings::builder(Profile::Serve)
        .file_bytes("server.properties", data)
        .build();
    let settings = match built {
        Ok(settings) => settings,
        Err(errors) => {
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    assert!(parsed.is_ok(), "taken, but it does not parse");
    let again = again(&settings).build();
    let again = again.unwrap_or_else(|errors| panic!("its own values are refused: {errors}"));
    for (before, after) in settings.iter().zip(again.iter()) {
        assert_eq!(before.setting.name, after.setting.name);
        assert_eq!(before.value, after.value, "{}", before.setting.name);
        assert!(!before.shown().is_empty() || !matches!(before.value, Value::Null));
    }
}

/// Sets what is not at its default, as printed.
fn again(settings: &Settings) -> SettingsBuilder {
    let builder = Settings::builder(Profile::Serve);
    let defaults = Settings::defaults(Profile::Serve);
    settings.iter().fold(builder, |builder, effective| {
        let name = effective.setting.name;
        let default = defaults.effective(name).map(|default| default.value.clone());
        match effective.value.printed() {
            Some(text) if default.as_ref() != Some(effective.value) => builder.set(name, &text),
            _ => builder,
        }
    })
}

/// Escapes everything but letters and digits, as `\uXXXX`; a pair of them beyond the basic plane.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}
