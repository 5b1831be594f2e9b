use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../SETTINGS.md");

#[test]
fn the_reference_of_settings_is_current() {
    let file = std::fs::read_to_string(FILE).expect("broker/SETTINGS.md");
    let expected = settings_reference();
    for (number, (found, expected)) in file.lines().zip(expected.lines()).enumerate() {
        assert_eq!(
            found,
            expected,
            "broker/SETTINGS.md line {}: write it anew with `cargo run -- config explain --all > broker/SETTINGS.md`",
            number + 1
        );
    }
    assert_eq!(
        file.len(),
        expected.len(),
        "broker/SETTINGS.md is cut or has more"
    );
}

#[test]
fn every_key_is_in_one_line_of_six_cells() {
    let text = settings_reference();
    for setting in BROKER_SETTINGS {
        let start = format!("| `{}` |", setting.name);
        let broker = text.split("## Topic keys").next().unwrap_or_default();
        assert_eq!(broker.matches(&start).count(), 1, "{}", setting.name);
    }
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut count = 0;
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 7, "{row}");
        count += 1;
    }
    assert_eq!(count, BROKER_SETTINGS.len() + TOPIC_SETTINGS.len());
}

#[test]
fn no_secret_has_a_default_that_would_be_shown() {
    let secrets = BROKER_SETTINGS.iter().filter(|setting| setting.is_sensitive());
    for setting in secrets {
        assert!(setting.default.is_none_or(str::is_empty), "{}", setting.name);
    }
}
